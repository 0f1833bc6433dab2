// The perimeter's end of the audit pair (egress_protocol.h): numbers the events, counts what sawd has not yet
// made durable.
//
//   if (!audit.has_room()) refuse();      // nothing new is admitted unrecorded (R100)
//   audit.record(network_activity(…));
//
// on_closed runs once when sawd is gone or breaks the protocol; on_room after every acknowledgement.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "egress/egress_protocol.h"
#include "os/link.h"

namespace saw::egress {

class PerimeterAudit {
 public:
  PerimeterAudit(os::Loop& loop, os::Channel channel,
                 std::move_only_function<void(std::string why)> on_closed);
  PerimeterAudit(const PerimeterAudit&) = delete;
  PerimeterAudit& operator=(const PerimeterAudit&) = delete;

  void set_on_room(std::move_only_function<void()> on_room) { on_room_ = std::move(on_room); }
  void record(std::string event);
  bool has_room() const { return link_->is_open() && sequence_ - acknowledged_ < kMaxUnacknowledged; }

 private:
  void receive(const std::string& payload);

  std::move_only_function<void(std::string)> on_closed_;
  std::move_only_function<void()> on_room_;
  uint64_t sequence_ = 0, acknowledged_ = 0;
  std::unique_ptr<os::Link> link_;
};

}  // namespace saw::egress
