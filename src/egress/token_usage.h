// How many tokens an answer of a model says it cost, read while it passes.
//
//   auto filter = token_filter(question.size(), [](TokenUse used) { … });       // told once, at the end of the answer
//
// Understood: `usage` of OpenAI's chat completions and responses and of Anthropic's messages, in a JSON answer or in the events of a
// stream (where the figures of later events replace those of earlier ones). An answer that does not say is estimated at a token for four
// bytes of question and answer, so that leaving the figures out is no way to pay less; one that was cut off at that at least. Bytes
// pass unchanged.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

#include "egress/answer_filter.h"

namespace saw::egress {

struct TokenUse {
  enum class Source : uint8_t { told, estimated } source = Source::estimated;
  uint64_t asked = 0, answered = 0;
  uint64_t total() const { return asked + answered; }
};

// What one JSON document says; larger figures of `so_far` stay. Total on any bytes. Whether it said anything.
bool read_token_use(std::string_view json, TokenUse& so_far);

std::unique_ptr<AnswerFilter> token_filter(uint64_t question_bytes, std::function<void(TokenUse)> tell);

}  // namespace saw::egress
