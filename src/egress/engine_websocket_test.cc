// WebSocket through a whole saw-egress: the test is the agent and the server, frame by frame.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "egress/egress_rig.h"
#include "egress/websocket.h"

namespace saw::egress::rig {
namespace {

using testing::HasSubstr;

constexpr std::string_view kChat = R"(
  - name: chat
    to: {hosts: [ws.example.com], paths: ["/chat"]}
    protocol: websocket
    limits: {requestBytes: 4KiB}
    allow: [{paths: [/chat], messages: ["hello*"]}]
    review: [{paths: [/chat], messages: ["buy *"]}]
    deny: [{messages: ["hello secret*"]}]
)";
constexpr std::string_view kBinary = R"(
  - {name: chat, to: {hosts: [ws.example.com]}, protocol: websocket, allow: [{paths: [/chat], binary: allow}]}
)";
constexpr std::string_view kKey = "dGhlIHNhbXBsZSBub25jZQ==";

std::string handshake(std::string_view extra = "", std::string_view target = "/chat") {
  return fmt::format(
      "GET {} HTTP/1.1\r\nHost: ws.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {}\r\n{}\r\n",
      target, kKey, extra);
}
std::string accepted(const OriginRequest& request, std::string_view extra = "") {
  return fmt::format(
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Accept: {}\r\n{}\r\n",
      ws_accept(request.field("sec-websocket-key")), extra);
}

// The next message from that side, as "kind:payload" ("close1008:…"), or "" at the end.
template <class Side> std::string next(Side& side, WsSide sender) {
  WsReader reader(sender, 10u << 20);
  while (true) {
    const std::string one = side.read_bytes(1);
    if (one.empty()) return "";
    WsReader::Step step;
    std::string held = one;
    while (true) {
      step = reader.step(held);
      held.erase(0, step.consumed);
      if (step.close_code) return "broken";
      if (step.message) {
        const char* names[] = {"", "text", "binary", "", "", "", "", "", "close", "ping", "pong"};
        std::string kind = names[static_cast<int>(step.message->kind)];
        if (step.message->kind == WsKind::close) kind += std::to_string(step.message->close_code);
        return kind + ":" + step.message->payload;
      }
      if (step.consumed > 0) continue;
      const std::string more = side.read_bytes(1);
      if (more.empty()) return "";
      held += more;
    }
  }
}

class EngineWebSocket : public testing::Test {
 protected:
  void start(std::string_view network = kChat) {
    rig_.serve_stream("ws.example.com", 443, [this](const OriginRequest& request, OriginStream& stream) {
      server(request, stream);
    });
    ASSERT_EQ(rig_.configure(Rig::policy(network)), "");
  }
  // Echoes until the agent says goodbye; what it got, it keeps.
  void server(const OriginRequest& request, OriginStream& stream) {
    request_ = request;
    stream.send(answer_.empty() ? accepted(request, extra_) : answer_);
    stream.send(greeting_);
    for (std::string got; !(got = next(stream, WsSide::client)).empty();) {
      {
        std::lock_guard guard(lock_);
        got_.push_back(got);
      }
      if (got.starts_with("close")) {
        stream.send(ws_close(WsSide::server, 1000, "bye"));
        return;
      }
      if (got.starts_with("text:"))
        stream.send(ws_frame(WsSide::server, WsKind::text, "echo " + got.substr(5)));
    }
  }
  Agent open(std::string_view extra = "") {
    Agent agent = rig_.connect("ws.example.com", 443);
    agent.send(handshake(extra));
    head_ = agent.read_until("\r\n\r\n");
    return agent;
  }
  static void say(Agent& agent, std::string_view text) {
    agent.send(ws_frame(WsSide::client, WsKind::text, text));
  }
  std::vector<std::string> got() {
    std::lock_guard guard(lock_);
    return got_;
  }

  std::mutex lock_;
  std::vector<std::string> got_;
  OriginRequest request_;
  std::string answer_, extra_, greeting_, head_;
  Rig rig_;  // last: its threads use the others
};

