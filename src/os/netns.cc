#include "os/netns.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/netlink.h"
#include "os/short_lived.h"

namespace saw::os {
namespace {

static_assert(kCapturePort == 15 && kDnsPort == 53, "the ruleset below spells these numbers");
constexpr const char* kRuleset = R"(table inet saw {
  chain capture {
    type nat hook output priority -100; policy accept;
    ip daddr 127.0.0.0/8 return
    ip6 daddr ::1 return
    meta l4proto tcp redirect to :15
  }
  chain only_captured {
    type filter hook output priority 0; policy drop;
    ct state established,related accept
    ip daddr 127.0.0.0/8 accept
    ip6 daddr ::1 accept
    udp dport 53 accept
  }
}
)";

constexpr const char* kNftPaths[] = {"/usr/sbin/nft", "/sbin/nft", "/usr/bin/nft", "/usr/local/sbin/nft"};
constexpr size_t kMaxNftMessage = 4096;

Result<> run_nft() {
  const char* nft = nullptr;
  for (const char* path : kNftPaths)
    if (!nft && ::access(path, X_OK) == 0) nft = path;
  if (!nft) return Error::make("network.no_nft", "the program nft (package nftables) is not installed");
  Fd rules(::memfd_create("saw-rules", MFD_CLOEXEC));
  if (!rules) return Error::system("network.rules", "creating the packet filter's input");
  SAW_TRY(write_all(rules, kRuleset));
  ::lseek(rules.get(), 0, SEEK_SET);
  Pipe complaints = SAW_TRY(Pipe::create());
  const pid_t child = ::fork();
  if (child < 0) return Error::system("network.fork", "starting nft");
  if (child == 0) {
    ::dup2(rules.get(), 0);
    ::dup2(complaints.write.get(), 1);
    ::dup2(complaints.write.get(), 2);
    const char* const arguments[] = {nft, "-f", "-", nullptr};
    const char* const environment[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", nullptr};
    ::execve(nft, const_cast<char**>(arguments), const_cast<char**>(environment));
    ::_exit(127);
  }
  complaints.write.reset();
  auto text = read_all(complaints.read, kMaxNftMessage);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    return Error::make("network.nft", "nft refused the capture rules (status {:#x}): {}", status,
                       text ? *text : "");
  return {};
}

template <class T> Result<> set_option(const Fd& socket, int level, int option, T value, const char* what) {
  if (::setsockopt(socket.get(), level, option, &value, sizeof value) != 0)
    return Error::system("network.option", "setting {}", what);
  return {};
}

Result<Fd> bound_socket(int type, uint16_t port) {
  Fd socket(::socket(AF_INET6, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return Error::system("network.socket", "creating a capture socket");
  SAW_TRY(set_option(socket, IPPROTO_IPV6, IPV6_V6ONLY, int{0}, "dual stack"));
  SAW_TRY(set_option(socket, SOL_SOCKET, SO_REUSEADDR, int{1},
                     "address reuse"));  // connections of the listener before may linger
  sockaddr_in6 any{};
  any.sin6_family = AF_INET6;
  any.sin6_port = htons(port);
  if (::bind(socket.get(), reinterpret_cast<sockaddr*>(&any), sizeof any) != 0)
    return Error::system("network.bind", "binding the capture socket to port {}", port);
  return socket;
}

Result<CapturedSockets> open_sockets() {
  CapturedSockets out;
  out.listener = SAW_TRY(bound_socket(SOCK_STREAM, kCapturePort));
  if (::listen(out.listener.get(), kListenBacklog) != 0)
    return Error::system("network.listen", "listening for captured connections");
  out.dns = SAW_TRY(bound_socket(SOCK_DGRAM, kDnsPort));
  SAW_TRY(set_option(out.dns, IPPROTO_IPV6, IPV6_RECVPKTINFO, int{1}, "IPV6_RECVPKTINFO"));
  // Answers leave from the address that was asked, which is local by route but configured nowhere.
  SAW_TRY(set_option(out.dns, IPPROTO_IPV6, IPV6_FREEBIND, int{1}, "IPV6_FREEBIND"));
  SAW_TRY(set_option(out.dns, IPPROTO_IP, IP_FREEBIND, int{1}, "IP_FREEBIND"));
  return out;
}

Result<> new_namespace_with_loopback() {
  if (::unshare(CLONE_NEWNET) != 0) return Error::system("network.unshare", "creating a network namespace");
  return bring_loopback_up();
}

template <class... F> std::vector<Fd> fds_of(F&&... fds) {
  std::vector<Fd> out;
  (out.push_back(std::forward<F>(fds)), ...);
  return out;
}

Result<std::vector<Fd>> expect(Result<std::vector<Fd>> fds, size_t count) {
  if (fds && fds->size() != count)
    return Error::make("network.descriptors", "{} descriptors came back", fds->size());
  return fds;
}

}  // namespace

const char* capture_ruleset() {
  return kRuleset;
}

Result<CapturedNetwork> create_captured_network() {
  auto fds =
      SAW_TRY(expect(in_short_lived_process([]() -> Result<std::vector<Fd>> {
                       SAW_TRY(new_namespace_with_loopback());
                       SAW_TRY(run_nft());  // before the routes: there is no moment at which something could
                                            // go somewhere unfiltered
                       SAW_TRY(make_every_address_local());
                       CapturedSockets sockets = SAW_TRY(open_sockets());
                       Fd netns = SAW_TRY(Fd::open("/proc/self/ns/net", O_RDONLY));
                       return fds_of(std::move(netns), std::move(sockets.listener), std::move(sockets.dns));
                     }),
                     3),
              "building the sandbox's network");
  return CapturedNetwork{std::move(fds[0]), {std::move(fds[1]), std::move(fds[2])}};
}

Result<Fd> create_dead_network() {
  auto fds = SAW_TRY(expect(in_short_lived_process([]() -> Result<std::vector<Fd>> {
                              SAW_TRY(new_namespace_with_loopback());
                              return fds_of(SAW_TRY(Fd::open("/proc/self/ns/net", O_RDONLY)));
                            }),
                            1),
                     "building an empty network");
  return std::move(fds[0]);
}

Result<CapturedSockets> reopen_captured_sockets(int32_t pid) {
  auto fds =
      SAW_TRY(expect(in_short_lived_process([pid]() -> Result<std::vector<Fd>> {
                       Fd netns = SAW_TRY(Fd::open(fmt::format("/proc/{}/ns/net", pid), O_RDONLY));
                       if (int error = join_network(netns.get()))
                         return std::unexpected(Error::from_errno(
                             "network.join", error, fmt::format("entering the network of process {}", pid)));
                       CapturedSockets sockets = SAW_TRY(open_sockets());
                       return fds_of(std::move(sockets.listener), std::move(sockets.dns));
                     }),
                     2),
              "reopening a sandbox's sockets");
  return CapturedSockets{std::move(fds[0]), std::move(fds[1])};
}

int join_network(int netns) noexcept {
  return ::setns(netns, CLONE_NEWNET) == 0 ? 0 : errno;
}

}  // namespace saw::os
