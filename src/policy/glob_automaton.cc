#include "policy/glob_automaton.h"

namespace saw::policy {
namespace {

using Builder = Automaton::Builder;
using State = Automaton::State;

char separator(Glob::Kind kind) {
  switch (kind) {
    case Glob::Kind::host:
      return '.';
    case Glob::Kind::path:
    case Glob::Kind::ref:
      return '/';
    case Glob::Kind::name:
    case Glob::Kind::value:
      return '\0';
  }
  return '\0';
}

// One segment's text behind `from`. The syntax was checked when the Glob was made.
State append_segment(Builder& b, std::string_view text, const Automaton::Bytes& any, State from) {
  for (size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '*') {
      const State loop = b.add();
      b.silent(from, loop);
      b.edge(loop, any, loop);
      from = loop;
      continue;
    }
    Automaton::Bytes on = Automaton::bytes(text.substr(at, 1));
    if (text[at] == '?') {
      on = any;
    } else if (text[at] == '[') {
      const size_t close = text.find(']', at + 1);
      const std::string_view body = text.substr(at + 1, close - at - 1);
      on.reset();
      for (size_t i = 0; i < body.size(); ++i) {
        const bool span = i + 2 < body.size() && body[i + 1] == '-';
        on |= Automaton::range(static_cast<uint8_t>(body[i]), static_cast<uint8_t>(body[span ? i + 2 : i]));
        if (span) i += 2;
      }
      on &= any;
      at = close;
    }
    const State to = b.add();
    b.edge(from, on, to);
    from = to;
  }
  return from;
}

std::vector<std::string_view> split(std::string_view text, char sep) {
  std::vector<std::string_view> out;
  for (size_t begin = 0;;) {
    const size_t end = sep == '\0' ? std::string_view::npos : text.find(sep, begin);
    out.push_back(text.substr(begin, end == std::string_view::npos ? end : end - begin));
    if (end == std::string_view::npos) return out;
    begin = end + 1;
  }
}

}  // namespace

// Every segment of a text is followed by a separator or by the end. So each segment of the glob, once
// matched, has two ways on: a separator and the next segment, or the end where all the others are "**".
void append(Builder& b, const Glob& glob, State from, State to) {
  const char sep = separator(glob.kind());
  const std::vector<std::string_view> segments = split(glob.text(), sep);
  Automaton::Bytes any = Automaton::Bytes().set();
  if (sep != '\0') any.reset(static_cast<uint8_t>(sep));
  size_t last_needed = segments.size();  // one past the last segment that is not "**"
  while (sep != '\0' && last_needed > 0 && segments[last_needed - 1] == "**") --last_needed;
  State begin = b.add();
  b.silent(from, begin);
  for (size_t i = 0; i < segments.size(); ++i) {
    const State next = b.add();
    if (sep != '\0' && segments[i] == "**") {
      const State inside = b.add();
      b.silent(begin, next);
      b.silent(begin, inside);
      b.edge(inside, any, inside);
      b.edge(inside, Automaton::bytes({&sep, 1}), begin);
      if (i >= last_needed) b.silent(inside, to);
    } else {
      const State end = append_segment(b, segments[i], any, begin);
      if (sep != '\0') b.edge(end, Automaton::bytes({&sep, 1}), next);
      if (i + 1 >= last_needed) b.silent(end, to);
    }
    begin = next;
  }
}

std::optional<Automaton> automaton_of(const Glob& glob) {
  Builder b;
  const State from = b.add(), to = b.add();
  append(b, glob, from, to);
  return b.build(from, to);
}

}  // namespace saw::policy
