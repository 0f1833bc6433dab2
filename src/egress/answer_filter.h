// What stands between an answer of the internet and the agent, where the protocol asks for more than passing it on.
//
//   class Upper : public AnswerFilter { … };
//   out = SAW_TRY(filter.feed(part), "answer"); … out += SAW_TRY(filter.finish(), "answer");
//
// `whole`: nothing goes to the agent before finish() has returned, so that what cannot be read can still be answered with a refusal.
// `watch`: the bytes pass as they are, at once.
// `stream`: what feed() returns goes on at once; after an error the agent sees the answer cut off. The bytes that come are free of
// transfer and content codings.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace saw::egress {

class AnswerFilter {
 public:
  enum class Pace : uint8_t { whole, stream, watch };
  virtual ~AnswerFilter() = default;
  virtual Pace pace() const = 0;
  virtual Result<std::string> feed(std::string_view part) = 0;
  virtual Result<std::string> finish() = 0;
};

}  // namespace saw::egress
