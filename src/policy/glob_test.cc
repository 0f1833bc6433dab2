#include "policy/glob.h"

#include <algorithm>
#include <random>
#include <span>

#include <gtest/gtest.h>

namespace saw::policy {
namespace {

using Kind = Glob::Kind;

bool match(std::string_view pattern, std::string_view text, Kind kind = Kind::path) {
  auto glob = Glob::create(pattern, kind);
  EXPECT_TRUE(glob) << pattern << ": " << (glob ? "" : glob.error());
  return glob && glob->matches(text);
}

TEST(Glob, star_stays_within_a_segment) {
  EXPECT_TRUE(match("/repos/*/x", "/repos/saw/x"));
  EXPECT_FALSE(match("/repos/*/x", "/repos/a/b/x"));
  EXPECT_FALSE(match("/repos/*", "/repos"));
  EXPECT_TRUE(match("/a*c/?", "/abbbc/z"));
  EXPECT_FALSE(match("/a?", "/a/"));
  EXPECT_TRUE(match("/v[0-9a]", "/va"));
  EXPECT_FALSE(match("/v[0-9]", "/va"));
}

TEST(Glob, two_stars_are_any_number_of_segments) {
  EXPECT_TRUE(match("/repos/**", "/repos"));
  EXPECT_TRUE(match("/repos/**", "/repos/"));
  EXPECT_TRUE(match("/repos/**", "/repos/a/b"));
  EXPECT_FALSE(match("/repos/**", "/repository"));
  EXPECT_TRUE(match("/**/b", "/b"));
  EXPECT_TRUE(match("/a/**/b/**/c", "/a/b/x/b/c"));
  EXPECT_FALSE(match("/a/**/b/**/c", "/a/x/c"));
  EXPECT_TRUE(match("/**", "/"));
}

TEST(Glob, hosts_split_at_dots_and_refs_at_slashes) {
  EXPECT_TRUE(match("*.example.com", "a.example.com", Kind::host));
  EXPECT_FALSE(match("*.example.com", "example.com", Kind::host));
  EXPECT_FALSE(match("*.example.com", "a.b.example.com", Kind::host));
  EXPECT_TRUE(match("**.example.com", "a.b.example.com", Kind::host));
  EXPECT_TRUE(match("refs/heads/agent/**", "refs/heads/agent/a/b", Kind::ref));
  EXPECT_FALSE(match("refs/heads/agent/**", "refs/heads/agents", Kind::ref));
}

TEST(Glob, in_values_dots_and_slashes_are_ordinary) {
  EXPECT_TRUE(match("/public/**", "/public/a.b/c", Kind::value));
  EXPECT_TRUE(match("a*", "a/b.c", Kind::value));
  EXPECT_TRUE(match("a*", "a", Kind::value));
  EXPECT_FALSE(match("a*", "ba", Kind::value));
}

TEST(Glob, refuses_other_syntax) {
  for (std::string_view bad :
       {"", "x", "/a**", "/**b", "/[!a]", "/[^a]", "/[]", "/[a", "/[a/]", "/[z-a]", "/\xc3\xa9", "/a\n"})
    EXPECT_FALSE(Glob::create(bad, Kind::path)) << bad;
  EXPECT_FALSE(Glob::create("a..b", Kind::host));
  EXPECT_FALSE(Glob::create("**", Kind::name));
  EXPECT_FALSE(Glob::create("/" + std::string(Glob::kMaxLength, 'a'), Kind::path));
}

TEST(Glob, a_class_never_crosses_a_separator) {
  EXPECT_FALSE(match("/a[+-9]b", "/a/b"));
}

TEST(Glob, knows_its_literal_ends) {
  auto head = [](std::string_view p) { return std::string(Glob::create(p, Kind::path)->literal_prefix()); };
  EXPECT_EQ(head("/repos/*/issues"), "/repos");
  EXPECT_EQ(head("/repos*"), "");
  EXPECT_EQ(head("/**"), "");
  EXPECT_EQ(head("/a/b/**"), "/a/b");
  auto tail = [](std::string_view p) { return std::string(Glob::create(p, Kind::host)->literal_suffix()); };
  EXPECT_EQ(tail("*.example.com"), "example.com");
  EXPECT_EQ(tail("a*.com"), "com");
  EXPECT_EQ(tail("**"), "");
  EXPECT_EQ(tail("api.*"), "");
}

// The language's definition, word for word and without any cleverness.
bool naive_segment(std::string_view p, std::string_view t) {
  if (p.empty()) return t.empty();
  if (p[0] == '*') return naive_segment(p.substr(1), t) || (!t.empty() && naive_segment(p, t.substr(1)));
  if (t.empty()) return false;
  if (p[0] == '?') return naive_segment(p.substr(1), t.substr(1));
  if (p[0] == '[') return t[0] >= p[1] && t[0] <= p[3] && naive_segment(p.substr(5), t.substr(1));
  return p[0] == t[0] && naive_segment(p.substr(1), t.substr(1));
}
using Segments = std::vector<std::string>;
Segments split(std::string_view s) {
  Segments out(1);
  for (char c : s) {
    if (c == '/')
      out.emplace_back();
    else
      out.back() += c;
  }
  return out;
}
bool naive(std::span<const std::string> p, std::span<const std::string> t) {
  if (p.empty()) return t.empty();
  if (p[0] == "**") return naive(p.subspan(1), t) || (!t.empty() && naive(p, t.subspan(1)));
  return !t.empty() && naive_segment(p[0], t[0]) && naive(p.subspan(1), t.subspan(1));
}

class Random {
 public:
  size_t below(size_t n) { return std::uniform_int_distribution<size_t>(0, n - 1)(engine_); }
  std::string text() {
    std::string out;
    for (size_t n = 1 + below(4); n > 0; --n) {
      out += '/';
      for (size_t k = below(4); k > 0; --k) out += "ab"[below(2)];
    }
    return out;
  }
  std::string pattern() {
    constexpr std::string_view kPieces[] = {"a", "b", "*", "?", "[a-b]", "[b-b]"};
    std::string out;
    for (size_t n = 1 + below(4); n > 0; --n) {
      out += '/';
      if (below(4) == 0) {
        out += "**";
        continue;
      }
      std::string segment;
      for (size_t k = below(4); k > 0; --k) {
        std::string_view piece = kPieces[below(6)];
        if (piece != "*" || !segment.ends_with('*')) segment += piece;
      }
      out += segment;
    }
    return out;
  }

