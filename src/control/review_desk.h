// Joins the review queue to saw-egress: a request asks, a person or the clock answers, exactly one verdict
// goes back.
//
//   desk.ask(context, ask, [&](egress::ReviewVerdict v) { egress.answer(v); });
//   desk.decide(caller, "rv-…", Verdict::approve, digest, why, [](Result<ReviewView> r) { … });
//
// The order of an approval: stored (single use), then durable in the audit log, then told to saw-egress. Who
// may decide: the workspace's owner and operators, by the rule of the policy that asked.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "control/alive.h"
#include "control/plane.h"
#include "review/queue.h"

namespace saw::control {

// Where a question comes from.
struct AskContext {
  std::string owner;  // of the workspace
  egress::ChannelIdentity identity;
  review::Approvers approvers = review::Approvers::anyone_entitled;
  int64_t hold_ms = 0;  // the policy's bound
};

class ReviewDesk {
 public:
  using Answer = std::move_only_function<void(egress::ReviewVerdict)>;

  explicit ReviewDesk(Plane& plane) : plane_(plane), queue_(plane.store, plane.clock) {}

  Result<> recover();  // whoever waited before the restart is gone
  void ask(const AskContext& context, const egress::ReviewAsk& ask, Answer answer);
  void abandon(const std::string& workspace, uint64_t ask);
  void abandon_all(const std::string& workspace);  // its saw-egress is gone

  Result<std::vector<ReviewView>> list(const Caller& caller, std::string_view state,
                                       const std::function<bool(std::string_view)>& owns) const;
  Result<store::Review> find(std::string_view id) const { return queue_.find(id); }
  void decide(const Caller& caller, std::string_view id, review::Verdict verdict,
              std::optional<std::string> digest, std::string why, Reply<ReviewView> reply);

 private:
  struct Open {
    std::string workspace;
    uint64_t ask = 0;
    review::Approvers approvers = review::Approvers::anyone_entitled;
    Answer answer;
    os::Loop::Timer timer;
  };
  void time_out(const std::string& id);
  void record(const store::Review& review, std::string_view operation, audit::Verdict verdict,
              Reply<> durable);

  Plane& plane_;
  review::Queue queue_;
  std::map<std::string, Open, std::less<>> open_;  // by review id
  Alive alive_;
};

ReviewView to_view(const store::Review& review);

}  // namespace saw::control
