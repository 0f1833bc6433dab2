// How the probes of the network are tried (sandbox/probe_list.cc says what must come of each).
#include <array>
#include <cstddef>
#include <cstring>

#include <arpa/inet.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "saw-init/probes.h"

namespace saw::init {
namespace {

using sandbox::kProbeConnections;
using sandbox::ProbeDestination;

constexpr int kConnectMs =
    200;  // SAW's listener accepts at once; a real host of that address would not be there

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
  int family = AF_UNSPEC;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};
Address address_of(const ProbeDestination& destination) {
  Address out;
  auto* v4 = reinterpret_cast<sockaddr_in*>(&out.storage);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&out.storage);
  if (::inet_pton(AF_INET, destination.address, &v4->sin_addr) == 1) {
    v4->sin_port = htons(destination.port);
    out.size = sizeof *v4;
    out.family = v4->sin_family = AF_INET;
  } else if (::inet_pton(AF_INET6, destination.address, &v6->sin6_addr) == 1) {
    v6->sin6_port = htons(destination.port);
    out.size = sizeof *v6;
    out.family = v6->sin6_family = AF_INET6;
  }
  return out;
}

Seen connect_tcp(const ProbeDestination& destination) {
  const Address to = address_of(destination);
  const Fd socket(::socket(to.family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return refused(errno, destination.address);
  if (::connect(socket.get(), to.get(), to.size) == 0) return done(destination.address);
  if (errno != EINPROGRESS) return refused(errno, destination.address);
  pollfd ready{socket.get(), POLLOUT, 0};
  if (::poll(&ready, 1, kConnectMs) != 1) return refused(ETIMEDOUT, destination.address);
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  return error ? refused(error, destination.address) : done(destination.address);
}

Seen send_datagram(const ProbeDestination& destination, std::string_view text) {
  const Address to = address_of(destination);
  const Fd socket(::socket(to.family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket) return refused(errno, destination.address);
  return result_of(::sendto(socket.get(), text.data(), text.size(), MSG_DONTWAIT, to.get(), to.size),
                   destination.address);
}

struct Kind {
  int family, type, protocol;
};
Seen make_socket(const Kind& kind) {
  const Fd socket(::socket(kind.family, kind.type | SOCK_CLOEXEC, kind.protocol));
  return result_of(socket ? 0 : -1,
                   "family " + std::to_string(kind.family) + " protocol " + std::to_string(kind.protocol));
}

Seen take_port(uint16_t port) {
  const Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket) return differs("no TCP socket can be made");
  sockaddr_in any{};
  any.sin_family = AF_INET;
  any.sin_port = htons(port);
  return result_of(::bind(socket.get(), reinterpret_cast<sockaddr*>(&any), sizeof any));
}

// With an interface that does not exist: where it is not refused, nothing changes.
Seen configure(const Context&) {
  struct {
    nlmsghdr header;
    ifaddrmsg address;
  } request{};
  request.header = {.nlmsg_len = sizeof request,
                    .nlmsg_type = RTM_NEWADDR,
                    .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE};
  request.address = {.ifa_family = AF_INET, .ifa_prefixlen = 32, .ifa_index = 0x7fffffff};
  const Fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!socket) return differs("no socket for listing addresses can be made");
  if (::send(socket.get(), &request, sizeof request, 0) < 0) return refused(errno);
  struct {
    nlmsghdr header;
    nlmsgerr error;
    char rest[512];
  } answer{};
  const timeval patience{.tv_usec = kConnectMs * 1000};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  if (::recv(socket.get(), &answer, sizeof answer, 0) < 0) return refused(errno, "no answer");
  return answer.error.error < 0 ? refused(-answer.error.error) : done();
}

// Some kernels put unused tunnels, switched off, into every new namespace.
Seen interfaces(const Context&) {
  const Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  struct if_nameindex* list = ::if_nameindex();
  if (!list || !socket) return refused(errno);
  Seen seen = done();
  for (const struct if_nameindex* item = list; item->if_index != 0; ++item) {
    ifreq request{};
    std::strncpy(request.ifr_name, item->if_name, sizeof request.ifr_name - 1);
    const bool up = ::ioctl(socket.get(), SIOCGIFFLAGS, &request) == 0 && (request.ifr_flags & IFF_UP) != 0;
    if (up && std::string_view(item->if_name) != "lo") seen = differs(item->if_name);
  }
  ::if_freenameindex(list);
  return seen;
}

Seen abstract_socket(const Context& context) {
  sockaddr_un address{.sun_family = AF_UNIX};
  const std::string& name = context.subject.abstract_socket;
  if (name.empty() || name.size() + 1 >= sizeof address.sun_path) return differs("there was nothing to try");
  name.copy(address.sun_path + 1, sizeof address.sun_path - 1);
  const Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return differs("no Unix socket can be made");
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  return result_of(::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), size));
}

