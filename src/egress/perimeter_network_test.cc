#include "egress/perimeter_network.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "egress/perimeter_dns.h"

namespace saw::egress {
namespace {

using testing::ElementsAre;

policy::Address address(std::string_view text) {
  return policy::parse_address(text).value();
}

std::string u16(int value) {
  return {static_cast<char>(value >> 8), static_cast<char>(value & 0xff)};
}
std::string name(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    std::string_view label = text.substr(0, text.find('.'));
    out.push_back(static_cast<char>(label.size()));
    out += label;
    text.remove_prefix(std::min(label.size() + 1, text.size()));
  }
  return out + '\0';
}
std::string record(std::string_view owner, int type, std::string_view data) {
  return name(owner) + u16(type) + u16(1) + u16(0) + u16(60) + u16(static_cast<int>(data.size())) +
         std::string(data);
}
constexpr int kA = 1, kCname = 5;
const std::string kGlobal("\x5d\xb8\xd8\x22", 4), kOther("\x5d\xb8\xd8\x23", 4);

// A message that answers `q`, with a flags word and the answer section given.
std::string answer(const DnsQuestion& q, std::initializer_list<std::string> records, int flags = 0x8180) {
  std::string out = u16(q.id) + u16(flags) + u16(1) + u16(static_cast<int>(records.size())) + u16(0) + u16(0);
  out += name(q.name) + u16(static_cast<int>(q.type)) + u16(1);
  for (const std::string& r : records) out += r;
  return out;
}

const DnsQuestion kQuestion{.id = 0x1234, .name = "api.example.com", .type = RecordType::a};

TEST(PerimeterDns, the_addresses_of_the_name_asked_are_believed) {
  auto reply = decode_answer(answer(kQuestion, {record("api.example.com", kA, kGlobal)}), kQuestion);
  ASSERT_TRUE(reply);
  EXPECT_THAT(reply->addresses, ElementsAre(address("93.184.216.34")));
  EXPECT_EQ(
      decode_answer(answer(kQuestion, {record("API.Example.COM", kA, kGlobal)}), kQuestion)->addresses.size(),
      1u);
}

TEST(PerimeterDns, addresses_of_other_names_are_not) {
  auto reply = decode_answer(answer(kQuestion, {record("evil.example", kA, kOther)}), kQuestion);
  ASSERT_TRUE(reply);
  EXPECT_TRUE(reply->addresses.empty());
}

TEST(PerimeterDns, an_alias_is_followed_and_a_loop_of_aliases_ends) {
  auto reply = decode_answer(answer(kQuestion, {record("api.example.com", kCname, name("edge.example")),
                                                record("edge.example", kA, kGlobal)}),
                             kQuestion);
  EXPECT_THAT(reply->addresses, ElementsAre(address("93.184.216.34")));
  reply = decode_answer(answer(kQuestion, {record("api.example.com", kCname, name("b.example")),
                                           record("b.example", kCname, name("api.example.com"))}),
                        kQuestion);
  EXPECT_TRUE(reply->addresses.empty());
}

TEST(PerimeterDns, what_does_not_answer_the_question_is_ignored) {
  const std::string good = answer(kQuestion, {record("api.example.com", kA, kGlobal)});
  EXPECT_TRUE(decode_answer(good, kQuestion));
  DnsQuestion other = kQuestion;
  other.id ^= 1;
  EXPECT_FALSE(decode_answer(good, other));
  other = kQuestion;
  other.name = "api.example.org";
  EXPECT_FALSE(decode_answer(good, other));
  other = kQuestion;
  other.type = RecordType::aaaa;
  EXPECT_FALSE(decode_answer(good, other));
  EXPECT_FALSE(decode_answer(answer(kQuestion, {}, 0x0100), kQuestion));  // a question, not an answer
  EXPECT_FALSE(decode_answer("", kQuestion));
}

TEST(PerimeterDns, a_cut_message_never_reads_beyond_its_end) {
  const std::string good = answer(kQuestion, {record("api.example.com", kCname, name("edge.example")),
                                              record("edge.example", kA, kGlobal)});
  for (size_t size = 0; size < good.size(); ++size)
    if (auto reply = decode_answer(std::string_view(good).substr(0, size), kQuestion))
      EXPECT_TRUE(reply->addresses.empty()) << size;
}

TEST(PerimeterDns, compression_pointers_lead_backwards_only) {
  const std::string pointer_back("\xc0\x0c", 2);  // the question's name
  std::string tail = pointer_back + u16(kA) + u16(1) + u16(0) + u16(60) + u16(4) + kGlobal;
  EXPECT_EQ(decode_answer(answer(kQuestion, {tail}), kQuestion)->addresses.size(), 1u);
  const size_t at = answer(kQuestion, {}).size();
  std::string self =
      std::string("\xc0", 1) + static_cast<char>(at) + u16(kA) + u16(1) + u16(0) + u16(60) + u16(4) + kGlobal;
  EXPECT_TRUE(decode_answer(answer(kQuestion, {self}), kQuestion)->addresses.empty());
}

TEST(PerimeterDns, failures_are_told_apart) {
  EXPECT_EQ(decode_answer(answer(kQuestion, {}, 0x8183), kQuestion)->outcome,
            DnsReply::Outcome::no_such_name);
  EXPECT_EQ(decode_answer(answer(kQuestion, {}, 0x8182), kQuestion)->outcome, DnsReply::Outcome::failed);
  EXPECT_EQ(decode_answer(answer(kQuestion, {}), kQuestion)->outcome, DnsReply::Outcome::answered);
}

TEST(PerimeterDns, a_name_that_does_not_fit_is_not_asked) {
  EXPECT_TRUE(encode_query(kQuestion));
  EXPECT_FALSE(encode_query({.name = std::string(64, 'a') + ".example"}));
  EXPECT_FALSE(encode_query({.name = ""}));
}

TEST(PerimeterNetwork, name_servers_are_read_from_resolv_conf) {
  EXPECT_THAT(
      parse_resolv_conf(
          "# c\nsearch x\nnameserver 10.0.0.2\nnameserver\t::1 # v6\nnameserver bad\nnameserverx 1.1.1.1"),
      ElementsAre(SocketTarget{address("10.0.0.2"), 53}, SocketTarget{address("::1"), 53}));
  EXPECT_EQ(
      parse_resolv_conf("nameserver 1.1.1.1\nnameserver 1.1.1.2\nnameserver 1.1.1.3\nnameserver 1.1.1.4\n")
          .size(),
      OsNetwork::kMaxServers);
  EXPECT_TRUE(parse_resolv_conf("").empty());
}

// A loop that runs until the callback of the operation under test came.
class PerimeterNetworkTest : public testing::Test {
 protected:
  template <class T> T wait_for(std::optional<T>& value) {
    os::Loop::Timer guard = loop_.after(20'000, [this] { ADD_FAILURE() << "no answer", loop_.stop(); });
    while (!value && !HasFailure()) {
      fd_set set;
      FD_ZERO(&set);
      FD_SET(loop_.fd(), &set);
      ::select(loop_.fd() + 1, &set, nullptr, nullptr, nullptr);
      loop_.run_ready();
    }
    return std::move(value).value();
  }
  Result<std::vector<policy::Address>> resolve(OsNetwork& network, const std::string& host) {
    std::optional<Result<std::vector<policy::Address>>> out;
    auto running = network.resolve(host, [&](auto result) { out = std::move(result); });
    return wait_for(out);
  }
  Result<Fd> connect(const ConnectorTarget& target) {
    OsNetwork network(loop_, {});
    std::optional<Result<Fd>> out;
    auto running = network.connect(target, [&](auto result) { out = std::move(result); });
    return wait_for(out);
  }
  static SocketTarget bound_to(const Fd& socket) {
    sockaddr_in in{};
    socklen_t size = sizeof in;
    EXPECT_EQ(::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&in), &size), 0);
    return {address("127.0.0.1"), ntohs(in.sin_port)};
  }
  static Fd loopback_socket(int type) {
    Fd socket(::socket(AF_INET, type | SOCK_CLOEXEC, 0));
    sockaddr_in in{.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    EXPECT_EQ(::bind(socket.get(), reinterpret_cast<sockaddr*>(&in), sizeof in), 0);
    return socket;
  }

  os::Loop loop_ = std::move(*os::Loop::create());
};

// Answers each question by `script(question number, question)`; an empty string is silence.
class FakeNameServer {
 public:
  FakeNameServer(os::Loop& loop, Fd socket, std::function<std::string(int, const DnsQuestion&)> script)
      : socket_(std::move(socket)), script_(std::move(script)) {
    watch_ = loop.watch(socket_.get(), os::Loop::kReadable, [this](uint32_t) { answer_one(); });
  }
  int questions = 0;

