#include "egress/audit_trail.h"

namespace saw::egress {

uint64_t AuditTrail::record(std::string event) {
  SAW_CHECK(event.size() <= kMaxEventBytes, "an event of {} bytes", event.size());
  if (sequence_ == acknowledged_) progress_ = net_.clock.monotonic();
  send_(wire::encode(AuditMessage{AuditRecord{++sequence_, std::move(event)}}));
  return sequence_;
}

void AuditTrail::acknowledge(uint64_t sequence) {
  if (sequence > sequence_ || sequence <= acknowledged_) return;
  acknowledged_ = sequence;
  progress_ = net_.clock.monotonic();
  for (auto& [number, gate] : waiting_) {
    if (number > acknowledged_) break;
    gate->open();
  }
}

bool AuditTrail::is_stuck() const {
  return sequence_ > acknowledged_ && net_.clock.monotonic() - progress_ > kPatienceMs * kMillisecond;
}

Task<bool> AuditTrail::room() {
  if (has_room()) co_return true;
  co_return co_await durable(is_stuck() ? acknowledged_ + 1 : sequence_ + 1 - kMaxUnacknowledged);
}

Task<bool> AuditTrail::durable(uint64_t sequence) {
  if (sequence <= acknowledged_) co_return true;
  Gate gate(net_);
  auto place = waiting_.emplace(sequence, &gate);
  Gate::Wake wake = co_await gate.wait(kPatienceMs);
  waiting_.erase(place);
  co_return wake == Gate::Wake::opened;
}

}  // namespace saw::egress