Seen loopback(const Context&) {
  const Fd server(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in here{};
  here.sin_family = AF_INET;
  here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof here;
  if (!server || ::bind(server.get(), reinterpret_cast<sockaddr*>(&here), size) != 0 ||
      ::listen(server.get(), 1) != 0 ||
      ::getsockname(server.get(), reinterpret_cast<sockaddr*>(&here), &size) != 0)
    return refused(errno, "listening");
  if (Seen seen = connect_tcp({"127.0.0.1", ntohs(here.sin_port)}); seen.ending != sandbox::Ending::done)
    return seen;
  pollfd ready{server.get(), POLLIN, 0};
  if (::poll(&ready, 1, kConnectMs) != 1) return refused(ETIMEDOUT, "accepting");
  return result_of(Fd(::accept4(server.get(), nullptr, nullptr, SOCK_CLOEXEC)) ? 0 : -1, "accepting");
}

constexpr uint16_t kCapturePort = 15, kNamePort = 53;
constexpr int kSctp = 132, kAlg = 38, kVsock = 40, kSmc = 43, kCan = 29, kXdp = 44, kBluetooth = 31,
              kTipc = 30, kPacket = 17;
constexpr int kSockDiag = 4, kXfrm = 6, kAudit = 9, kNetfilter = 12, kUevent = 15, kGeneric = 16;

constexpr Attempt kAttempts[] = {
    {"network.raw",
     [](const Context& c) {
       return each(c,
                   std::array{Kind{AF_INET, SOCK_RAW, IPPROTO_TCP}, Kind{AF_INET, SOCK_RAW, IPPROTO_RAW},
                              Kind{AF_INET, SOCK_RAW, IPPROTO_ICMP}, Kind{AF_INET6, SOCK_RAW, IPPROTO_TCP},
                              Kind{AF_INET6, SOCK_RAW, IPPROTO_ICMPV6}},
                   make_socket);
     }},
    {"network.packet",
     [](const Context& c) {
       return each(c, std::array{Kind{kPacket, SOCK_RAW, 0x0300}, Kind{kPacket, SOCK_DGRAM, 0x0300}},
                   make_socket);
     }},
    {"network.icmp",
     [](const Context& c) {
       return each(
           c, std::array{Kind{AF_INET, SOCK_DGRAM, IPPROTO_ICMP}, Kind{AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6}},
           make_socket);
     }},
    {"network.sctp",
     [](const Context& c) {
       return each(c, std::array{Kind{AF_INET, SOCK_STREAM, kSctp}, Kind{AF_INET6, SOCK_SEQPACKET, kSctp}},
                   make_socket);
     }},
    {"network.families",
     [](const Context& c) {
       return each(c,
                   std::array{Kind{kAlg, SOCK_SEQPACKET, 0}, Kind{kVsock, SOCK_STREAM, 0},
                              Kind{kSmc, SOCK_STREAM, 0}, Kind{kCan, SOCK_RAW, 1}, Kind{kXdp, SOCK_RAW, 0},
                              Kind{kBluetooth, SOCK_RAW, 1}, Kind{kTipc, SOCK_STREAM, 0}},
                   make_socket);
     }},
    {"network.netlink",
     [](const Context& c) {
       return each(c, std::array{kSockDiag, kXfrm, kAudit, kNetfilter, kUevent, kGeneric},
                   [](int protocol) { return make_socket({AF_NETLINK, SOCK_RAW, protocol}); });
     }},
    {"network.configure", configure},
    {"network.layer_on_tcp",
     [](const Context&) {
       constexpr int kTcpUlp = 31;
       const Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
       return result_of(::setsockopt(socket.get(), IPPROTO_TCP, kTcpUlp, "tls", 3));
     }},
    {"network.interfaces", interfaces},
    {"network.abstract", abstract_socket},
    {"network.udp", [](const Context&) { return send_datagram({"192.0.2.1", 443}, "x"); }},
    {"network.udp6", [](const Context&) { return send_datagram({"2001:db8::1", 443}, "x"); }},
    {"network.udp_metadata", [](const Context&) { return send_datagram({"169.254.169.254", 80}, "x"); }},
    {"network.capture_port", [](const Context&) { return take_port(kCapturePort); }},
    {"network.name_port", [](const Context&) { return take_port(kNamePort); }},
    {"network.tcp", [](const Context&) { return connect_tcp(kProbeConnections[0]); }},
    {"network.tcp6", [](const Context&) { return connect_tcp(kProbeConnections[1]); }},
    {"network.tcp_metadata", [](const Context&) { return connect_tcp(kProbeConnections[2]); }},
    {"network.names",
     [](const Context&) { return send_datagram(sandbox::kProbeResolver, sandbox::kProbeQuestion); }},
    {"network.no_route",
     [](const Context& c) {
       return each(c, std::array{kProbeConnections[0], kProbeConnections[2]}, connect_tcp);
     }},
    {"network.loopback", loopback},
    {"network.unix",
     [](const Context&) {
       int pair[2];
       return result_of(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
     }},
};

}  // namespace

std::span<const Attempt> network_attempts() {
  return kAttempts;
}

}  // namespace saw::init