 private:
  std::mt19937_64 engine_{7};
};

TEST(Glob, agrees_with_the_definition_on_random_patterns) {
  Random random;
  size_t matched = 0;
  for (int i = 0; i < 20'000; ++i) {
    const std::string p = random.pattern(), t = random.text();
    const Segments ps = split(p), ts = split(t);
    const bool expected = naive(ps, ts);
    matched += expected;
    ASSERT_EQ(match(p, t), expected) << p << " on " << t;
  }
  EXPECT_GT(matched, 1000u);
}

TEST(Glob, overlap_is_true_where_a_text_matches_both_and_false_where_none_can) {
  std::vector<std::string> texts = {""};  // every text of up to three segments of up to two letters
  const std::vector<std::string> segments = {"/", "/a", "/b", "/aa", "/ab", "/ba", "/bb"};
  for (size_t depth = 0, begin = 0; depth < 3; ++depth) {
    const size_t end = texts.size();
    for (size_t i = begin; i < end; ++i)
      for (const std::string& s : segments) texts.push_back(texts[i] + s);
    begin = end;
  }
  Random random;
  for (int i = 0; i < 400; ++i) {
    auto p = Glob::create(random.pattern(), Kind::path), q = Glob::create(random.pattern(), Kind::path);
    ASSERT_TRUE(p && q);
    const bool found = std::ranges::any_of(
        texts, [&](const std::string& t) { return !t.empty() && p->matches(t) && q->matches(t); });
    const bool overlap = p->overlaps(*q);
    if (found) ASSERT_TRUE(overlap) << p->text() << " and " << q->text();
    ASSERT_EQ(overlap, q->overlaps(*p));
  }
  auto overlap = [](std::string_view a, std::string_view b) {
    return Glob::create(a, Kind::path)->overlaps(*Glob::create(b, Kind::path));
  };
  EXPECT_FALSE(overlap("/a/*", "/b/*"));
  EXPECT_FALSE(overlap("/a/*", "/a/b/c"));
  EXPECT_FALSE(overlap("/*a", "/*b"));
  EXPECT_FALSE(overlap("/[a-c]", "/[d-f]"));
  EXPECT_TRUE(overlap("/**/x", "/a/b/*"));
}

TEST(Glob, a_hostile_pattern_and_text_stay_polynomial) {
  std::string pattern, text(900, 'a');
  for (int i = 0; i < 300; ++i) pattern += "a*";
  EXPECT_FALSE(match("/" + pattern + "b", "/" + text));
  std::string deep, path;
  for (int i = 0; i < 20; ++i) deep += "/**/a";
  for (int i = 0; i < 4000; ++i) path += "/a";
  EXPECT_FALSE(match(deep + "/b", path));
}

}  // namespace
}  // namespace saw::policy
