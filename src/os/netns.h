// Network namespaces of sandboxes: nothing but loopback, no way out, and everything captured.
//
//   HomeNetwork home = SAW_TRY(HomeNetwork::make_empty());               // once, at start
//   CapturedNetwork net = SAW_TRY(create_captured_network(home));        // the child:
//   join_network_namespace(net.netns.get())
//
// Every address is local (`local 0.0.0.0/0 dev lo`, `local ::/0 dev lo`). Each TCP connect that is not to
// loopback is redirected to `listener`, where original_destination() tells what was meant. UDP port 53 of any
// address is `dns`. Everything else is dropped, which the sender sees as EPERM. The listener's port is below
// 1024, so that no process inside can take it over while nobody holds it. Works in a user namespace that owns
// the network namespace. On a host without IPv6 the sockets are IPv4.
//
// A network is built by the calling thread, which goes into the new namespace and comes back to its home; one
// that could not come back would be a daemon inside a sandbox's network, so that then the process aborts.
#pragma once

#include <cstdint>

#include "base/fd.h"

namespace saw::os {

constexpr uint16_t kCapturePort = 15;
constexpr uint16_t kDnsPort = 53;
constexpr int kListenBacklog = 1024;

// The network namespace that a thread lives in, and returns to.
class HomeNetwork {
 public:
  // The present one. Error "network.no_return" where the thread could leave it but not come back: in a user
  // namespace that does not own it, as an ordinary user's is by default.
  static Result<HomeNetwork> current();
  // Leaves the present one for good, for a new one without any interface that is up: for a program that needs
  // no network itself. Possible in every user namespace.
  static Result<HomeNetwork> make_empty();

  int fd() const { return netns_.get(); }

 private:
  explicit HomeNetwork(Fd netns) : netns_(std::move(netns)) {}
  Fd netns_;
};

struct CapturedSockets {
  Fd listener, dns;  // dual stack (IPv4 on a host without IPv6), non-blocking
};
struct CapturedNetwork {
  Fd netns;
  CapturedSockets sockets;
};

// `home` is the calling thread's.
Result<CapturedNetwork> create_captured_network(const HomeNetwork& home);
// Loopback up, nothing captured, nothing reachable.
Result<Fd> create_dead_network(const HomeNetwork& home);
// Anew in the namespace of a living process, after those that held the first ones are gone.
Result<CapturedSockets> reopen_captured_sockets(const HomeNetwork& home, int32_t pid);

// The same for a caller that lives in the host's network: by the thread itself where it can come back,
// otherwise in a short-lived process.
Result<CapturedNetwork> create_captured_network();
Result<Fd> create_dead_network();
Result<CapturedSockets> reopen_captured_sockets(int32_t pid);

// What create_captured_network() does to the network namespace that it has made.
Result<CapturedSockets> capture_this_network();

}  // namespace saw::os
