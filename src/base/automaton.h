// Finite automata over bytes: deterministic, minimal, and so exact about what two patterns have in common.
//
//   Automaton::Builder b;                          // any number of 'a', then 'b'
//   auto s = b.add(), t = b.add();
//   b.edge(s, Automaton::bytes("a"), s);
//   b.edge(s, Automaton::bytes("b"), t);
//   auto a = b.build(s, t);                        // nullopt: more than kMaxStates states
//   a->matches("aab")                              // true
//   first_word({&*a}, {&other})                    // the shortest word of `a` that is no word of `other`
//
// classes() divides all words of a language by which of many automata accept them, and names the shortest
// word of each part. Words may be read in several ways at once (Rewriter): an automaton then judges the
// rewritten word. Every walk is bounded; where a bound is met the answer says so and is never taken for
// "none".
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace saw {

class Automaton {
 public:
  using State = uint32_t;
  using Bytes = std::bitset<256>;
  static constexpr size_t kMaxStates = 4096;
  static Bytes bytes(std::string_view of);
  static Bytes range(uint8_t first, uint8_t last);

  class Builder;
  // The automaton that step() walks: step returns the next state, nullopt where no word continues. States
  // are numbers of the caller's choosing.
  using Step = std::function<std::optional<State>(State, uint8_t)>;
  static std::optional<Automaton> walk(State start, const Step& step,
                                       const std::function<bool(State)>& accepts);
  static Automaton everything();

  State start() const { return start_; }
  State next(State state, uint8_t byte) const { return next_[state * kinds_ + kind_[byte]]; }
  bool accepts(State state) const { return accepts_[state]; }
  bool dead(State state) const { return dead_[state]; }  // no word that comes through here is accepted
  bool matches(std::string_view word) const;
  bool empty() const { return dead(start_); }
  // Bytes of one kind are never told apart.
  uint8_t kind(uint8_t byte) const { return kind_[byte]; }
  size_t states() const { return accepts_.size(); }
  friend bool operator==(const Automaton&, const Automaton&) = default;

 private:
  Automaton() = default;
  void minimise();
  void find_dead();

  State start_ = 0;
  size_t kinds_ = 0;
  std::array<uint8_t, 256> kind_{};
  std::vector<State> next_;
  std::vector<bool> accepts_, dead_;
};

// An automaton as one likes to write it: several ways on the same byte, and steps without one.
class Automaton::Builder {
 public:
  State add();
  void edge(State from, const Bytes& on, State to);
  void silent(State from, State to);
  // Appends `text` letter by letter behind `from`; returns where it ends.
  State literal(State from, std::string_view text);
  // Accepts what leads from `start` to `accept`. nullopt: it would have more than kMaxStates states.
  std::optional<Automaton> build(State start, State accept) const;

 private:
  using Set = std::u32string;  // sorted states
  struct Edge {
    Bytes on;
    State to;
  };
  struct Node {
    std::vector<Edge> edges;
    std::vector<State> silent;
  };
  Set close(Set set) const;
  Set advance(const Set& from, uint8_t byte) const;
  void tell_apart(Automaton& out, std::vector<uint8_t>& representative) const;

  std::vector<Node> nodes_;
};

// A way to read a word: letter by letter into another word. Must be a pure function of its state.
class Rewriter {
 public:
  using State = uint32_t;
  virtual ~Rewriter() = default;
  virtual State start() const = 0;
  // Appends what the letter comes to; at the end of the word, what is still due.
  virtual State step(State state, uint8_t byte, std::string& out) const = 0;
  virtual void finish(State state, std::string& out) const = 0;
  // Bytes of one kind are treated alike: dropped alike, or passed on as themselves.
  virtual uint8_t kind(uint8_t byte) const = 0;
};

// An automaton and the reading of the word that it judges: 0 the word itself, n the n-th rewriter.
struct Track {
  const Automaton* automaton;
  size_t reading = 0;
};
struct WordClass {
  std::vector<bool> in;  // by track
  std::string word;      // the shortest; printable where the automata let it be
};
struct Bounds {
  size_t states = 200'000, classes = 20'000;
};
struct Classes {
  std::vector<WordClass> classes;
  bool complete = true;  // false: a bound was met, there may be more
};
// The words that are divided: those that all of `within` accept. A syllable is several bytes that come
// together or not at all: its first byte begins nothing else. The shortest word is the one of the fewest bytes and syllables.
struct Language {
  std::span<const Automaton* const> within;
  std::span<const Rewriter* const> readings;
  std::span<const std::string> syllables;
};
Classes classes(const Language& language, std::span<const Track> tracks, const Bounds& bounds = {});

// The shortest word that all of `in` accept and none of `out`.
struct Search {
  std::optional<std::string> word;
  bool complete = true;
};
Search first_word(std::span<const Automaton* const> in, std::span<const Automaton* const> out,
                  const Bounds& bounds = {});
// Whether every word of `inner` is one of `outer`; nullopt: a bound was met.
std::optional<bool> includes(const Automaton& outer, const Automaton& inner, const Bounds& bounds = {});

}  // namespace saw
