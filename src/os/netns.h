// Network namespaces of sandboxes: nothing but loopback, no way out, and everything captured.
//
//   CapturedNetwork net = SAW_TRY(create_captured_network());      // the child:
//   join_network(net.netns.get())
//
// Every address is local (`local 0.0.0.0/0 dev lo`, `local ::/0 dev lo`). Each TCP connect that is not to
// loopback is redirected to `listener`, where original_destination() tells what was meant. UDP port 53 of any
// address is `dns`. Everything else is dropped, which the sender sees as EPERM. The listener's port is below
// 1024, so that no process inside can take it over while nobody holds it. Works in a user namespace that owns
// the network namespace. Runs `nft`: its libraries are GPL.
#pragma once

#include <cstdint>

#include "base/fd.h"

namespace saw::os {

constexpr uint16_t kCapturePort = 15;
constexpr uint16_t kDnsPort = 53;
constexpr int kListenBacklog = 1024;

struct CapturedSockets {
  Fd listener, dns;  // dual stack, non-blocking
};
struct CapturedNetwork {
  Fd netns;
  CapturedSockets sockets;
};

Result<CapturedNetwork> create_captured_network();
// Loopback up, nothing captured, nothing reachable.
Result<Fd> create_dead_network();
// Anew in the namespace of a living process, after those that held the first ones are gone.
Result<CapturedSockets> reopen_captured_sockets(int32_t pid);

// Usable between clone and exec. 0 or errno.
int join_network(int netns) noexcept;

// The packet filter's rules, for tests and documents.
const char* capture_ruleset();

}  // namespace saw::os
