// Datagrams on a dual-stack socket that answers for every address: who asked, which address was asked, and
// answering from there.
//
//   if (auto got = SAW_TRY(os::receive_datagram(socket.get())))                       // nullopt: nothing
//   there now
//     SAW_TRY(os::send_datagram(socket.get(), answer, got->peer, got->local));       // source address = the
//     one that was asked
//
// For the DNS socket of a sandbox (IPV6_RECVPKTINFO set, bound to port 53 in a network namespace where every
// address is local). On a host without IPv6 that socket is IPv4 (IP_PKTINFO), and so are all its addresses.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "os/socket.h"

namespace saw::os {

constexpr size_t kMaxDatagram = 4096;  // longer ones are an error "udp.too_large" and are consumed

struct Datagram {
  std::string data;
  SocketAddress peer, local;  // local.port is the socket's own
};

// Non-blocking. nullopt: would block. A failed receive of one datagram (error of an earlier send) is an
// Error; the socket stays usable.
Result<std::optional<Datagram>> receive_datagram(int socket);
// Non-blocking; a full buffer is an error "udp.full": the asker will ask again.
Result<> send_datagram(int socket, std::string_view data, const SocketAddress& to, const SocketAddress& from);

}  // namespace saw::os
