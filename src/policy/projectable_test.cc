#include "policy/projectable.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace saw::policy {
namespace {

using testing::HasSubstr;

Policy compile(std::string_view rest) {
  auto p = Policy::compile(
      "apiVersion: saw/v1\nkind: Policy\nmetadata: {name: t}\nprofile: local\n" + std::string(rest), "f");
  if (!p) ADD_FAILURE() << p.error().at(0).text() << "\n" << rest;
  return std::move(p.value());
}
std::string entry(std::string_view fields) {
  return "network:\n  - {name: e, to: {hosts: [h.example], ports: [443]}, " + std::string(fields) + "}\n";
}

TEST(Unprojectable, the_language_has_it_but_no_program_enforces_it_yet) {
  const std::pair<std::string, std::string_view> cases[] = {
      {entry("protocol: registry, allow: [{ecosystem: cargo, op: read, minAgeDays: 7}]"), "minAgeDays"},
      {entry("protocol: tcp, allow: all"), "protocol: tcp"},
      {entry("tls: passthrough, allow: all"), "tls: passthrough"},
      {entry("data: private, allow: all"), "data: private"},
      {entry("limits: {requestsPerMinute: 1}, allow: all"), "limits.requestsPerMinute"},
      {entry("limits: {concurrent: 1}, allow: all"), "limits.concurrent"},
      {entry("limits: {uploadBytesPerHour: 1MiB}, allow: all"), "limits.uploadBytesPerHour"},
      {entry("allow: [{methods: [GET], when: {labels: {none: [private]}}}]"), "when.labels"},
      {"budget: {perDay: {calls: 20000, uploadBytes: 1GiB, tokens: 5}}\n", "budget"},
      {"filesystem: {read: [/w], labels: [{path: /w/c, add: private}]}\n", "filesystem.labels"},
  };
  for (const auto& [yaml, what] : cases) {
    const Diagnostics found = unprojectable(compile(yaml));
    ASSERT_EQ(found.size(), 1u) << yaml;
    EXPECT_EQ(found[0].code, "policy.not_available_yet");
    EXPECT_EQ(found[0].severity, Diagnostic::Severity::error);
    EXPECT_EQ(found[0].file, "f");
    EXPECT_GE(found[0].line, 5);
    EXPECT_THAT(found[0].message, HasSubstr(std::string(what)));
  }
}

TEST(Unprojectable, names_the_rule_and_its_place) {
  const Diagnostics found = unprojectable(
      compile("network:\n  - name: api\n    to: {hosts: [h.example]}\n    allow:\n      - {methods: [GET]}\n"
              "      - {methods: [POST], when: {labels: {none: [private]}}}\n"));
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].text(),
            "f:10:9: error: network.api.allow[1]: when.labels (labels that follow process trees) is not "
            "available yet, and a rule "
            "that cannot be enforced is refused [policy.not_available_yet]");
}

TEST(Unprojectable, what_is_enforced_today_passes) {
  for (const std::string& yaml :
       {std::string("strict: true\ntrifecta: {privateAndUntrusted: deny}\n"),
        entry("allow: [{methods: [GET], paths: [\"/a/**\"], query: {a: b}, headers: {c: d}}]"),
        entry("protocol: git, allow: [{op: fetch}], limits: {requestBytes: 64MiB}"),
        entry("protocol: graphql, allow: [{types: [query], names: [a], fields: [b]}]"),
        entry("protocol: mcp, allow: [{methods: [tools/call], tools: [search_*], arguments: {/path: "
              "\"/public/**\"}}]"),
        entry("protocol: websocket, allow: [{paths: [\"/a\"], messages: [\"b*\"], binary: allow}]"),
        entry(
            "protocol: registry, allow: [{ecosystem: npm, op: read, minAgeDays: 7}, {ecosystem: debian, op: "
            "read}]"),
        entry("allow: all") + "inference: [{model: \"acme-*\", via: e, data: [public]}]\n",
        entry("protocol: jsonrpc, allow: [{methods: [\"a*\"], params: {/x: y}}]"),
        std::string("network:\n  - {name: e, to: {hosts: [h.example]}, tls: none, allow: all}\n"),
        std::string("dataClassification: {name: acme, version: 4, sha256: "
                    "\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"}\n")})
    EXPECT_TRUE(unprojectable(compile(yaml)).empty()) << yaml;
}

}  // namespace
}  // namespace saw::policy
