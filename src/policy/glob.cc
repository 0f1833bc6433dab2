#include "policy/glob.h"

#include <algorithm>

namespace saw::policy {
namespace {

constexpr char separator(Glob::Kind kind) {
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

// How two lists, of tokens or of segments, may go on from a pair of positions.
using Moves = uint8_t;
constexpr Moves kMine = 1, kTheirs = 2, kBoth = 4;

// Whether the ends of both can be reached together: row by row over mine. No move leads past an end.
template <class Step> bool end_together(size_t n, size_t m, const Step& step) {
  std::vector<std::vector<bool>> reach(n + 1, std::vector<bool>(m + 1, false));
  reach[0][0] = true;
  for (size_t i = 0; i <= n; ++i) {
    for (size_t j = 0; j <= m; ++j) {
      if (!reach[i][j]) continue;
      const Moves moves = step(i, j);
      if (moves & kMine) reach[i + 1][j] = true;
      if (moves & kTheirs) reach[i][j + 1] = true;
      if (moves & kBoth) reach[i + 1][j + 1] = true;
    }
  }
  return reach[n][m];
}

// A run ends, or takes what the other list has there.
template <class Meet> Moves overlap_moves(bool inside, bool mine_runs, bool theirs_runs, const Meet& meet) {
  Moves moves = (mine_runs ? kMine : 0) | (theirs_runs ? kTheirs : 0);
  if (!inside || (mine_runs && theirs_runs) || !meet()) return moves;
  return moves | (mine_runs ? kTheirs : theirs_runs ? kMine : kBoth);
}

template <class Take> Moves cover_moves(bool inside, bool mine_runs, const Take& take) {
  if (mine_runs) return kMine | (inside ? kTheirs : 0);
  return inside && take() ? kBoth : 0;
}

}  // namespace

std::expected<Glob, std::string> Glob::create(std::string_view text, Kind kind) {
  Glob glob(text, kind);
  if (std::string problem = glob.parse(); !problem.empty()) return std::unexpected(std::move(problem));
  return glob;
}

std::string Glob::parse() {
  if (text_.empty()) return "a glob must not be empty";
  if (text_.size() > kMaxLength) return "a glob has at most 1024 characters";
  for (unsigned char c : text_)
    if (c < 0x20 || c == 0x7f || (c >= 0x80 && kind_ != Kind::value))
      return "control and non-ASCII characters are not allowed";
  if (kind_ == Kind::path && text_[0] != '/') return "a path starts with '/'";
  const char sep = separator(kind_);
  size_t begin = 0;
  while (true) {
    size_t end = sep == '\0' ? std::string::npos : text_.find(sep, begin);
    if (end == std::string::npos) end = text_.size();
    if (segments_.size() == kMaxSegments) return "a glob has at most 64 segments";
    if (begin == end && (kind_ == Kind::host || kind_ == Kind::ref)) return "a segment is empty";
    if (std::string problem = parse_segment(begin, end); !problem.empty()) return problem;
    if (end == text_.size()) break;
    begin = end + 1;
  }
  find_literal_ends();
  return {};
}

std::string Glob::parse_segment(size_t begin, size_t end) {
  Segment segment{.first = static_cast<uint16_t>(tokens_.size()),
                  .begin = static_cast<uint16_t>(begin),
                  .length = static_cast<uint16_t>(end - begin)};
  const std::string_view text = std::string_view(text_).substr(begin, end - begin);
  if (text == "**" && separator(kind_) != '\0') {
    segment.any_number = true;
    segment.literal = false;
    segments_.push_back(segment);
    return {};
  }
  if (kind_ != Kind::value && text.find("**") != std::string_view::npos)
    return separator(kind_) == '\0' ? "'**' has no meaning here, write '*'"
                                    : "'**' must stand alone in its segment";
  for (size_t at = begin; at < end; ++at) {
    const char c = text_[at];
    if (c == '*') {
      if (tokens_.size() == segment.first || tokens_.back().kind != Token::Kind::run)
        tokens_.push_back({.kind = Token::Kind::run});
    } else if (c == '?') {
      tokens_.push_back({.kind = Token::Kind::any});
    } else if (c == '[') {
      if (std::string problem = parse_class(at, end); !problem.empty()) return problem;
    } else {
      tokens_.push_back({.kind = Token::Kind::one, .character = static_cast<uint8_t>(c)});
      continue;
    }
    segment.literal = false;
  }
  segment.size = static_cast<uint16_t>(tokens_.size() - segment.first);
  segments_.push_back(segment);
  return {};
}

// `at` is at '[' and ends at ']'.
std::string Glob::parse_class(size_t& at, size_t end) {
  const size_t close = text_.find(']', at + 1);
  if (close == std::string::npos || close >= end) return "a class '[' without ']'";
  const std::string_view body = std::string_view(text_).substr(at + 1, close - at - 1);
  if (body.empty()) return "an empty class '[]'";
  if (body[0] == '!' || body[0] == '^') return "negated classes do not exist";
  if (body.find('[') != std::string_view::npos) return "'[' inside a class";
  Set set;
  for (size_t i = 0; i < body.size(); ++i) {
    const auto low = static_cast<uint8_t>(body[i]);
    auto high = low;
    if (i + 2 < body.size() && body[i + 1] == '-') {
      high = static_cast<uint8_t>(body[i + 2]);
      i += 2;
    }
    if (low > high) return "a class range runs backwards";
    for (unsigned c = low; c <= high; ++c) set.set(c);
  }
  if (const char sep = separator(kind_); sep != '\0') set.reset(static_cast<uint8_t>(sep));
  tokens_.push_back({.kind = Token::Kind::set, .set = static_cast<uint16_t>(sets_.size())});
  sets_.push_back(set);
  at = close;
  return {};
}

void Glob::find_literal_ends() {
  prefix_ = suffix_ = text_.size();
  for (const Segment& s : segments_) {
    if (s.literal) continue;
    prefix_ = std::min<size_t>(prefix_, s.begin == 0 ? 0 : s.begin - 1u);
    const size_t end = size_t{s.begin} + s.length;
    suffix_ = end == text_.size() ? 0 : text_.size() - end - 1;
  }
}

bool Glob::literal() const {
  return std::ranges::all_of(segments_, [](const Segment& s) { return s.literal; });
}
bool Glob::any_depth() const {
  return std::ranges::any_of(segments_, [](const Segment& s) { return s.any_number; });
}
bool Glob::last_segment_literal() const {
  return segments_.back().literal;
}

bool Glob::accepts(const Token& token, uint8_t c) const {
  switch (token.kind) {
    case Token::Kind::one:
      return token.character == c;
    case Token::Kind::any:
      return true;
    case Token::Kind::set:
      return sets_[token.set].test(c);
    case Token::Kind::run:
      return false;
  }
  return false;
}

// Greedy with one point of return: after a later `*` matched, an earlier one never needs to take more.
bool Glob::segment_matches(const Segment& segment, std::string_view text) const {
  if (segment.literal) return text == std::string_view(text_).substr(segment.begin, segment.length);
  size_t t = segment.first, i = 0;
  const size_t last = size_t{segment.first} + segment.size;
  size_t return_token = last, return_text = 0;
  while (i < text.size()) {
    if (t < last && tokens_[t].kind == Token::Kind::run) {
      return_token = t++;
      return_text = i;
    } else if (t < last && accepts(tokens_[t], static_cast<uint8_t>(text[i]))) {
      ++t;
      ++i;
    } else if (return_token != last) {
      t = return_token + 1;
      i = ++return_text;
    } else {
      return false;
    }
  }
  while (t < last && tokens_[t].kind == Token::Kind::run) ++t;
  return t == last;
}

// The segment that starts at `at`; moves `at` past its separator, or to npos after the last one.
std::string_view Glob::next_segment(std::string_view text, size_t& at) const {
  const char sep = separator(kind_);
  const size_t end = sep == '\0' ? std::string_view::npos : text.find(sep, at);
  std::string_view segment = text.substr(at, end == std::string_view::npos ? end : end - at);
  at = end == std::string_view::npos ? end : end + 1;
  return segment;
}

// The same greedy walk, one level up: segments are the characters and `**` is the run.
bool Glob::matches(std::string_view text) const {
  size_t s = 0, at = 0;
  size_t return_segment = segments_.size(), return_at = 0;
  while (at != std::string_view::npos) {
    size_t after = at;
    if (s < segments_.size() && segments_[s].any_number) {
      return_segment = s++;
      return_at = at;
      continue;
    }
    const std::string_view segment = next_segment(text, after);
    if (s < segments_.size() && segment_matches(segments_[s], segment)) {
      ++s;
      at = after;
    } else if (return_segment != segments_.size()) {
      next_segment(text, return_at);
      at = return_at;
      s = return_segment + 1;
    } else {
      return false;
    }
  }
  while (s < segments_.size() && segments_[s].any_number) ++s;
  return s == segments_.size();
}

Glob::Set Glob::characters(const Token& token) const {
  Set all;
  all.set();
  switch (token.kind) {
    case Token::Kind::one:
      return Set().set(token.character);
    case Token::Kind::set:
      return sets_[token.set];
    case Token::Kind::any:
    case Token::Kind::run:
      break;
  }
  // The separator cannot occur in a segment.
  if (const char sep = separator(kind_); sep != '\0') all.reset(static_cast<uint8_t>(sep));
  return all;
}

bool Glob::segments_overlap(const Segment& mine, const Glob& other, const Segment& theirs) const {
  return end_together(mine.size, theirs.size, [&](size_t i, size_t j) -> Moves {
    const Token* a = i < mine.size ? &tokens_[mine.first + i] : nullptr;
    const Token* b = j < theirs.size ? &other.tokens_[theirs.first + j] : nullptr;
    const bool a_run = a && a->kind == Token::Kind::run, b_run = b && b->kind == Token::Kind::run;
    return overlap_moves(a && b, a_run, b_run, [&] { return (characters(*a) & other.characters(*b)).any(); });
  });
}

bool Glob::overlaps(const Glob& other) const {
  const size_t n = segments_.size(), m = other.segments_.size();
  return end_together(n, m, [&](size_t i, size_t j) -> Moves {
    const Segment* a = i < n ? &segments_[i] : nullptr;
    const Segment* b = j < m ? &other.segments_[j] : nullptr;
    const bool a_any = a && a->any_number, b_any = b && b->any_number;
    return overlap_moves(a && b, a_any, b_any,
                         [&] { return a_any || b_any || segments_overlap(*a, other, *b); });
  });
}

// Their tokens as the text that mine are matched with: only a run of mine takes a run of theirs.
bool Glob::segment_covers(const Segment& mine, const Glob& other, const Segment& theirs) const {
  return end_together(mine.size, theirs.size, [&](size_t i, size_t j) -> Moves {
    if (i == mine.size) return 0;
    const Token& a = tokens_[mine.first + i];
    const Token* b = j < theirs.size ? &other.tokens_[theirs.first + j] : nullptr;
    return cover_moves(b, a.kind == Token::Kind::run, [&] {
      return b->kind != Token::Kind::run && (other.characters(*b) & ~characters(a)).none();
    });
  });
}

bool Glob::covers(const Glob& other) const {
  const size_t n = segments_.size(), m = other.segments_.size();
  return end_together(n, m, [&](size_t i, size_t j) -> Moves {
    if (i == n) return 0;
    const Segment* b = j < m ? &other.segments_[j] : nullptr;
    return cover_moves(b, segments_[i].any_number,
                       [&] { return !b->any_number && segment_covers(segments_[i], other, *b); });
  });
}

}  // namespace saw::policy
