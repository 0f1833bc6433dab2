// Rates, concurrency, uploads and budgets as an agent meets them.
#include <thread>

#include <gtest/gtest.h>

#include "egress/egress_rig.h"

namespace saw::egress::rig {
namespace {

std::string entry(std::string_view limits, std::string_view rest = "") {
  return Rig::policy(
      fmt::format("  - name: api\n    to: {{hosts: [api.example.com], ports: [80]}}\n    tls: none\n"
                  "    allow: [{{methods: [GET, POST, DELETE], paths: [\"/**\"]}}]\n    limits: {{{}}}\n{}",
                  limits, rest));
}
std::string echo(const OriginRequest& request) {
  return ok(request.method + " " + request.target);
}

class Limits : public testing::Test {
 protected:
  void start(std::string_view limits, std::string_view rest = "") {
    rig.serve("api.example.com", 80, echo);
    ASSERT_EQ(rig.configure(entry(limits, rest)), "");
  }
  Agent connect() { return rig.connect("api.example.com", 80); }
  Rig rig;
};

TEST_F(Limits, the_request_too_many_is_told_when_to_come_again_and_how_to_ask) {
  start("requestsPerMinute: 3");
  Agent agent = connect();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(agent.get("/a").status, 200);
  Answer answer = agent.get("/a");
  EXPECT_EQ(answer.status, 429);
  EXPECT_EQ(answer.code(), "limit.requests_per_minute");
  const int seconds = std::atoi(answer.field("retry-after").c_str());
  EXPECT_GT(seconds, 50);
  EXPECT_LT(seconds, 68);
  EXPECT_NE(answer.body.find("\"layer\":\"runtime\""), std::string::npos);
  EXPECT_NE(answer.body.find("\"rule\":\"network.api.limits.requestsPerMinute\""), std::string::npos);
  EXPECT_NE(answer.body.find("ask the workspace's owner"), std::string::npos);
  EXPECT_EQ(connect().get("/b").status, 429) << "another connection is the same agent";
  EXPECT_EQ(rig.received().size(), 3u);
  EXPECT_EQ(rig.count_events({"limit.requests_per_minute", "was denied"}, 2), 2);
}

TEST_F(Limits, what_is_refused_by_a_rule_uses_nothing_up) {
  start("requestsPerMinute: 2");
  Agent agent = connect();
  for (int i = 0; i < 5; ++i) EXPECT_EQ(rig.connect("api.example.com", 80).get("/../..").status, 400);
  agent.send("PUT /a HTTP/1.1\r\nHost: api.example.com\r\nContent-Length: 0\r\n\r\n");
  EXPECT_EQ(agent.read_answer().status, 403);
  EXPECT_EQ(connect().get("/a").status, 200);
  EXPECT_EQ(connect().get("/a").status, 200);
  EXPECT_EQ(connect().get("/a").status, 429);
}

TEST_F(Limits, destroying_is_rarer_than_reading) {
  start("requestsPerMinute: 20");
  Agent agent = connect();
  int destroyed = 0;
  for (int i = 0; i < 5; ++i) {
    agent.send("DELETE /a HTTP/1.1\r\nHost: api.example.com\r\n\r\n");
    destroyed += agent.read_answer().status == 200 ? 1 : 0;
  }
  EXPECT_EQ(destroyed, 2);
  EXPECT_EQ(agent.get("/a").status, 200);
}

TEST_F(Limits, a_restart_or_another_policy_forgives_nothing) {
  start("requestsPerMinute: 5", "budget: {perDay: {calls: 6}}\n");
  Agent agent = connect();
  for (int i = 0; i < 4; ++i) EXPECT_EQ(agent.get("/a").status, 200);
  ASSERT_EQ(rig.configure(entry("requestsPerMinute: 5, concurrent: 9", "budget: {perDay: {calls: 6}}\n")),
            "");
  EXPECT_EQ(agent.get("/a").status, 200);
  EXPECT_EQ(agent.get("/a").code(), "limit.requests_per_minute");
  Rig next({.ledger = rig.ledger()});
  next.serve("api.example.com", 80, echo);
  ASSERT_EQ(next.configure(entry("requestsPerMinute: 50", "budget: {perDay: {calls: 6}}\n")), "");
  EXPECT_EQ(next.connect("api.example.com", 80).get("/a").status, 200) << "the new limit counts at once";
  EXPECT_EQ(next.connect("api.example.com", 80).get("/a").code(), "budget.calls");
}

TEST_F(Limits, only_so_many_at_once) {
  rig.serve("api.example.com", 80, [](const OriginRequest& request) {
    if (request.target == "/slow") std::this_thread::sleep_for(std::chrono::milliseconds(700));
    return echo(request);
  });
  ASSERT_EQ(rig.configure(entry("concurrent: 1")), "");
  Agent slow = connect();
  slow.send("GET /slow HTTP/1.1\r\nHost: api.example.com\r\n\r\n");
  EXPECT_EQ(rig.count_events({"/slow", "was allowed"}), 1);
  Agent other = connect();
  Answer refused = other.get("/a");
  EXPECT_EQ(refused.code(), "limit.concurrent");
  EXPECT_EQ(refused.field("retry-after"), "1");
  EXPECT_EQ(slow.read_answer().status, 200);
  EXPECT_EQ(connect().get("/a").status, 200);
}

TEST_F(Limits, bytes_out_count_heads_and_bodies_and_a_body_is_cut_where_they_end) {
  start("uploadBytesPerHour: 4KiB");
  EXPECT_EQ(connect().post("/a", std::string(1000, 'x')).status, 200);
  EXPECT_EQ(connect().get("/" + std::string(1000, 'q')).status, 200);
  EXPECT_EQ(connect().post("/a", std::string(3000, 'x')).code(), "limit.upload_bytes_per_hour");
  EXPECT_EQ(connect().post("/a", std::string(100, 'x')).status, 200) << "what fits still goes";
  Agent chunked = connect();
  chunked.send("POST /c HTTP/1.1\r\nHost: api.example.com\r\nTransfer-Encoding: chunked\r\n\r\n");
  for (int i = 0; i < 8; ++i) chunked.send("400\r\n" + std::string(0x400, 'y') + "\r\n");
  EXPECT_EQ(chunked.read_answer().code(), "limit.upload_bytes_per_hour");
  EXPECT_EQ(rig.received().size(), 3u) << "half a body is no request";
}

TEST_F(Limits, a_tunnel_is_cut_where_its_bytes_end) {
  rig.serve_bytes("db.example.com", 5432, [](std::string_view piece) { return std::string(piece); });
  ASSERT_EQ(
      rig.configure(Rig::policy("  - name: db\n    to: {hosts: [db.example.com], ports: [5432]}\n"
                                "    protocol: tcp\n    allow: all\n    limits: {uploadBytesPerHour: 1KiB, "
                                "concurrent: 1}\n")),
      "");
  Agent agent = rig.connect("db.example.com", 5432);
  agent.send(std::string(1000, 'x'));
  EXPECT_EQ(agent.read_bytes(1000).size(), 1000u);
  EXPECT_TRUE(rig.connect("db.example.com", 5432).ended()) << "one at a time";
  EXPECT_EQ(rig.count_events({"limit.concurrent"}), 1);
  agent.send(std::string(100, 'x'));
  EXPECT_TRUE(agent.ended());
  EXPECT_EQ(rig.count_events({"ended (limit.upload_bytes_per_hour)", "1000 bytes out"}), 1);
}

}  // namespace
}  // namespace saw::egress::rig
