// Programs that insist on a proxy, and what they must not gain by it.
#include <gtest/gtest.h>

#include "egress/egress_rig.h"
#include "egress/proxy_request.h"

namespace saw::egress::rig {
namespace {

constexpr std::string_view kPolicy =
    "  - name: api\n    to: {hosts: [api.example.com], ports: [80]}\n    tls: none\n    allow: [{methods: "
    "[GET], paths: "
    "[\"/a/**\"]}]\n"
    "  - name: two\n    to: {hosts: [two.example.com], ports: [80]}\n    tls: none\n    allow: [{methods: "
    "[GET], paths: "
    "[\"/**\"]}]\n"
    "  - name: db\n    to: {hosts: [db.example.com], ports: [5432]}\n    protocol: tcp\n    allow: all\n"
    "  - name: safe\n    to: {hosts: [safe.example.com]}\n    allow: [{methods: [GET], paths: [\"/**\"]}]\n";

constexpr std::string_view kEstablished = "HTTP/1.1 200 Connection established\r\n\r\n";

class Proxy : public testing::Test {
 protected:
  Proxy() {
    for (const char* host : {"api.example.com", "two.example.com"})
      rig.serve(host, 80, [host](const OriginRequest& r) { return ok(std::string(host) + " " + r.target); });
    rig.serve("safe.example.com", 443, [](const OriginRequest& r) { return ok("safe " + r.target); });
    rig.serve_bytes("db.example.com", 5432, [](std::string_view piece) { return std::string(piece); });
    EXPECT_EQ(rig.configure(Rig::policy(kPolicy)), "");
  }
  Agent connect() { return rig.connect(std::string(kProxyName), 3128); }
  static std::string by_name(std::string_view host, uint16_t port) {
    return std::string("\x05\x01\0\x03", 4) + static_cast<char>(host.size()) + std::string(host) +
           static_cast<char>(port >> 8) + static_cast<char>(port);
  }
  // The second byte of SOCKS5's reply.
  int socks(Agent& agent, const std::string& request) {
    agent.send("\x05\x01" + std::string(1, '\0'));
    EXPECT_EQ(agent.read_bytes(2), std::string("\x05\0", 2));
    agent.send(request);
    const std::string reply = agent.read_bytes(10);
    return reply.size() == 10 ? reply[1] : -1;
  }
  Rig rig;
};

TEST_F(Proxy, connect_leads_to_what_is_listed_and_is_judged_inside) {
  Agent agent = connect();
  agent.send("CONNECT api.example.com:80 HTTP/1.1\r\nHost: api.example.com:80\r\n\r\n");
  EXPECT_EQ(agent.read_bytes(kEstablished.size()), kEstablished);
  agent.host = "api.example.com";
  EXPECT_EQ(agent.get("/a/x").body, "api.example.com /a/x");
  EXPECT_EQ(agent.get("/b").code(), "policy.default_deny");
  EXPECT_EQ(rig.count_events({"api.example.com", "/a/x", "was allowed"}), 1);
}

TEST_F(Proxy, connect_to_what_is_not_listed_is_refused_with_the_reason) {
  for (std::string_view target :
       {"evil.example:443", "api.example.com:443", "127.0.0.1:80", "169.254.169.254:80", "2130706433:80",
        "[::1]:80", "proxy.saw.internal:3128"}) {
    Agent agent = connect();
    agent.send(fmt::format("CONNECT {} HTTP/1.1\r\nHost: {}\r\n\r\n", target, target));
    Answer answer = agent.read_answer();
    EXPECT_EQ(answer.status, 403) << target;
    EXPECT_EQ(answer.code(), "policy.default_deny") << target;
  }
  EXPECT_EQ(rig.dials(), 0);
}

TEST_F(Proxy, target_host_and_name_inside_must_agree) {
  Agent fronted = connect();
  fronted.send("CONNECT api.example.com:80 HTTP/1.1\r\nHost: two.example.com\r\n\r\n");
  EXPECT_EQ(fronted.read_answer().status, 400);
  Agent inside = connect();
  inside.send("CONNECT api.example.com:80 HTTP/1.1\r\nHost: api.example.com\r\n\r\n");
  EXPECT_EQ(inside.read_bytes(kEstablished.size()), kEstablished);
  inside.host = "two.example.com";
  EXPECT_EQ(inside.get("/a/x").status, 400);
  EXPECT_TRUE(rig.received().empty());
}

TEST_F(Proxy, absolute_form_goes_to_each_requests_own_destination) {
  Agent agent = connect();
  agent.host = "api.example.com";
  EXPECT_EQ(agent.get("http://api.example.com/a/1").body, "api.example.com /a/1");
  agent.host = "two.example.com";
  EXPECT_EQ(agent.get("http://two.example.com/b").body, "two.example.com /b");
  agent.host = "api.example.com";
  EXPECT_EQ(agent.get("http://api.example.com/b").code(), "policy.default_deny")
      << "the first one's rules again";
  agent.host = "evil.example";
  EXPECT_EQ(agent.get("http://evil.example/").code(), "policy.default_deny");
  Agent mixed = connect();
  mixed.host = "two.example.com";
  EXPECT_EQ(mixed.get("http://api.example.com/a/1").status, 400) << "Host says something else";
  Agent origin_form = connect();
  origin_form.host = "api.example.com";
  EXPECT_EQ(origin_form.get("/a/1").status, 400);
}

TEST_F(Proxy, socks_leads_to_what_is_listed_and_nowhere_else) {
  Agent agent = connect();
  EXPECT_EQ(socks(agent, by_name("api.example.com", 80)), 0);
  agent.host = "api.example.com";
  EXPECT_EQ(agent.get("/a/x").body, "api.example.com /a/x");
  Agent raw = connect();
  EXPECT_EQ(socks(raw, by_name("db.example.com", 5432)), 0);
  raw.send("bytes");
  EXPECT_EQ(raw.read_bytes(5), "bytes");
  for (auto& request :
       {by_name("evil.example", 80), by_name("api.example.com", 5432), by_name("169.254.169.254", 80),
        std::string("\x05\x01\0\x01\x7f\0\0\x01\0\x50", 10)}) {
    Agent refused = connect();
    EXPECT_EQ(socks(refused, request), 2);
    EXPECT_TRUE(refused.ended());
  }
  Agent udp = connect();
  EXPECT_EQ(socks(udp, std::string("\x05\x03\0\x01\0\0\0\0\0\x01", 10)), 7);
  Agent old = connect();
  old.send("\x04\x01");
  EXPECT_TRUE(old.ended());
}

TEST_F(Proxy, an_address_that_stands_for_a_name_is_that_name) {
  const std::string address = *rig.resolve("api.example.com");
  Agent agent = connect();
  agent.send(fmt::format("CONNECT {}:80 HTTP/1.1\r\nHost: {}\r\n\r\n", address, address));
  EXPECT_EQ(agent.read_bytes(kEstablished.size()), kEstablished);
  agent.host = "api.example.com";
  EXPECT_EQ(agent.get("/a/x").status, 200);
}

TEST_F(Proxy, its_name_resolves_without_being_listed_and_is_no_destination) {
  EXPECT_TRUE(rig.resolve(kProxyName)->starts_with("198.18."));
  EXPECT_EQ(rig.resolve("saw.internal"), std::nullopt);
  Agent agent = rig.connect(std::string(kProxyName), 443);
  EXPECT_FALSE(agent.connected());
  EXPECT_EQ(rig.dials(), 0);
}

}  // namespace
}  // namespace saw::egress::rig
