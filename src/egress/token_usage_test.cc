#include "egress/token_usage.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace saw::egress {
namespace {

std::string used(std::string_view answer, size_t step = 7) {
  std::string out;
  auto filter = token_filter(40, [&](TokenUse use) {
    out +=
        fmt::format("{}{}+{}", use.source == TokenUse::Source::told ? "" : "about ", use.asked, use.answered);
  });
  std::string passed;
  for (size_t at = 0; at < answer.size(); at += step) passed += *filter->feed(answer.substr(at, step));
  passed += *filter->finish();
  EXPECT_EQ(passed, answer);
  filter.reset();
  return out;
}

TEST(TokenUsage, is_read_from_an_answer_in_one_piece) {
  EXPECT_EQ(used(R"({"model":"m","usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15}})"),
            "10+5");
  EXPECT_EQ(used(R"({"usage":{"input_tokens":10,"cache_read_input_tokens":3,"output_tokens":5}})"), "13+5");
  EXPECT_EQ(used("{\n\n \"usage\":\n\n{\"input_tokens\":1,\"output_tokens\":2}}"), "1+2")
      << "empty lines are no event";
}

TEST(TokenUsage, is_read_from_the_events_of_a_stream) {
  EXPECT_EQ(used("data: {\"choices\":[]}\n\ndata: "
                 "{\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":5}}\n\ndata: [DONE]\n\n"),
            "10+5");
  EXPECT_EQ(used("event: message_start\ndata: "
                 "{\"message\":{\"usage\":{\"input_tokens\":20,\"output_tokens\":1}}}\n\n"
                 "event: message_delta\ndata: {\"usage\":{\"output_tokens\":7}}\n\n"),
            "20+7");
  EXPECT_EQ(used("data: "
                 "{\"type\":\"response.completed\",\"response\":{\"usage\":{\"input_tokens\":3,\"output_"
                 "tokens\":4}}}\r\n\r\n"),
            "3+4");
}

TEST(TokenUsage, an_answer_that_does_not_say_is_estimated) {
  EXPECT_EQ(used("data: {\"choices\":[]}\n\n"), "about 10+6");
  EXPECT_EQ(used(""), "about 10+0");
  EXPECT_EQ(used(R"({"usage":{"prompt_tokens":-5,"completion_tokens":1e99}})"), "about 10+14");
  EXPECT_EQ(used(R"({"usage":{"prompt_tokens":9999999999999}})"), "about 10+11");
  EXPECT_EQ(used(R"({"usage":{"prompt_tokens":1},"usage":{"prompt_tokens":2}})"), "about 10+15")
      << "said twice";
}

TEST(TokenUsage, an_answer_that_is_cut_off_is_told_too) {
  std::string out;
  auto filter = token_filter(0, [&](TokenUse use) { out = std::to_string(use.total()); });
  (void)filter->feed("data: {\"usage\":{\"input_tokens\":20}}\n\n");
  EXPECT_EQ(out, "");
  filter.reset();
  EXPECT_EQ(out, "30") << "20 asked, and a token for four bytes that came";
}

TEST(TokenUsage, hanging_up_before_the_last_figures_is_no_way_to_pay_less) {
  std::string out;
  auto filter = token_filter(
      40, [&](TokenUse use) { out = std::to_string(use.asked) + "+" + std::to_string(use.answered); });
  (void)filter->feed("data: {\"message\":{\"usage\":{\"input_tokens\":20,\"output_tokens\":1}}}\n\n");
  (void)filter->feed("data: " + std::string(4000, 'x') + "\n\n");
  filter.reset();  // before message_delta, which says what was answered
  EXPECT_EQ(out, "20+1019");
}

}  // namespace
}  // namespace saw::egress
