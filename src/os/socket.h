// What the kernel knows about a socket's two ends.
//
//   os::SocketAddress meant = SAW_TRY(os::original_destination(accepted.get()));   // before the packet
//   filter redirected it os::Peer peer = SAW_TRY(os::peer_credentials(accepted.get()));                  //
//   of a Unix socket
//
// Addresses are 16 bytes in network order, IPv4 as ::ffff:a.b.c.d: the same shape as policy::Address.
#pragma once

#include <array>
#include <cstdint>

#include "base/result.h"

namespace saw::os {

struct SocketAddress {
  std::array<uint8_t, 16> address{};
  uint16_t port = 0;  // host byte order
  bool operator==(const SocketAddress&) const = default;
};

// Where the agent meant to connect (SO_ORIGINAL_DST of the address family in use). A connection that nobody
// redirected, such as one made straight to the listener's own port, has the listener's own (loopback) address
// here. Error: "socket.original_destination".
Result<SocketAddress> original_destination(int accepted);

Result<SocketAddress> local_address(int socket);
Result<SocketAddress> remote_address(int socket);

// Of whoever connected a Unix socket, as it was at connect(2) (SO_PEERCRED). Ids that this user namespace
// does not map read as 65534.
struct Peer {
  int32_t pid = 0;
  uint32_t uid = 0, gid = 0;
};
Result<Peer> peer_credentials(int socket);

}  // namespace saw::os
