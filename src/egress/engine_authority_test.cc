// Credentials, reviews and the audit trail, end to end.
#include <gtest/gtest.h>

#include "base/bytes.h"
#include "egress/egress_rig.h"
#include "egress/engine.h"

namespace saw::egress::rig {
namespace {

constexpr std::string_view kSecret = "ghp_real_secret_value", kPlaceholder = "SAW-PLACEHOLDER-github";
constexpr std::string_view kWithCredential =
    "  - name: api\n    to: {hosts: [api.example.com]}\n    credential: github\n    allow: [{methods: [GET, "
    "POST], paths: [\"/**\"]}]\n"
    "  - name: other\n    to: {hosts: [other.example.com]}\n    allow: [{methods: [GET, POST], paths: "
    "[\"/**\"]}]\n"
    "credentials:\n  github: {secret: github-token, inject: {header: Authorization, format: \"Bearer "
    "{secret}\"}, only: [api]}\n";
constexpr std::string_view kReviewed =
    "  - name: api\n    to: {hosts: [api.example.com]}\n    allow: [{methods: [GET], paths: [\"/**\"]}]\n    "
    "review: [{methods: [POST], paths: [\"/**\"]}]\n"
    "review: {hold: 2s}\n";

std::string echo(const OriginRequest& request) {
  return ok(request.method + " " + request.target + " " + request.body);
}
std::string show_authorization(const OriginRequest& request) {
  return ok("auth=" + request.field("authorization"), "X-Echo: " + request.field("authorization") + "\r\n");
}

void give_secret(Rig& rig) {
  rig.secrets["github-token"] = kSecret;
  rig.placeholders["github-token"] = kPlaceholder;
}

TEST(Credentials, the_real_one_is_added_and_the_agents_own_is_dropped) {
  Rig rig;
  give_secret(rig);
  rig.serve("api.example.com", 443, echo);
  ASSERT_EQ(rig.configure(Rig::policy(kWithCredential)), "");
  Agent agent = rig.connect("api.example.com", 443);
  EXPECT_EQ(agent.get("/", fmt::format("Authorization: Bearer {}\r\n", kPlaceholder)).status, 200);
  EXPECT_EQ(agent.get("/", "authorization: Basic dXNlcjpwYXNz\r\nAccept-Encoding: gzip\r\n").status, 200);
  for (const OriginRequest& request : rig.received()) {
    EXPECT_EQ(request.field("authorization"), fmt::format("Bearer {}", kSecret));
    EXPECT_EQ(request.field("accept-encoding"), "identity");
    EXPECT_EQ(request.head.find("dXNlcjpwYXNz"), std::string::npos);
  }
  EXPECT_EQ(rig.count_events({"was allowed", "github"}, 2), 2);
}

TEST(Credentials, an_answer_that_reflects_the_secret_shows_the_placeholder) {
  Rig rig;
  give_secret(rig);
  rig.serve("api.example.com", 443, show_authorization);
  ASSERT_EQ(rig.configure(Rig::policy(kWithCredential)), "");
  Answer answer = rig.connect("api.example.com", 443).get("/");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body.find(kSecret), std::string::npos);
  EXPECT_EQ(answer.head.find(kSecret), std::string::npos);
  EXPECT_NE(answer.field("x-echo").find(kPlaceholder), std::string::npos);
}

TEST(Credentials, an_answer_that_cannot_be_searched_does_not_pass) {
  Rig rig;
  give_secret(rig);
  rig.serve("api.example.com", 443,
            [](const OriginRequest&) { return ok("xx", "Content-Encoding: gzip\r\n"); });
  ASSERT_EQ(rig.configure(Rig::policy(kWithCredential)), "");
  Answer answer = rig.connect("api.example.com", 443).get("/");
  EXPECT_EQ(answer.code(), "credential.unreadable_answer");
}

TEST(Credentials, a_placeholder_sent_elsewhere_is_refused_and_flagged) {
  Rig rig;
  give_secret(rig);
  rig.serve("other.example.com", 443, echo);
  ASSERT_EQ(rig.configure(Rig::policy(kWithCredential)), "");
  auto connect = [&] { return rig.connect("other.example.com", 443); };
  EXPECT_EQ(connect().get("/", fmt::format("Authorization: Bearer {}\r\n", kPlaceholder)).code(),
            "credential.placeholder_misused");
  EXPECT_EQ(
      connect()
          .get("/", fmt::format("Authorization: Basic {}\r\n", to_base64(fmt::format("u:{}", kPlaceholder))))
          .code(),
      "credential.placeholder_misused");
  EXPECT_EQ(connect().get(fmt::format("/?x={}", kPlaceholder)).code(), "credential.placeholder_misused");
  EXPECT_EQ(connect().post("/", fmt::format("text {} text", kPlaceholder)).code(),
            "credential.placeholder_misused");
  EXPECT_TRUE(rig.received().empty());
  EXPECT_EQ(rig.count_events({"placeholder-misused"}, 4), 4);
  EXPECT_EQ(connect().get("/", "Authorization: Bearer something-else\r\n").status, 200);
  ASSERT_EQ(rig.received().size(), 1u);
  EXPECT_EQ(rig.received().back().field("authorization"), "Bearer something-else");
}

TEST(Credentials, without_the_secret_nothing_goes_out) {
  Rig rig;
  rig.serve("api.example.com", 443, echo);
  ASSERT_EQ(rig.configure(Rig::policy(kWithCredential)), "");
  EXPECT_EQ(rig.connect("api.example.com", 443).get("/").code(), "credential.unavailable");
  EXPECT_EQ(rig.dials(), 0);
}

TEST(Credentials, no_event_holds_the_secret) {
  Rig rig;
  give_secret(rig);
  rig.serve("api.example.com", 443, show_authorization);
  ASSERT_EQ(rig.configure(Rig::policy(kWithCredential)), "");
  EXPECT_EQ(rig.connect("api.example.com", 443).get("/").status, 200);
  for (const std::string& event : rig.events()) EXPECT_EQ(event.find(kSecret), std::string::npos) << event;
}

TEST(Review, an_approved_request_is_sent_exactly_once_and_as_it_was_shown) {
  Rig rig;
  rig.serve("api.example.com", 443, echo);
  ASSERT_EQ(rig.configure(Rig::policy(kReviewed)), "");
  Agent agent = rig.connect("api.example.com", 443);
  agent.send(
      "POST /pay HTTP/1.1\r\nHost: api.example.com\r\nContent-Length: 6\r\nCookie: private\r\n\r\namount");
  auto ask = rig.next_ask();
  ASSERT_TRUE(ask.has_value());
  EXPECT_TRUE(rig.received().empty()) << "nothing goes out before the decision";
  EXPECT_EQ(ask->method, "POST");
  EXPECT_EQ(ask->target, "/pay");
  EXPECT_EQ(ask->digest,
            digest_text(sha256("https://api.example.com:443\nPOST /pay HTTP/1.1\r\nHost: api.example.com\r\n"
                               "Cookie: private\r\nContent-Length: 6\r\n\r\namount")));
  EXPECT_EQ(ask->body_bytes, 6u);
  EXPECT_EQ(ask->channel, "sb-1");
  EXPECT_EQ(ask->preview.find("private"), std::string::npos) << ask->preview;
  EXPECT_EQ(ask->hold_ms, 2000);
  rig.answer(*ask, ReviewOutcome::approved);
  EXPECT_EQ(agent.read_answer().body, "POST /pay amount");
  EXPECT_EQ(rig.received().size(), 1u);
  EXPECT_EQ(rig.count_events({"was allowed", "rv-1"}), 1);
  EXPECT_EQ(agent.get("/free").status, 200) << "the connection goes on";
}

TEST(Review, denied_and_timed_out_can_be_told_apart) {
  Rig rig;
  rig.serve("api.example.com", 443, echo);
  ASSERT_EQ(rig.configure(Rig::policy(kReviewed)), "");
  Agent agent = rig.connect("api.example.com", 443);
  for (auto [outcome, code] :
       {std::pair{ReviewOutcome::denied, "review.denied"}, {ReviewOutcome::timed_out, "review.timed_out"}}) {
    agent.send("POST /pay HTTP/1.1\r\nHost: api.example.com\r\nContent-Length: 1\r\n\r\nx");
    auto ask = rig.next_ask();
    ASSERT_TRUE(ask.has_value());
    rig.answer(*ask, outcome, "too expensive");
    Answer answer = agent.read_answer();
    EXPECT_EQ(answer.status, 403);
    EXPECT_EQ(answer.code(), code);
    EXPECT_NE(answer.body.find("too expensive"), std::string::npos);
    EXPECT_NE(answer.body.find("rv-1"), std::string::npos);
  }
  EXPECT_TRUE(rig.received().empty());
}

TEST(Review, an_agent_that_goes_away_withdraws_its_request) {
  Rig rig;
  rig.serve("api.example.com", 443, echo);
  ASSERT_EQ(rig.configure(Rig::policy(kReviewed)), "");
  Agent agent = rig.connect("api.example.com", 443);
  agent.send("POST /pay HTTP/1.1\r\nHost: api.example.com\r\nContent-Length: 1\r\n\r\nx");
  auto ask = rig.next_ask();
  ASSERT_TRUE(ask.has_value());
  agent.hang_up();
  EXPECT_TRUE(rig.abandoned(ask->ask));
  rig.answer(*ask, ReviewOutcome::approved);
  EXPECT_EQ(rig.count_events({"review.abandoned"}), 1);
  EXPECT_TRUE(rig.received().empty());
}

TEST(Review, an_approval_does_not_outlive_the_policy_it_was_given_under) {
  Rig rig;
  rig.serve("api.example.com", 443, echo);
  ASSERT_EQ(rig.configure(Rig::policy(kReviewed)), "");
  Agent agent = rig.connect("api.example.com", 443);
  agent.send("POST /pay HTTP/1.1\r\nHost: api.example.com\r\nContent-Length: 1\r\n\r\nx");
  auto ask = rig.next_ask();
  ASSERT_TRUE(ask.has_value());
  ASSERT_EQ(rig.configure(Rig::policy("  - name: api\n    to: {hosts: [api.example.com]}\n    allow: "
                                      "[{methods: [GET], paths: [\"/**\"]}]\n")),
            "");
  rig.answer(*ask, ReviewOutcome::approved);
  EXPECT_EQ(agent.read_answer().status, 403);
  EXPECT_TRUE(rig.received().empty());
}

TEST(Review, what_arrives_while_a_request_is_held_is_answered_after_it) {
  Rig rig;
  rig.serve("api.example.com", 443, echo);
  ASSERT_EQ(rig.configure(Rig::policy(kReviewed)), "");
  Agent agent = rig.connect("api.example.com", 443);
  agent.send("POST /pay HTTP/1.1\r\nHost: api.example.com\r\nContent-Length: 1\r\n\r\nx");
  auto ask = rig.next_ask();
  ASSERT_TRUE(ask.has_value());
  agent.send("GET /next HTTP/1.1\r\nHost: api.example.com\r\n\r\n");
  rig.answer(*ask, ReviewOutcome::approved);
  EXPECT_EQ(agent.read_answer().body, "POST /pay x");
  EXPECT_EQ(agent.read_answer().body, "GET /next ");
}

TEST(Review, the_connection_is_as_good_after_it_as_before) {
  Rig rig;
  rig.serve("api.example.com", 443, echo);
  ASSERT_EQ(rig.configure(Rig::policy(kReviewed)), "");
  Agent agent = rig.connect("api.example.com", 443);
  for (int i = 0; i < 3; ++i) {
    agent.send("POST /x HTTP/1.1\r\nHost: api.example.com\r\nContent-Length: 1\r\n\r\na");
    auto ask = rig.next_ask();
    ASSERT_TRUE(ask.has_value());
    rig.answer(*ask, ReviewOutcome::approved);
    EXPECT_EQ(agent.read_answer().body, "POST /x a");
    EXPECT_EQ(agent.get("/y").body, "GET /y ");
  }
}

TEST(Review, a_body_too_large_to_be_shown_is_refused) {
  Rig rig;
  rig.serve("api.example.com", 443, echo);
  ASSERT_EQ(rig.configure(Rig::policy(kReviewed)), "");
  Answer answer = rig.connect("api.example.com", 443).post("/pay", std::string(2u << 20, 'x'));
  EXPECT_EQ(answer.status, 413);
  EXPECT_EQ(answer.code(), "request.too_large");
}

TEST(Audit, where_nothing_is_recorded_any_more_nothing_is_admitted) {
  Rig rig;
  give_secret(rig);
  rig.serve("api.example.com", 443, echo);
  ASSERT_EQ(rig.configure(Rig::policy(kWithCredential)), "");
  EXPECT_EQ(rig.connect("api.example.com", 443).get("/").status, 200);
  rig.hold_acknowledgements();
  Answer answer = rig.connect("api.example.com", 443).get("/");
  EXPECT_EQ(answer.status, 503) << "a credential is not used before its use is recorded";
  EXPECT_EQ(answer.code(), "audit.unavailable");
  EXPECT_EQ(rig.received().size(), 1u);
}

}  // namespace
}  // namespace saw::egress::rig
