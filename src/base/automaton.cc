#include "base/automaton.h"

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>

#include "base/result.h"

namespace saw {
namespace {

using Tuple = std::u32string;

// Letters and digits first: they make the words that people can read.
std::vector<uint8_t> bytes_by_preference() {
  std::vector<uint8_t> out;
  constexpr std::string_view kFirst = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  for (char c : kFirst) out.push_back(static_cast<uint8_t>(c));
  auto rest = [&](unsigned from, unsigned to) {
    for (unsigned b = from; b < to; ++b)
      if (kFirst.find(static_cast<char>(b)) == std::string_view::npos) out.push_back(static_cast<uint8_t>(b));
  };
  rest(0x21, 0x7f);
  rest(0x20, 0x21);
  rest(0x7f, 0x100);
  rest(0, 0x20);
  return out;
}

}  // namespace

Automaton::Bytes Automaton::bytes(std::string_view of) {
  Bytes out;
  for (char c : of) out.set(static_cast<uint8_t>(c));
  return out;
}

Automaton::Bytes Automaton::range(uint8_t first, uint8_t last) {
  Bytes out;
  for (unsigned b = first; b <= last; ++b) out.set(b);
  return out;
}

bool Automaton::matches(std::string_view word) const {
  State state = start_;
  for (char c : word) state = next(state, static_cast<uint8_t>(c));
  return accepts_[state];
}

Automaton Automaton::everything() {
  return *walk(0, [](State, uint8_t) { return std::optional<State>(0); }, [](State) { return true; });
}

// Caller's states as they are found; a sink for what does not continue.
std::optional<Automaton> Automaton::walk(State start, const Step& step,
                                         const std::function<bool(State)>& accepts) {
  Automaton out;
  out.kinds_ = 256;
  for (unsigned b = 0; b < 256; ++b) out.kind_[b] = static_cast<uint8_t>(b);
  std::unordered_map<State, State> number;
  std::vector<State> found{start};
  number[start] = 0;
  constexpr State kSink = ~State{0};
  for (size_t i = 0; i < found.size(); ++i) {
    if (found.size() > kMaxStates) return {};
    for (unsigned b = 0; b < 256; ++b) {
      auto to = step(found[i], static_cast<uint8_t>(b));
      if (to && number.emplace(*to, static_cast<State>(found.size())).second) found.push_back(*to);
      out.next_.push_back(to ? number[*to] : kSink);
    }
    out.accepts_.push_back(accepts(found[i]));
  }
  const auto sink = static_cast<State>(found.size());
  std::ranges::replace(out.next_, kSink, sink);
  out.next_.insert(out.next_.end(), 256, sink);
  out.accepts_.push_back(false);
  out.minimise();
  return out;
}

// Moore's refinement: states stay together until a byte leads them apart. Then the bytes are joined that no
// state tells apart.
void Automaton::minimise() {
  const size_t n = accepts_.size();
  std::vector<State> group(n);
  for (size_t s = 0; s < n; ++s) group[s] = accepts_[s] ? 1 : 0;
  size_t groups = 0;
  for (;;) {
    std::unordered_map<Tuple, State> seen;
    std::vector<State> finer(n);
    for (size_t s = 0; s < n; ++s) {
      Tuple key(1, group[s]);
      for (size_t k = 0; k < kinds_; ++k) key += static_cast<char32_t>(group[next_[s * kinds_ + k]]);
      finer[s] = seen.emplace(std::move(key), static_cast<State>(seen.size())).first->second;
    }
    group = std::move(finer);
    if (seen.size() == groups) break;
    groups = seen.size();
  }
  std::vector<State> member(groups);
  for (size_t s = n; s-- > 0;) member[group[s]] = static_cast<State>(s);
  std::map<Tuple, uint8_t> column_of;
  std::vector<size_t> columns;
  std::array<uint8_t, 256> kind{};
  for (unsigned b = 0; b < 256; ++b) {
    Tuple column;
    for (State m : member) column += static_cast<char32_t>(group[next_[m * kinds_ + kind_[b]]]);
    auto [it, fresh] = column_of.emplace(std::move(column), static_cast<uint8_t>(column_of.size()));
    if (fresh) columns.push_back(kind_[b]);
    kind[b] = it->second;
  }
  std::vector<State> next;
  std::vector<bool> accepts;
  for (State m : member) {
    for (size_t k : columns) next.push_back(group[next_[m * kinds_ + k]]);
    accepts.push_back(accepts_[m]);
  }
  start_ = group[start_];
  kinds_ = columns.size();
  kind_ = kind;
  next_ = std::move(next);
  accepts_ = std::move(accepts);
  find_dead();
}

// In a minimal automaton at most one state leads nowhere.
void Automaton::find_dead() {
  dead_.assign(accepts_.size(), false);
  for (State s = 0; s < accepts_.size(); ++s) {
    bool stays = !accepts_[s];
    for (size_t k = 0; k < kinds_ && stays; ++k) stays = next_[s * kinds_ + k] == s;
    dead_[s] = stays;
  }
}

// ---- Builder

Automaton::State Automaton::Builder::add() {
  nodes_.emplace_back();
  return static_cast<State>(nodes_.size() - 1);
}
void Automaton::Builder::edge(State from, const Bytes& on, State to) {
  nodes_[from].edges.push_back({on, to});
}
void Automaton::Builder::silent(State from, State to) {
  nodes_[from].silent.push_back(to);
}
Automaton::State Automaton::Builder::literal(State from, std::string_view text) {
  for (char c : text) {
    const State to = add();
    edge(from, Bytes().set(static_cast<uint8_t>(c)), to);
    from = to;
  }
  return from;
}

Automaton::Builder::Set Automaton::Builder::close(Set set) const {
  std::vector<bool> in(nodes_.size());
  Set todo = std::move(set), out;
  while (!todo.empty()) {
    const State s = todo.back();
    todo.pop_back();
    if (in[s]) continue;
    in[s] = true;
    out += static_cast<char32_t>(s);
    for (State to : nodes_[s].silent) todo += static_cast<char32_t>(to);
  }
  std::ranges::sort(out);
  return out;
}

Automaton::Builder::Set Automaton::Builder::advance(const Set& from, uint8_t byte) const {
  Set out;
  for (char32_t s : from)
    for (const Edge& edge : nodes_[s].edges)
      if (edge.on.test(byte)) out += static_cast<char32_t>(edge.to);
  return close(std::move(out));
}

void Automaton::Builder::tell_apart(Automaton& out, std::vector<uint8_t>& representative) const {
  std::map<std::pair<uint8_t, bool>, uint8_t> finer;
  for (const Node& node : nodes_)
    for (const Edge& edge : node.edges) {
      finer.clear();
      for (unsigned b = 0; b < 256; ++b)
        out.kind_[b] =
            finer.emplace(std::pair(out.kind_[b], edge.on.test(b)), static_cast<uint8_t>(finer.size()))
                .first->second;
    }
  out.kinds_ = std::max<size_t>(finer.size(), 1);
  representative.assign(out.kinds_, 0);
  for (unsigned b = 0; b < 256; ++b) representative[out.kind_[b]] = static_cast<uint8_t>(b);
}

std::optional<Automaton> Automaton::Builder::build(State start, State accept) const {
  Automaton out;
  std::vector<uint8_t> representative;
  tell_apart(out, representative);
  std::unordered_map<Set, State> number;
  std::vector<Set> found{close(Set(1, static_cast<char32_t>(start)))};
  number[found[0]] = 0;
  for (size_t i = 0; i < found.size(); ++i) {
    if (found.size() > kMaxStates) return {};
    const Set from = found[i];
    out.accepts_.push_back(std::ranges::binary_search(from, static_cast<char32_t>(accept)));
    for (uint8_t byte : representative) {
      Set to = advance(from, byte);
      auto [it, fresh] = number.emplace(to, static_cast<State>(found.size()));
      out.next_.push_back(it->second);
      if (fresh) found.push_back(std::move(to));
    }
  }
  out.minimise();
  return out;
}

// ---- products

namespace {

// The joint walk of a language, its readings and the tracks on them, breadth first: the first word that
// comes to a state is a shortest one.
class Product {
 public:
  Product(const Language& language, std::span<const Track> tracks)
      : within_(language.within), readings_(language.readings), tracks_(tracks) {
    std::set<std::string> seen;
    auto offer = [&](std::string letter, const std::string& signature) {
      if (seen.insert(signature).second) letters_.push_back(std::move(letter));
    };
    Automaton::Bytes first;
    for (const std::string& syllable : language.syllables) first.set(static_cast<uint8_t>(syllable[0]));
    for (uint8_t byte : bytes_by_preference())
      if (!first.test(byte)) offer(std::string(1, static_cast<char>(byte)), signature_of(byte));
    for (const std::string& syllable : language.syllables) offer(syllable, signature_of(syllable));
  }

