#include "egress/channel_who.h"
#include "egress/exchange.h"

namespace saw::egress {

audit::HttpActivity Exchange::event(audit::Verdict verdict, std::string_view rule,
                                    std::string_view reason) const {
  audit::HttpActivity event;
  event.time = services_.net.clock.now();
  event.layer = audit::Layer::runtime;
  event.verdict = verdict;
  event.who = who(who_);
  event.rule = rule;
  event.reason = reason;
  if (config_) event.policy_digest = digest_text(config_->policy.digest());
  const std::string& target = judged_.target.empty() ? target_ : judged_.target;
  event.method = head_.method;
  event.scheme = to_.scheme();
  event.host = to_.host;
  event.port = to_.port;
  event.target = target;
  event.review = review_;
  event.operation = judged_.operation.summary;
  if (whole_body_)
    event.bytes_out = whole_body_->size();
  else if (head_.framing == Framing::length)
    event.bytes_out = head_.content_length;
  if (judged_.inject && verdict == audit::Verdict::allowed) event.credential_used = judged_.inject->name;
  std::string_view verb = verdict == audit::Verdict::allowed  ? "was allowed"
                          : verdict == audit::Verdict::denied ? "was denied"
                                                              : "waits for review of";
  const std::string operation = event.operation.empty() ? "" : fmt::format(" [{}]", event.operation);
  event.message =
      fmt::format("agent '{}' {} {} {}{} ({})", who_.agent, verb,
                  head_.method.empty() ? "a malformed request to" : head_.method,
                  to_.url(std::string_view(target).substr(0, audit::kMaxText)), operation, reason);
  return event;
}

uint64_t Exchange::record(audit::Verdict verdict, std::string_view rule, std::string_view reason,
                          uint16_t status) {
  audit::HttpActivity told = event(verdict, rule, reason);
  told.status = status;
  return services_.audit.record(audit::http_activity(told));
}

void Exchange::record_finding(std::string title, std::string kind, std::string_view reason,
                              audit::Verdict verdict) {
  if (!services_.audit.has_room()) return;
  audit::Finding event;
  event.time = services_.net.clock.now();
  event.layer = audit::Layer::runtime;
  event.verdict = verdict;
  event.who = who(who_);
  event.reason = reason;
  if (config_) event.policy_digest = digest_text(config_->policy.digest());
  event.message = fmt::format("{}: {} in a request of agent '{}' to {}", title, reason, who_.agent, to_.host);
  event.title = std::move(title);
  event.finding_kind = std::move(kind);
  services_.audit.record(audit::finding(event));
}

}  // namespace saw::egress
