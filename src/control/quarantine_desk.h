// Joins the quarantine lane at saw-node (sandbox/quarantine.h) to the review queue: what a commit held back is
// asked about, and a person's answer is carried out.
//
//   desk.committed(origin, "se-…", [](Result<std::vector<ReviewView>> waiting) { … });
//   desk.decide(caller, review, {.verdict = Verdict::approve, .digest = seen}, reply);
//   desk.recover(origin);                                   // after a restart
//
// A review of kind "quarantine" names the place (`target`), why it runs later (`rule`, `reason`), the Merkle
// root of the changes (`digest`) and shows them (`preview`). The order of a release: decided (single use), then
// durable in the audit log, then applied by saw-node, which compares the root once more. Whatever is killed in
// between, recover() brings items and reviews together again: an approved item is released, a denied one goes,
// one that nobody was asked about is asked about. A review waits kPatience; then its item goes.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "control/alive.h"
#include "control/plane.h"
#include "review/queue.h"

namespace saw::control {

class QuarantineDesk {
 public:
  static constexpr int64_t kPatienceMs = int64_t{30} * 24 * 3600 * 1000;
  static constexpr size_t kMaxPreview = 16u << 10;

  // Whose commit it was.
  struct Origin {
    egress::ChannelIdentity identity;
    std::string policy_digest;
  };

  // How saw-node is asked to bring an approved item into its workspace.
  using Release = std::function<void(const sandbox::ReleaseQuarantine&, Reply<NodeClient::Answer>)>;

  QuarantineDesk(Plane& plane, Release release)
      : plane_(plane), ask_release_(std::move(release)), queue_(plane.store, plane.clock) {}

  // A commit of the session has ended. Answers the reviews that wait for what its commits held back.
  void committed(const Origin& origin, const std::string& session, Reply<std::vector<ReviewView>> reply);
  void recover(const Origin& origin);
  // The workspace is gone or rebuilt, and all its items are gone.
  void abandon_all(const std::string& workspace);
  // Of those that are no longer in `known`.
  Result<> abandon_unknown(const std::function<bool(std::string_view workspace)>& known);
  // All that waits, whatever its size; `root` is what it would change now.
  void show(const store::Review& review, Reply<DiffView> reply);
  void decide(const store::Review& review, review::DecisionRequest request, Reply<ReviewView> reply);

 private:
  using Items = std::vector<sandbox::QuarantineItem>;
  // Counts what a commit has to wait for before it can name its reviews.
  struct Round;
  void list(const std::string& workspace, Reply<Items> reply);
  void settle(const Origin& origin, const Items& items, const std::shared_ptr<Round>& round);
  void settle_item(const Origin& origin, const sandbox::QuarantineItem& item,
                   const std::vector<store::Review>& reviews, const std::shared_ptr<Round>& round);
  void abandon_lost(const Items& items, const std::vector<store::Review>& reviews);
  void ask(store::Review draft, std::shared_ptr<Round> round);
  void open(store::Review draft, const sandbox::Changes& changes);
  void release(const store::Review& review, Reply<ReviewView> reply);
  void remove(const std::string& workspace, const std::string& item);
  void on_released(const store::Review& review, Result<> applied, Reply<ReviewView> reply);
  void record(const store::Review& review, std::string_view operation, audit::Verdict verdict,
              Reply<> durable);
  std::vector<ReviewView> waiting(const std::string& workspace, const std::string& session) const;

  Plane& plane_;
  Release ask_release_;
  review::Queue queue_;
  std::set<std::string, std::less<>> busy_;  // items that are being asked about or released
  Alive alive_;
};

// The changes as people read them: a line a path, and the line diff. Bounded; what does not fit is counted.
std::string quarantine_preview(const sandbox::Changes& changes);

}  // namespace saw::control
