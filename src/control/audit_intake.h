// Events that arrive from saw-egress or saw-perimeter, on their way into the audit log. What they send is not trusted to be well-formed.
//
//   AuditIntake intake(plane, "saw-egress of dev", SAW_TRY(os::Channel::adopt(std::move(fd))), [] { /* closed */ });
//
// An event is taken when it is one line, at most kMaxEventBytes, and a JSON object; a gap in the sequence, or an event that is none of
// that, becomes a finding in its place, and more than kMaxFindings of them close the link. Each record is acknowledged once durable.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "control/alive.h"
#include "control/plane.h"

namespace saw::control {

class AuditIntake {
 public:
  static constexpr int kMaxFindings = 32;

  AuditIntake(Plane& plane, std::string source, os::Channel channel, std::move_only_function<void()> on_closed);

 private:
  void take(egress::AuditRecord record);
  void find(std::string kind, std::string message, Reply<> durable);
  void acknowledge(uint64_t sequence);

  Plane& plane_;
  std::string source_;
  std::move_only_function<void()> on_closed_;
  uint64_t last_ = 0, durable_ = 0, acknowledged_ = 0;
  int findings_ = 0;
  os::Loop::Timer ack_timer_;
  std::unique_ptr<os::Link> link_;
  Alive alive_;
};

// Whether `event` may be appended as it is.
bool is_acceptable_event(std::string_view event);

}  // namespace saw::control
