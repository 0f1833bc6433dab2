#include "control/quarantine_desk.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/log.h"
#include "control/diff_view.h"
#include "control/review_desk.h"

namespace saw::control {
namespace {

constexpr size_t kMaxShownPath = 4096;

store::Review draft_of(const QuarantineDesk::Origin& origin, const sandbox::QuarantineItem& item) {
  return {.workspace = origin.identity.workspace,
          .agent = origin.identity.agent,
          .sponsor = origin.identity.sponsor,
          .session = printable(item.session),
          .trace = origin.identity.trace,
          .target = printable(item.place, kMaxShownPath),
          .rule = "filesystem.runLater",
          .reason = fmt::format("{} [{}]{}{}", printable(item.why, 400), printable(item.rule),
                                item.detail.empty() ? "" : ": ", printable(item.detail)),
          .policy_digest = origin.policy_digest,
          .kind = std::string(review::kQuarantine),
          .object = item.id};
}

std::string side(const std::optional<sandbox::FileSide>& side) {
  static constexpr std::string_view kTypes[] = {"file", "directory", "link", "special file"};
  if (!side) return "nothing";
  std::string out = fmt::format("{} {:04o}", kTypes[static_cast<size_t>(side->type)], side->mode);
  if (side->type == sandbox::FileType::symlink)
    return out + " to '" + printable(side->target, kMaxShownPath) + "'";
  return side->type == sandbox::FileType::file ? fmt::format("{}, {} bytes", out, side->size) : out;
}

// Line by line: a diff must not be able to move the cursor of whoever reads it.
std::string printable_lines(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    std::string line(text.substr(at, end - at));
    std::ranges::replace(line, '\t', ' ');
    out += printable(line, QuarantineDesk::kMaxPreview) + "\n";
    at = end + 1;
  }
  return out;
}

}  // namespace

std::string quarantine_preview(const sandbox::Changes& changes) {
  static constexpr std::string_view kKinds[] = {"added", "changed", "deleted"};
  std::string out;
  for (const sandbox::Change& change : changes.changes) {
    out += fmt::format("{} {}: {} -> {}\n", kKinds[static_cast<size_t>(change.kind)],
                       printable(change.path, kMaxShownPath), side(change.before), side(change.after));
    out += change.binary ? "  (binary)\n" : printable_lines(change.lines);
  }
  if (out.size() <= QuarantineDesk::kMaxPreview) return out;
  const size_t cut = out.rfind('\n', QuarantineDesk::kMaxPreview);
  const size_t kept = cut == out.npos ? QuarantineDesk::kMaxPreview : cut + 1, left = out.size() - kept;
  return out.substr(0, kept) +
         fmt::format("... and {} bytes more, which are not shown here: look at its diff\n", left);
}

struct QuarantineDesk::Round {
  size_t open = 1;
  Reply<> reply;
  void done() {
    if (--open == 0 && reply) reply({});
  }
};

void QuarantineDesk::list(const std::string& workspace, Reply<Items> reply) {
  plane_.node.request(sandbox::ListQuarantine{.workspace = workspace},
                      alive_.guard([reply = std::move(reply)](Result<NodeClient::Answer> answer) mutable {
                        if (!answer) return reply(std::unexpected(std::move(answer).error()));
                        auto* found = std::get_if<sandbox::QuarantineList>(&answer->message);
                        if (!found)
                          return reply(Error::make("node.malformed",
                                                   "saw-node answered a ListQuarantine with something else"));
                        reply(std::move(found->items));
                      }));
}

void QuarantineDesk::committed(const Origin& origin, const std::string& session,
                               Reply<std::vector<ReviewView>> reply) {
  const std::string workspace = origin.identity.workspace;
  auto round = std::make_shared<Round>();
  round->reply = [this, workspace, session, reply = std::move(reply)](Result<> settled) mutable {
    if (!settled) return reply(std::unexpected(std::move(settled).error()));
    reply(waiting(workspace, session));
  };
  list(workspace, [this, origin, round](Result<Items> items) {
    if (!items) return round->reply(std::unexpected(std::move(items).error()));
    settle(origin, *items, round);
  });
}

void QuarantineDesk::recover(const Origin& origin) {
  list(origin.identity.workspace, [this, origin](Result<Items> items) {
    if (items) return settle(origin, *items, std::make_shared<Round>());
    // A workspace that never ran has no storage, hence nothing in quarantine.
    if (items.error().code != "storage.unknown")
      log_error("quarantine of workspace {}: {}", origin.identity.workspace, items.error().message);
  });
}