  // Calls found(word's acceptance by track, state) for every state at which a word of the language ends;
  // stops when it returns false. False where the bound was met.
  template <class Found> bool walk(size_t max_states, Found found) {
    add(initial(), 0, 0);
    for (size_t i = 0; i < states_.size(); ++i) {
      if (accepts(states_[i]->first) && !found(accepted(states_[i]->first), i)) return true;
      for (size_t letter = 0; letter < letters_.size(); ++letter) {
        Tuple to = step(states_[i]->first, letters_[letter]);
        if (!dead(to)) add(std::move(to), i, letter);
      }
      if (states_.size() > max_states) return false;
    }
    return true;
  }

  std::string word(size_t state) const {
    std::string out;
    for (; state != 0; state = came_[state].from) out.insert(0, letters_[came_[state].letter]);
    return out;
  }

 private:
  struct Came {
    size_t from, letter;
  };

  // Bytes of one signature are alike to everything that reads them here.
  std::string signature_of(uint8_t byte) const {
    std::string out;
    for (const Automaton* a : within_) out += static_cast<char>(a->kind(byte));
    for (const Rewriter* r : readings_) out += static_cast<char>(r->kind(byte));
    for (const Track& t : tracks_) out += static_cast<char>(t.automaton->kind(byte));
    return out;
  }

