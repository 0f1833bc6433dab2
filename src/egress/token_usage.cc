#include "egress/token_usage.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string>

#include "egress/sse.h"
#include "policy/json.h"

namespace saw::egress {
namespace {

using policy::Json;

constexpr size_t kMaxRead = 4u << 20;            // of an answer in one piece
constexpr uint64_t kMostTokens = 1'000'000'000;  // of one answer; a larger figure is none
constexpr uint64_t kBytesPerToken = 4;

uint64_t figure(const Json& usage, std::string_view name) {
  const Json* found = usage.find(name);
  if (found == nullptr || found->kind != Json::Kind::number) return 0;
  uint64_t out = 0;
  const char* end = found->text.data() + found->text.size();
  const auto [stop, error] = std::from_chars(found->text.data(), end, out);
  return error == std::errc() && stop == end && out <= kMostTokens ? out : 0;
}

bool take(const Json& usage, TokenUse& so_far) {
  constexpr std::array<std::string_view, 4> kAsked = {
      "prompt_tokens", "input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"};
  constexpr std::array<std::string_view, 2> kAnswered = {"completion_tokens", "output_tokens"};
  uint64_t asked = 0, answered = 0;
  for (std::string_view name : kAsked) asked += figure(usage, name);
  for (std::string_view name : kAnswered) answered += figure(usage, name);
  if (asked + answered == 0) return false;
  so_far.asked = std::max(so_far.asked, asked);
  so_far.answered = std::max(so_far.answered, answered);
  so_far.source = TokenUse::Source::told;
  return true;
}

class TokenFilter final : public AnswerFilter {
 public:
  TokenFilter(uint64_t question_bytes, std::function<void(TokenUse)> tell)
      : question_bytes_(question_bytes), tell_(std::move(tell)) {}
  ~TokenFilter() override { report(Ending::cut_off); }  // what was cut off was paid for too
  TokenFilter(const TokenFilter&) = delete;
  TokenFilter& operator=(const TokenFilter&) = delete;

  Pace pace() const override { return Pace::watch; }
  Result<std::string> feed(std::string_view part) override {
    answer_bytes_ += part.size();
    if (text_.size() + part.size() <= kMaxRead) text_ += part;
    if (auto events = reader_ ? reader_->feed(part) : std::vector<SseEvent>()) {
      for (const SseEvent& event : *events)
        if (event.data) read_token_use(*event.data, used_);
    } else {
      reader_.reset();
    }
    if (reader_ && used_.source == TokenUse::Source::told) text_.clear();
    return std::string(part);
  }
  Result<std::string> finish() override {
    report(Ending::whole);
    return std::string();
  }

 private:
  enum class Ending : uint8_t { whole, cut_off };
  void report(Ending ending) {
    if (std::exchange(told_, true)) return;
    if (used_.source == TokenUse::Source::estimated) read_token_use(text_, used_);
    if (used_.source == TokenUse::Source::told && ending == Ending::whole) return tell_(used_);
    // Figures of a stream that was cut off are those of its beginning: whoever hangs up in time pays no less.
    const auto tokens = [](uint64_t bytes) { return (bytes + kBytesPerToken - 1) / kBytesPerToken; };
    if (used_.source == TokenUse::Source::estimated) used_.asked = tokens(question_bytes_);
    used_.answered = std::max(used_.answered, tokens(answer_bytes_));
    used_.source = TokenUse::Source::estimated;
    tell_(used_);
  }

  uint64_t question_bytes_, answer_bytes_ = 0;
  std::function<void(TokenUse)> tell_;
  std::optional<SseReader> reader_ = SseReader();  // what is no stream of events has none with data
  std::string text_;
  TokenUse used_;
  bool told_ = false;
};

}  // namespace

bool read_token_use(std::string_view json, TokenUse& so_far) {
  if (json.find("_tokens\"") == std::string_view::npos) return false;  // most events of a stream
  auto document = policy::parse_json(json);
  if (!document || document->kind != Json::Kind::object) return false;
  bool said = false;
  const Json *message = document->find("message"), *response = document->find("response");
  for (const Json* holder : {static_cast<const Json*>(&*document), message, response}) {
    const Json* usage = holder != nullptr ? holder->find("usage") : nullptr;
    if (usage != nullptr) said = take(*usage, so_far) || said;
  }
  return said;
}

std::unique_ptr<AnswerFilter> token_filter(uint64_t question_bytes, std::function<void(TokenUse)> tell) {
  return std::make_unique<TokenFilter>(question_bytes, std::move(tell));
}

}  // namespace saw::egress
