// The one glob of the language, used for hosts, paths, refs, tool names and values.
//
//   auto g = Glob::create("/repos/*/issues/**", Glob::Kind::path);
//   g->matches("/repos/saw/issues/7")  → true
//
// `*` is any run of characters within one segment (also none), `?` one character, `[a-z]` a class; `**`,
// alone in its segment, is any number of segments, including none: "/repos/**" matches "/repos", "/a/**/b"
// matches "/a/b". There is no escape and no negated class. Segments end at '/' in paths and refs, at '.' in
// hosts; names and values are one segment, and in a value '.' and '/' are ordinary.
//
// matches() allocates nothing and takes O(pattern × text). overlaps() is exact: whether some text matches
// both. covers() errs on the side of no.
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

namespace saw::policy {

class Glob {
 public:
  enum class Kind : uint8_t { host, path, ref, name, value };
  static constexpr size_t kMaxLength = 1024, kMaxSegments = 64;

  // The error is a phrase for a diagnostic: "'**' must stand alone in its segment". Text is taken as it is:
  // canonicalise literals first.
  static std::expected<Glob, std::string> create(std::string_view text, Kind kind);

  bool matches(std::string_view text) const;
  bool overlaps(const Glob& other) const;  // both of the same kind
  // Whether every text that matches `other`, of the same kind, matches this one. Never wrong with true; false may also mean that it
  // takes more than a look at each piece to see it ("[ab]*" and "a*" with "b*").
  bool covers(const Glob& other) const;
  bool has_class() const { return !sets_.empty(); }

  const std::string& text() const { return text_; }
  Kind kind() const { return kind_; }
  bool literal() const;    // matches exactly one text: text()
  bool any_depth() const;  // contains "**"
  // The text up to the first segment with a wildcard, without the separator before it: "/repos" of
  // "/repos/*/issues", "" of "/*".
  std::string_view literal_prefix() const { return std::string_view(text_).substr(0, prefix_); }
  // The text after the last segment with a wildcard, without the separator: "example.com" of "*.example.com".
  std::string_view literal_suffix() const { return std::string_view(text_).substr(text_.size() - suffix_); }
  bool last_segment_literal() const;

 private:
  using Set = std::bitset<256>;
  struct Token {
    enum class Kind : uint8_t { one, any, set, run } kind = Kind::one;
    uint8_t character = 0;  // one
    uint16_t set = 0;       // set: index into sets_
  };
  struct Segment {
    bool any_number = false;  // "**"
    bool literal = true;
    uint16_t first = 0, size = 0;    // tokens
    uint16_t begin = 0, length = 0;  // text
  };

  Glob(std::string_view text, Kind kind) : text_(text), kind_(kind) {}
  std::string parse();
  std::string parse_segment(size_t begin, size_t end);
  std::string parse_class(size_t& at, size_t end);
  void find_literal_ends();
  bool accepts(const Token& token, uint8_t c) const;
  bool segment_matches(const Segment& segment, std::string_view text) const;
  Set characters(const Token& token) const;
  bool segment_covers(const Segment& mine, const Glob& other, const Segment& theirs) const;
  bool segments_overlap(const Segment& mine, const Glob& other, const Segment& theirs) const;
  std::string_view next_segment(std::string_view text, size_t& at) const;

  std::string text_;
  Kind kind_;
  std::vector<Segment> segments_;
  std::vector<Token> tokens_;
  std::vector<Set> sets_;
  size_t prefix_ = 0, suffix_ = 0;
};

}  // namespace saw::policy
