#include "os/udp.h"

#include <cstring>

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "os/socket_address.h"

namespace saw::os {

Result<std::optional<Datagram>> receive_datagram(int socket) {
  Datagram out{.data = std::string(kMaxDatagram, '\0')};
  sockaddr_storage peer{};
  alignas(cmsghdr) char control[256];
  iovec part{out.data.data(), out.data.size()};
  msghdr message{.msg_name = &peer,
                 .msg_namelen = sizeof peer,
                 .msg_iov = &part,
                 .msg_iovlen = 1,
                 .msg_control = control,
                 .msg_controllen = sizeof control};
  ssize_t n;
  do n = ::recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  while (n < 0 && errno == EINTR);
  if (n < 0 && errno == EAGAIN) return std::nullopt;
  if (n < 0) return Error::system("udp.receive", "receiving a datagram");
  if (message.msg_flags & MSG_TRUNC)
    return Error::make("udp.too_large", "a datagram of more than {} bytes", kMaxDatagram);
  out.data.resize(static_cast<size_t>(n));
  out.peer = from_sockaddr(peer);
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != IPPROTO_IPV6 || header->cmsg_type != IPV6_PKTINFO) continue;
    in6_pktinfo info{};
    std::memcpy(&info, CMSG_DATA(header), sizeof info);
    std::memcpy(out.local.address.data(), &info.ipi6_addr, 16);
  }
  out.local.port = SAW_TRY(local_address(socket)).port;
  return out;
}

Result<> send_datagram(int socket, std::string_view data, const SocketAddress& to,
                       const SocketAddress& from) {
  sockaddr_in6 destination = to_sockaddr(to);
  // The kernel takes an IPv6 packet-info with a v4-mapped address for IPv4 datagrams of a dual-stack socket
  // too (ip_cmsg_send).
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(in6_pktinfo))] = {};
  iovec part{const_cast<char*>(data.data()), data.size()};
  msghdr message{.msg_name = &destination,
                 .msg_namelen = sizeof destination,
                 .msg_iov = &part,
                 .msg_iovlen = 1,
                 .msg_control = control,
                 .msg_controllen = sizeof control};
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = IPPROTO_IPV6;
  header->cmsg_type = IPV6_PKTINFO;
  header->cmsg_len = CMSG_LEN(sizeof(in6_pktinfo));
  in6_pktinfo info{};
  std::memcpy(&info.ipi6_addr, from.address.data(), 16);
  std::memcpy(CMSG_DATA(header), &info, sizeof info);
  ssize_t n;
  do n = ::sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  while (n < 0 && errno == EINTR);
  if (n >= 0) return {};
  if (errno == EAGAIN || errno == ENOBUFS)
    return Error::system("udp.full", "sending a datagram of {} bytes", data.size());
  return Error::system("udp.send", "sending a datagram of {} bytes", data.size());
}

}  // namespace saw::os
