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

// One that needs the answer in one piece: at most `most` bytes of it, by `whose` ("the server's").
class WholeAnswerFilter : public AnswerFilter {
 public:
  WholeAnswerFilter(size_t most, std::string_view whose) : most_(most), whose_(whose) {}
  Pace pace() const final { return Pace::whole; }
  Result<std::string> feed(std::string_view part) final {
    if (part.size() > most_ - text_.size())
      return Error::make("upstream.oversized", "{} answer has more than {} bytes", whose_, most_);
    text_ += part;
    return std::string();
  }

 protected:
  const std::string& text() const { return text_; }

 private:
  size_t most_;
  std::string_view whose_;
  std::string text_;
};

}  // namespace saw::egress
