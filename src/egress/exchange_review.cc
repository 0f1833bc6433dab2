#include "base/bytes.h"
#include "egress/exchange.h"

namespace saw::egress {
namespace {

constexpr size_t kPreviewBytes = 4u << 10, kPreviewBody = 2u << 10;

// Headers that carry authority of the agent's own: their values are nobody's business.
bool is_private(std::string_view name) {
  return same_token(name, "authorization") || same_token(name, "cookie") ||
         same_token(name, "proxy-authorization") || same_token(name, "x-api-key");
}

}  // namespace

std::string Exchange::preview() const {
  std::string out = fmt::format("{} {}\n", head_.method, to_.url(judged_.target));
  if (!judged_.operation.detail.empty()) out += "\n" + judged_.operation.detail + "\n";
  const size_t most = out.size() + kPreviewBytes;
  for (const Field& f : head_.fields) {
    if (is_hop_by_hop(f.name, head_.fields) || is_framing(f.name)) continue;
    out += fmt::format("{}: {}\n", f.name, is_private(f.name) ? "(not shown)" : printable(f.value));
    if (out.size() > most) {
      out.resize(most);
      out += "\n(the rest of the header fields is not shown)\n";
      break;
    }
  }
  return out + "\n" + printable(*whole_body_, kPreviewBody);
}

// The digest covers the exact bytes that will be sent, the injected secret aside, and where to (R91).
ReviewAsk Exchange::review_ask(std::string_view payload) const {
  ReviewAsk ask;
  ask.channel = channel_;
  ask.method = head_.method;
  ask.scheme = to_.scheme();
  ask.host = to_.host;
  ask.port = to_.port;
  ask.target = judged_.target;
  ask.rule = judged_.rule;
  ask.reason = judged_.reason;
  ask.entry = judged_.entry;
  std::string_view host = to_.host;
  const std::string to = fmt::format("{}://{}:{}\n", ask.scheme, host, ask.port);
  ask.digest = digest_text(sha256({to, request_head(judged_.credential), payload}));
  ask.policy_digest = digest_text(config_->policy.digest());
  ask.body_bytes = payload.size();
  ask.hold_ms = config_->policy.review().hold_ms;
  return ask;
}

Task<std::optional<Denial>> Exchange::hold_for_review() {
  if (services_.reviews.is_full())
    co_return Denial{
        .status = 503, .code = "review.busy", .reason = "too many requests wait for a person already"};
  if (auto denial = prepare_credential()) co_return denial;  // nobody is asked about what could not be sent
  ReviewAsk ask = review_ask(*whole_body_);
  ask.preview = preview();
  record(audit::Verdict::reviewing, judged_.rule, judged_.reason, 0);
  if (auto denial = co_await ask_person(std::move(ask))) co_return denial;
  co_return after_approval();
}

// Waits for a person; nothing: approved.
Task<std::optional<Denial>> Exchange::ask_person(ReviewAsk ask) {
  const int64_t patience_ms = ask.hold_ms + ExchangeLimits::kReviewGraceMs;
  agent_.stream->socket().expire_after(patience_ms + ExchangeLimits::kIdleMs);
  std::optional<ReviewVerdict> verdict;
  bool gone = false;
  {
    ReviewDesk::Case held(services_.reviews, std::move(ask));
    agent_.in.watch(held.wake());
    Gate::Wake wake = co_await held.wake().wait(patience_ms);
    agent_.in.stop_watching();
    verdict = held.verdict();
    gone = !verdict && wake == Gate::Wake::opened;
  }
  agent_.stream->socket().expire_after(ExchangeLimits::kIdleMs);
  if (gone) {
    agent_.stream->socket().close();
    Denial denial = denied("review.abandoned", "the agent went away while a person was asked");
    co_return denial;
  }
  if (verdict) review_ = verdict->review;
  if (verdict && verdict->outcome == ReviewOutcome::approved) co_return std::nullopt;
  co_return not_approved(verdict);
}

Denial Exchange::not_approved(const std::optional<ReviewVerdict>& verdict) {
  const bool in_time = verdict && verdict->outcome == ReviewOutcome::denied;
  Denial denial = denied(in_time ? "review.denied" : "review.timed_out",
                         in_time ? "a person refused this request" : "nobody decided in time");
  if (verdict && !verdict->why.empty()) denial.reason += ": " + verdict->why;
  denial.ask = "ask the workspace's owner to approve this request, or to change the policy";
  denial.review = review_;
  return denial;
}

// An approval does not outlive the policy it was given under.
std::optional<Denial> Exchange::after_approval() {
  if (services_.config == config_) return std::nullopt;
  const std::string approved_target = judged_.target;
  const bool same_policy = config_->policy.digest() == services_.config->policy.digest();
  judged_.inject = nullptr;  // borrowed from the old one
  config_ = services_.config;
  if (auto denial = check_endpoint()) return denial;
  if (auto denial = judge()) return denial;
  if (auto denial = check_placeholders()) return denial;
  if (judged_.target != approved_target) return malformed("malformed:changed-after-review");
  // The rules of asking may have changed with the policy: who, for what, how long.
  if (judged_.effect == policy::Effect::review && !same_policy) return policy_changed();
  return std::nullopt;
}

}  // namespace saw::egress
