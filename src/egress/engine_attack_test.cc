// Ways to have another request sent than the one that was judged, or to get at a secret; each with its benign
// twin.
#include <atomic>

#include <gtest/gtest.h>

#include "base/bytes.h"
#include "egress/egress_rig.h"
#include "egress/engine.h"
#include "egress/stream.h"

namespace saw::egress::rig {
namespace {

constexpr std::string_view kSecret = "ghp_real_secret_value", kPlaceholder = "SAW-PLACEHOLDER-github";
constexpr std::string_view kShared =
    "  - name: api\n    to: {hosts: [api.example.com], paths: [\"/api/**\"]}\n    credential: github\n"
    "    allow: [{methods: [GET, POST], paths: [\"/**\"]}]\n"
    "  - name: open\n    to: {hosts: [api.example.com], paths: [\"/open/**\"]}\n"
    "    allow: [{methods: [GET, POST], paths: [\"/**\"]}]\n"
    "credentials:\n  github: {secret: github-token, inject: {header: X-Api-Key, format: \"{secret}\"}, only: "
    "[api]}\n";
constexpr std::string_view kReviewed =
    "  - name: api\n    to: {hosts: [api.example.com]}\n    allow: [{methods: [GET], paths: [\"/**\"]}]\n"
    "    review: [{methods: [POST, PUT], paths: [\"/**\"]}]\nreview: {hold: 5s}\n";

std::string echo(const OriginRequest& request) {
  return ok(request.method + " " + request.target + " " + request.body);
}

class Attack : public testing::Test {
 protected:
  void start(std::string_view network, Handler handler = echo) {
    rig.secrets["github-token"] = kSecret;
    rig.placeholders["github-token"] = kPlaceholder;
    rig.serve("api.example.com", 443, std::move(handler));
    ASSERT_EQ(rig.configure(Rig::policy(network)), "");
  }
  Agent connect() { return rig.connect("api.example.com", 443); }
  Rig rig;
};

TEST_F(Attack, entries_that_share_a_host_keep_their_credentials_apart) {
  start(kShared);
  Agent agent = connect();
  EXPECT_EQ(agent.get("/api/x", "X-Api-Key: own\r\nX_Api_Key: own\r\nAuthorization: own\r\n").status, 200);
  EXPECT_EQ(agent.get("/open/x", "X-Api-Key: own\r\n").status, 200);
  auto received = rig.received();
  ASSERT_EQ(received.size(), 2u);
  EXPECT_EQ(received[0].field("x-api-key"), kSecret) << "nothing goes out unauthenticated";
  EXPECT_EQ(received[0].head.find("own"), std::string::npos) << received[0].head;
  EXPECT_EQ(received[1].field("x-api-key"), "own");
  EXPECT_EQ(received[1].head.find(kSecret), std::string::npos);
}

TEST_F(Attack, a_reflected_secret_cannot_be_fetched_piece_by_piece) {
  start(kShared);
  Agent agent = connect();
  for (std::string_view path : {"/api/x", "/open/x"})
    EXPECT_EQ(agent.get(path, "Range: bytes=0-7\r\nIf-Range: \"e\"\r\n").status, 200);
  auto received = rig.received();
  ASSERT_EQ(received.size(), 2u);
  EXPECT_EQ(received[0].field("range") + received[0].field("if-range"), "");
  EXPECT_EQ(received[1].field("range"), "bytes=0-7");
}

TEST_F(Attack, a_second_content_coding_does_not_hide_an_answer) {
  start(kShared, [](const OriginRequest&) {
    return ok("xx", "Content-Encoding: identity\r\nContent-Encoding: gzip\r\n");
  });
  EXPECT_EQ(connect().get("/api/x").code(), "credential.unreadable_answer");
  EXPECT_EQ(connect().get("/open/x").status, 200);
}

TEST_F(Attack, a_secret_is_not_shown_by_another_entry_or_in_another_spelling) {
  start(kShared, [](const OriginRequest& request) {
    const std::string secret(kSecret);
    return request.target == "/open/zip" ? ok("xx", "Content-Encoding: gzip\r\n")
                                         : ok("kept: " + secret + " and more", "X-Kept: " + secret + "\r\n");
  });
  Answer answer = connect().get("/open/last");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ((answer.head + answer.body).find(kSecret), std::string::npos) << answer.body;
  EXPECT_NE(answer.body.find("kept: "), std::string::npos);
  EXPECT_NE(answer.body.find(" and more"), std::string::npos);
  EXPECT_EQ(connect().get("/open/zip").body, "xx") << "only what carried the secret must be readable";
}

// An answer of exactly so many bytes, its head included.
std::string answer_of(size_t total) {
  size_t body = total - ok("").size();
  while (ok(std::string(body, 'x')).size() > total) --body;
  return ok(std::string(body, 'x'));
}

TEST_F(Attack, what_an_origin_sends_behind_its_answer_is_never_taken_for_the_next_one) {
  // One TLS record holds both; our read ends where the answer does, and the rest lies in the TLS library.
  std::atomic<bool> sends_more = true;
  std::atomic<size_t> total = 0;
  start(kShared, [&](const OriginRequest&) { return answer_of(total) + (sends_more ? ok("unasked") : ""); });
  for (const size_t size : {size_t{1000}, Inbound::kFirstReadBytes, Inbound::kFirstReadBytes + 100}) {
    total = size;
    sends_more = true;
    Agent agent = connect();
    const int before = rig.dials();
    for (int i = 0; i < 3; ++i)
      EXPECT_EQ(agent.get("/open/x").body.find("unasked"), std::string::npos) << size;
    EXPECT_EQ(rig.dials(), before + 3) << "a connection with something unasked on it is kept: " << size;
    sends_more = false;
    Agent benign = connect();
    for (int i = 0; i < 3; ++i) EXPECT_EQ(benign.get("/open/x").status, 200);
    EXPECT_EQ(rig.dials(), before + 4) << "a quiet one is not";
  }
}

TEST(AttackOnDescriptors, when_they_run_out_each_channel_still_gets_its_few_and_no_more) {
  Rig rig({.max_connections = 4});
  rig.serve("api.example.com", 80, echo);
  ASSERT_EQ(rig.configure(
                Rig::policy("  - name: api\n    to: {hosts: [api.example.com], ports: [80]}\n    tls: none\n"
                            "    allow: [{methods: [GET], paths: [\"/**\"]}]\n")),
            "");
  std::vector<Agent> agents;
  for (int i = 0; i < 9; ++i) agents.push_back(rig.connect("api.example.com", 80));
  for (Agent& agent : agents) agent.send("GET / HTTP/1.1\r\nHost: api.example.com\r\n\r\n");
  for (int i = 0; i < 8; ++i) EXPECT_EQ(agents[i].read_answer().status, 200) << i;
  EXPECT_FALSE(rig.next_ask(std::chrono::milliseconds(500))) << "time for a ninth, if it were accepted";
  EXPECT_EQ(rig.dials(), 8);
  agents.front().hang_up();
  EXPECT_EQ(agents.back().read_answer().status, 200) << "one came free";
}

TEST_F(Attack, a_placeholder_is_found_behind_escapes) {
  start(kShared);
  EXPECT_EQ(connect().get("/open/x?k=%53AW-PLACEHOLDER%2Dgithub").code(), "credential.placeholder_misused");
  EXPECT_EQ(connect().get("/open/x?k=%53AW-PLACE").status, 200);
}

TEST_F(Attack, a_field_that_connection_drops_does_not_argue_for_the_request) {
  start(
      "  - name: api\n    to: {hosts: [api.example.com]}\n    allow: [{methods: [GET], paths: [\"/**\"], "
      "headers: {X-Mode: safe}}]\n");
  EXPECT_EQ(connect().get("/", "X-Mode: safe\r\nConnection: keep-alive, x-mode\r\n").status, 403);
  EXPECT_TRUE(rig.received().empty());
  EXPECT_EQ(connect().get("/", "X-Mode: safe\r\nConnection: keep-alive, x-other, host\r\n").status, 200);
  EXPECT_EQ(rig.received().back().field("x-mode"), "safe");
}

TEST_F(Attack, fields_that_imitate_framing_are_refused) {
  start(kShared);
  for (std::string_view field : {"Transfer_Encoding: chunked", "content_length: 9", "X-Original-URL: /api/x"})
    EXPECT_EQ(connect().post("/open/x", "abc", std::string(field) + "\r\n").status, 400) << field;
  EXPECT_TRUE(rig.received().empty());
  EXPECT_EQ(connect().post("/open/x", "abc", "api_key: mine\r\n").status, 200);
}

TEST_F(Attack, an_approval_sends_one_request_on_a_connection_of_its_own) {
  start(kReviewed, [](const OriginRequest& request) { return request.method == "PUT" ? "" : echo(request); });
  Agent agent = connect();
  EXPECT_EQ(agent.get("/warm").status, 200);
  agent.send("PUT /pay HTTP/1.1\r\nHost: api.example.com\r\nContent-Length: 1\r\n\r\nx");
  auto ask = rig.next_ask();
  ASSERT_TRUE(ask);
  rig.answer(*ask, ReviewOutcome::approved);
  EXPECT_EQ(agent.read_answer().code(), "upstream.closed");
  EXPECT_EQ(rig.received().size(), 2u) << "sent once, whatever became of it";
  EXPECT_EQ(rig.dials(), 2);
}

TEST_F(Attack, the_digest_of_a_review_covers_the_header_fields) {
  start(kReviewed);
  std::vector<std::string> digests;
  for (std::string_view extra : {"X: 1\r\n", "X: 2\r\n", "X: 1\r\n"}) {
    Agent agent = connect();
    agent.send(
        fmt::format("POST /pay HTTP/1.1\r\nHost: api.example.com\r\n{}Content-Length: 1\r\n\r\nx", extra));
    auto ask = rig.next_ask();
    ASSERT_TRUE(ask);
    digests.push_back(ask->digest);
    rig.answer(*ask, ReviewOutcome::denied);
    EXPECT_EQ(agent.read_answer().code(), "review.denied");
  }
  EXPECT_NE(digests[0], digests[1]);
  EXPECT_EQ(digests[0], digests[2]);
}

TEST_F(Attack, a_preview_says_that_fields_are_missing_from_it) {
  start(kReviewed);
  Agent agent = connect();
  std::string filler;
  for (int i = 0; i < 40; ++i) filler += fmt::format("A{}: {}\r\n", i, std::string(200, 'a'));
  agent.send(fmt::format(
      "POST /pay HTTP/1.1\r\nHost: api.example.com\r\n{}X-Hidden: 1\r\nContent-Length: 1\r\n\r\nx", filler));
  auto ask = rig.next_ask();
  ASSERT_TRUE(ask);
  EXPECT_NE(ask->preview.find("the rest of the header fields is not shown"), std::string::npos);
  EXPECT_LT(ask->preview.size(), 8000u);
}

TEST_F(Attack, an_approval_under_other_rules_of_asking_is_asked_again) {
  start(kReviewed);
  auto hold = [&](Agent& agent) {
    agent.send("POST /pay HTTP/1.1\r\nHost: api.example.com\r\nContent-Length: 1\r\n\r\nx");
    return rig.next_ask();
  };
  Agent first = connect();
  auto ask = hold(first);
  ASSERT_TRUE(ask);
  ASSERT_EQ(rig.configure(Rig::policy(std::string(kReviewed) + "trifecta: {privateAndUntrusted: deny}\n")),
            "");
  rig.answer(*ask, ReviewOutcome::approved);
  Answer answer = first.read_answer();
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.code(), "policy.changed");
  EXPECT_TRUE(rig.received().empty());

