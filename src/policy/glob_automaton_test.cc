#include "policy/glob_automaton.h"

#include <random>

#include <gtest/gtest.h>

namespace saw::policy {
namespace {

// Every text of up to `longest` letters of a small alphabet.
std::vector<std::string> all_texts(std::string_view alphabet, size_t longest) {
  std::vector<std::string> out{""};
  for (size_t begin = 0, end = 1, length = 0; length < longest; ++length) {
    for (size_t i = begin; i < end; ++i)
      for (char c : alphabet) out.push_back(out[i] + c);
    begin = end;
    end = out.size();
  }
  return out;
}

class Random {
 public:
  size_t below(size_t n) { return engine_() % n; }
  template <size_t N> std::string_view one_of(const std::string_view (&from)[N]) { return from[below(N)]; }

  Glob glob(Glob::Kind kind) {
    const bool host = kind == Glob::Kind::host, path = kind == Glob::Kind::path;
    const bool flat = kind == Glob::Kind::value || kind == Glob::Kind::name;
    for (;;) {
      std::string text = path ? "/" : "";
      const size_t segments = flat ? 1 : 1 + below(3);
      for (size_t s = 0; s < segments; ++s) {
        if (s > 0) text += host ? '.' : '/';
        if (!flat && below(4) == 0)
          text += "**";
        else
          for (size_t n = below(4); n-- > 0;) text += one_of({"a", "b", "*", "?", "[a]", "[ab]"});
      }
      if (auto glob = Glob::create(text, kind)) return *glob;
    }
  }

 private:
  std::mt19937 engine_{20261124};  // NOLINT: the same pairs in every run
};

class GlobAutomaton : public testing::TestWithParam<Glob::Kind> {};

// What one pair of globs has in common, told by the automata and by trying every short text.
void expect_agreement(const Glob& g, const Glob& h, const std::vector<std::string>& texts) {
  const auto a = automaton_of(g), b = automaton_of(h);
  ASSERT_TRUE(a && b) << g.text() << " and " << h.text();
  bool meet = false, inside = true;
  for (const std::string& text : texts) {
    ASSERT_EQ(a->matches(text), g.matches(text)) << g.text() << " on '" << text << "'";
    meet = meet || (g.matches(text) && h.matches(text));
    inside = inside && (!g.matches(text) || h.matches(text));
  }
  const Automaton *first[] = {&*a}, *second[] = {&*b}, *both[] = {&*a, &*b};
  const Search common = first_word(both, {}), escape = first_word(first, second);
  ASSERT_TRUE(common.complete && escape.complete);
  EXPECT_EQ(common.word.has_value(), g.overlaps(h)) << g.text() << " and " << h.text();
  if (meet) EXPECT_TRUE(common.word) << g.text() << " and " << h.text();
  if (common.word) EXPECT_TRUE(g.matches(*common.word) && h.matches(*common.word)) << *common.word;
  if (!inside) EXPECT_TRUE(escape.word) << g.text() << " is not within " << h.text();
  if (escape.word) EXPECT_TRUE(g.matches(*escape.word) && !h.matches(*escape.word)) << *escape.word;
  EXPECT_EQ(includes(*b, *a), std::optional(!escape.word));
}

TEST_P(GlobAutomaton, agrees_with_trying_every_text_on_2000_pairs_of_each_kind) {
  const char* alphabet = GetParam() == Glob::Kind::host ? "abc." : "abc/";
  const std::vector<std::string> texts = all_texts(alphabet, 6);
  Random random;
  for (int pair = 0; pair < 2000; ++pair) {
    expect_agreement(random.glob(GetParam()), random.glob(GetParam()), texts);
    if (HasFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, GlobAutomaton,
                         testing::Values(Glob::Kind::host, Glob::Kind::path, Glob::Kind::ref,
                                         Glob::Kind::name, Glob::Kind::value));

TEST(GlobAutomaton, a_shortest_escape_is_named) {
  const auto outer = automaton_of(*Glob::create("/repos/acme/**", Glob::Kind::path));
  const auto inner = automaton_of(*Glob::create("/repos/*/issues", Glob::Kind::path));
  const Automaton *in[] = {&*inner}, *out[] = {&*outer};
  EXPECT_EQ(first_word(in, out).word, "/repos//issues");
  EXPECT_EQ(includes(*outer, *inner), false);
  EXPECT_EQ(includes(*outer, *automaton_of(*Glob::create("/repos/acme/x/*", Glob::Kind::path))), true);
}

TEST(GlobAutomaton, a_glob_that_would_explode_is_refused_rather_than_cut) {
  const std::string text = "*a" + std::string(20, '?');
  EXPECT_FALSE(automaton_of(*Glob::create(text, Glob::Kind::value)));
  EXPECT_TRUE(automaton_of(*Glob::create("*a??", Glob::Kind::value)));
}

TEST(GlobAutomaton, a_bound_that_was_met_is_no_answer) {
  const auto outer = automaton_of(*Glob::create("a*", Glob::Kind::value));
  const auto inner = automaton_of(*Glob::create("abcdefgh*", Glob::Kind::value));
  EXPECT_EQ(includes(*outer, *inner, {.states = 2}), std::nullopt);
  EXPECT_EQ(includes(*outer, *inner), true);
}

}  // namespace
}  // namespace saw::policy
