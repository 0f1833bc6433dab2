#include "policy/lint.h"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"

namespace saw::policy {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::string_view kHead = "apiVersion: saw/v1\nkind: Policy\nmetadata: {name: t}\nprofile: local\n";

Diagnostics found(std::string_view rest) {
  auto p = Policy::compile(std::string(kHead) + std::string(rest), "f");
  if (!p) ADD_FAILURE() << p.error().at(0).text() << "\n" << rest;
  return lint(p.value());
}
// The codes, without what is not enforced yet.
std::vector<std::string> codes(std::string_view rest) {
  std::vector<std::string> out;
  for (const Diagnostic& d : found(rest)) {
    EXPECT_EQ(d.severity, Diagnostic::Severity::warning);
    EXPECT_GE(d.line, 5);
    if (d.code != "policy.not_enforced") out.push_back(d.code);
  }
  return out;
}
std::string entry(std::string_view fields) {
  return "network:\n  - {name: e, to: {hosts: [h.example]}, " + std::string(fields) + "}\n";
}

TEST(Lint, finds_rules_that_never_decide) {
  EXPECT_THAT(codes(entry("allow: [{paths: [\"/a/b\"]}], deny: [{paths: [\"/a/**\"]}]")),
              ElementsAre("policy.shadowed"));
  EXPECT_THAT(codes(entry("allow: [{methods: [HEAD], paths: [\"/a/*\"]}], review: [{methods: [GET, POST]}]")),
              ElementsAre("policy.shadowed"));
  EXPECT_THAT(codes(entry("allow: [{paths: [/a]}, {paths: [/a, /b]}]")), ElementsAre("policy.redundant"));
  EXPECT_THAT(codes(entry("allow: [{paths: [/a]}, {paths: [/a]}]")), ElementsAre("policy.redundant"));
  EXPECT_THAT(codes(entry("protocol: mcp, allow: [{tools: [a]}], deny: [{tools: [\"?\"]}]")),
              ElementsAre("policy.shadowed"));
  EXPECT_THAT(codes(entry("protocol: git, allow: [{op: push, repos: [a/b]}], review: [{op: push}]")),
              ElementsAre("policy.shadowed"));
  EXPECT_THAT(found(entry("allow: [{paths: [/a]}], deny: [{paths: [/a]}]"))[0].message,
              HasSubstr("network.e.allow[0] never decides: network.e.deny[0] (deny)"));
}

TEST(Lint, is_silent_about_rules_that_do_decide) {
  for (std::string_view fields :
       {"allow: [{paths: [\"/a/**\"]}], deny: [{paths: [\"/a/b\"]}]",
        "allow: [{paths: [/a]}], deny: [{paths: [/a], query: {x: y}}]",
        "allow: [{paths: [/a]}], deny: [{paths: [/a], when: {labels: {all: [private]}}}]",
        "allow: [{methods: [GET]}, {methods: [POST]}]",
        "allow: [{paths: [/a], headers: {x: \"1*\"}}, {paths: [/a], headers: {x: \"2*\"}}]",
        "protocol: git, allow: [{op: push, refs: [\"refs/heads/a/**\"]}], review: [{op: push, refs: "
        "[refs/heads/main]}]",
        "protocol: websocket, allow: [{paths: [/a]}], deny: [{messages: [\"*\"]}]",
        "protocol: registry, allow: [{ecosystem: npm, op: read, minAgeDays: 7}, {ecosystem: npm, op: read, "
        "packages: [\"@a/*\"]}]"})
    EXPECT_THAT(codes(entry(fields)), IsEmpty()) << fields;
}

TEST(Lint, finds_rules_that_never_match) {
  EXPECT_THAT(codes(entry("allow: [{methods: [GET], when: {labels: {all: [private], none: [private]}}}]")),
              ElementsAre("policy.never_matches"));
  EXPECT_THAT(codes(entry("allow: [{methods: [GET], when: {labels: {any: [private], none: [private]}}}]")),
              ElementsAre("policy.never_matches"));
  EXPECT_THAT(codes("network:\n  - {name: e, to: {hosts: [h.example], paths: [\"/api/**\"]}, allow: [{paths: "
                    "[/admin]}]}\n"),
              ElementsAre("policy.never_matches"));
  EXPECT_THAT(codes("network:\n  - {name: e, to: {hosts: [h.example], paths: [\"/api/**\"]}, allow: [{paths: "
                    "[/api/x]}]}\n"),
              IsEmpty());
  EXPECT_THAT(codes(entry("protocol: git, allow: [{op: push, refs: [main]}]")),
              ElementsAre("policy.never_matches"));
}

TEST(Lint, warns_of_globs_that_surprise) {
  for (std::string_view fields :
       {"allow: [{paths: [\"/a/**/b\"]}]", "allow: [{paths: [\"/a/[ab]\"]}]",
        "allow: [{paths: [\"/search?q=*\"]}]", "allow: [{paths: [\"/a/.*\"]}]", "allow: [{paths: [\"/a$\"]}]",
        "protocol: mcp, allow: [{tools: [\"{a,b}\"]}]", "protocol: mcp, allow: [{tools: [\"search.*\"]}]"})
    EXPECT_THAT(codes(entry(fields)), ElementsAre("policy.glob")) << fields;
  EXPECT_THAT(
      codes("network:\n  - {name: e, to: {hosts: [\"api[12].h.example\"]}, allow: [{methods: [GET]}]}\n"),
      ElementsAre("policy.glob"));
  EXPECT_THAT(codes(entry("allow: [{paths: [\"/a/**\", \"/b/*/c\"]}]")), IsEmpty());
}

TEST(Lint, a_name_that_the_client_chooses_is_no_fence) {
  EXPECT_THAT(codes(entry("protocol: graphql, allow: [{names: [Good]}]")),
              ElementsAre("policy.client_chosen"));
  EXPECT_THAT(codes(entry("protocol: graphql, allow: [{names: [Good], fields: [viewer]}]")), IsEmpty());
}

TEST(Lint, credentials_belong_to_one_entry) {
  const std::string credential =
      "credentials:\n  c: {secret: s, inject: {header: A, format: \"{secret}\"}, only: [e]}\n";
  EXPECT_THAT(codes(entry("allow: [{methods: [GET]}]") + credential),
              ElementsAre("policy.unused_credential"));
  EXPECT_THAT(codes(entry("credential: c, allow: [{methods: [GET]}]") + credential), IsEmpty());
  EXPECT_THAT(
      codes("network:\n  - {name: e, to: {hosts: [a.example]}, credential: c, allow: [{methods: [GET]}]}\n"
            "  - {name: f, to: {hosts: [b.example]}, credential: c, allow: [{methods: [GET]}]}\n"
            "credentials:\n  c: {secret: s, inject: {header: A, format: \"{secret}\"}, only: [e, f]}\n"),
      ElementsAre("policy.shared_credential"));
}

TEST(Lint, private_data_and_a_wide_way_out) {
  const std::string labelled = "filesystem: {write: [/w], labels: [{path: /w/c, add: private}]}\n";
  EXPECT_THAT(codes(labelled + entry("allow: [{methods: [POST], paths: [\"/a/**\"]}]")),
              ElementsAre("policy.private_way_out"));
  EXPECT_THAT(codes(entry("allow: [{methods: [POST], paths: [\"/a/**\"]}]")), IsEmpty());
  EXPECT_THAT(
      codes(labelled +
            entry("allow: [{methods: [POST], paths: [\"/a/**\"], when: {labels: {none: [private]}}}]")),
      IsEmpty());
  EXPECT_THAT(codes(labelled + entry("review: [{methods: [POST], paths: [\"/a/**\"]}]")), IsEmpty());
  EXPECT_THAT(codes(labelled + entry("reach: internal, allow: [{methods: [POST], paths: [\"/a/**\"]}]")),
              IsEmpty());
  EXPECT_THAT(codes(labelled + entry("allow: [{methods: [GET]}]") +
                    "inference: [{model: m, via: e, data: [private]}]\n"),
              ElementsAre("policy.private_way_out"));
}

TEST(Lint, files_that_nobody_reaches) {
  EXPECT_THAT(codes("filesystem: {read: [/usr], labels: [{path: /srv, add: private}]}\n"),
              ElementsAre("policy.no_effect"));
  EXPECT_THAT(codes("filesystem: {read: [/usr], deny: [/srv]}\n"), ElementsAre("policy.no_effect"));
  EXPECT_THAT(codes("filesystem: {read: [/srv], deny: [/srv/x]}\n"), IsEmpty());
}

TEST(Lint, says_what_no_program_enforces) {
  const Diagnostics d = found("filesystem: {read: [/w], labels: [{path: /w/c, add: private}]}\n");
  ASSERT_EQ(d.size(), 1u);
  EXPECT_EQ(d[0].code, "policy.not_enforced");
  EXPECT_THAT(d[0].message, HasSubstr("filesystem.labels"));
}

TEST(Lint, a_large_entry_says_that_its_rules_were_not_compared) {
  std::string rules;
  for (int i = 0; i < 700; ++i) rules += "      - {paths: [/p" + std::to_string(i) + "]}\n";
  EXPECT_THAT(codes("network:\n  - name: e\n    to: {hosts: [h.example]}\n    allow:\n" + rules),
              ElementsAre("policy.not_compared"));
}

}  // namespace
}  // namespace saw::policy
