// Attacks on what passes beyond plain requests: WebSocket messages, tunnels, answers of MCP servers; each with its benign twin.
#include <chrono>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "egress/egress_rig.h"
#include "egress/mcp_answer.h"
#include "egress/registry_answer.h"
#include "egress/websocket.h"

namespace saw::egress::rig {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr std::string_view kKey = "dGhlIHNhbXBsZSBub25jZQ==";
constexpr std::string_view kChat = R"(
  - name: chat
    to: {hosts: [ws.example.com], paths: ["/chat"]}
    reach: internal
    protocol: websocket
    allow: [{paths: [/chat], messages: ["hello*"]}]
    review: [{paths: [/chat], messages: ["buy *"]}]
)";

std::string corporate(std::string_view network) {
  std::string out = Rig::policy(network);
  const std::string_view local = "profile: local";
  return out.replace(out.find(local), local.size(), "profile: corporate");
}

// Echoes what it is told, frame by frame, as it came.
void serve_echo(Rig& rig) {
  rig.serve_stream("ws.example.com", 443, [](const OriginRequest& request, OriginStream& stream) {
    stream.send(
        fmt::format("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                    "Sec-WebSocket-Accept: {}\r\n\r\n",
                    ws_accept(request.field("sec-websocket-key"))));
    WsReader reader(WsSide::client, 1u << 20);
    std::string held;
    for (std::string more; !(more = stream.read_bytes(1)).empty();) {
      held += more;
      while (true) {
        WsReader::Step step = reader.step(held);
        held.erase(0, step.consumed);
        if (step.message && step.message->kind == WsKind::text)
          stream.send(ws_frame(WsSide::server, WsKind::text, step.message->payload));
        if (step.close_code || (step.message && step.message->kind == WsKind::close)) return;
        if (step.consumed == 0) break;
      }
    }
  });
}

Agent open_chat(Rig& rig) {
  Agent agent = rig.connect("ws.example.com", 443);
  agent.send(fmt::format(
      "GET /chat HTTP/1.1\r\nHost: ws.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {}\r\n\r\n",
      kKey));
  EXPECT_THAT(agent.read_until("\r\n\r\n"), HasSubstr(" 101 "));
  return agent;
}
void say(Agent& agent, std::string_view text) {
  agent.send(ws_frame(WsSide::client, WsKind::text, text));
}
std::string heard(std::string_view text) {
  return ws_frame(WsSide::server, WsKind::text, text);
}

TEST(WebSocketAttack, a_profile_that_waits_for_the_record_lets_no_message_out_before_it) {
  Rig rig;
  serve_echo(rig);
  ASSERT_EQ(rig.configure(corporate(kChat)), "");
  Agent agent = open_chat(rig);
  say(agent, "hello");
  EXPECT_EQ(agent.read_bytes(heard("hello").size()), heard("hello"));
  rig.hold_acknowledgements();
  say(agent, "hello again");
  EXPECT_THAT(agent.read_until("unavailable"), HasSubstr("audit.unavailable"));
}

TEST(WebSocketAttack, an_approval_is_one_messages_and_no_later_one_is_recorded_with_it) {
  Rig rig;
  serve_echo(rig);
  ASSERT_EQ(rig.configure(Rig::policy(kChat)), "");
  Agent agent = open_chat(rig);
  say(agent, "buy 10");
  auto asked = rig.next_ask();
  ASSERT_TRUE(asked.has_value());
  rig.answer(*asked, ReviewOutcome::approved);
  EXPECT_EQ(agent.read_bytes(heard("buy 10").size()), heard("buy 10"));
  say(agent, "hello");
  EXPECT_EQ(agent.read_bytes(heard("hello").size()), heard("hello"));
  EXPECT_EQ(rig.count_events({"was allowed", "text message"}, 2), 2);
  EXPECT_EQ(rig.count_events({"was allowed", "text message", "\"review"}), 1);
}

TEST(WebSocketAttack, it_does_not_live_on_under_an_entry_of_another_name_with_other_limits) {
  Rig rig;
  serve_echo(rig);
  ASSERT_EQ(rig.configure(Rig::policy(kChat)), "");
  Agent agent = open_chat(rig);
  ASSERT_EQ(rig.configure(Rig::policy(kChat) + "# the same\n"), "");
  say(agent, "hello");
  EXPECT_EQ(agent.read_bytes(heard("hello").size()), heard("hello"));
  std::string renamed = Rig::policy(kChat);
  renamed.replace(renamed.find("name: chat"), 10, "name: talk");
  ASSERT_EQ(rig.configure(renamed), "");
  say(agent, "hello");
  EXPECT_EQ(agent.read_bytes(1), "");
}