void QuarantineDesk::settle(const Origin& origin, const Items& items, const std::shared_ptr<Round>& round) {
  auto reviews = queue_.of_workspace(origin.identity.workspace, review::kQuarantine);
  if (!reviews) {
    log_error("quarantine of workspace {}: {}", origin.identity.workspace, reviews.error().message);
    return round->done();
  }
  for (const sandbox::QuarantineItem& item : items)
    if (!busy_.contains(item.id)) settle_item(origin, item, *reviews, round);
  abandon_lost(items, *reviews);
  round->done();
}

void QuarantineDesk::settle_item(const Origin& origin, const sandbox::QuarantineItem& item,
                                 const std::vector<store::Review>& reviews,
                                 const std::shared_ptr<Round>& round) {
  const auto known = std::ranges::find(reviews, item.id, &store::Review::object);  // the newest
  if (known == reviews.end()) {
    // The same session has been told no about the very same changes: a person is not asked twice.
    const bool rejected = std::ranges::any_of(reviews, [&](const store::Review& review) {
      return review.state == review::kDenied && review.session == item.session && review.digest == item.root;
    });
    if (rejected) return remove(origin.identity.workspace, item.id);
    return ask(draft_of(origin, item), round);
  }
  if (known->state == review::kApproved) return release(*known, [](Result<ReviewView>) {});
  if (known->state != review::kPending) return remove(known->workspace, item.id);
  if (plane_.clock.now() < known->expires) return;
  if (auto closed = queue_.time_out(known->id))
    record(*closed, "quarantine.expire", audit::Verdict::denied, {});
  remove(known->workspace, item.id);
}

// Reviews of what the session has committed anew, in another version.
void QuarantineDesk::abandon_lost(const Items& items, const std::vector<store::Review>& reviews) {
  for (const store::Review& review : reviews) {
    if (review.state != review::kPending || busy_.contains(review.object)) continue;
    if (std::ranges::find(items, review.object, &sandbox::QuarantineItem::id) != items.end()) continue;
    if (auto closed = queue_.abandon(review.id))
      record(*closed, "quarantine.abandon", audit::Verdict::denied, {});
  }
}

void QuarantineDesk::ask(store::Review draft, std::shared_ptr<Round> round) {
  ++round->open;
  busy_.insert(draft.object);
  sandbox::ListChanges request{.workspace = draft.workspace, .session = draft.object};
  request.detail = sandbox::DiffDetail::lines;
  plane_.node.request(std::move(request), alive_.guard([this, draft = std::move(draft),
                                                        round](Result<NodeClient::Answer> answer) mutable {
    busy_.erase(draft.object);
    const auto* changes = answer ? std::get_if<sandbox::Changes>(&answer->message) : nullptr;
    if (changes && !changes->root.empty())
      open(std::move(draft), *changes);
    else
      log_error("quarantine item {} cannot be shown: {}", draft.object,
                answer ? "its changes cannot be listed" : answer.error().message);
    round->done();
  }));
}

void QuarantineDesk::open(store::Review draft, const sandbox::Changes& changes) {
  draft.digest = printable(changes.root);
  draft.preview = quarantine_preview(changes);
  for (const sandbox::Change& change : changes.changes)
    if (change.after) draft.body_bytes += change.after->size;
  auto review = queue_.open(std::move(draft), kPatienceMs);
  if (!review) return log_error("a review of a quarantine item was not opened: {}", review.error().message);
  record(*review, "quarantine.hold", audit::Verdict::reviewing, {});
}

std::vector<ReviewView> QuarantineDesk::waiting(const std::string& workspace,
                                                const std::string& session) const {
  std::vector<ReviewView> out;
  auto reviews = queue_.of_workspace(workspace, review::kQuarantine);
  if (!reviews) return out;
  for (const store::Review& review : *reviews)
    if (review.state == review::kPending && review.session == session) out.push_back(to_view(review));
  return out;
}

void QuarantineDesk::abandon_all(const std::string& workspace) {
  auto reviews = queue_.of_workspace(workspace, review::kQuarantine);
  if (reviews) abandon_lost({}, *reviews);
}

Result<> QuarantineDesk::abandon_unknown(const std::function<bool(std::string_view)>& known) {
  for (const store::Review& review : SAW_TRY(queue_.list(review::kPending, "")))
    if (review.kind == review::kQuarantine && !known(review.workspace)) abandon_all(review.workspace);
  return {};
}

// ---- a person's look and answer

