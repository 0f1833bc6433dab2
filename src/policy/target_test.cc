#include "policy/target.h"

#include <gtest/gtest.h>

namespace saw::policy {
namespace {

std::string canonical(std::string_view raw) {
  auto target = canonical_target(raw);
  return target ? target->text : std::string(target.error());
}

TEST(Target, has_one_form_for_every_spelling) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"/", "/"},
      {"/a/b", "/a/b"},
      {"/%61/%7Eb%2d", "/a/~b-"},
      {"/a%3ab%2a", "/a%3Ab%2A"},
      {"/a//b///c", "/a/b/c"},
      {"//host/a", "/host/a"},
      {"/a/./b/../c", "/a/c"},
      {"/a/%2e/%2E%2e/c", "/c"},
      {"/a/b/..", "/a/"},
      {"/a/.", "/a/"},
      {"/..a/...", "/..a/..."},
      {"/a b", "malformed:control"},
      {"/a%20b", "/a%20b"},
      {"/a\"<>^`{|}[]", "/a%22%3C%3E%5E%60%7B%7C%7D%5B%5D"},
      {"/a;v=1/b", "/a;v=1/b"},
      {"/a?", "/a?"},
      {"/a?b=/../%2F?;", "/a?b=/../%2F?%3B"},
      {"/a?q=%c3%A9", "/a?q=%C3%A9"},
      {"/a?x[]=1", "/a?x%5B%5D=1"},
  };
  for (const auto& [raw, expected] : cases) EXPECT_EQ(canonical(raw), expected) << raw;
}

TEST(Target, refuses_what_two_readers_could_read_differently) {
  const std::pair<std::string, std::string_view> cases[] = {
      {"", "malformed:target"},
      {"a", "malformed:target"},
      {"*", "malformed:target"},
      {"http://a/", "malformed:target"},
      {"/%", "malformed:percent"},
      {"/%4", "malformed:percent"},
      {"/%gg", "malformed:percent"},
      {"/%u0041", "malformed:percent"},
      {"/a?%", "malformed:percent"},
      {"/a%2fb", "malformed:encoded-slash"},
      {"/a%2F..%2Fb", "malformed:encoded-slash"},
      {"/a\\b", "malformed:backslash"},
      {"/a%5Cb", "malformed:backslash"},
      {"/a?b\\", "malformed:backslash"},
      {"/a%00", "malformed:nul"},
      {"/a?b=%00", "malformed:nul"},
      {std::string("/a\0b", 4), "malformed:nul"},
      {"/a\nb", "malformed:control"},
      {"/a%0d%0ab", "malformed:control"},
      {"/a?b=%0d%0aX", "malformed:control"},
      {"/a\x7f", "malformed:control"},
      {"/\xc3\xa9", "malformed:non-ascii"},
      {"/%c3%a9", "malformed:non-ascii"},
      {"/%c0%af", "malformed:non-ascii"},
      {"/a?\xc3\xa9", "malformed:non-ascii"},
      {"/a?%c0%af", "malformed:non-ascii"},
      {"/a?%c3", "malformed:non-ascii"},
      {"/a?%c3x", "malformed:non-ascii"},
      {"/a?%ed%a0%80", "malformed:non-ascii"},
      {"/a#b", "malformed:fragment"},
      {"/..", "malformed:climb"},
      {"/a/../../b", "malformed:climb"},
      {"/%2e%2e/b", "malformed:climb"},
      {"/a/..;/b", "malformed:path-parameter"},
      {"/a/..;x=1/b", "malformed:path-parameter"},
      {"/a/.;/b", "malformed:path-parameter"},
      {"/a/..%3b/b", "malformed:path-parameter"},
      {"/a;x/../b", "malformed:path-parameter"},
      {"/a//../b", "malformed:empty-segment"},
      {"/a//./../b", "malformed:empty-segment"},
  };
  for (const auto& [raw, expected] : cases) EXPECT_EQ(canonical(raw), expected) << raw;
  EXPECT_EQ(canonical("/" + std::string(kMaxTarget, 'a')), "malformed:target");
}

TEST(Target, canonical_form_is_its_own_canonical_form) {
  for (std::string_view raw : {"/%61//b/./c?x=%7e;", "/a%20b/%5B", "/a/..", "/?a&&b", "/a;b;c"})
    EXPECT_EQ(canonical(canonical(raw)), canonical(raw)) << raw;
}

TEST(Target, parameters_are_read_decoded) {
  auto target = canonical_target("/?a=1&b%20c=x%2Fy+z&&flag&d=e=f");
  ASSERT_TRUE(target);
  ParameterReader reader(target->query());
  std::string out;
  while (auto p = reader.next()) out += std::string(p->key) + "→" + std::string(p->value) + "|";
  EXPECT_EQ(out, "a→1|b c→x/y z|flag→|d→e=f|");
}

TEST(Target, globs_of_a_policy_take_the_same_form) {
  EXPECT_EQ(canonical_path_glob("/%61/*/[a-z]?/%2a**").value(), "/a/*/[a-z]?/%2A**");
  for (std::string_view bad : {"a", "/a//b", "/a/../b", "/./a", "/a%2Fb", "/a b", "/%", "/\xc3\xa9"})
    EXPECT_FALSE(canonical_path_glob(bad)) << bad;
}

TEST(Target, splits_the_absolute_form) {
  auto parts = split_target("https://u@h:1/a?b://c");
  EXPECT_EQ(parts.scheme, "https");
  EXPECT_EQ(parts.authority, "u@h:1");
  EXPECT_EQ(parts.rest, "/a?b://c");
  EXPECT_EQ(split_target("/a?b=http://c").scheme, "");
  EXPECT_EQ(split_target("http://h?x").rest, "?x");
}

}  // namespace
}  // namespace saw::policy
