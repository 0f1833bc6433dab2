#include "control/review_desk.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/log.h"

namespace saw::control {

using egress::ReviewOutcome;
using egress::ReviewVerdict;

ReviewView to_view(const store::Review& r) {
  return {.id = r.id,
          .state = r.state,
          .workspace = r.workspace,
          .agent = r.agent,
          .sponsor = r.sponsor,
          .session = r.session,
          .call = r.call,
          .method = r.method,
          .scheme = r.scheme,
          .host = r.host,
          .target = r.target,
          .rule = r.rule,
          .reason = r.reason,
          .digest = r.digest,
          .policy_digest = r.policy_digest,
          .preview = r.preview,
          .decided_by = r.decided_by,
          .why = r.why,
          .port = r.port,
          .body_bytes = r.body_bytes,
          .created = r.created,
          .expires = r.expires,
          .kind = r.kind,
          .object = r.object};
}

Result<> ReviewDesk::recover() {
  for (const store::Review& review : SAW_TRY(queue_.abandon_all(), "closing reviews of before the restart"))
    record(review, "review.abandon", audit::Verdict::denied, {});
  return {};
}

void ReviewDesk::ask(const AskContext& context, const egress::ReviewAsk& ask, Answer answer) {
  const egress::ChannelIdentity& id = context.identity;
  const int64_t hold_ms = std::clamp<int64_t>(std::min(ask.hold_ms, context.hold_ms), 0, context.hold_ms);
  auto review = queue_.open({.workspace = id.workspace,
                             .agent = id.agent,
                             .sponsor = id.sponsor,
                             .session = id.session,
                             .call = id.call,
                             .trace = id.trace,
                             .method = printable(ask.method),
                             .scheme = printable(ask.scheme),
                             .host = printable(ask.host),
                             .target = printable(ask.target, 4096),
                             .rule = printable(ask.rule),
                             .reason = printable(ask.reason),
                             .digest = printable(ask.digest),
                             .policy_digest = printable(ask.policy_digest),
                             .preview = ask.preview.substr(0, 16u << 10),
                             .port = ask.port,
                             .body_bytes = ask.body_bytes},
                            hold_ms);
  if (!review) {
    log_warning("a review was not opened: {}", review.error().message);
    return answer(
        ReviewVerdict{.ask = ask.ask, .outcome = ReviewOutcome::denied, .why = review.error().message});
  }
  record(*review, "review.ask", audit::Verdict::reviewing, {});
  Open& open = open_[review->id];
  open = {
      .workspace = id.workspace, .ask = ask.ask, .approvers = context.approvers, .answer = std::move(answer)};
  open.timer = plane_.loop.after(hold_ms, [this, key = review->id] { time_out(key); });
}

void ReviewDesk::time_out(const std::string& id) {
  auto node = open_.extract(id);
  if (node.empty()) return;
  Open& open = node.mapped();
  auto closed = queue_.time_out(node.key());
  if (closed)
    record(*closed, "review.time_out", audit::Verdict::denied, {});
  else
    log_error("closing review {}: {}", node.key(), closed.error().message);
  open.answer(ReviewVerdict{.ask = open.ask,
                            .review = node.key(),
                            .outcome = ReviewOutcome::timed_out,
                            .why = "nobody decided in time"});
}

void ReviewDesk::abandon(const std::string& workspace, uint64_t ask) {
  auto found = std::ranges::find_if(open_, [&](const auto& entry) {
    return entry.second.workspace == workspace && entry.second.ask == ask;
  });
  if (found == open_.end()) return;
  auto closed = queue_.abandon(found->first);
  if (closed) record(*closed, "review.abandon", audit::Verdict::denied, {});
  open_.erase(found);
}

void ReviewDesk::abandon_all(const std::string& workspace) {
  std::vector<uint64_t> asks;
  for (const auto& [id, open] : open_)
    if (open.workspace == workspace) asks.push_back(open.ask);
  for (uint64_t ask : asks) abandon(workspace, ask);
}

Result<std::vector<ReviewView>> ReviewDesk::list(const Caller& caller, std::string_view state,
                                                 const std::function<bool(std::string_view)>& owns) const {
  std::vector<ReviewView> out;
  const bool all = caller.role == Role::operator_;
  for (const store::Review& review : SAW_TRY(queue_.list(state, all ? "" : caller.sponsor)))
    if (all || owns(review.workspace)) out.push_back(to_view(review));
  return out;
}

void ReviewDesk::decide(const Caller& caller, std::string_view id, review::Verdict verdict,
                        std::optional<std::string> digest, std::string why, Reply<ReviewView> reply) {
  auto open = open_.find(id);
  if (verdict == review::Verdict::approve && !plane_.audit.available())
    return reply(Error::make("audit.unavailable", "the audit log cannot be written: nothing is approved"));
  auto decided = queue_.decide(
      id, {.verdict = verdict,
           .by = caller.sponsor,
           .digest = std::move(digest),
           .why = std::move(why),
           .approvers = open == open_.end() ? review::Approvers::anyone_entitled : open->second.approvers});
  if (!decided) return reply(std::unexpected(std::move(decided).error()));
  auto node = open == open_.end() ? decltype(open_)::node_type() : open_.extract(open);
  const bool approved = verdict == review::Verdict::approve;
  auto tell = [decided = *decided, node = std::move(node), approved,
               reply = std::move(reply)](Result<> durable) mutable {
    // A refusal needs no record to be carried out; an approval does.
    ReviewVerdict out{.review = decided.id,
                      .outcome = approved && durable ? ReviewOutcome::approved : ReviewOutcome::denied,
                      .why = durable || !approved ? decided.why : "the approval could not be recorded"};
    if (!node.empty()) {
      out.ask = node.mapped().ask;
      node.mapped().answer(std::move(out));
    }
    if (!durable && approved) return reply(std::unexpected(std::move(durable).error()));
    reply(to_view(decided));
  };
  record(*decided, approved ? "review.approve" : "review.deny",
         approved ? audit::Verdict::allowed : audit::Verdict::denied, alive_.guard(std::move(tell)));
}

void ReviewDesk::record(const store::Review& r, std::string_view operation, audit::Verdict verdict,
                        Reply<> durable) {
  const std::string by = r.decided_by.empty() ? r.sponsor : r.decided_by;
  auto e = event<audit::ApiActivity>(
      plane_,
      {.sponsor = by,
       .agent = r.agent,
       .workspace = r.workspace,
       .session = r.session,
       .call = r.call,
       .trace = r.trace},
      verdict,
      fmt::format("review {} of {} {}://{}:{}{} is {}{}", r.id, r.method, r.scheme, r.host, r.port,
                  printable(r.target), r.state, r.decided_by.empty() ? "" : " by " + r.decided_by));
  e.activity =
      operation == "review.ask" ? audit::ApiActivity::Activity::create : audit::ApiActivity::Activity::update;
  e.rule = r.rule;
  e.reason = r.why.empty() ? r.reason : r.why;
  e.policy_digest = r.policy_digest;
  e.operation = operation;
  e.object_kind = "review";
  e.object_id = r.id;
  e.object_name = r.digest;
  if (operation == "review.approve")
    plane_.audit.record_before(audit::api_activity(e), std::move(durable));
  else
    plane_.audit.record_kept(audit::api_activity(e), std::move(durable));
}

}  // namespace saw::control
