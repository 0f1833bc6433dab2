#include "os/socket.h"

#include <cstring>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "os/socket_address.h"

namespace saw::os {
namespace {
constexpr int kSoOriginalDestination =
    80;  // SO_ORIGINAL_DST and IP6T_SO_ORIGINAL_DST, linux/netfilter_ipv4.h and _ipv6/ip6_tables.h
}  // namespace

SocketAddress from_sockaddr(const sockaddr_storage& from) {
  SocketAddress out;
  if (from.ss_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, &from, sizeof v4);
    out.address[10] = out.address[11] = 0xff;
    std::memcpy(&out.address[12], &v4.sin_addr, 4);
    out.port = ntohs(v4.sin_port);
  } else if (from.ss_family == AF_INET6) {
    sockaddr_in6 v6{};
    std::memcpy(&v6, &from, sizeof v6);
    std::memcpy(out.address.data(), &v6.sin6_addr, 16);
    out.port = ntohs(v6.sin6_port);
  }
  return out;
}

sockaddr_in6 to_sockaddr(const SocketAddress& address) {
  sockaddr_in6 out{};
  out.sin6_family = AF_INET6;
  out.sin6_port = htons(address.port);
  std::memcpy(&out.sin6_addr, address.address.data(), 16);
  return out;
}

Result<SocketAddress> local_address(int socket) {
  sockaddr_storage from{};
  socklen_t length = sizeof from;
  if (::getsockname(socket, reinterpret_cast<sockaddr*>(&from), &length) != 0)
    return Error::system("socket.local_address", "asking for a socket's own address");
  return from_sockaddr(from);
}

Result<SocketAddress> remote_address(int socket) {
  sockaddr_storage from{};
  socklen_t length = sizeof from;
  if (::getpeername(socket, reinterpret_cast<sockaddr*>(&from), &length) != 0)
    return Error::system("socket.remote_address", "asking for a socket's peer address");
  return from_sockaddr(from);
}

Result<SocketAddress> original_destination(int accepted) {
  // A dual-stack listener's IPv4 connections are IPv6 sockets with v4-mapped addresses; their redirection is
  // known at level IP.
  const SocketAddress local = SAW_TRY(local_address(accepted));
  static constexpr uint8_t kMapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  const bool is_v4 = std::memcmp(local.address.data(), kMapped, sizeof kMapped) == 0;
  sockaddr_storage meant{};
  socklen_t length = is_v4 ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
  if (::getsockopt(accepted, is_v4 ? IPPROTO_IP : IPPROTO_IPV6, kSoOriginalDestination, &meant, &length) != 0)
    return Error::system("socket.original_destination", "asking for a connection's original destination");
  return from_sockaddr(meant);
}

Result<Peer> peer_credentials(int socket) {
  ucred credentials{};
  socklen_t length = sizeof credentials;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0)
    return Error::system("socket.peer_credentials", "asking who connected");
  return Peer{credentials.pid, credentials.uid, credentials.gid};
}

}  // namespace saw::os