void QuarantineDesk::show(const store::Review& review, Reply<DiffView> reply) {
  sandbox::ListChanges request{.workspace = review.workspace, .session = review.object};
  request.detail = sandbox::DiffDetail::lines;
  plane_.node.request(
      std::move(request), [reply = std::move(reply)](Result<NodeClient::Answer> answer) mutable {
        if (!answer) return reply(std::unexpected(std::move(answer).error()));
        const auto* changes = std::get_if<sandbox::Changes>(&answer->message);
        if (!changes)
          return reply(Error::make("node.malformed", "saw-node answered a ListChanges with something else"));
        reply(to_view(*changes));
      });
}

void QuarantineDesk::decide(const store::Review& review, review::DecisionRequest request,
                            Reply<ReviewView> reply) {
  const bool approve = request.verdict == review::Verdict::approve;
  if (approve && !plane_.audit.available())
    return reply(Error::make("audit.unavailable", "the audit log cannot be written: nothing is released"));
  auto decided = queue_.decide(review.id, request);
  if (!decided) return reply(std::unexpected(std::move(decided).error()));
  if (approve) return release(*decided, std::move(reply));
  record(*decided, "quarantine.reject", audit::Verdict::denied, {});
  remove(decided->workspace, decided->object);
  reply(to_view(*decided));
}

void QuarantineDesk::remove(const std::string& workspace, const std::string& item) {
  plane_.node.request(sandbox::RemoveStorage{.workspace = workspace, .session = item},
                      [item](Result<NodeClient::Answer> answer) {
                        if (!answer)
                          log_error("removing quarantine item {}: {}", item, answer.error().message);
                      });
}

void QuarantineDesk::release(const store::Review& review, Reply<ReviewView> reply) {
  busy_.insert(review.object);
  auto apply = [this, review, reply = std::move(reply)](Result<> durable) mutable {
    if (!durable) {  // approved and not carried out: recover() will find it so
      busy_.erase(review.object);
      return reply(std::unexpected(std::move(durable).error()));
    }
    auto done = [this, review, reply = std::move(reply)](Result<NodeClient::Answer> answer) mutable {
      busy_.erase(review.object);
      Result<> applied;
      if (!answer) applied = std::unexpected(std::move(answer).error());
      on_released(review, std::move(applied), std::move(reply));
    };
    const sandbox::ReleaseQuarantine request{
        .workspace = review.workspace, .item = review.object, .root = review.digest};
    ask_release_(request, alive_.guard(std::move(done)));
  };
  record(review, "quarantine.release", audit::Verdict::allowed, alive_.guard(std::move(apply)));
}

void QuarantineDesk::on_released(const store::Review& review, Result<> applied, Reply<ReviewView> reply) {
  if (applied) return reply(to_view(review));
  log_warning("quarantine item {} was approved and not released: {}", review.object, applied.error().message);
  record(review, "quarantine.fail", audit::Verdict::denied, {});
  // It still waits, and a person is asked anew: about what it would change now.
  store::Review again = review;
  again.decided = 0;
  again.decided_by.clear();
  again.why.clear();
  again.body_bytes = 0;
  ask(std::move(again), std::make_shared<Round>());
  reply(std::unexpected(std::move(applied).error()));
}

void QuarantineDesk::record(const store::Review& r, std::string_view operation, audit::Verdict verdict,
                            Reply<> durable) {
  auto e = event<audit::ApiActivity>(
      plane_,
      {.sponsor = r.decided_by.empty() ? r.sponsor : r.decided_by,
       .agent = r.agent,
       .workspace = r.workspace,
       .session = r.session,
       .trace = r.trace},
      verdict,
      fmt::format("quarantine: '{}', which would run later, is {}{} (review {})", r.target,
                  operation == "quarantine.fail" ? "approved and could not be released" : r.state,
                  r.decided_by.empty() ? "" : " by " + r.decided_by, r.id));
  e.activity = operation == "quarantine.hold" ? audit::ApiActivity::Activity::create
                                              : audit::ApiActivity::Activity::update;
  e.rule = r.rule;
  e.reason = r.why.empty() ? r.reason : r.why;
  e.policy_digest = r.policy_digest;
  e.operation = operation;
  e.object_kind = "quarantine";
  e.object_id = r.object;
  e.object_name = r.digest;
  if (operation == "quarantine.release")
    plane_.audit.record_before(audit::api_activity(e), std::move(durable));
  else
    plane_.audit.record_kept(audit::api_activity(e), std::move(durable));
}

}  // namespace saw::control
