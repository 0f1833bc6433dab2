#include "base/automaton.h"

#include <random>
#include <set>

#include <gtest/gtest.h>

namespace saw {
namespace {

// A random automaton of a few states over "ab", with steps without a letter.
Automaton random_automaton(std::mt19937& random) {
  Automaton::Builder b;
  constexpr unsigned kStates = 5, kEdges = 7;
  for (unsigned i = 0; i < kStates; ++i) b.add();
  for (unsigned i = 0; i < kEdges; ++i) {
    const auto from = static_cast<Automaton::State>(random() % kStates);
    const auto to = static_cast<Automaton::State>(random() % kStates);
    const char* on[] = {"a", "b", "ab"};
    if (random() % 5 == 0)
      b.silent(from, to);
    else
      b.edge(from, Automaton::bytes(on[random() % 3]), to);
  }
  return *b.build(0, kStates - 1);
}

std::vector<std::string> all_words(size_t longest) {
  std::vector<std::string> out{""};
  for (size_t i = 0; out[i].size() < longest; ++i)
    for (char c : {'a', 'b'}) out.push_back(out[i] + c);
  return out;
}

// Drops every 'b', and begins with one.
class Dropping final : public Rewriter {
 public:
  State start() const override { return 0; }
  State step(State state, uint8_t byte, std::string& out) const override {
    if (state == 0) out += 'b';
    if (byte != 'b') out += static_cast<char>(byte);
    return 1;
  }
  void finish(State state, std::string& out) const override {
    if (state == 0) out += 'b';
  }
  uint8_t kind(uint8_t byte) const override { return byte == 'b' ? 1 : 0; }
};

std::string dropped(std::string word) {
  std::erase(word, 'b');
  return "b" + word;
}

TEST(Automaton, classes_are_what_trying_every_word_finds_in_each_reading) {
  std::mt19937 random(3);  // NOLINT: the same automata in every run
  const Dropping dropping;
  const Rewriter* readings[] = {&dropping};
  const std::vector<std::string> words = all_words(9);
  for (int round = 0; round < 300; ++round) {
    const Automaton first = random_automaton(random), second = random_automaton(random),
                    a = random_automaton(random), b = random_automaton(random);
    const Automaton* within[] = {&first, &second};
    const Track tracks[] = {{&a, 0}, {&b, 1}};
    const Classes found = classes({within, readings, {}}, tracks);
    ASSERT_TRUE(found.complete);
    std::set<std::vector<bool>> expected, seen;
    for (const std::string& word : words)
      if (first.matches(word) && second.matches(word))
        expected.insert({a.matches(word), b.matches(dropped(word))});
    for (const WordClass& part : found.classes) {
      seen.insert(part.in);
      ASSERT_TRUE(first.matches(part.word) && second.matches(part.word));
      ASSERT_EQ(part.in, (std::vector<bool>{a.matches(part.word), b.matches(dropped(part.word))}))
          << part.word;
    }
    for (const auto& in : expected) ASSERT_TRUE(seen.contains(in)) << "round " << round;
  }
}

TEST(Automaton, the_first_word_is_a_shortest_one) {
  std::mt19937 random(4);  // NOLINT
  const std::vector<std::string> words = all_words(8);
  for (int round = 0; round < 500; ++round) {
    const Automaton a = random_automaton(random), b = random_automaton(random);
    const Automaton *in[] = {&a}, *out[] = {&b};
    const Search search = first_word(in, out);
    std::optional<std::string> shortest;
    for (const std::string& word : words)
      if (!shortest && a.matches(word) && !b.matches(word)) shortest = word;
    if (shortest) {
      ASSERT_TRUE(search.word);
      ASSERT_EQ(search.word->size(), shortest->size());
    }
    ASSERT_EQ(includes(b, a), !search.word);
  }
}

TEST(Automaton, a_syllable_is_read_as_a_whole) {
  Automaton::Builder b;
  const auto s = b.add();
  b.edge(s, Automaton::bytes("x%41"), s);
  const Automaton any = *b.build(s, s);
  const Automaton* within[] = {&any};
  const std::string syllables[] = {"%41", "%14"};
  Automaton::Builder c;
  const auto from = c.add();
  const Automaton escape = *c.build(from, c.literal(from, "%41"));
  const Track tracks[] = {{&escape}};
  const Classes found = classes({within, {}, syllables}, tracks);
  ASSERT_EQ(found.classes.size(), 2u);
  EXPECT_EQ(found.classes[1].word, "%41");
}

TEST(Automaton, two_ways_to_write_one_language_are_equal) {
  Automaton::Builder b, c;
  const auto s = b.add(), t = b.add();
  b.edge(s, Automaton::bytes("a"), t);
  b.silent(t, s);
  const auto u = c.add(), v = c.add(), w = c.add();
  c.edge(u, Automaton::bytes("a"), v);
  c.edge(v, Automaton::bytes("a"), w);
  c.silent(w, v);
  EXPECT_EQ(*b.build(s, t), *c.build(u, v));
  EXPECT_FALSE(*b.build(s, s) == *c.build(u, v));
}

TEST(Automaton, a_walk_that_never_ends_is_given_up) {
  auto count = [](Automaton::State s, uint8_t) { return std::optional(s + 1); };
  EXPECT_FALSE(Automaton::walk(0, count, [](Automaton::State) { return true; }));
}

}  // namespace
}  // namespace saw
