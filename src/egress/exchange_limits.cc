// How much: what a request uses up of its entry's limits and of the workspace's budget (allowance.h).
#include "egress/exchange.h"

namespace saw::egress {

Allowance::Subject Exchange::subject() const {
  const Config& now = services_.config ? *services_.config : *config_;  // what lasts may outlive its own
  return now.subject(who_.agent, judged_.entry);
}

Denial Exchange::too_much(Excess excess) const {
  Denial denial = denied(std::move(excess.code), std::move(excess.reason));
  denial.status = 429;
  denial.rule = excess.rule;
  denial.retry_after_s = excess.retry_after_s;
  denial.ask = excess.retry_after_s > 0
                   ? fmt::format("try again in {} s, or ask the workspace's owner to raise {}",
                                 excess.retry_after_s, excess.rule)
                   : fmt::format("ask the workspace's owner to raise {}", excess.rule);
  return denial;
}

std::optional<Denial> Exchange::take_place() {
  if (asks_model())
    if (auto excess = services_.allowance.tokens_left(config_->policy.budget()))
      return too_much(std::move(*excess));
  const auto kind = is_destructive(head_.method) ? Allowance::Kind::destructive : Allowance::Kind::ordinary;
  auto place = services_.allowance.admit(subject(), kind);
  if (!place) return too_much(std::move(place.error()));
  place_ = std::move(*place);
  return std::nullopt;
}

std::optional<Denial> Exchange::charge(uint64_t bytes) {
  auto excess = services_.allowance.spend_upload(subject(), bytes);
  if (!excess) return std::nullopt;
  return too_much(std::move(*excess));
}

}  // namespace saw::egress
