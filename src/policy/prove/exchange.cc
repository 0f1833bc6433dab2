#include "policy/prove/exchange.h"

#include <charconv>

namespace saw::policy::prove {
namespace {

std::string refuse(std::string reason) {
  return to_json({.verdict = Verdict::unknown, .claim = {}, .reason = std::move(reason)});
}

// The number at the front of `text`, and what ends it, taken away.
std::optional<size_t> take_number(std::string_view& text, char end) {
  size_t out = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc() || stop == text.data() + text.size() || *stop != end) return {};
  text.remove_prefix(static_cast<size_t>(stop - text.data()) + 1);
  return out;
}

}  // namespace

std::string answer_question(std::string_view question, const Options& options) {
  constexpr std::string_view kWithin = "within ";
  if (question.size() > kMaxQuestion || !question.starts_with(kWithin)) return refuse("not a question");
  question.remove_prefix(kWithin.size());
  const auto first = take_number(question, ' '), second = take_number(question, '\n');
  if (!first || !second || *first > question.size() || *second != question.size() - *first)
    return refuse("not a question: the sizes are wrong");
  const auto candidate = Policy::compile(question.substr(0, *first), "candidate");
  const auto ceiling = Policy::compile(question.substr(*first), "ceiling");
  for (const auto* policy : {&candidate, &ceiling})
    if (!*policy) return refuse("not a policy: " + policy->error().front().text());
  return to_json(prove_within(candidate->document(), ceiling->document(), options));
}

}  // namespace saw::policy::prove
