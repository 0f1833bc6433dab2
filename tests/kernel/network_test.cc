// R44, R48, R49: there is no way out, and every attempt arrives where it is judged.
#include <cstring>
#include <thread>

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "harness.h"
#include "os/socket.h"
#include "os/udp.h"

namespace saw::kernel_test {
namespace {
using sandbox::Depth;
using testing::AnyOf;
using testing::HasSubstr;

std::string text_of(const os::SocketAddress& address) {
  char out[INET6_ADDRSTRLEN];
  ::inet_ntop(AF_INET6, address.address.data(), out, sizeof out);
  return fmt::format("{} {}", out, address.port);
}
bool wait_readable(const Fd& fd) {
  pollfd ready{fd.get(), POLLIN, 0};
  return ::poll(&ready, 1, kPatienceMs) == 1;
}

struct Destination {
  const char *host, *port, *meant;
};
constexpr Destination kDestinations[] = {{"93.184.216.34", "443", "::ffff:93.184.216.34 443"},
                                         {"10.1.2.3", "22", "::ffff:10.1.2.3 22"},
                                         {"169.254.169.254", "80", "::ffff:169.254.169.254 80"},
                                         {"93.184.216.34", "53", "::ffff:93.184.216.34 53"},
                                         {"2001:db8::1", "8080", "2001:db8::1 8080"},
                                         {"fd00:ec2::254", "80", "fd00:ec2::254 80"}};

// The program ignores every proxy setting and is statically linked.
TEST(Network, a_direct_connect_to_any_address_arrives_at_the_listener_with_what_was_meant) {
  TestHost host;
  TestSandbox box = host.start(Depth::call);
  for (const Destination& d : kDestinations) {
    EXPECT_EQ(box.probe({"connect", d.host, d.port}), "ok") << d.host;
    ASSERT_TRUE(wait_readable(box.launched().capture_listener)) << d.host;
    Fd accepted(::accept4(box.launched().capture_listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    auto meant = os::original_destination(accepted.get());
    ASSERT_TRUE(meant) << meant.error().message;
    EXPECT_EQ(text_of(*meant), d.meant);
  }
}

TEST(Network, the_listeners_own_port_is_known_for_what_it_is) {
  TestHost host;
  TestSandbox box = host.start(Depth::call);
  ASSERT_EQ(box.probe({"connect", "127.0.0.1", "15"}), "ok");
  Fd accepted(::accept4(box.launched().capture_listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  auto meant = os::original_destination(accepted.get());
  EXPECT_TRUE(!meant || text_of(*meant) == "::ffff:127.0.0.1 15");
  EXPECT_EQ(box.probe({"bind-tcp", "15"}), "EACCES");  // and nobody inside can take it over
  EXPECT_EQ(box.probe({"bind-tcp", "8080"}), "ok");
}

TEST(Network, loopback_belongs_to_the_sandbox) {
  TestHost host;
  TestSandbox box = host.start(Depth::call);
  EXPECT_EQ(box.probe({"connect", "127.0.0.1", "9"}), "ECONNREFUSED");
  EXPECT_EQ(
      box.run({"bash", "-c",
               "perl -MSocket -e "
               "'socket(S,PF_INET,SOCK_STREAM,0);bind(S,sockaddr_in(7777,INADDR_LOOPBACK));listen(S,5);"
               "if(fork){accept(C,S);print C \"served\\n\";close C;wait}else{socket(K,PF_INET,SOCK_STREAM,0);"
               "connect(K,sockaddr_in(7777,INADDR_LOOPBACK));print scalar <K>}'"})
          .output,
      "served\n");
}

TEST(Network, datagrams_go_nowhere_but_to_the_answerer_of_names) {
  TestHost host;
  TestSandbox box = host.start(Depth::call);
  for (auto [address, port] : {std::pair{"8.8.8.8", "443"},
                               {"10.0.0.1", "123"},
                               {"169.254.169.254", "80"},
                               {"2001:db8::1", "443"},
                               {"224.0.0.251", "5353"}})
    EXPECT_THAT(box.probe({"udp", address, port, "hello"}), AnyOf("EPERM", "EACCES", "ENETUNREACH", "EINVAL"))
        << address;
}

TEST(Network, a_question_to_any_resolver_is_answered_from_the_address_that_was_asked) {
  TestHost host;
  TestSandbox box = host.start(Depth::call);
  for (auto [address, shown] : {std::pair{"10.0.2.3", "::ffff:10.0.2.3 53"},
                                {"8.8.8.8", "::ffff:8.8.8.8 53"},
                                {"2001:4860:4860::8888", "2001:4860:4860::8888 53"},
                                {"127.0.0.53", "::ffff:127.0.0.53 53"}}) {
    auto running = box.start({"/probe/kernel_probe", "udp", address, "53", "question"});
    ASSERT_TRUE(wait_readable(box.launched().dns_socket)) << address;
    auto got = os::receive_datagram(box.launched().dns_socket.get());
    ASSERT_TRUE(got && *got);
    EXPECT_EQ((*got)->data, "question");
    EXPECT_EQ(text_of((*got)->local), shown);
    auto sent = os::send_datagram(box.launched().dns_socket.get(), "answer", (*got)->peer, (*got)->local);
    ASSERT_TRUE(sent) << sent.error().message;
    EXPECT_EQ(read_all(running.output, 100).value(), "answer ok\n") << address;
    box.await_end(running.exec);
  }
  EXPECT_FALSE(os::receive_datagram(box.launched().dns_socket.get()).value());
}

TEST(Network, raw_packet_and_exotic_sockets_do_not_exist) {
  TestHost host;
  TestSandbox box = host.start(Depth::call);
  auto socket = [&](int family, int type, int protocol) {
    return box.probe({"socket", std::to_string(family), std::to_string(type), std::to_string(protocol)});
  };
  for (int family : {AF_INET, AF_INET6}) {
    EXPECT_EQ(socket(family, SOCK_STREAM, 0), "ok");
    EXPECT_EQ(socket(family, SOCK_DGRAM, 0), "ok");
    EXPECT_EQ(socket(family, SOCK_RAW, IPPROTO_TCP), "EPERM");
    EXPECT_EQ(socket(family, SOCK_DGRAM, IPPROTO_ICMP), "EPERM");
    EXPECT_EQ(socket(family, SOCK_STREAM, 132), "EPERM");  // SCTP
  }
  EXPECT_EQ(socket(AF_UNIX, SOCK_STREAM, 0), "ok");
  EXPECT_EQ(socket(AF_NETLINK, SOCK_RAW, 0), "ok");      // getaddrinfo lists addresses with it
  EXPECT_EQ(socket(AF_NETLINK, SOCK_RAW, 12), "EPERM");  // netfilter
  for (int family :
       {17 /* packet */, 38 /* alg */, 40 /* vsock */, 16 + 27 /* smc */, 29 /* can */, 44 /* xdp */})
    EXPECT_EQ(socket(family, SOCK_STREAM, 0), "EPERM") << family;
}

TEST(Network, no_other_protocol_can_be_put_on_top_of_tcp) {
  TestHost host;
  TestSandbox box = host.start(Depth::call);
  EXPECT_EQ(box.probe({"socket-option", "6", "31"}), "EPERM");  // TCP_ULP
  EXPECT_EQ(box.probe({"socket-option", "6", "1"}), "ok");      // TCP_NODELAY
}

TEST(Network, an_abstract_socket_of_the_host_is_out_of_reach) {
  TestHost host;
  const std::string name = "saw-kernel-test-" + host.directory().substr(host.directory().size() - 8);
  sockaddr_un address{.sun_family = AF_UNIX};
  std::strncpy(address.sun_path + 1, name.c_str(), sizeof address.sun_path - 2);
  Fd server(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  ASSERT_EQ(::bind(server.get(), reinterpret_cast<sockaddr*>(&address), length), 0);
  ASSERT_EQ(::listen(server.get(), 1), 0);
  Fd client(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(::connect(client.get(), reinterpret_cast<sockaddr*>(&address), length), 0);  // it is there
  TestSandbox box = host.start(Depth::call);
  EXPECT_THAT(box.probe({"abstract", name}), AnyOf("ECONNREFUSED", "EPERM"));
}

TEST(Network, a_sandbox_without_network_captures_nothing_and_reaches_nothing) {
  TestHost host;
  sandbox::SandboxPlan plan = host.plan(Depth::call);
  plan.network = sandbox::Network::none;
  TestSandbox box = host.start(plan);
  EXPECT_FALSE(box.launched().capture_listener);
  EXPECT_EQ(box.probe({"connect", "93.184.216.34", "443"}), "ENETUNREACH");
  EXPECT_EQ(box.probe({"connect", "127.0.0.1", "9"}), "ECONNREFUSED");
}

TEST(Network, sockets_can_be_opened_anew_while_the_sandbox_lives) {
  TestHost host;
  TestSandbox box = host.start(Depth::workspace);
  box.launched().capture_listener.reset();
  box.launched().dns_socket.reset();
  EXPECT_EQ(box.probe({"connect", "93.184.216.34", "443"}),
            "ECONNREFUSED");  // nobody holds the listener: closed, not open
  auto sockets = host.launcher().reopen_sockets(box.launched().init_pid);
  ASSERT_TRUE(sockets) << sockets.error().message;
  EXPECT_EQ(box.probe({"connect", "93.184.216.34", "443"}), "ok");
  Fd accepted(::accept4(sockets->capture_listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  EXPECT_EQ(text_of(os::original_destination(accepted.get()).value()), "::ffff:93.184.216.34 443");
}

}  // namespace
}  // namespace saw::kernel_test