 private:
  void answer_one() {
    char buffer[2048];
    sockaddr_storage peer{};
    socklen_t size = sizeof peer;
    ssize_t got =
        ::recvfrom(socket_.get(), buffer, sizeof buffer, 0, reinterpret_cast<sockaddr*>(&peer), &size);
    ASSERT_GT(got, 16);
    DnsQuestion question{
        .id = static_cast<uint16_t>(static_cast<uint8_t>(buffer[0]) << 8 | static_cast<uint8_t>(buffer[1]))};
    size_t at = 12;
    while (buffer[at]) {
      question.name +=
          (question.name.empty() ? "" : ".") + std::string(buffer + at + 1, static_cast<size_t>(buffer[at]));
      at += 1 + static_cast<size_t>(buffer[at]);
    }
    question.type = static_cast<RecordType>(buffer[at + 2]);
    std::string reply = script_(questions++, question);
    if (!reply.empty())
      ::sendto(socket_.get(), reply.data(), reply.size(), 0, reinterpret_cast<sockaddr*>(&peer), size);
  }
  Fd socket_;
  std::function<std::string(int, const DnsQuestion&)> script_;
  os::Loop::Watch watch_;
};

TEST_F(PerimeterNetworkTest, both_families_are_asked_and_joined) {
  Fd socket = loopback_socket(SOCK_DGRAM);
  const SocketTarget where = bound_to(socket);
  FakeNameServer server(loop_, std::move(socket), [](int, const DnsQuestion& q) {
    const std::string v6("\x26\x06\x28\x00\x02\x20\x00\x01\x02\x48\x18\x93\x25\xc8\x19\x46", 16);
    return answer(q, {record(q.name, static_cast<int>(q.type), q.type == RecordType::a ? kGlobal : v6)});
  });
  OsNetwork network(loop_, {where});
  EXPECT_THAT(resolve(network, "api.example.com").value(),
              ElementsAre(address("93.184.216.34"), address("2606:2800:220:1:248:1893:25c8:1946")));
}

TEST_F(PerimeterNetworkTest, a_forged_answer_with_another_id_is_ignored_until_the_real_one_comes) {
  Fd socket = loopback_socket(SOCK_DGRAM);
  const SocketTarget where = bound_to(socket);
  FakeNameServer server(loop_, std::move(socket), [](int n, const DnsQuestion& q) {
    DnsQuestion forged = q;
    forged.id ^= 1;
    return n < 2                     ? answer(forged, {record(q.name, kA, kOther)})
           : q.type == RecordType::a ? answer(q, {record(q.name, kA, kGlobal)})
                                     : answer(q, {});
  });
  OsNetwork network(loop_, {where});
  EXPECT_THAT(resolve(network, "api.example.com").value(), ElementsAre(address("93.184.216.34")));
}

TEST_F(PerimeterNetworkTest, a_dead_name_server_gives_way_to_the_next) {
  SocketTarget dead;
  {
    dead = bound_to(loopback_socket(SOCK_DGRAM));
  }
  Fd socket = loopback_socket(SOCK_DGRAM);
  const SocketTarget where = bound_to(socket);
  FakeNameServer server(loop_, std::move(socket),
                        [](int, const DnsQuestion& q) { return answer(q, {record(q.name, kA, kGlobal)}); });
  OsNetwork network(loop_, {dead, where});
  EXPECT_TRUE(resolve(network, "api.example.com"));
}

TEST_F(PerimeterNetworkTest, a_name_that_does_not_exist_and_a_missing_server_are_errors) {
  Fd socket = loopback_socket(SOCK_DGRAM);
  const SocketTarget where = bound_to(socket);
  FakeNameServer server(loop_, std::move(socket),
                        [](int, const DnsQuestion& q) { return answer(q, {}, 0x8183); });
  OsNetwork network(loop_, {where});
  EXPECT_THAT(resolve(network, "nowhere.example.com").error().message, testing::HasSubstr("does not exist"));
  OsNetwork nobody(loop_, {});
  EXPECT_EQ(resolve(nobody, "api.example.com").error().code, "perimeter.resolve");
}

TEST_F(PerimeterNetworkTest, a_socket_comes_back_connected_over_tcp_and_unix) {
  Fd listener = loopback_socket(SOCK_STREAM);
  ASSERT_EQ(::listen(listener.get(), 1), 0);
  EXPECT_TRUE(connect(bound_to(listener)));

  std::string path = testing::TempDir() + "saw-perimeter-" + std::to_string(::getpid()) + ".sock";
  Fd unix_listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un un{.sun_family = AF_UNIX};
  path.copy(un.sun_path, sizeof un.sun_path - 1);
  ASSERT_EQ(::bind(unix_listener.get(), reinterpret_cast<sockaddr*>(&un), sizeof un), 0);
  ASSERT_EQ(::listen(unix_listener.get(), 1), 0);
  EXPECT_TRUE(connect(UnixTarget{path}));
  ::unlink(path.c_str());
}

TEST_F(PerimeterNetworkTest, a_closed_port_and_an_absent_socket_say_so) {
  SocketTarget closed;
  {
    closed = bound_to(loopback_socket(SOCK_STREAM));
  }
  EXPECT_EQ(connect(closed).error().os_errno, ECONNREFUSED);
  EXPECT_EQ(connect(UnixTarget{"/nonexistent/saw.sock"}).error().os_errno, ENOENT);
}

TEST_F(PerimeterNetworkTest, this_hosts_own_addresses_are_known) {
  OsNetwork network(loop_, {});
  EXPECT_TRUE(network.is_own(address("127.0.0.1")));
  EXPECT_FALSE(network.is_own(address("93.184.216.34")));
}

}  // namespace
}  // namespace saw::egress
