// Questions to models through a whole saw-egress.
#include <chrono>
#include <thread>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "egress/egress_rig.h"

namespace saw::egress::rig {
namespace {

constexpr std::string_view kHub = R"(
  - name: hub
    to: {hosts: [models.example.com]}
    allow: [{methods: [POST], paths: ["/v1/**"]}]
inference: [{model: "acme-*", via: hub}]
)";

TEST(EngineInference, what_an_answer_cost_is_recorded_with_the_model_and_the_stream_stays_one) {
  Rig rig;
  rig.serve_stream("models.example.com", 443, [](const OriginRequest&, OriginStream& stream) {
    stream.send(
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
        "data: {\"message\":{\"usage\":{\"input_tokens\":20,\"output_tokens\":1}}}\n\n");
    while (stream.send(": thinking\n\n"))  // until the agent has seen it and gone
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
  });
  ASSERT_EQ(rig.configure(Rig::policy(kHub)), "");
  const std::string body = R"({"model":"acme-1","stream":true})";
  Agent agent = rig.connect("models.example.com", 443);
  agent.send(
      fmt::format("POST /v1/messages HTTP/1.1\r\nHost: models.example.com\r\nContent-Length: {}\r\n\r\n{}",
                  body.size(), body));
  EXPECT_NE(agent.read_until("output_tokens").find("20"), std::string::npos);
  agent.hang_up();
  EXPECT_EQ(rig.count_events({"ask model acme-1, about 20 tokens asked and "}), 1);
  EXPECT_EQ(rig.count_events({"was allowed", "[ask model acme-1]"}), 2);
}

TEST(EngineInference, when_the_days_tokens_are_used_up_no_model_is_asked_and_everything_else_goes_on) {
  Rig rig;
  rig.serve("models.example.com", 443, [](const OriginRequest&) {
    return ok(R"({"usage":{"prompt_tokens":40,"completion_tokens":20}})",
              "Content-Type: application/json\r\n");
  });
  rig.serve("api.example.com", 443, [](const OriginRequest&) { return ok("{}"); });
  ASSERT_EQ(rig.configure(Rig::policy(
                "  - {name: api, to: {hosts: [api.example.com]}, allow: [{methods: [POST], paths: [/a]}]}" +
                std::string(kHub) + "budget: {perDay: {tokens: 100}}\n")),
            "");
  const std::string question = R"({"model":"acme-1"})";
  for (int i = 0; i < 2; ++i)
    EXPECT_EQ(rig.connect("models.example.com", 443).post("/v1/messages", question).status, 200) << i;
  const Answer refused = rig.connect("models.example.com", 443).post("/v1/messages", question);
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(refused.code(), "budget.tokens");
  EXPECT_NE(refused.field("retry-after"), "");
  EXPECT_EQ(rig.connect("api.example.com", 443).post("/a", question).status, 200);
  EXPECT_EQ(rig.received().size(), 3u);
}

TEST(EngineInference, an_answer_that_does_not_say_is_estimated) {
  Rig rig;
  rig.serve("models.example.com", 443, [](const OriginRequest&) { return ok("{}"); });
  ASSERT_EQ(rig.configure(Rig::policy(kHub)), "");
  Agent agent = rig.connect("models.example.com", 443);
  EXPECT_EQ(agent.post("/v1/chat/completions", R"({"model":"acme-1"})").body, "{}");
  EXPECT_EQ(rig.count_events({"ask model acme-1, about 5 tokens asked and 1 answered"}), 1);
  EXPECT_EQ(agent.post("/v1/chat/completions", R"({"model":"other"})").code(), "policy.denied");
}

}  // namespace
}  // namespace saw::egress::rig
