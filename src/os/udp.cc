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
    if (header->cmsg_level == IPPROTO_IPV6 && header->cmsg_type == IPV6_PKTINFO) {
      in6_pktinfo info{};
      std::memcpy(&info, CMSG_DATA(header), sizeof info);
      std::memcpy(out.local.address.data(), &info.ipi6_addr, out.local.address.size());
    } else if (header->cmsg_level == IPPROTO_IP && header->cmsg_type == IP_PKTINFO) {
      in_pktinfo info{};
      std::memcpy(&info, CMSG_DATA(header), sizeof info);
      sockaddr_storage asked{};
      const sockaddr_in address{
          .sin_family = AF_INET, .sin_port = 0, .sin_addr = info.ipi_addr, .sin_zero = {}};
      std::memcpy(&asked, &address, sizeof address);
      out.local = from_sockaddr(asked);
    }
  }
  out.local.port = SAW_TRY(local_address(socket)).port;
  return out;
}

namespace {

constexpr size_t kMappedPrefix = 12;  // bytes before the IPv4 address in ::ffff:a.b.c.d

// Where a datagram goes and comes from, in the shape that the socket's family wants.
struct Envelope {
  sockaddr_storage to{};
  socklen_t to_size = 0;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(in6_pktinfo))] = {};
  size_t control_size = 0;
  int level = 0, type = 0;

  template <class Address, class Info> void fill(const Address& address, const Info& info) {
    std::memcpy(&to, &address, sizeof address);
    to_size = sizeof address;
    const cmsghdr header{.cmsg_len = CMSG_LEN(sizeof info), .cmsg_level = level, .cmsg_type = type};
    control_size = CMSG_SPACE(sizeof info);
    std::memcpy(control, &header, sizeof header);
    std::memcpy(control + CMSG_LEN(0), &info, sizeof info);
  }
};

// The kernel takes an IPv6 packet-info with a v4-mapped address for IPv4 datagrams of a dual-stack socket too
// (ip_cmsg_send).
Envelope dual_stack_envelope(const SocketAddress& to, const SocketAddress& from) {
  Envelope out{.level = IPPROTO_IPV6, .type = IPV6_PKTINFO};
  in6_pktinfo info{};
  std::memcpy(&info.ipi6_addr, from.address.data(), from.address.size());
  out.fill(to_sockaddr(to), info);
  return out;
}

Envelope ipv4_envelope(const SocketAddress& to, const SocketAddress& from) {
  Envelope out{.level = IPPROTO_IP, .type = IP_PKTINFO};
  in_pktinfo info{};
  std::memcpy(&info.ipi_spec_dst, from.address.data() + kMappedPrefix, sizeof info.ipi_spec_dst);
  sockaddr_in address{.sin_family = AF_INET, .sin_port = htons(to.port), .sin_addr = {}, .sin_zero = {}};
  std::memcpy(&address.sin_addr, to.address.data() + kMappedPrefix, sizeof address.sin_addr);
  out.fill(address, info);
  return out;
}

Result<int> family_of(int socket) {
  int family = 0;
  socklen_t length = sizeof family;
  if (::getsockopt(socket, SOL_SOCKET, SO_DOMAIN, &family, &length) != 0)
    return Error::system("udp.send", "asking for a socket's address family");
  return family;
}

}  // namespace

Result<> send_datagram(int socket, std::string_view data, const SocketAddress& to,
                       const SocketAddress& from) {
  const bool is_ipv4 = SAW_TRY(family_of(socket)) == AF_INET;
  Envelope envelope = is_ipv4 ? ipv4_envelope(to, from) : dual_stack_envelope(to, from);
  iovec part{const_cast<char*>(data.data()), data.size()};
  const msghdr message{.msg_name = &envelope.to,
                       .msg_namelen = envelope.to_size,
                       .msg_iov = &part,
                       .msg_iovlen = 1,
                       .msg_control = envelope.control,
                       .msg_controllen = envelope.control_size};
  ssize_t n;
  do n = ::sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  while (n < 0 && errno == EINTR);
  if (n >= 0) return {};
  if (errno == EAGAIN || errno == ENOBUFS)
    return Error::system("udp.full", "sending a datagram of {} bytes", data.size());
  return Error::system("udp.send", "sending a datagram of {} bytes", data.size());
}

}  // namespace saw::os
