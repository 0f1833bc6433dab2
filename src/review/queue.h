// Requests that wait for a person: pending → approved | denied | timed_out | abandoned, each exactly once.
//
//   Queue queue(store, clock);
//   Review r = SAW_TRY(queue.open({.host = …, .digest = …}, hold_ms));
//   Review d = SAW_TRY(queue.decide(r.id, {.verdict = Verdict::approve, .by = "uid:1000", .digest =
//   r.digest}));
//
// A decision names the person who took it and, when it names a digest, must name the one that is stored: what
// was looked at is what is sent. It is single use (a second one: "review.conflict") and void after `expires`
// ("review.expired"). Everything is in the store before a function returns; this class only decides, control
// carries out. Source: requirements R89–R93.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "store/store.h"

namespace saw::review {

constexpr std::string_view kRequest = "request", kQuarantine = "quarantine";  // store::Review::kind

constexpr std::string_view kPending = "pending", kApproved = "approved", kDenied = "denied",
                           kTimedOut = "timed_out", kAbandoned = "abandoned";

enum class Verdict : uint8_t { approve, deny };
enum class Approvers : uint8_t { anyone_entitled, other_than_requester };

struct DecisionRequest {
  Verdict verdict = Verdict::deny;
  std::string by;                     // a person: "uid:…"; an agent's id is refused
  std::optional<std::string> digest;  // what the person saw
  std::string why;
  Approvers approvers = Approvers::anyone_entitled;
};

class Queue {
 public:
  // More reviews of one kind than this waiting in one workspace: the next one is refused ("review.busy"), so that an
  // agent cannot flood a person.
  static constexpr size_t kMaxPendingPerWorkspace = 64;
  static constexpr size_t kMaxListed = 1000;
  static constexpr size_t kMaxWhy = 1000;

  Queue(store::Store& store, const Clock& clock) : store_(store), clock_(clock) {}

  // Fills id, state, created and expires.
  Result<store::Review> open(store::Review request, int64_t hold_ms);
  Result<store::Review> decide(std::string_view id, const DecisionRequest& request);
  // Both: "review.conflict" when something was decided already.
  Result<store::Review> time_out(std::string_view id);
  Result<store::Review> abandon(std::string_view id);
  // After a restart: whoever waited for an answer to a request is gone. Returns what was pending. What waits in
  // quarantine waits on.
  Result<std::vector<store::Review>> abandon_all();
  // The reviews of one kind in one workspace, newest first.
  Result<std::vector<store::Review>> of_workspace(std::string_view workspace, std::string_view kind) const;

  Result<store::Review> find(std::string_view id) const;
  // Of one sponsor, so that nobody's reviews crowd out another's. Empty: all.
  Result<std::vector<store::Review>> list(std::string_view state, std::string_view sponsor) const;

 private:
  Result<store::Review> close(std::string_view id, std::string_view state);

  store::Store& store_;
  const Clock& clock_;
};

}  // namespace saw::review
