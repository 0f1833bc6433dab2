#include "policy/trifecta.h"

#include <gtest/gtest.h>

#include "policy/document.h"

namespace saw::policy {
namespace {

Policy compile(std::string_view profile, std::string_view rest) {
  auto p = Policy::compile("apiVersion: saw/v1\nkind: Policy\nmetadata: {name: t}\nprofile: " +
                               std::string(profile) + "\n" + std::string(rest),
                           "t");
  if (!p)
    for (const Diagnostic& d : p.error()) ADD_FAILURE() << d.text();
  return std::move(p.value());
}
// "a.c": the legs that are present.
std::string legs(const Policy& p) {
  std::string out;
  for (const TrifectaLeg& leg : trifecta_of(p).legs) out += leg.present ? leg.letter : '.';
  return out;
}
std::string entry(std::string_view fields) {
  return "network:\n  - {name: e, to: {hosts: [h.example]}, " + std::string(fields) + "}\n";
}

TEST(Trifecta, a_public_policy_has_no_leg_a_and_says_why) {
  const Policy p = compile("public", entry("allow: all"));
  EXPECT_EQ(legs(p), ".bc");
  const std::vector<std::string> lines = trifecta_of(p).lines();
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_TRUE(lines[0].starts_with("leg a, private data: absent because ")) << lines[0];
  EXPECT_TRUE(lines[3].starts_with("the three cannot meet by this policy: leg a absent")) << lines[3];
}

TEST(Trifecta, each_leg_is_found_where_it_comes_from) {
  EXPECT_EQ(legs(compile("local", "")), "...");
  EXPECT_EQ(legs(compile("local", entry("reach: internal, content: trusted, allow: all"))), "...");
  EXPECT_EQ(legs(compile("local", entry("reach: internal, content: trusted, data: private, allow: all"))),
            "a..");
  EXPECT_EQ(legs(compile("local", entry("reach: internal, allow: all"))), ".b.");
  EXPECT_EQ(legs(compile("local", entry("content: trusted, allow: all"))), "..c");
  EXPECT_EQ(legs(compile("local", entry("data: private, deny: [{methods: [GET]}]"))), "...")
      << "an entry that admits nothing answers nothing";
  EXPECT_EQ(legs(compile("local", "filesystem: {read: [/a], labels: [{path: /a, add: private}]}\n")), "a..");
  EXPECT_EQ(legs(compile("local", "filesystem: {read: [/a], labels: [{path: /a, add: untrusted}]}\n")),
            ".b.");
}

TEST(Trifecta, a_way_out_that_no_tree_with_both_labels_may_use_is_none) {
  EXPECT_EQ(legs(compile("local", entry("allow: [{methods: [GET], when: {labels: {none: [private]}}}]"))),
            ".b.");
  EXPECT_EQ(legs(compile("local", entry("allow: [{methods: [GET], when: {labels: {any: [private]}}}]"))),
            ".bc");
  EXPECT_EQ(legs(compile("local", entry("review: [{methods: [GET]}]"))), ".bc");
}

TEST(Trifecta, where_the_legs_can_meet_it_names_what_holds_them) {
  const std::string meets = entry("data: private, allow: all");
  EXPECT_NE(trifecta_of(compile("local", meets)).conclusion.find("privateAndUntrusted: review"),
            std::string::npos);
  EXPECT_NE(trifecta_of(compile("local", meets + "trifecta: {privateAndUntrusted: deny}\n"))
                .conclusion.find("privateAndUntrusted: deny"),
            std::string::npos);
}

}  // namespace
}  // namespace saw::policy
