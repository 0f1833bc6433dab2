// The words of the prover against the parsers that they stand for.
#include "policy/prove/words.h"

#include <algorithm>
#include <random>

#include <gtest/gtest.h>

#include "policy/git.h"
#include "policy/host.h"
#include "policy/target.h"

namespace saw::policy::prove {
namespace {

// Texts that are likely to be near the edge of what a parser takes.
class Texts {
 public:
  explicit Texts(std::vector<std::string> pieces) : pieces_(std::move(pieces)) {}
  std::string next(const std::string& start) {
    std::string out = start;
    for (size_t n = engine_() % 9; n-- > 0;) out += pieces_[engine_() % pieces_.size()];
    return out;
  }

 private:
  std::vector<std::string> pieces_;
  std::mt19937 engine_{7};  // NOLINT: the same texts in every run
};
constexpr int kTexts = 100'000;

std::string rewritten(const Rewriter& rewriter, std::string_view text) {
  std::string out;
  Rewriter::State state = rewriter.start();
  for (char c : text) state = rewriter.step(state, static_cast<uint8_t>(c), out);
  rewriter.finish(state, out);
  return out;
}

TEST(Words, hosts_are_those_that_the_parser_keeps) {
  const Automaton hosts = host_names();
  Texts texts({"a", "z", "0", "0x", "9", "-", "_", ".", "..", "A", "f", "x", " ", "é", "%"});
  for (int i = 0; i < kTexts; ++i) {
    const std::string text = texts.next("");
    const auto host = HostName::parse(text);
    const bool kept = host && host->text() == text && !host->address();
    ASSERT_EQ(hosts.matches(text), kept) << text;
  }
}

TEST(Words, paths_are_those_that_canonicalisation_keeps_and_their_readings_are_its_own) {
  const Automaton paths = canonical_paths();
  Texts texts({"/", "a",  ".", "..",  ";",  "%3B", "%3A", "%2F", "%25", "%20", "%41", "%3b", "%", "?",
               "#", "\\", "~", "/..", "/.", "v=1", "%7F", "%FF", "$",   " ",   "/;",  "F",   "2"});
  int kept = 0;
  for (int i = 0; i < kTexts; ++i) {
    const std::string text = texts.next("/");
    const auto target = canonical_target(text);
    const bool canonical =
        target && target->text == text && target->query().empty() && text.find('?') == std::string::npos;
    ASSERT_EQ(paths.matches(text), canonical) << text;
    if (!canonical) continue;
    ++kept;
    const std::string decoded = rewritten(decoded_path(), text), plain = rewritten(plain_path(), text);
    Readings other;
    other_readings(text, other);
    const std::span<const std::string> readings = other.all();
    for (const std::string& reading : readings)
      ASSERT_TRUE(reading == decoded || reading == plain) << text << " may be read as " << reading;
    for (const std::string& mine : {decoded, plain})
      ASSERT_TRUE(mine == text || std::ranges::find(readings, mine) != readings.end())
          << text << " is not read as " << mine;
  }
  EXPECT_GT(kept, 1000);
}

TEST(Words, refs_are_those_that_git_takes) {
  const Automaton all = refs();
  Texts texts(
      {"a", "/", ".", "lock", ".lock", ".loc", "@", "{", "@{", "-", "~", " ", "\x7f", "\x80", ".lo", "k"});
  for (int i = 0; i < kTexts; ++i) {
    const std::string text = texts.next(i % 3 == 0 ? "refs/heads/" : i % 3 == 1 ? "refs/" : "ref");
    ASSERT_EQ(all.matches(text), valid_ref(text)) << text;
  }
}

TEST(Words, values_of_a_query_are_what_parameters_decode_to) {
  const Automaton values = query_values();
  Texts texts(
      {"a", "\xc3", "\xa9", "\xe0", "\x80", "\xed", "\xa0", "\xf0", "\x90", "\xf4", "\x8f", " ", "\n", "&"});
  for (int i = 0; i < kTexts; ++i) {
    const std::string text = texts.next("");
    std::string escaped = "/?k=";
    for (char c : text) escaped += fmt::format("%{:02X}", static_cast<uint8_t>(c));
    const auto target = canonical_target(escaped);
    ASSERT_EQ(values.matches(text), target.has_value()) << escaped;
    if (!target) continue;
    ParameterReader reader(target->query());
    EXPECT_EQ(reader.next()->value, text);
  }
}

}  // namespace
}  // namespace saw::policy::prove
