// saw-egress end to end, with the test as agent, internet, perimeter and sawd.
#include "egress/engine.h"

#include <gtest/gtest.h>

#include "egress/egress_rig.h"

namespace saw::egress::rig {
namespace {

constexpr std::string_view kApi =
    "  - name: api\n    to: {hosts: [api.example.com], ports: [443]}\n    allow: [{methods: [GET, POST], "
    "paths: [\"/**\"]}]\n";
constexpr std::string_view kPlain =
    "  - name: plain\n    to: {hosts: [plain.example.com], ports: [80]}\n    tls: none\n    allow: "
    "[{methods: [GET, POST], paths: [\"/**\"]}]\n";

std::string echo(const OriginRequest& request) {
  return ok(request.method + " " + request.target + " " + request.body);
}

TEST(Engine, an_allowed_request_reaches_the_origin_and_its_answer_comes_back) {
  Rig rig;
  rig.serve("api.example.com", 443, echo);
  ASSERT_EQ(rig.configure(Rig::policy(kApi)), "");
  Agent agent = rig.connect("api.example.com", 443);
  ASSERT_TRUE(agent.connected());
  Answer answer = agent.get("/a/b?c=d");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "GET /a/b?c=d ");
  EXPECT_EQ(rig.count_events({"\"api.example.com\"", "trace-1", "was allowed"}), 1);
}

TEST(Engine, an_unlisted_host_does_not_resolve_and_its_address_answers_with_the_reason) {
  Rig rig;
  rig.serve("evil.example", 443, echo);
  ASSERT_EQ(rig.configure(Rig::policy(kApi)), "");
  EXPECT_EQ(rig.resolve("evil.example"), std::nullopt);
  Agent agent = rig.connect("evil.example", 443);
  ASSERT_TRUE(agent.connected());
  Answer answer = agent.get("/");
  EXPECT_EQ(answer.status, 403);
  EXPECT_EQ(answer.code(), "policy.default_deny");
  EXPECT_EQ(rig.dials(), 0);
  EXPECT_EQ(rig.count_events({"evil.example", "was denied the name"}), 1);
}

TEST(Engine, plain_http_works_where_the_policy_says_so) {
  Rig rig;
  rig.serve("plain.example.com", 80, echo);
  ASSERT_EQ(rig.configure(Rig::policy(kPlain)), "");
  Agent agent = rig.connect("plain.example.com", 80);
  EXPECT_EQ(agent.get("/x").body, "GET /x ");
}

TEST(Engine, many_requests_share_one_connection_on_both_sides) {
  Rig rig;
  rig.serve("api.example.com", 443, echo);
  ASSERT_EQ(rig.configure(Rig::policy(kApi)), "");
  Agent agent = rig.connect("api.example.com", 443);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(agent.get(fmt::format("/{}", i)).body, fmt::format("GET /{} ", i));
  agent.send(
      "GET /p1 HTTP/1.1\r\nHost: api.example.com\r\n\r\nGET /p2 HTTP/1.1\r\nHost: api.example.com\r\n\r\n");
  EXPECT_EQ(agent.read_answer().body, "GET /p1 ");
  EXPECT_EQ(agent.read_answer().body, "GET /p2 ");
  EXPECT_EQ(rig.dials(), 1);
}

TEST(Engine, a_denied_request_says_which_rule_and_how_to_ask_and_the_connection_lives_on) {
  Rig rig;
  rig.serve("api.example.com", 443, echo);
  ASSERT_EQ(
      rig.configure(Rig::policy("  - name: api\n    to: {hosts: [api.example.com]}\n    allow: [{methods: "
                                "[GET], paths: [\"/ok\"]}]\n    deny: [{paths: [\"/never\"]}]\n")),
      "");
  Agent agent = rig.connect("api.example.com", 443);
  Answer unmatched = agent.get("/other");
  EXPECT_EQ(unmatched.status, 403);
  EXPECT_EQ(unmatched.code(), "policy.default_deny");
  EXPECT_NE(
      unmatched.body.find(
          "\"ask\":\"ask the workspace's owner to add host api.example.com port 443 method GET path /other"),
      std::string::npos)
      << unmatched.body;
  Answer matched = agent.get("/never");
  EXPECT_EQ(matched.code(), "policy.denied");
  EXPECT_NE(matched.body.find("network.api.deny[0]"), std::string::npos) << matched.body;
  EXPECT_EQ(agent.get("/ok").status, 200);
  EXPECT_EQ(rig.received().size(), 1u);
  EXPECT_EQ(rig.count_events({"was denied", "/never", "network.api.deny[0]"}), 1);
}

TEST(Engine, bodies_pass_whatever_their_framing) {
  Rig rig;
  rig.serve("api.example.com", 443, [](const OriginRequest& request) -> std::string {
    if (request.target == "/chunked")
      return "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n";
    if (request.target == "/close") return "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end";
    if (request.target == "/empty") return "HTTP/1.1 204 No Content\r\n\r\n";
    return ok(std::to_string(request.body.size()));
  });
  ASSERT_EQ(rig.configure(Rig::policy(kApi)), "");
  Agent agent = rig.connect("api.example.com", 443);
  EXPECT_EQ(agent.get("/chunked").body, "hello world");
  EXPECT_EQ(agent.get("/empty").status, 204);
  EXPECT_EQ(agent.post("/len", "12345").body, "5");
  agent.send(
      "POST /c HTTP/1.1\r\nHost: api.example.com\r\nTransfer-Encoding: "
      "chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n");
  EXPECT_EQ(agent.read_answer().body, "7");
  EXPECT_EQ(rig.received().back().body, "abcdefg");
}

TEST(Engine, an_answer_that_ends_with_its_connection_passes_whole) {
  Rig rig;
  rig.serve("plain.example.com", 80, [](const OriginRequest&) { return std::string(); });
  ASSERT_EQ(rig.configure(Rig::policy(kPlain)), "");
  Agent agent = rig.connect("plain.example.com", 80);
  Answer answer = agent.get("/");
  EXPECT_EQ(answer.status, 502);
  EXPECT_EQ(answer.code(), "upstream.closed");
}

TEST(Engine, large_bodies_pass_in_both_directions) {
  Rig rig;
  const std::string large(8u << 20, 'x');
  rig.serve("api.example.com", 443, [&](const OriginRequest& request) { return ok(request.body); });
  ASSERT_EQ(rig.configure(Rig::policy(kApi)), "");
  Agent agent = rig.connect("api.example.com", 443);
  EXPECT_EQ(agent.post("/up", large).body.size(), large.size());
}

TEST(Engine, expect_100_continue_is_answered_after_the_decision) {
  Rig rig;
  rig.serve("api.example.com", 443, echo);
  ASSERT_EQ(rig.configure(Rig::policy(kApi)), "");
  Agent agent = rig.connect("api.example.com", 443);
  agent.send(
      "POST /a HTTP/1.1\r\nHost: api.example.com\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(agent.read_answer().status, 100);
  agent.send("body");
  EXPECT_EQ(agent.read_answer().body, "POST /a body");
  agent.send("PUT /a HTTP/1.1\r\nHost: api.example.com\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(agent.read_answer().status, 403) << "a refused request is not asked for its body";
}

TEST(Engine, a_request_that_readers_could_understand_differently_is_answered_400) {
  Rig rig;
  rig.serve("api.example.com", 443, echo);
  ASSERT_EQ(rig.configure(Rig::policy(kApi)), "");
  for (std::string_view bad : {"GET / HTTP/1.1\r\nHost: api.example.com\r\nHost: api.example.com\r\n\r\n",
                               "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n",
                               "GET https://evil.example/ HTTP/1.1\r\nHost: api.example.com\r\n\r\n",
                               "GET /a%2fb HTTP/1.1\r\nHost: api.example.com\r\n\r\n",
                               "POST / HTTP/1.1\r\nHost: api.example.com\r\nContent-Length: "
                               "3\r\nTransfer-Encoding: chunked\r\n\r\n"}) {
    Agent agent = rig.connect("api.example.com", 443);
    agent.send(bad);
    Answer answer = agent.read_answer();
    EXPECT_EQ(answer.status, 400) << bad;
    EXPECT_EQ(answer.code(), "request.malformed");
    EXPECT_TRUE(agent.ended());
  }
  EXPECT_TRUE(rig.received().empty());
  Agent agent = rig.connect("api.example.com", 443);
  agent.send("GET https://api.example.com/a HTTP/1.1\r\nHost: api.example.com\r\n\r\n");
  EXPECT_EQ(agent.read_answer().body, "GET /a ");
}

TEST(Engine, a_server_name_other_than_the_destination_is_refused_readably) {
  Rig rig;
  rig.serve("api.example.com", 443, echo);
  ASSERT_EQ(rig.configure(Rig::policy(kApi)), "");
  Agent fronting = rig.connect("api.example.com", 443, {.sni = "other.example.com"});
  fronting.host = "api.example.com";
  EXPECT_FALSE(fronting.get("/").status == 200);
  Agent unnamed = rig.connect("api.example.com", 443, {.sni = ""});
  EXPECT_EQ(unnamed.get("/").status, 400);
  EXPECT_TRUE(rig.received().empty());
}

TEST(Engine, a_literal_address_is_judged_as_what_it_is) {
  Rig rig;
  rig.serve("api.example.com", 443, echo);
  ASSERT_EQ(rig.configure(Rig::policy(kApi)), "");
  Agent agent = rig.connect("api.example.com", 443, {.address = "93.184.216.34"});
  Answer answer = agent.get("/");
  EXPECT_EQ(answer.status, 403);
  EXPECT_EQ(answer.code(), "policy.default_deny");
  Agent metadata = rig.connect("169.254.169.254", 80, {.address = "169.254.169.254"});
  EXPECT_EQ(metadata.get("/latest/meta-data").status, 403);
  EXPECT_EQ(rig.dials(), 0);
}

TEST(Engine, what_speaks_neither_http_nor_tls_is_closed_and_recorded) {
  Rig rig;
  ASSERT_EQ(rig.configure(Rig::policy(kApi)), "");
  Agent agent = rig.connect("93.184.216.34", 22, {.address = "93.184.216.34"});
  agent.send(std::string("\x00\x01\x02", 3));
  EXPECT_TRUE(agent.ended());
  EXPECT_EQ(rig.count_events({"93.184.216.34", "was denied a connection", "policy.default_deny"}), 1);
}

TEST(Engine, a_client_that_waits_for_the_server_to_speak_is_refused_soon) {
  Rig rig;
  ASSERT_EQ(rig.configure(Rig::policy(kApi)), "");
  Agent agent = rig.connect("93.184.216.34", 22, {.address = "93.184.216.34"});
  EXPECT_TRUE(agent.ended());
  EXPECT_EQ(rig.count_events({"93.184.216.34", "was denied a connection", "policy.default_deny"}), 1);
}

TEST(Engine, the_perimeter_refuses_what_the_policy_allows) {
  Rig rig;
  ASSERT_EQ(rig.configure(Rig::policy(kApi)), "");
  Answer answer = rig.connect("api.example.com", 443).get("/");
  EXPECT_EQ(answer.status, 502);
  EXPECT_EQ(answer.code(), "perimeter.not_listed");
  EXPECT_NE(answer.body.find("\"layer\":\"perimeter\""), std::string::npos);
}

TEST(Engine, an_origin_that_cannot_prove_its_name_gets_nothing) {
  Rig rig;
  rig.serve("api.example.com", 443, echo, Rig::Trust::no);
  ASSERT_EQ(rig.configure(Rig::policy(kApi)), "");
  Answer answer = rig.connect("api.example.com", 443).get("/");
  EXPECT_EQ(answer.status, 502);
  EXPECT_EQ(answer.code(), "upstream.tls");
  EXPECT_TRUE(rig.received().empty());
}

TEST(Engine, names_are_answered_by_the_policy_alone) {
  Rig rig;
  ASSERT_EQ(rig.configure(Rig::policy(kApi)), "");
  auto first = rig.resolve("api.example.com");
  ASSERT_TRUE(first.has_value());
  EXPECT_TRUE(first->starts_with("198.18.")) << *first;
  EXPECT_EQ(rig.resolve("API.example.com"), first);
  EXPECT_EQ(rig.resolve("api.example.com", 28), "") << "no AAAA, but the name exists";
  EXPECT_EQ(rig.resolve("data.exfil.example", 28), std::nullopt);
  for (int i = 0; i < 5; ++i) rig.resolve("data.exfil.example");
  EXPECT_EQ(rig.count_events({"data.exfil.example"}), 1) << "repeats are counted, not repeated";
}

TEST(Engine, plain_http_to_a_tls_destination_is_refused) {
  Rig rig;
  rig.serve("api.example.com", 443, echo);
  ASSERT_EQ(rig.configure(Rig::policy(kApi)), "");
  Answer answer = rig.connect("api.example.com", 443, {.tls = false}).get("/");
  EXPECT_EQ(answer.status, 403);
  EXPECT_EQ(answer.code(), "policy.tls_required");
}

TEST(Engine, a_policy_that_no_longer_admits_a_destination_ends_its_connections) {
  Rig rig;
  rig.serve("api.example.com", 443, echo);
  ASSERT_EQ(rig.configure(Rig::policy(kApi)), "");
  Agent agent = rig.connect("api.example.com", 443);
  EXPECT_EQ(agent.get("/").status, 200);
  ASSERT_EQ(rig.configure(Rig::policy(kPlain)), "");
  EXPECT_TRUE(agent.ended());
}

TEST(Engine, a_narrower_policy_holds_for_the_next_request_on_an_open_connection) {
  Rig rig;
  rig.serve("api.example.com", 443, echo);
  ASSERT_EQ(rig.configure(Rig::policy(kApi)), "");
  Agent agent = rig.connect("api.example.com", 443);
  EXPECT_EQ(agent.get("/a").status, 200);
  ASSERT_EQ(rig.configure(Rig::policy("  - name: api\n    to: {hosts: [api.example.com]}\n    allow: "
                                      "[{methods: [GET], paths: [\"/b\"]}]\n")),
            "");
  EXPECT_EQ(agent.get("/a").status, 403);
  EXPECT_EQ(agent.get("/b").status, 200);
}

TEST(Engine, a_bad_policy_changes_nothing) {
  Rig rig;
  rig.serve("api.example.com", 443, echo);
  ASSERT_EQ(rig.configure(Rig::policy(kApi)), "");
  EXPECT_NE(rig.configure("nonsense: true"), "");
  // Valid, but with a rule that saw-egress does not enforce.
  EXPECT_NE(rig.configure(Rig::policy(std::string(kApi) + "budget: {perDay: {tokens: 1}}\n"))
                .find("policy.not_available_yet"),
            std::string::npos);
  EXPECT_EQ(rig.connect("api.example.com", 443).get("/").status, 200);
}

TEST(Engine, without_a_policy_nothing_passes) {
  Rig rig;
  Agent agent = rig.connect("api.example.com", 80, {.address = "198.18.1.0"});
  agent.send("GET / HTTP/1.1\r\nHost: api.example.com\r\n\r\n");
  EXPECT_EQ(agent.read_answer().status, 0);
}

TEST(Engine, unbinding_ends_every_connection_of_the_channel) {
  Rig rig;
  rig.serve("api.example.com", 443, echo);
  ASSERT_EQ(rig.configure(Rig::policy(kApi)), "");
  Agent agent = rig.connect("api.example.com", 443);
  EXPECT_EQ(agent.get("/").status, 200);
  rig.unbind();
  EXPECT_TRUE(agent.ended());
}

TEST(Engine, no_authority_outlives_the_control_link) {
  Rig rig;
  ASSERT_EQ(rig.configure(Rig::policy(kApi)), "");
  rig.close_control();
  EXPECT_TRUE(rig.engine_ended());
}

}  // namespace
}  // namespace saw::egress::rig
