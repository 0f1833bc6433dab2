// Connections that pass unread (protocol: tcp, tls: passthrough), with what must not pass and its benign twin.
#include <gtest/gtest.h>

#include "egress/client_hello_sample_test.h"
#include "egress/egress_rig.h"

namespace saw::egress::rig {
namespace {

constexpr std::string_view kDb =
    "  - name: db\n    to: {hosts: [db.example.com], ports: [5432]}\n    protocol: tcp\n    allow: all\n";
constexpr std::string_view kSealed =
    "  - name: sealed\n    to: {hosts: [api.example.com]}\n    tls: passthrough\n    allow: all\n";

std::string shout(std::string_view piece) {
  std::string out(piece);
  for (char& c : out) c = static_cast<char>(std::toupper(c));
  return out;
}
std::string echo(const OriginRequest& request) {
  return ok(request.method + " " + request.target + " " + request.body);
}
ConnectOptions passed() {
  return {.expect = ConnectOptions::Expect::origin};
}

TEST(Tunnel, raw_bytes_pass_both_ways_and_are_counted) {
  Rig rig;
  rig.serve_bytes("db.example.com", 5432, shout);
  ASSERT_EQ(rig.configure(Rig::policy(kDb)), "");
  Agent agent = rig.connect("db.example.com", 5432);
  agent.send("select 1");
  EXPECT_EQ(agent.read_bytes(8), "SELECT 1");
  agent.send(std::string(1 << 20, 'x'));
  EXPECT_EQ(agent.read_bytes(1 << 20), std::string(1 << 20, 'X'));
  agent.finish();
  EXPECT_TRUE(agent.ended());
  EXPECT_EQ(rig.count_events({"db.example.com", "was allowed a connection", "network.db.allow"}), 1);
  EXPECT_EQ(rig.count_events(
                {"db.example.com", "(closed): 1048584 bytes out, 1048584 in", "\"bytes_out\":1048584"}),
            1);
}

TEST(Tunnel, a_server_may_speak_first_and_an_end_is_passed_on) {
  Rig rig;
  rig.serve_bytes("db.example.com", 5432, [](std::string_view) { return ""; });
  ASSERT_EQ(rig.configure(Rig::policy(kDb)), "");
  Agent agent = rig.connect("db.example.com", 5432);
  EXPECT_EQ(rig.count_events({"was allowed a connection"}), 1) << "before the agent has said anything";
  agent.send("x");
  EXPECT_TRUE(agent.ended());
}

TEST(Tunnel, what_is_not_listed_is_refused_whatever_it_speaks) {
  Rig rig;
  rig.serve_bytes("db.example.com", 5433, shout);
  rig.serve_bytes("other.example.com", 5432, shout);
  ASSERT_EQ(rig.configure(Rig::policy(kDb)), "");
  for (auto [host, port] : {std::pair{"db.example.com", 5433}, {"other.example.com", 5432}}) {
    Agent agent = rig.connect(host, static_cast<uint16_t>(port));
    agent.send(std::string("\0\0\0\x08\x04\xd2\x16\x2f", 8));  // what psql says first
    EXPECT_TRUE(agent.ended()) << host;
  }
  EXPECT_EQ(rig.dials(), 0);
  EXPECT_EQ(rig.count_events({"policy.default_deny", "was denied a connection"}, 2), 2);
}

TEST(Tunnel, the_perimeters_refusal_holds) {
  Rig rig;
  ASSERT_EQ(rig.configure(Rig::policy(kDb)), "");
  EXPECT_TRUE(rig.connect("db.example.com", 5432).ended());
  EXPECT_EQ(rig.count_events({"db.example.com", "perimeter.not_listed"}), 1);
}

TEST(Tunnel, passthrough_leaves_tls_to_the_two_ends) {
  Rig rig;
  rig.serve("api.example.com", 443, echo);
  ASSERT_EQ(rig.configure(Rig::policy(kSealed)), "");
  Agent agent = rig.connect("api.example.com", 443, passed());
  ASSERT_TRUE(agent.connected()) << "the certificate is the origin's own";
  EXPECT_EQ(agent.get("/a").body, "GET /a ");
  EXPECT_EQ(agent.post("/b", std::string(300'000, 'y')).body, "POST /b " + std::string(300'000, 'y'));
  agent.hang_up();
  EXPECT_EQ(rig.count_events({"api.example.com", "ended (closed)"}), 1);
}

TEST(Tunnel, the_name_in_the_hello_must_be_the_one_that_was_resolved) {
  Rig rig;
  rig.serve("api.example.com", 443, echo);
  ASSERT_EQ(rig.configure(Rig::policy(kSealed)), "");
  for (auto [sni, reason] : {std::pair{"evil.example", "malformed:sni-mismatch"}, {"", "sni-missing"}}) {
    ConnectOptions options = passed();
    options.sni = sni;
    EXPECT_FALSE(rig.connect("api.example.com", 443, options).connected());
    EXPECT_EQ(rig.count_events({"api.example.com", "was denied", reason}), 1) << reason;
  }
  // The right name at an address that nobody resolved.
  ConnectOptions elsewhere = passed();
  elsewhere.address = "93.184.216.34";
  EXPECT_FALSE(rig.connect("api.example.com", 443, elsewhere).connected());
  EXPECT_EQ(rig.dials(), 0);
  EXPECT_TRUE(rig.connect("api.example.com", 443, passed()).connected());
}

TEST(Tunnel, plain_text_and_sealed_names_do_not_pass_through) {
  Rig rig;
  rig.serve("api.example.com", 443, echo);
  ASSERT_EQ(rig.configure(Rig::policy(kSealed)), "");
  Agent plain = rig.connect("api.example.com", 443, {.tls = false});
  plain.send("GET / HTTP/1.1\r\nHost: api.example.com\r\n\r\n");
  EXPECT_TRUE(plain.ended());
  EXPECT_EQ(rig.count_events({"tls.required"}), 1);
  Agent sealed = rig.connect("api.example.com", 443, {.tls = false});
  sealed.send(client_hello("api.example.com", 0xfe0d));
  EXPECT_TRUE(sealed.ended());
  EXPECT_EQ(rig.count_events({"tls.encrypted_hello"}), 1);
  EXPECT_EQ(rig.dials(), 0);
}

// Behind one address many names: the first hello is the right one, the second asks for another.
TEST(Tunnel, a_second_hello_with_another_name_is_cut_before_it_goes_out) {
  for (std::string name : {"evil.example", "api.example.com"}) {
    Rig rig;
    std::atomic<bool> seen = false;
    rig.serve_bytes("api.example.com", 443, [&](std::string_view piece) {
      if (piece.find("evil.example") != std::string_view::npos) seen = true;
      return server_hello(Retry::yes);
    });
    ASSERT_EQ(rig.configure(Rig::policy(kSealed)), "");
    Agent agent = rig.connect("api.example.com", 443, {.tls = false});
    const std::string first = client_hello("api.example.com");
    agent.send(first.substr(0, 60));
    EXPECT_FALSE(rig.next_ask(std::chrono::milliseconds(50))) << "time for half a hello to be looked at";
    agent.send(first.substr(60));
    const size_t size = server_hello(Retry::yes).size();
    EXPECT_EQ(agent.read_bytes(size), server_hello(Retry::yes));
    agent.send(client_hello(name));
    EXPECT_EQ(agent.read_bytes(size).size(), name == "evil.example" ? 0 : size);
    EXPECT_FALSE(seen);
    if (name == "evil.example") EXPECT_EQ(rig.count_events({"tls.sni_mismatch", "denied"}), 1);
  }
}

TEST(Tunnel, a_policy_that_no_longer_admits_it_cuts_it) {
  Rig rig;
  rig.serve_bytes("db.example.com", 5432, shout);
  ASSERT_EQ(rig.configure(Rig::policy(kDb)), "");
  Agent agent = rig.connect("db.example.com", 5432);
  agent.send("a");
  EXPECT_EQ(agent.read_bytes(1), "A");
  ASSERT_EQ(rig.configure(Rig::policy(std::string(kDb) + std::string(kSealed))), "");
  agent.send("b");
  EXPECT_EQ(agent.read_bytes(1), "B") << "a policy that still admits it leaves it";
  ASSERT_EQ(rig.configure(Rig::policy(kSealed)), "");
  EXPECT_TRUE(agent.ended());
  EXPECT_EQ(rig.count_events({"db.example.com", "ended (policy.changed)"}), 1);
}

TEST(Tunnel, unbinding_ends_it) {
  Rig rig;
  rig.serve_bytes("db.example.com", 5432, shout);
  ASSERT_EQ(rig.configure(Rig::policy(kDb)), "");
  Agent agent = rig.connect("db.example.com", 5432);
  agent.send("a");
  EXPECT_EQ(agent.read_bytes(1), "A");
  rig.unbind();
  EXPECT_TRUE(agent.ended());
}

}  // namespace
}  // namespace saw::egress::rig
