// R44, R49, R85: the packet filter is the one that nft would make, and a thread that builds a network is at
// home again afterwards. Everything happens in child processes with namespaces of their own.
#include "os/netns.h"

#include <cstdio>
#include <functional>
#include <regex>

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "os/netlink_message.h"
#include "os/nftables.h"
#include "os/process.h"
#include "os/socket.h"
#include "os/udp.h"
#include "os/userns.h"

namespace saw::os {
namespace {

constexpr int kPatienceMs = 5000;
constexpr int kSkipped = 77;

// Runs `body` in a process that may make namespaces: as root, or in a user namespace of its own. Its failures
// count here. The wait status, for those who expect a death.
int in_child(const std::function<void()>& body) {
  std::fflush(stdout);
  const pid_t child = ::fork();
  if (child == 0) {
    if (::geteuid() != 0 && !enter_daemon_namespaces({})) ::_exit(kSkipped);
    body();
    std::fflush(stdout);
    ::_exit(testing::Test::HasFailure() ? 1 : 0);
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  return status;
}

#define IN_CHILD(...)                                                       \
  do {                                                                      \
    const int status = in_child(__VA_ARGS__);                               \
    if (WIFEXITED(status) && WEXITSTATUS(status) == kSkipped)               \
      GTEST_SKIP() << "this host lets an ordinary user make no namespaces"; \
    EXPECT_EQ(status, 0) << "the child's failures are printed above";       \
  } while (false)

void enter_fresh_network() {
  ASSERT_EQ(::unshare(CLONE_NEWNET), 0);
}

std::string output_of(const std::string& command) {
  std::string out;
  FILE* pipe = ::popen(command.c_str(), "r");
  char buffer[4096];
  while (size_t n = std::fread(buffer, 1, sizeof buffer, pipe)) out.append(buffer, n);
  EXPECT_EQ(::pclose(pipe), 0) << command;
  return out;
}
bool has_nft() {
  return std::system("PATH=$PATH:/usr/sbin:/sbin; command -v nft >/dev/null") == 0;
}
// The rules as nft prints them and as the kernel evaluates them, without the numbers that count handles.
std::string rules_of_this_network() {
  const std::string text = output_of("PATH=$PATH:/usr/sbin:/sbin; nft -j list ruleset");
  const std::string code = output_of("PATH=$PATH:/usr/sbin:/sbin; nft --debug=netlink list ruleset");
  return std::regex_replace(text + code, std::regex("(\"handle\": |saw \\w+ )[0-9]+"), "$1N");
}

std::string this_network() {
  char out[64] = {};
  EXPECT_GT(::readlink("/proc/thread-self/ns/net", out, sizeof out - 1), 0);
  return out;
}

// Makes one system call fail from now on, if its first argument is `first` (any, if negative).
void refuse(int number, int first, int error) {
  const auto call = static_cast<uint32_t>(number);
  sock_filter any[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
                       BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 3),
                       BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[0])),
                       BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(first), 0, 1),
                       BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<uint32_t>(error)),
                       BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  if (first < 0) any[2] = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<uint32_t>(error));
  const sock_fprog program{.len = std::size(any), .filter = any};
  ASSERT_EQ(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
  ASSERT_EQ(::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

// Connects, and gives what the listener hears was meant; or the errno's name.
std::string captured(const CapturedSockets& sockets, const char* host, uint16_t port) {
  sockaddr_in v4{.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {}, .sin_zero = {}};
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(port);
  const bool is_v4 = ::inet_pton(AF_INET, host, &v4.sin_addr) == 1;
  if (!is_v4) EXPECT_EQ(::inet_pton(AF_INET6, host, &v6.sin6_addr), 1);
  Fd client(::socket(is_v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (::connect(client.get(), is_v4 ? reinterpret_cast<sockaddr*>(&v4) : reinterpret_cast<sockaddr*>(&v6),
                is_v4 ? sizeof v4 : sizeof v6) != 0)
    return ::strerrorname_np(errno);
  pollfd ready{sockets.listener.get(), POLLIN, 0};
  if (::poll(&ready, 1, kPatienceMs) != 1) return "nothing arrived";
  Fd accepted(::accept4(sockets.listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  auto meant = original_destination(accepted.get());
  if (!meant) return meant.error().message;
  char text[INET6_ADDRSTRLEN];
  ::inet_ntop(AF_INET6, meant->address.data(), text, sizeof text);
  return fmt::format("{} {}", text, meant->port);
}

// Asks a resolver something and is answered: the address that the answer comes from.
std::string answered(const CapturedSockets& sockets, const char* resolver) {
  sockaddr_in to{.sin_family = AF_INET, .sin_port = htons(kDnsPort), .sin_addr = {}, .sin_zero = {}};
  EXPECT_EQ(::inet_pton(AF_INET, resolver, &to.sin_addr), 1);
  Fd client(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (::sendto(client.get(), "who", 3, 0, reinterpret_cast<sockaddr*>(&to), sizeof to) != 3)
    return ::strerrorname_np(errno);
  pollfd ready{sockets.dns.get(), POLLIN, 0};
  if (::poll(&ready, 1, kPatienceMs) != 1) return "nothing arrived";
  auto question = receive_datagram(sockets.dns.get());
  if (!question || !*question) return "not received";
  auto sent = send_datagram(sockets.dns.get(), "answer", (*question)->peer, (*question)->local);
  if (!sent) return sent.error().message;
  sockaddr_in from{};
  socklen_t length = sizeof from;
  char data[16];
  if (::recvfrom(client.get(), data, sizeof data, MSG_DONTWAIT, reinterpret_cast<sockaddr*>(&from),
                 &length) != 6)
    return "no answer";
  char text[INET_ADDRSTRLEN];
  ::inet_ntop(AF_INET, &from.sin_addr, text, sizeof text);
  return text;
}

void write_setting(const std::string& path, const char* value) {
  Fd file = std::move(*Fd::open(path, O_WRONLY));
  ASSERT_TRUE(write_all(file, value)) << path;
}

TEST(CaptureRules, are_what_nft_makes_of_the_ruleset) {
  if (!has_nft()) GTEST_SKIP() << "nft (package nftables) is not installed";
  IN_CHILD([] {
    for (Families families : {Families::ipv4_and_ipv6, Families::ipv4_only}) {
      enter_fresh_network();
      ASSERT_TRUE(install_capture_rules(families));
      const std::string ours = rules_of_this_network();
      enter_fresh_network();
      EXPECT_NE(ours, rules_of_this_network());  // the comparison sees rules at all
      const std::string file = testing::TempDir() + fmt::format("saw-rules-{}", ::getpid());
      ASSERT_TRUE(replace_file(file, capture_ruleset(families), 0600, Durability::none));
      output_of("PATH=$PATH:/usr/sbin:/sbin; nft -f " + file);
      ::unlink(file.c_str());
      EXPECT_EQ(ours, rules_of_this_network());
    }
  });
}

TEST(CaptureRules, are_not_added_to_what_is_already_there) {
  IN_CHILD([] {
    enter_fresh_network();
    ASSERT_TRUE(install_capture_rules(Families::ipv4_and_ipv6));
    const std::string before = has_nft() ? rules_of_this_network() : "";
    auto again = install_capture_rules(Families::ipv4_and_ipv6);
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().code, "network.filter");
    EXPECT_EQ(again.error().os_errno, EEXIST);
    if (has_nft()) EXPECT_EQ(before, rules_of_this_network());
  });
}

// A transaction: a table that is allowed, and (if wanted) a rule for a chain that is not there.
enum class Second { none, refused };
NetlinkRequest table_and(Second second) {
  NetlinkRequest out;
  auto header = [&](uint8_t family, uint16_t resource) {
    out.fixed(nfgenmsg{.nfgen_family = family, .version = NFNETLINK_V0, .res_id = resource});
  };
  auto message = [](int type, const char* action) {
    return NetlinkRequest::Message{.type = static_cast<uint16_t>((NFNL_SUBSYS_NFTABLES << 8) | type),
                                   .flags = NLM_F_ACK | NLM_F_CREATE,
                                   .action = action};
  };
  out.message({.type = NFNL_MSG_BATCH_BEGIN, .action = "beginning"},
              [&] { header(AF_UNSPEC, htons(NFNL_SUBSYS_NFTABLES)); });
  out.message(message(NFT_MSG_NEWTABLE, "making the table"), [&] {
    header(1, 0);
    out.text(NFTA_TABLE_NAME, "half");
  });
  if (second == Second::refused)
    out.message(message(NFT_MSG_NEWRULE, "adding the impossible rule"), [&] {
      header(1, 0);
      out.text(NFTA_RULE_TABLE, "half");
      out.text(NFTA_RULE_CHAIN, "nowhere");
    });
  out.message({.type = NFNL_MSG_BATCH_END, .action = "ending"},
              [&] { header(AF_UNSPEC, htons(NFNL_SUBSYS_NFTABLES)); });
  return out;
}

TEST(CaptureRules, one_refused_message_leaves_nothing_of_the_transaction) {
  IN_CHILD([] {
    enter_fresh_network();
    auto refused = exchange(NETLINK_NETFILTER, table_and(Second::refused));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, "netlink.refused");
    EXPECT_EQ(refused.error().os_errno, ENOENT);
    EXPECT_EQ(refused.error().message, "adding the impossible rule: No such file or directory");
    if (has_nft()) EXPECT_EQ(rules_of_this_network().find("half"), std::string::npos);
    ASSERT_TRUE(exchange(NETLINK_NETFILTER, table_and(Second::none)));
    if (has_nft()) EXPECT_NE(rules_of_this_network().find("half"), std::string::npos);
  });
}

TEST(CaptureRules, without_the_capability_the_error_says_what_it_takes) {
  IN_CHILD([] {
    enter_fresh_network();
    ASSERT_EQ(::unshare(CLONE_NEWUSER), 0);  // every capability, but not over that network
    auto installed = install_capture_rules(Families::ipv4_and_ipv6);
    ASSERT_FALSE(installed);
    EXPECT_EQ(installed.error().os_errno, EPERM);
    EXPECT_NE(installed.error().message.find("CAP_NET_ADMIN"), std::string::npos);
  });
}

TEST(Netlink, what_the_kernel_does_not_answer_is_no_success) {
  IN_CHILD([] {
    enter_fresh_network();
    NetlinkRequest silent;  // the kernel skips what is no request of a subsystem's
    silent.message({.type = NLMSG_NOOP, .action = "nothing"}, [] {});
    EXPECT_TRUE(exchange(NETLINK_ROUTE, silent));  // no answer was wanted
    NetlinkRequest unanswered;
    unanswered.message(
        {.type = NFNL_MSG_BATCH_END, .flags = NLM_F_ACK, .action = "an end without a beginning"},
        [&] { unanswered.fixed(nfgenmsg{}); });
    EXPECT_FALSE(exchange(NETLINK_NETFILTER, unanswered));
  });
}

TEST(CapturedNetwork, the_thread_that_builds_one_is_at_home_again) {
  IN_CHILD([] {
    HomeNetwork home = std::move(*HomeNetwork::make_empty());
    const std::string before = this_network();
    auto captured_network = create_captured_network(home);
    ASSERT_TRUE(captured_network) << captured_network.error().message;
    EXPECT_EQ(this_network(), before);
    auto dead = create_dead_network(home);
    ASSERT_TRUE(dead) << dead.error().message;
    EXPECT_EQ(this_network(), before);
    auto sockets = reopen_captured_sockets(home, ::getpid());
    EXPECT_TRUE(sockets) << sockets.error().message;  // our own network is as good as any
    EXPECT_EQ(this_network(), before);
    EXPECT_FALSE(reopen_captured_sockets(home, 0x7fffffff));
    ASSERT_EQ(join_network_namespace(captured_network->netns.get()), 0);
    EXPECT_NE(this_network(), before);
    EXPECT_EQ(captured(captured_network->sockets, "93.184.216.34", 443), "::ffff:93.184.216.34 443");
    EXPECT_EQ(captured(captured_network->sockets, "2001:db8::1", 8080), "2001:db8::1 8080");
    EXPECT_EQ(answered(captured_network->sockets, "8.8.8.8"), "8.8.8.8");
  });
}

TEST(CapturedNetwork, the_thread_is_at_home_again_when_the_building_fails) {
  IN_CHILD([] {
    HomeNetwork home = std::move(*HomeNetwork::make_empty());
    const std::string before = this_network();
    refuse(SYS_socket, AF_NETLINK, EMFILE);
    auto captured_network = create_captured_network(home);
    ASSERT_FALSE(captured_network);
    EXPECT_EQ(captured_network.error().os_errno, EMFILE);
    EXPECT_EQ(this_network(), before);
    EXPECT_FALSE(create_dead_network(home));
    EXPECT_EQ(this_network(), before);
  });
}

TEST(CapturedNetwork, a_thread_that_cannot_leave_stays) {
  IN_CHILD([] {
    HomeNetwork home = std::move(*HomeNetwork::make_empty());
    const std::string before = this_network();
    refuse(SYS_unshare, -1, ENOSPC);
    auto captured_network = create_captured_network(home);
    ASSERT_FALSE(captured_network);
    EXPECT_EQ(captured_network.error().code, "network.unshare");
    EXPECT_EQ(this_network(), before);
  });
}

TEST(CapturedNetwork, a_process_that_cannot_come_back_does_not_go_on) {
  const int status = in_child([] {
    HomeNetwork home = std::move(*HomeNetwork::make_empty());
    refuse(SYS_setns, -1, EPERM);
    (void)create_captured_network(home);
    ::_exit(0);
  });
  if (WIFEXITED(status) && WEXITSTATUS(status) == kSkipped) GTEST_SKIP() << "no namespaces";
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT) << status;
}

TEST(HomeNetwork, in_a_user_namespace_the_hosts_network_is_none_but_an_empty_one_is) {
  IN_CHILD([] {
    const bool was_root = ::geteuid() == 0;
    if (was_root) ASSERT_EQ(::unshare(CLONE_NEWUSER), 0);
    const std::string hosts = this_network();
    auto current = HomeNetwork::current();
    ASSERT_FALSE(current);
    EXPECT_EQ(current.error().code, "network.no_return");
    auto built_by_a_process = create_captured_network();
    EXPECT_TRUE(built_by_a_process) << built_by_a_process.error().message;
    EXPECT_EQ(this_network(), hosts);
    auto home = HomeNetwork::make_empty();
    ASSERT_TRUE(home) << home.error().message;
    EXPECT_NE(this_network(), hosts);
    auto built = create_captured_network(*home);
    EXPECT_TRUE(built) << built.error().message;
  });
}

TEST(CapturedNetwork, works_where_ipv6_is_switched_off) {
  IN_CHILD([] {
    enter_fresh_network();
    for (const char* place : {"all", "default", "lo"})
      write_setting(fmt::format("/proc/sys/net/ipv6/conf/{}/disable_ipv6", place), "1");
    auto sockets = capture_this_network();
    ASSERT_TRUE(sockets) << sockets.error().message;
    EXPECT_EQ(captured(*sockets, "93.184.216.34", 443), "::ffff:93.184.216.34 443");
    const std::string refused = captured(*sockets, "2001:db8::1", 8080);
    EXPECT_TRUE(refused == "ENETUNREACH" || refused == "EADDRNOTAVAIL") << refused;
    EXPECT_EQ(answered(*sockets, "8.8.8.8"), "8.8.8.8");
  });
}

TEST(CapturedNetwork, works_where_sockets_are_ipv6_only_by_default) {
  IN_CHILD([] {
    enter_fresh_network();
    write_setting("/proc/sys/net/ipv6/bindv6only", "1");
    auto sockets = capture_this_network();
    ASSERT_TRUE(sockets) << sockets.error().message;
    EXPECT_EQ(captured(*sockets, "93.184.216.34", 443), "::ffff:93.184.216.34 443");
    EXPECT_EQ(captured(*sockets, "2001:db8::1", 8080), "2001:db8::1 8080");
  });
}

TEST(CapturedNetwork, works_on_a_kernel_without_ipv6) {
  IN_CHILD([] {
    enter_fresh_network();
    refuse(SYS_socket, AF_INET6, EAFNOSUPPORT);
    auto sockets = capture_this_network();
    ASSERT_TRUE(sockets) << sockets.error().message;
    EXPECT_EQ(captured(*sockets, "93.184.216.34", 443), "::ffff:93.184.216.34 443");
    EXPECT_EQ(captured(*sockets, "127.0.0.1", 9), "ECONNREFUSED");
    EXPECT_EQ(answered(*sockets, "8.8.8.8"), "8.8.8.8");
    EXPECT_EQ(answered(*sockets, "127.0.0.53"), "127.0.0.53");
  });
}

}  // namespace
}  // namespace saw::os