  // So are syllables: they lead from every state to the same one, as they are and rewritten.
  std::string signature_of(const std::string& syllable) const {
    std::string out = "syllable";
    auto put_way = [&](const Automaton& automaton, std::string_view text) {
      for (Automaton::State s = 0; s < automaton.states(); ++s) {
        Automaton::State to = s;
        for (char c : text) to = automaton.next(to, static_cast<uint8_t>(c));
        out += fmt::format("{},", to);
      }
    };
    for (const Automaton* a : within_) put_way(*a, syllable);
    for (const Track& t : tracks_)
      if (t.reading == 0) put_way(*t.automaton, syllable);
    for (size_t r = 0; r < readings_.size(); ++r) {
      std::string rewritten;
      Rewriter::State state = readings_[r]->start();
      for (char c : syllable) state = readings_[r]->step(state, static_cast<uint8_t>(c), rewritten);
      for (char c : rewritten) out += static_cast<char>(readings_[r]->kind(static_cast<uint8_t>(c)));
      for (const Track& t : tracks_)
        if (t.reading == r + 1) put_way(*t.automaton, rewritten);
    }
    return out;
  }

  // [one state per automaton of the language, per rewriter, per track]
  Tuple initial() const {
    Tuple out;
    for (const Automaton* a : within_) out += static_cast<char32_t>(a->start());
    for (const Rewriter* r : readings_) out += static_cast<char32_t>(r->start());
    for (const Track& t : tracks_) out += static_cast<char32_t>(t.automaton->start());
    return out;
  }

