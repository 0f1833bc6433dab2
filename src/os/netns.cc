#include "os/netns.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include "os/netlink.h"
#include "os/nftables.h"
#include "os/process.h"
#include "os/short_lived.h"

namespace saw::os {
namespace {

constexpr const char* kOwnNetwork = "/proc/thread-self/ns/net";

template <class T> Result<> set_option(const Fd& socket, int level, int option, T value, const char* what) {
  if (::setsockopt(socket.get(), level, option, &value, sizeof value) != 0)
    return Error::system("network.option", "setting {}", what);
  return {};
}

struct CaptureSocket {
  Fd fd;
  Families families;
};

// Dual stack, or IPv4 where the kernel has nothing else.
Result<CaptureSocket> capture_socket(int type) {
  for (const Families families : {Families::ipv4_and_ipv6, Families::ipv4_only}) {
    const int family = families == Families::ipv4_and_ipv6 ? AF_INET6 : AF_INET;
    Fd socket(::socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (socket) return CaptureSocket{std::move(socket), families};
    if (errno != EAFNOSUPPORT) break;
  }
  return Error::system("network.socket", "creating a capture socket");
}

Result<> bind_to_any_address(const CaptureSocket& socket, uint16_t port) {
  // Connections of the listener before may linger.
  SAW_TRY(set_option(socket.fd, SOL_SOCKET, SO_REUSEADDR, int{1}, "address reuse"));
  const sockaddr_in v4{.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {}, .sin_zero = {}};
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(port);
  const bool dual = socket.families == Families::ipv4_and_ipv6;
  if (dual) SAW_TRY(set_option(socket.fd, IPPROTO_IPV6, IPV6_V6ONLY, int{0}, "dual stack"));
  if (::bind(socket.fd.get(),
             dual ? reinterpret_cast<const sockaddr*>(&v6) : reinterpret_cast<const sockaddr*>(&v4),
             dual ? sizeof v6 : sizeof v4) != 0)
    return Error::system("network.bind", "binding the capture socket to port {}", port);
  return {};
}

struct OpenedSockets {
  CapturedSockets sockets;
  Families families;
};

Result<OpenedSockets> open_sockets() {
  CaptureSocket listener = SAW_TRY(capture_socket(SOCK_STREAM));
  SAW_TRY(bind_to_any_address(listener, kCapturePort));
  if (::listen(listener.fd.get(), kListenBacklog) != 0)
    return Error::system("network.listen", "listening for captured connections");
  CaptureSocket dns = SAW_TRY(capture_socket(SOCK_DGRAM));
  SAW_TRY(bind_to_any_address(dns, kDnsPort));
  // Which address was asked; and answers leave from there, which is local by route but configured nowhere.
  if (dns.families == Families::ipv4_and_ipv6) {
    SAW_TRY(set_option(dns.fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, int{1}, "IPV6_RECVPKTINFO"));
    SAW_TRY(set_option(dns.fd, IPPROTO_IPV6, IPV6_FREEBIND, int{1}, "IPV6_FREEBIND"));
  } else {
    SAW_TRY(set_option(dns.fd, IPPROTO_IP, IP_PKTINFO, int{1}, "IP_PKTINFO"));
  }
  SAW_TRY(set_option(dns.fd, IPPROTO_IP, IP_FREEBIND, int{1}, "IP_FREEBIND"));
  return OpenedSockets{{std::move(listener.fd), std::move(dns.fd)}, listener.families};
}

// `enter` takes the thread into another network namespace; `work` is done there; then the thread is at home
// again, whatever has happened.
template <class Work>
auto away_from(const HomeNetwork& home, Result<> (*enter)(int), int argument, Work work) -> decltype(work()) {
  SAW_TRY(enter(argument));
  auto out = work();
  const int error = join_network_namespace(home.fd());
  SAW_CHECK(error == 0, "the way back out of a sandbox's network is closed (errno {})", error);
  return out;
}

Result<> enter_new_network(int) {
  if (::unshare(CLONE_NEWNET) != 0) return Error::system("network.unshare", "creating a network namespace");
  return {};
}

Result<> enter_network(int netns) {
  if (int error = join_network_namespace(netns))
    return std::unexpected(Error::from_errno("network.join", error, "entering a sandbox's network"));
  return {};
}

Result<Fd> this_network() {
  return Fd::open(kOwnNetwork, O_RDONLY);
}

Result<CapturedNetwork> build_captured_network() {
  CapturedSockets sockets = SAW_TRY(capture_this_network());
  return CapturedNetwork{SAW_TRY(this_network()), std::move(sockets)};
}

Result<Fd> build_dead_network() {
  SAW_TRY(bring_loopback_up());
  return this_network();
}

Result<CapturedSockets> reopen_sockets() {
  return SAW_TRY(open_sockets()).sockets;
}

Result<Fd> network_of(int32_t pid) {
  return Fd::open(fmt::format("/proc/{}/ns/net", pid), O_RDONLY);
}

template <class... F> std::vector<Fd> fds_of(F&&... fds) {
  std::vector<Fd> out;
  (out.push_back(std::forward<F>(fds)), ...);
  return out;
}

Result<std::vector<Fd>> in_process(size_t count, const std::function<Result<std::vector<Fd>>()>& work) {
  auto fds = in_short_lived_process(work);
  if (fds && fds->size() != count)
    return Error::make("network.descriptors", "{} descriptors came back", fds->size());
  return fds;
}

}  // namespace

Result<HomeNetwork> HomeNetwork::current() {
  Fd netns = SAW_TRY(this_network(), "looking for the own network namespace");
  // Going where one already is needs the same rights as coming back.
  if (int error = join_network_namespace(netns.get()))
    return std::unexpected(Error::from_errno("network.no_return", error,
                                             "making sure that this process can return to its own network"));
  return HomeNetwork(std::move(netns));
}

Result<HomeNetwork> HomeNetwork::make_empty() {
  SAW_TRY(enter_new_network(0));
  return current();
}

Result<CapturedSockets> capture_this_network() {
  OpenedSockets opened = SAW_TRY(open_sockets());
  // Before the routes: there is no moment at which something could go somewhere unfiltered.
  SAW_TRY(install_capture_rules(opened.families));
  SAW_TRY(make_every_address_local(opened.families));
  return std::move(opened.sockets);
}

Result<CapturedNetwork> create_captured_network(const HomeNetwork& home) {
  return SAW_TRY(away_from(home, enter_new_network, 0, build_captured_network),
                 "building the sandbox's network");
}

Result<Fd> create_dead_network(const HomeNetwork& home) {
  return SAW_TRY(away_from(home, enter_new_network, 0, build_dead_network), "building an empty network");
}

Result<CapturedSockets> reopen_captured_sockets(const HomeNetwork& home, int32_t pid) {
  Fd netns = SAW_TRY(network_of(pid), "reopening a sandbox's sockets");
  return SAW_TRY(away_from(home, enter_network, netns.get(), reopen_sockets),
                 "reopening a sandbox's sockets");
}

Result<CapturedNetwork> create_captured_network() {
  if (auto home = HomeNetwork::current()) return create_captured_network(*home);
  auto fds = SAW_TRY(in_process(3,
                                []() -> Result<std::vector<Fd>> {
                                  SAW_TRY(enter_new_network(0));
                                  CapturedNetwork net = SAW_TRY(build_captured_network());
                                  return fds_of(std::move(net.netns), std::move(net.sockets.listener),
                                                std::move(net.sockets.dns));
                                }),
                     "building the sandbox's network");
  return CapturedNetwork{std::move(fds[0]), {std::move(fds[1]), std::move(fds[2])}};
}

Result<Fd> create_dead_network() {
  if (auto home = HomeNetwork::current()) return create_dead_network(*home);
  auto fds = SAW_TRY(in_process(1,
                                []() -> Result<std::vector<Fd>> {
                                  SAW_TRY(enter_new_network(0));
                                  return fds_of(SAW_TRY(build_dead_network()));
                                }),
                     "building an empty network");
  return std::move(fds[0]);
}

Result<CapturedSockets> reopen_captured_sockets(int32_t pid) {
  if (auto home = HomeNetwork::current()) return reopen_captured_sockets(*home, pid);
  auto fds = SAW_TRY(in_process(2,
                                [pid]() -> Result<std::vector<Fd>> {
                                  const Fd netns = SAW_TRY(network_of(pid));
                                  SAW_TRY(enter_network(netns.get()));
                                  CapturedSockets sockets = SAW_TRY(reopen_sockets());
                                  return fds_of(std::move(sockets.listener), std::move(sockets.dns));
                                }),
                     "reopening a sandbox's sockets");
  return CapturedSockets{std::move(fds[0]), std::move(fds[1])};
}

}  // namespace saw::os
