// Stands for sawd, saw-perimeter and saw-egress in tests of saw-node. All end when descriptor 3 closes. As
// "sawd" it first gives its two descriptors to the test, which listens at <dir>/../test.sock, so that the
// test itself is the control plane.
#include <cstring>
#include <string>

#include <poll.h>

#include "os/channel.h"
#include "os/unix_path.h"

namespace {

constexpr int kControl = 3, kSecond = 4;

void give_to_test(const std::string& directory) {
  auto socket = saw::os::connect_unix(directory + "/../test.sock", saw::os::SocketKind::seqpacket);
  if (!socket) return;  // the test has ended
  auto channel = saw::os::Channel::adopt(std::move(*socket));
  const int fds[] = {kControl, kSecond};
  if (channel) static_cast<void>(channel->send("sawd", fds).has_value());
}

}  // namespace

int main(int argc, char** argv) {
  if (std::strcmp(argv[0], "sawd") == 0 && argc > 2) give_to_test(argv[2]);
  pollfd control{.fd = kControl, .events = 0};  // the end only: what arrives is the test's to read
  while (::poll(&control, 1, -1) < 0) {
  }
  return 0;
}
