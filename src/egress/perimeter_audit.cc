#include "egress/perimeter_audit.h"

#include <utility>

namespace saw::egress {

PerimeterAudit::PerimeterAudit(os::Loop& loop, os::Channel channel,
                               std::move_only_function<void(std::string)> on_closed)
    : on_closed_(std::move(on_closed)) {
  link_ = os::Link::open(loop, std::move(channel),
                         {.on_message = [this](std::string payload, std::vector<Fd>) { receive(payload); },
                          .on_close = [this](std::string why) { on_closed_(std::move(why)); }});
}

void PerimeterAudit::record(std::string event) {
  if (event.size() > kMaxEventBytes)
    event.resize(kMaxEventBytes);  // cannot happen: every field is bounded; sawd refuses the line
  link_->send(wire::encode(AuditMessage(AuditRecord{++sequence_, std::move(event)})));
}

void PerimeterAudit::receive(const std::string& payload) {
  auto message = wire::decode<AuditMessage>(payload);
  const AuditAck* ack = message ? std::get_if<AuditAck>(&*message) : nullptr;
  // An acknowledgement of what was never sent, or of less than before, means that the two sides disagree on
  // what is recorded.
  if (!ack || ack->sequence > sequence_ || ack->sequence < acknowledged_)
    return on_closed_("the audit link broke its protocol");
  acknowledged_ = ack->sequence;
  if (on_room_) on_room_();
}

}  // namespace saw::egress
