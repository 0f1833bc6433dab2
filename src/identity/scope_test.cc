#include "identity/scope.h"

#include <random>

#include <gtest/gtest.h>

namespace saw::identity {
namespace {

using enum ActionClass;

Scope scope(std::vector<Grant> grants) {
  auto made = Scope::create(std::move(grants));
  if (!made) ADD_FAILURE() << made.error().message;
  return std::move(*made);
}
Scope scope(std::vector<ActionClass> actions, std::vector<std::string> tools,
            std::vector<std::string> resources, Labels labels = kAllLabels) {
  return scope({{std::move(actions), std::move(tools), std::move(resources), labels}});
}
bool within(const Scope& child, const Scope& parent) {
  return !child.excess_over(parent).value().has_value();
}

TEST(Scope, permits_what_one_of_its_grants_permits_in_all_respects) {
  const Scope s = scope({{{read, search}, {"git*"}, {"https://git.example/acme/**"}, 0},
                         {{change}, {"edit"}, {"/workspace/src/*"}, kUntrusted}});
  EXPECT_TRUE(s.permits({read, "git-fetch", "https://git.example/acme/x/y"}));
  EXPECT_TRUE(s.permits({read, "git", "https://git.example/acme"}));
  EXPECT_TRUE(s.permits({change, "edit", "/workspace/src/a", kUntrusted}));
  EXPECT_FALSE(s.permits({change, "git", "https://git.example/acme/x"})) << "the class of another grant";
  EXPECT_FALSE(s.permits({read, "edit", "https://git.example/acme/x"})) << "the tool of another grant";
  EXPECT_FALSE(s.permits({read, "git", "https://git.example.evil/acme/x"}));
  EXPECT_FALSE(s.permits({read, "git", "https://git.example/acme/x", kPrivate}));
  EXPECT_FALSE(s.permits({change, "edit", "/workspace/src/a/b"}));
  EXPECT_FALSE(s.permits({change, "edit", "/workspace/src/a", kAllLabels}));
}

TEST(Scope, no_name_reaches_over_into_the_resource) {
  const Scope s = scope({read}, {"a*"}, {"/x"});
  EXPECT_TRUE(s.permits({read, "abc", "/x"}));
  EXPECT_FALSE(s.permits({read, std::string_view("a\0/x", 4), "/y"}));
  EXPECT_FALSE(s.permits({read, "a", std::string_view("/x\0", 3)}));
}

// Spelling decides nothing: each of these would be wrong by comparison of strings.
TEST(Scope, narrower_is_decided_on_what_globs_mean) {
  const struct {
    const char *child, *parent;
    bool within;
  } table[] = {
      {"/a/b", "/a/*", true},    {"/a/*", "/a/**", true},     {"/a/**", "/a/*", false},
      {"/a", "/a/**", true},     {"/ab", "/a/**", false},     {"/a/../b", "/a/**", true},
      {"/[ab]", "/[a-c]", true}, {"/[a-c]", "/[ab]", false},  {"/?", "/*", true},
      {"/*", "/?", false},       {"/*a*", "/*", true},        {"/a*b", "/*b", true},
      {"/**/x", "/**", true},    {"/**", "/**/**", true},     {"/a/**/b", "/a/**", true},
      {"/*/**", "/**", true},    {"/x/*/y", "/x/**/y", true}, {"/x/**/y", "/x/*/y", false},
  };
  for (const auto& row : table)
    EXPECT_EQ(within(scope({read}, {"t"}, {row.child}), scope({read}, {"t"}, {row.parent})), row.within)
        << row.child << " within " << row.parent;
}

TEST(Scope, a_union_may_cover_what_no_single_grant_covers) {
  const Scope child = scope({read, change}, {"a", "b"}, {"/x/[a-d]"});
  const Scope parent = scope({{{read}, {"a", "b"}, {"/x/*"}},
                              {{change}, {"a"}, {"/x/[a-b]", "/x/[c-d]"}},
                              {{change}, {"b"}, {"/x/?"}}});
  EXPECT_TRUE(within(child, parent));
  const Scope hole = scope(
      {{{read}, {"a", "b"}, {"/x/*"}}, {{change}, {"a"}, {"/x/[a-b]", "/x/d"}}, {{change}, {"b"}, {"/x/?"}}});
  auto excess = child.excess_over(hole).value();
  ASSERT_TRUE(excess);
  EXPECT_EQ(*excess, "change with tool 'a' on '/x/c'");
}

TEST(Scope, what_was_dropped_cannot_be_granted_again) {  // R30
  const Scope root = scope({read, change, remove}, {"*"}, {"/**"});
  const Scope child = scope({read, change}, {"*"}, {"/**"});
  EXPECT_TRUE(within(child, root));
  EXPECT_FALSE(within(scope({read, remove}, {"*"}, {"/**"}), child));
  EXPECT_TRUE(within(scope({read, remove}, {"*"}, {"/**"}), root));
  EXPECT_FALSE(within(scope({read}, {"t"}, {"/a"}, kPrivate), scope({read}, {"t"}, {"/a"}, kUntrusted)));
}

TEST(Scope, what_is_no_grant_is_refused) {
  const std::vector<Grant> bad[] = {
      {},
      {{{}, {"t"}, {"/a"}}},
      {{{read}, {}, {"/a"}}},
      {{{read}, {"t"}, {}}},
      {{{read}, {""}, {"/a"}}},
      {{{read}, {"t["}, {"/a"}}},
      {{{read}, {"a**"}, {"/a"}}},
      {{{read}, {"t"}, {"/a**/b"}}},
      {{{read}, {"t"}, {"/[^a]"}}},
      {{{read}, {"t"}, {"/[z-a]"}}},
      {{{read}, {std::string("t\0", 2)}, {"/a"}}},
      {{{read}, {"t"}, {"/\xff"}}},
      {{{read}, {"t"}, {std::string(2000, 'a')}}},
      {{{read}, {"t"}, {"/a"}, 4}},
      {{{read}, std::vector<std::string>(17, "t"), {"/a"}}},
      std::vector<Grant>(17, Grant{{read}, {"t"}, {"/a"}}),
  };
  for (const auto& grants : bad) EXPECT_FALSE(Scope::create(grants));
  EXPECT_TRUE(Scope::create({{{read}, {"t"}, {"/a"}}})) << "the benign twin";
}

// A glob that would make an automaton of a million states is refused, and does not take the machine with it.
TEST(Scope, an_intricate_glob_is_refused_in_bounded_time) {
  auto made = Scope::create({{{read}, {"*a????????????????????"}, {"/a"}}});
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, "identity.scope_too_large");
}

}  // namespace
}  // namespace saw::identity