TEST(TunnelAttack, a_profile_that_waits_for_the_record_opens_no_tunnel_before_it) {
  Rig rig;
  rig.serve_bytes("db.example.com", 5432, [](std::string_view piece) { return std::string(piece); });
  ASSERT_EQ(rig.configure(corporate(
                "  - name: db\n    to: {hosts: [db.example.com], ports: [5432]}\n    reach: internal\n"
                "    protocol: tcp\n    allow: all\n")),
            "");
  Agent first = rig.connect("db.example.com", 5432);
  first.send("select 1");
  EXPECT_EQ(first.read_bytes(8), "select 1");
  rig.hold_acknowledgements();
  Agent second = rig.connect("db.example.com", 5432);
  second.send("select 2");
  EXPECT_EQ(second.read_bytes(8), "");
  EXPECT_EQ(rig.dials(), 1);
}

constexpr std::string_view kTools = R"(
  - name: tools
    to: {hosts: [mcp.example.com], paths: [/mcp]}
    protocol: mcp
    allow: [{methods: [initialize, ping, tools/list]}, {methods: [tools/call], tools: [search_*]}]
)";

std::string listed(std::string_view description) {
  return fmt::format(
      R"({{"jsonrpc":"2.0","id":1,"result":{{"tools":[{{"name":"search_code","description":"{}"}}]}}}})",
      description);
}

TEST(McpAttack, a_server_cannot_flood_the_log_so_that_a_changed_tool_is_not_flagged) {
  Rig rig;
  std::string answer = ok(listed("kind"), "Content-Type: application/json\r\n");
  rig.serve("mcp.example.com", 443, [&](const OriginRequest&) { return answer; });
  ASSERT_EQ(rig.configure(Rig::policy(kTools)), "");
  auto ask = [&] {
    Agent agent = rig.connect("mcp.example.com", 443);
    return agent
        .post("/mcp", R"({"jsonrpc":"2.0","id":1,"method":"tools/list"})",
              "Content-Type: application/json\r\n")
        .body;
  };
  EXPECT_THAT(ask(), HasSubstr("kind"));
  std::string batch = "[";
  for (int i = 0; i < 900; ++i) batch += R"({"jsonrpc":"2.0","id":7,"method":"sampling/createMessage"},)";
  batch.back() = ']';
  const std::string stream = fmt::format("data: {0}\n\ndata: {0}\n\ndata: {1}\n\n", batch, listed("evil"));
  answer = fmt::format("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: {}\r\n\r\n{}",
                       stream.size(), stream);
  rig.hold_acknowledgements();
  const std::string got = ask();
  EXPECT_THAT(got, Not(HasSubstr("evil"))) << "what is not recorded does not pass";
}

TEST(McpAttack, a_message_of_very_many_members_is_refused_at_once) {
  class Everything final : public McpView {
   public:
    bool offers(std::string_view) override { return true; }
    bool may_answer(std::string_view, std::string_view) override { return true; }
    Told saw_tool(std::string_view, const Digest&) override { return Told::recorded; }
    Told withheld(std::string_view) override { return Told::recorded; }
  } view;
  std::string text = R"({"jsonrpc":"2.0","id":1,"result":{)";
  for (int i = 0; i < 150'000; ++i) text += fmt::format("\"{}\":0,", i);
  text.back() = '}';
  text += "}";
  const auto begin = std::chrono::steady_clock::now();
  auto passes = filter_mcp_message(text, view);
  ASSERT_FALSE(passes.has_value());
  EXPECT_EQ(passes.error(), "malformed:json-oversized");
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
}

TEST(RegistryAttack, a_list_of_very_many_members_is_refused_at_once_and_a_long_one_passes) {
  auto list = [](int count) {
    std::string out = "{";
    for (int i = 0; i < count; ++i) out += fmt::format("\"{}\":0,", i);
    out.back() = '}';
    return out;
  };
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_TRUE(
      filter_versions(list(10'000), {.before = 0, .learn = [](std::string_view, Nanos) {}}).has_value());
  EXPECT_FALSE(
      filter_versions(list(150'000), {.before = 0, .learn = [](std::string_view, Nanos) {}}).has_value());
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
}

}  // namespace
}  // namespace saw::egress::rig
