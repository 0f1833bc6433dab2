// sawd's side of saw-perimeter: introduces each workspace's saw-egress to it, again after each restart of
// either.
//
//   perimeter.on_started(fds);                                    // from saw-node: control and audit link
//   std::optional<os::Channel> channel = perimeter.connect(id);   // for ConnectPerimeter; nullopt while
//   saw-perimeter is down
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "control/audit_intake.h"
#include "control/plane.h"
#include "egress/dial_protocol.h"

namespace saw::control {

class PerimeterControl {
 public:
  PerimeterControl(Plane& plane, std::move_only_function<void()> on_restarted)
      : plane_(plane), on_restarted_(std::move(on_restarted)) {}

  void on_started(std::vector<Fd> fds);
  std::optional<os::Channel> connect(const std::string& workspace);
  bool is_up() const { return link_ && link_->is_open(); }

 private:
  Plane& plane_;
  std::move_only_function<void()> on_restarted_;
  std::unique_ptr<os::Link> link_;
  std::unique_ptr<AuditIntake> audit_;
};

}  // namespace saw::control