TEST_F(EngineWebSocket, what_is_said_counts_as_upload_and_ends_where_the_limit_does) {
  start(R"(
  - name: chat
    to: {hosts: [ws.example.com], paths: ["/chat"]}
    protocol: websocket
    limits: {uploadBytesPerHour: 2KiB}
    allow: [{paths: [/chat], messages: ["hello*"]}]
)");
  Agent agent = open();
  const std::string text = "hello" + std::string(1000, 'x');
  say(agent, text);
  EXPECT_EQ(next(agent, WsSide::server), "text:echo " + text);
  say(agent, text);
  EXPECT_THAT(next(agent, WsSide::server), HasSubstr("close1008:limit.upload_bytes_per_hour"));
}

TEST_F(EngineWebSocket, allowed_messages_pass_both_ways_and_each_is_recorded) {
  start();
  Agent agent = open("Sec-WebSocket-Extensions: permessage-deflate\r\nOrigin: https://a.example\r\n");
  EXPECT_THAT(head_, HasSubstr("HTTP/1.1 101 "));
  EXPECT_THAT(head_, HasSubstr("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
  say(agent, "hello");
  EXPECT_EQ(next(agent, WsSide::server), "text:echo hello");
  agent.send(std::string("\x01\x83\0\0\0\0hel\x80\x84\0\0\0\0lo 2", 19));
  EXPECT_EQ(next(agent, WsSide::server), "text:echo hello 2") << "fragments are put together";
  agent.send(ws_close(WsSide::client, 1000, "with a message in it"));
  EXPECT_EQ(next(agent, WsSide::server), "close1000:");
  EXPECT_TRUE(agent.ended());
  EXPECT_EQ(request_.field("sec-websocket-extensions"), "");
  EXPECT_EQ(request_.field("origin"), "https://a.example");
  EXPECT_EQ(rig_.count_events({"was allowed", "open a WebSocket"}), 1);
  EXPECT_EQ(rig_.count_events({"was allowed", "text message", "network.chat.allow[0]", "request_digest"}, 2),
            2);
  EXPECT_THAT(got(), testing::ElementsAre("text:hello", "text:hello 2", "close1000:"));
}

TEST_F(EngineWebSocket, a_denied_message_closes_with_the_reason_and_goes_nowhere) {
  start();
  Agent agent = open();
  say(agent, "rm -rf");
  EXPECT_EQ(next(agent, WsSide::server), "close1008:policy.default_deny: default-deny");
  EXPECT_TRUE(agent.ended());
  Agent other = open();
  say(other, "hello");
  EXPECT_EQ(next(other, WsSide::server), "text:echo hello");
  say(other, "hello secret plan");
  EXPECT_EQ(next(other, WsSide::server), "close1008:policy.denied: denied-by-rule");
  other.ended();
  EXPECT_EQ(rig_.count_events({"was denied", "network.chat.deny[0]", "text message"}), 1);
  EXPECT_THAT(got(), testing::Each(testing::Not(HasSubstr("rm"))));
  EXPECT_THAT(got(), testing::Each(testing::Not(HasSubstr("secret"))));
}

TEST_F(EngineWebSocket, a_message_may_wait_for_a_person) {
  start();
  Agent agent = open();
  say(agent, "buy 10");
  auto asked = rig_.next_ask();
  ASSERT_TRUE(asked.has_value());
  EXPECT_THAT(asked->preview,
              HasSubstr("text message on the WebSocket https://ws.example.com/chat\n\nbuy 10"));
  EXPECT_EQ(asked->rule, "network.chat.review[0]");
  EXPECT_TRUE(got().empty());
  rig_.answer(*asked, ReviewOutcome::approved);
  EXPECT_EQ(next(agent, WsSide::server), "text:echo buy 10");
  say(agent, "buy 20");
  asked = rig_.next_ask();
  ASSERT_TRUE(asked.has_value());
  rig_.answer(*asked, ReviewOutcome::denied, "too much");
  EXPECT_EQ(next(agent, WsSide::server), "close1008:review.denied: a person refused this request: too much");
}

TEST_F(EngineWebSocket, binary_passes_only_where_the_rule_says_so) {
  start();
  Agent agent = open();
  agent.send(ws_frame(WsSide::client, WsKind::binary, "hello"));
  EXPECT_EQ(next(agent, WsSide::server), "close1008:policy.default_deny: websocket-binary");
  ASSERT_EQ(rig_.configure(Rig::policy(kBinary)), "");
  Agent other = open();
  other.send(ws_frame(WsSide::client, WsKind::binary, std::string("\0\xff", 2)));
  say(other, "anything");
  EXPECT_EQ(next(other, WsSide::server), "text:echo anything");
  EXPECT_EQ(got().at(got().size() - 2), std::string("binary:\0\xff", 9));
}

TEST_F(EngineWebSocket, frames_that_two_readers_could_take_differently_end_the_connection) {
  start();
  const std::pair<std::string, std::string> cases[] = {
      {std::string("\x81\x05hello", 7), "close1002:websocket:mask"},
      {std::string("\xc1\x80\0\0\0\0", 6), "close1002:websocket:reserved-bits-or-length"},
      {std::string("\x80\x80\0\0\0\0", 6), "close1002:websocket:fragments"},
      {std::string("\x81\x82\0\0\0\0\xc0\xaf", 8), "close1007:websocket:not-utf8"},
      {std::string("\x81\xfe\x20\0\0\0\0\0", 8), "close1009:websocket:oversized"},
      {"GET /chat HTTP/1.1\r\nHost: ws.example.com\r\n\r\n", "close1002:websocket:reserved-bits-or-length"}};
  for (const auto& [bytes, wanted] : cases) {
    Agent agent = open();
    agent.send(bytes);
    EXPECT_EQ(next(agent, WsSide::server), wanted);
    EXPECT_TRUE(agent.ended());
  }
  EXPECT_THAT(got(), testing::Each(testing::StartsWith("close")));
}

TEST_F(EngineWebSocket, pings_are_answered_on_either_side_and_never_passed_on) {
  greeting_ = ws_frame(WsSide::server, WsKind::ping, "are you there");
  start();
  Agent agent = open();
  agent.send(ws_frame(WsSide::client, WsKind::ping, "smuggled"));
  EXPECT_EQ(next(agent, WsSide::server), "pong:smuggled");
  say(agent, "hello");
  EXPECT_EQ(next(agent, WsSide::server), "text:echo hello");
  EXPECT_THAT(got(), testing::UnorderedElementsAre("pong:are you there", "text:hello"));
}

TEST_F(EngineWebSocket, the_servers_goodbye_and_its_death_reach_the_agent) {
  greeting_ = ws_close(WsSide::server, 1012, "restarting");
  start();
  Agent agent = open();
  EXPECT_EQ(next(agent, WsSide::server), "close1012:restarting");
  agent.send(ws_close(WsSide::client, 1012, ""));
  EXPECT_TRUE(agent.ended());
  greeting_ = std::string("\x81\x85masked", 8);
  Agent other = open();
  EXPECT_EQ(next(other, WsSide::server), "close1011:websocket:mask");
  EXPECT_EQ(rig_.count_events({"was denied", "websocket:mask"}), 1);
}

TEST_F(EngineWebSocket, both_sides_of_the_handshake_are_checked) {
  start();
  Agent agent = rig_.connect("ws.example.com", 443);
  agent.send(
      "GET /chat HTTP/1.1\r\nHost: ws.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Version: 13\r\n\r\n");
  EXPECT_EQ(agent.read_answer().status, 400);
  for (const std::string& bad :
       {std::string("HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
                    "AAAA\r\n\r\n"),
        "HTTP/1.1 101 X\r\nUpgrade: raw\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + ws_accept(kKey) +
            "\r\n\r\n",
        "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
            ws_accept(kKey) + "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"}) {
    answer_ = bad;
    Agent other = rig_.connect("ws.example.com", 443);
    other.send(handshake());
    EXPECT_EQ(other.read_answer().code(), "upstream.handshake") << bad;
  }
  answer_ = "HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy";
  Agent last = rig_.connect("ws.example.com", 443);
  last.send(handshake());
  EXPECT_EQ(last.read_answer().status, 503) << "a refusal of the server's is an answer like any";
}

TEST_F(EngineWebSocket, an_upgrade_needs_a_rule_and_other_upgrades_are_refused) {
  start(std::string(kChat) +
        "  - {name: web, to: {hosts: [ws.example.com], paths: [/web]}, allow: [{methods: [GET]}]}\n");
  auto ask = [&](const std::string& bytes) {
    Agent agent = rig_.connect("ws.example.com", 443);
    agent.send(bytes);
    return agent.read_answer().code();
  };
  EXPECT_EQ(ask(handshake("", "/other")), "policy.default_deny");
  EXPECT_EQ(ask(handshake("", "/web")), "policy.default_deny") << "plain HTTP is no licence to upgrade";
  EXPECT_EQ(ask("GET /chat HTTP/1.1\r\nHost: ws.example.com\r\n\r\n"), "policy.default_deny");
  EXPECT_EQ(ask("GET /web HTTP/1.1\r\nHost: ws.example.com\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n"),
            "request.upgrade");
  EXPECT_EQ(rig_.dials(), 0);
}

TEST_F(EngineWebSocket,
       a_policy_that_no_longer_admits_it_ends_it_and_a_narrower_one_judges_the_next_message) {
  start();
  Agent agent = open();
  say(agent, "hello");
  EXPECT_EQ(next(agent, WsSide::server), "text:echo hello");
  ASSERT_EQ(rig_.configure(Rig::policy("  - {name: chat, to: {hosts: [ws.example.com]}, protocol: websocket, "
                                       "allow: [{paths: [/chat], messages: [hi]}]}\n")),
            "");
  say(agent, "hello");
  EXPECT_THAT(next(agent, WsSide::server), HasSubstr("close1008:"));
  Agent other = open();
  say(other, "hi");
  EXPECT_EQ(next(other, WsSide::server), "text:echo hi");
  ASSERT_EQ(rig_.configure(Rig::policy("  - {name: chat, to: {hosts: [ws.example.com]}, protocol: websocket, "
                                       "allow: [{paths: [/elsewhere]}]}\n")),
            "");
  EXPECT_EQ(next(other, WsSide::server), "") << "at once, without another message";
}

TEST_F(EngineWebSocket, a_secret_is_injected_scrubbed_and_its_rotation_ends_the_connection) {
  rig_.secrets = {{"token", "s3cret-token-0001"}, {"other", "other-secret-0002"}};
  rig_.placeholders = {{"token", "placeholder-token"}, {"other", "placeholder-other"}};
  const std::string policy = R"(
  - name: chat
    to: {hosts: [ws.example.com]}
    protocol: websocket
    credential: c
    allow: [{paths: [/chat]}]
  - {name: o, to: {hosts: [o.example.com]}, credential: o, allow: [{methods: [GET]}]}
credentials:
  c: {secret: token, inject: {header: Authorization, format: "Bearer {secret}"}, only: [chat]}
  o: {secret: other, inject: {header: Authorization, format: "Bearer {secret}"}, only: [o]}
)";
  greeting_ = ws_frame(WsSide::server, WsKind::text, "your token is s3cret-token-0001!");
  start(policy);
  Agent agent = open("Authorization: Bearer mine\r\n");
  EXPECT_EQ(request_.field("authorization"), "Bearer s3cret-token-0001");
  const std::string seen = next(agent, WsSide::server);
  EXPECT_THAT(seen, testing::Not(HasSubstr("s3cret")));
  EXPECT_THAT(seen, testing::AllOf(HasSubstr("text:your token is "), testing::EndsWith("!")));
  say(agent, "placeholder-");
  EXPECT_THAT(next(agent, WsSide::server), HasSubstr("text:echo"));
  say(agent, "other");
  EXPECT_THAT(next(agent, WsSide::server), HasSubstr("close1008:credential.placeholder_misused"))
      << "in two messages";
  Agent lasting = open();
  next(lasting, WsSide::server);
  rig_.secrets["token"] = "s3cret-token-0003";
  ASSERT_EQ(rig_.configure(Rig::policy(policy)), "");
  EXPECT_EQ(next(lasting, WsSide::server), "");
}

}  // namespace
}  // namespace saw::egress::rig