  bool accepts(const Tuple& state) const {
    for (size_t i = 0; i < within_.size(); ++i)
      if (!within_[i]->accepts(state[i])) return false;
    return true;
  }
  bool dead(const Tuple& state) const {
    for (size_t i = 0; i < within_.size(); ++i)
      if (within_[i]->dead(state[i])) return true;
    return false;
  }
  char32_t& rewriter_state(Tuple& state, size_t r) const { return state[within_.size() + r]; }
  char32_t& track_state(Tuple& state, size_t t) const { return state[within_.size() + readings_.size() + t]; }

  void feed(Tuple& state, size_t reading, std::string_view text) const {
    for (size_t t = 0; t < tracks_.size(); ++t) {
      if (tracks_[t].reading != reading) continue;
      char32_t& at = track_state(state, t);
      for (char c : text) at = tracks_[t].automaton->next(at, static_cast<uint8_t>(c));
    }
  }

  Tuple step(Tuple state, std::string_view letter) const {
    for (size_t i = 0; i < within_.size(); ++i)
      for (char c : letter) state[i] = within_[i]->next(state[i], static_cast<uint8_t>(c));
    if (dead(state)) return state;
    feed(state, 0, letter);
    std::string out;
    for (size_t r = 0; r < readings_.size(); ++r) {
      out.clear();
      char32_t& at = rewriter_state(state, r);
      for (char c : letter) at = readings_[r]->step(at, static_cast<uint8_t>(c), out);
      feed(state, r + 1, out);
    }
    return state;
  }

  std::vector<bool> accepted(Tuple state) const {
    std::string out;
    for (size_t r = 0; r < readings_.size(); ++r) {
      out.clear();
      readings_[r]->finish(rewriter_state(state, r), out);
      feed(state, r + 1, out);
    }
    std::vector<bool> in;
    in.reserve(tracks_.size());
    for (size_t t = 0; t < tracks_.size(); ++t)
      in.push_back(tracks_[t].automaton->accepts(track_state(state, t)));
    return in;
  }

  void add(Tuple state, size_t from, size_t letter) {
    auto [it, fresh] = number_.emplace(std::move(state), states_.size());
    if (!fresh) return;
    states_.push_back(&*it);
    came_.push_back({from, letter});
  }

  std::span<const Automaton* const> within_;
  std::span<const Rewriter* const> readings_;
  std::span<const Track> tracks_;
  std::vector<std::string> letters_;
  std::unordered_map<Tuple, size_t> number_;  // its nodes do not move
  std::vector<const std::pair<const Tuple, size_t>*> states_;
  std::vector<Came> came_;
};

}  // namespace

Classes classes(const Language& language, std::span<const Track> tracks, const Bounds& bounds) {
  Classes out;
  std::unordered_map<std::vector<bool>, size_t> seen;
  Product product(language, tracks);
  const bool finished = product.walk(bounds.states, [&](std::vector<bool> in, size_t state) {
    if (!seen.emplace(in, state).second) return true;
    if (out.classes.size() == bounds.classes) {
      out.complete = false;
      return false;
    }
    out.classes.push_back({std::move(in), product.word(state)});
    return true;
  });
  out.complete = out.complete && finished;
  return out;
}

Search first_word(std::span<const Automaton* const> in, std::span<const Automaton* const> out,
                  const Bounds& bounds) {
  std::vector<Track> tracks;
  for (const Automaton* a : out) tracks.push_back({a});
  Search search;
  Product product({in, {}, {}}, tracks);
  search.complete = product.walk(bounds.states, [&](const std::vector<bool>& accepted, size_t state) {
    if (std::ranges::find(accepted, true) != accepted.end()) return true;
    search.word = product.word(state);
    return false;
  });
  return search;
}

std::optional<bool> includes(const Automaton& outer, const Automaton& inner, const Bounds& bounds) {
  const Automaton* in[] = {&inner};
  const Automaton* out[] = {&outer};
  const Search search = first_word(in, out, bounds);
  if (search.word) return false;
  return search.complete ? std::optional(true) : std::nullopt;
}

}  // namespace saw