  Agent second = connect();
  ask = hold(second);
  ASSERT_TRUE(ask);
  rig.secrets["unrelated"] = "value";  // the same policy again
  ASSERT_EQ(rig.configure(Rig::policy(std::string(kReviewed) + "trifecta: {privateAndUntrusted: deny}\n")),
            "");
  rig.answer(*ask, ReviewOutcome::approved);
  EXPECT_EQ(second.read_answer().status, 200);
}

TEST_F(Attack, a_slow_body_does_not_outlive_the_policy_it_was_judged_by) {
  constexpr std::string_view kGit =
      "  - name: git\n    protocol: git\n    to: {hosts: [api.example.com]}\n"
      "    allow: [{op: push, repos: [\"a/b\"], refs: [\"refs/heads/**\"]}]\n";
  start(kGit);
  const std::string line = std::string(40, '0') + " " + std::string(40, '1') + " refs/heads/x";
  const std::string body = fmt::format("{:04x}{}{}", line.size() + 4, line, "0000");
  const std::string head = fmt::format(
      "POST /a/b.git/git-receive-pack HTTP/1.1\r\nHost: api.example.com\r\nContent-Length: {}\r\n\r\n",
      body.size());
  Agent agent = connect();
  agent.send(head + body);
  EXPECT_EQ(agent.read_answer().status, 200);
  agent.send(head + body.substr(0, 10));
  EXPECT_FALSE(rig.next_ask(std::chrono::milliseconds(200))) << "the head is being judged meanwhile";
  ASSERT_EQ(rig.configure(Rig::policy(std::string(kGit) + "    deny: [{op: push, refs: [refs/heads/x]}]\n")),
            "");
  agent.send(body.substr(10));
  EXPECT_EQ(agent.read_answer().code(), "policy.changed");
  agent.send(head + body);
  EXPECT_EQ(agent.read_answer().code(), "policy.denied");
  EXPECT_EQ(rig.received().size(), 1u);
}

}  // namespace
}  // namespace saw::egress::rig
