// Events that arrive from saw-egress or saw-perimeter, on their way into the audit log. What they send is not
// trusted to be well-formed.
//
//   AuditIntake intake(plane, "saw-egress of dev", {.layer = "runtime", .workspace = id}, std::move(channel),
//   [] { /* closed */ });
//
// An event is taken when event_check.h finds no problem with it. A gap in the sequence, or an event with a
// problem, becomes a finding in its place, and more than kMaxFindings of them close the link. Each record is
// acknowledged once durable.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "control/alive.h"
#include "control/event_check.h"
#include "control/plane.h"

namespace saw::control {

class AuditIntake {
 public:
  static constexpr int kMaxFindings = 32;

  AuditIntake(Plane& plane, std::string name, EventSource source, os::Channel channel,
              std::move_only_function<void()> on_closed);

 private:
  void take(egress::AuditRecord record);
  void find(std::string kind, std::string message, Reply<> durable);
  void acknowledge(uint64_t sequence);

  Plane& plane_;
  std::string name_;
  EventSource source_;
  std::move_only_function<void()> on_closed_;
  uint64_t last_ = 0, durable_ = 0, acknowledged_ = 0;
  int findings_ = 0;
  os::Loop::Timer ack_timer_;
  std::unique_ptr<os::Link> link_;
  Alive alive_;
};

}  // namespace saw::control
