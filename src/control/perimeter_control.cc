#include "control/perimeter_control.h"

#include "base/log.h"

namespace saw::control {

void PerimeterControl::on_started(std::vector<Fd> fds) {
  if (fds.size() != 2) return log_error("saw-node sent {} descriptors with PerimeterStarted", fds.size());
  auto control = os::Channel::adopt(std::move(fds[0])), audit = os::Channel::adopt(std::move(fds[1]));
  if (!control || !audit) return log_error("saw-node sent no channels with PerimeterStarted");
  // saw-perimeter says nothing on its control link: anything it sends is dropped.
  link_ = os::Link::open(plane_.loop, std::move(*control),
                         {.on_message = [](std::string, std::vector<Fd>) {}, .on_close = [](std::string) {}});
  audit_ = std::make_unique<AuditIntake>(plane_, "saw-perimeter", EventSource{.layer = "perimeter"},
                                         std::move(*audit), [] {});
  on_restarted_();
}

std::optional<os::Channel> PerimeterControl::connect(const std::string& workspace) {
  if (!is_up()) return std::nullopt;
  auto pair = os::Channel::pair();
  if (!pair) {
    log_error("connecting workspace {} to saw-perimeter: {}", workspace, pair.error().message);
    return std::nullopt;
  }
  std::vector<Fd> fds;
  fds.push_back(std::move(pair->second).take());
  link_->send(wire::encode(egress::ToPerimeter(egress::AddClient{workspace})), std::move(fds));
  return std::move(pair->first);
}

}  // namespace saw::control
