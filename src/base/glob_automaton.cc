#include "base/glob_automaton.h"

#include <vector>

#include <fmt/format.h>

namespace saw {
namespace {

using Builder = Automaton::Builder;
using State = Automaton::State;

std::vector<std::string_view> split(std::string_view text, std::optional<char> separator) {
  std::vector<std::string_view> out;
  for (size_t begin = 0;;) {
    const size_t end = separator ? text.find(*separator, begin) : std::string_view::npos;
    out.push_back(text.substr(begin, end == std::string_view::npos ? end : end - begin));
    if (end == std::string_view::npos) return out;
    begin = end + 1;
  }
}

std::string check_class(std::string_view body) {
  if (body.empty() || body[0] == '!' || body[0] == '^')
    return "a class names at least one character, and is not negated";
  for (size_t i = 0; i < body.size(); ++i) {
    const bool span = i + 2 < body.size() && body[i + 1] == '-';
    if (span && body[i] > body[i + 2]) return "a range in a class goes upwards";
    if (span) i += 2;
  }
  return {};
}

std::string check_segment(std::string_view segment) {
  if (segment.contains("**")) return "'**' must stand alone in its segment";
  for (size_t at = 0; at < segment.size(); ++at) {
    if (segment[at] == ']') return "']' without '['";
    if (segment[at] != '[') continue;
    const size_t close = segment.find(']', at + 1);
    if (close == std::string_view::npos) return "'[' without ']'";
    if (std::string problem = check_class(segment.substr(at + 1, close - at - 1)); !problem.empty())
      return problem;
    at = close;
  }
  return {};
}

// One segment's text behind `from`. The syntax was checked before.
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

}  // namespace

std::string check_glob(std::string_view text, const GlobKind& kind) {
  if (text.empty()) return "a glob must not be empty";
  if (text.size() > kMaxGlobLength) return fmt::format("a glob has at most {} characters", kMaxGlobLength);
  for (unsigned char c : text)
    if (c < 0x20 || c >= 0x7f) return "control and non-ASCII characters are not allowed";
  const auto segments = split(text, kind.separator);
  if (segments.size() > kMaxGlobSegments)
    return fmt::format("a glob has at most {} segments", kMaxGlobSegments);
  for (std::string_view segment : segments) {
    if (kind.separator && segment == "**") continue;
    if (std::string problem = check_segment(segment); !problem.empty()) return problem;
  }
  return {};
}

// Every segment of a text is followed by a separator or by the end. So each segment of the glob, once
// matched, has two ways on: a separator and the next segment, or the end where all the others are "**".
void append_glob(Builder& b, std::string_view text, const GlobKind& kind, State from, State to) {
  const std::vector<std::string_view> segments = split(text, kind.separator);
  const bool separated = kind.separator.has_value();
  const Automaton::Bytes between = separated ? Automaton::bytes({&*kind.separator, 1}) : Automaton::Bytes();
  const Automaton::Bytes any = kind.alphabet & ~between;
  size_t last_needed = segments.size();  // one past the last segment that is not "**"
  while (separated && last_needed > 0 && segments[last_needed - 1] == "**") --last_needed;
  State begin = b.add();
  b.silent(from, begin);
  for (size_t i = 0; i < segments.size(); ++i) {
    const State next = b.add();
    if (separated && segments[i] == "**") {
      const State inside = b.add();
      b.silent(begin, next);
      b.silent(begin, inside);
      b.edge(inside, any, inside);
      b.edge(inside, between, begin);
      if (i >= last_needed) b.silent(inside, to);
    } else {
      const State end = append_segment(b, segments[i], any, begin);
      if (separated) b.edge(end, between, next);
      if (i + 1 >= last_needed) b.silent(end, to);
    }
    begin = next;
  }
}

}  // namespace saw
