// saw-egress end to end, with the test as agent, internet, perimeter and sawd.
#include "egress/engine.h"

#include <gtest/gtest.h>

#include "egress/egress_rig.h"

namespace saw::egress::rig {
namespace {

constexpr std::string_view kApi = "  - name: api\n    to: {hosts: [api.example.com], ports: [443]}\n    allow: [{methods: [GET, POST], paths: [\"/**\"]}]\n";
constexpr std::string_view kPlain = "  - name: plain\n    to: {hosts: [plain.example.com], ports: [80]}\n    tls: none\n    allow: [{methods: [GET, POST], paths: [\"/**\"]}]\n";

std::string echo(const OriginRequest& request) { return ok(request.method + " " + request.target + " " + request.body); }

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

}  // namespace
}  // namespace saw::egress::rig
