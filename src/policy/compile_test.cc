// Every clause of docs/policy.md "Meaning" that compiling answers for: what is refused, where, and by which
// code.
#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "policy/policy.h"

namespace saw::policy {
namespace {

using testing::HasSubstr;

constexpr std::string_view kHead = "apiVersion: saw/v1\nkind: Policy\nmetadata: {name: t}\nprofile: local\n";

std::string with(std::string_view rest) {
  return std::string(kHead) + std::string(rest);
}

// The first error as text; "ok" if it compiles.
std::string first(std::string_view yaml) {
  auto policy = Policy::compile(yaml, "f");
  return policy ? "ok" : policy.error().at(0).text();
}
std::string code(std::string_view yaml) {
  auto policy = Policy::compile(yaml, "f");
  return policy ? "ok" : policy.error().at(0).code;
}
std::string entry(std::string_view fields) {
  return with("network:\n  - {name: e, to: {hosts: [h.example]}, " + std::string(fields) + "}\n");
}

struct Case {
  std::string_view yaml, code;
};

TEST(Compile, a_minimal_policy_has_the_documented_defaults) {
  auto p = Policy::compile(kHead, "f");
  ASSERT_TRUE(p);
  EXPECT_EQ(p->name(), "t");
  EXPECT_EQ(p->profile(), Profile::local);
  EXPECT_FALSE(p->strict());
  EXPECT_EQ(p->review().hold_ms, 30'000);
  EXPECT_EQ(p->review().expires_ms, 86'400'000);
  EXPECT_FALSE(p->review().other_than_requester);
  EXPECT_EQ(p->credential_ttl_ms(), 60'000);
  EXPECT_EQ(p->digest(), sha256(kHead));
  EXPECT_EQ(p->decide({.host = "a.example", .method = "GET", .target = "/"}).effect, Effect::deny);
}

TEST(Compile, says_where_and_what_was_probably_meant) {
  EXPECT_EQ(first(with("network:\n  - name: e\n    to: {hots: [a.example]}\n    allow: all\n")),
            "f:7:9: error: to needs 'hosts' [policy.missing_field]");
  auto p = Policy::compile(
      with("network:\n  - name: e\n    to: {hosts: [a.example], prots: [443]}\n    allow: all\n"),
      "corp.yaml");
  ASSERT_FALSE(p);
  EXPECT_EQ(
      p.error().at(0).text(),
      "corp.yaml:7:30: error: unknown field 'prots' in to, did you mean 'ports'? [policy.unknown_field]");
  EXPECT_EQ(first(entry("protocol: htpp, allow: all")),
            "f:6:51: error: unknown value 'htpp' for protocol, did you mean 'http'? [policy.unknown_value]");
  EXPECT_EQ(first(with("strict: yes\n")),
            "f:5:9: error: strict must be true or false, not 'yes' [policy.wrong_type]");
  EXPECT_EQ(first(with("strict: true\nstrict: true\n")),
            "f:6:1: error: duplicate key 'strict' [policy.duplicate_key]");
}

TEST(Compile, reports_all_errors_in_the_order_of_the_text_and_no_warnings_among_them) {
  auto p = Policy::compile(with("strict: 1\nnetwrk: []\nreview: {hold: 5}\n"), "f");
  ASSERT_FALSE(p);
  ASSERT_EQ(p.error().size(), 3u);
  EXPECT_EQ(p.error()[0].line, 5);
  EXPECT_EQ(p.error()[2].line, 7);
  for (const Diagnostic& d : p.error()) EXPECT_EQ(d.severity, Diagnostic::Severity::error);
}

TEST(Compile, the_head_is_required) {
  EXPECT_THAT(first("kind: Policy\nmetadata: {name: t}\nprofile: local\n"), HasSubstr("needs 'apiVersion'"));
  EXPECT_THAT(first("apiVersion: saw/v1\nmetadata: {name: t}\nprofile: local\n"), HasSubstr("needs 'kind'"));
  EXPECT_THAT(first("apiVersion: saw/v1\nkind: Policy\nprofile: local\n"), HasSubstr("needs 'metadata'"));
  EXPECT_THAT(first("apiVersion: saw/v1\nkind: Policy\nmetadata: {name: t}\n"), HasSubstr("needs 'profile'"));
  EXPECT_THAT(first("apiVersion: saw/v2\nkind: Policy\nmetadata: {name: t}\nprofile: local\n"),
              HasSubstr("'saw/v2'"));
  EXPECT_THAT(first("apiVersion: saw/v1\nkind: Policy\nmetadata: {}\nprofile: local\n"),
              HasSubstr("needs 'name'"));
  EXPECT_EQ(code("[a]"), "policy.wrong_type");
  EXPECT_EQ(code("apiVersion: saw/v1\nkind: Policy\nmetadata: {name: 42}\nprofile: local\n"),
            "policy.wrong_type");
  EXPECT_EQ(code("apiVersion: saw/v1\nkind: Policy\nmetadata: {name: 'a b'}\nprofile: local\n"),
            "policy.bad_name");
}

TEST(Compile, static_sections_are_read_strictly) {
  auto p = Policy::compile(with(R"(
isolation: vm
strict: true
dataClassification: {name: acme, version: 4, sha256: "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"}
filesystem: {read: [/usr, /bin], write: [/workspace, /], deny: [/workspace/.secrets]}
)"),
                           "f");
  ASSERT_FALSE(p);
  EXPECT_EQ(p.error().at(0).code, "policy.protected_path");
  p = Policy::compile(with(R"(
isolation: vm
strict: true
filesystem: {read: [/usr, /bin], write: [/workspace, /dev/shm], deny: [/workspace/.secrets]}
process: {limits: {memory: 2GiB, pids: 256, cpus: 0.5, openFiles: 1024, fileSize: 1GiB, wallClock: 30m}}
review: {hold: 5s, expires: 1h, approvers: other-than-requester}
runtimeCredential: {ttl: 30s}
)"),
                      "f");
  ASSERT_TRUE(p) << p.error().at(0).text();
  EXPECT_EQ(p->isolation(), Isolation::vm);
  EXPECT_TRUE(p->strict());
  EXPECT_EQ(p->filesystem().deny, std::vector<std::string>{"/workspace/.secrets"});
  EXPECT_EQ(p->limits().memory_bytes, 2ull << 30);
  EXPECT_EQ(p->limits().cpus, 0.5);
  EXPECT_EQ(p->limits().wall_clock_ms, 1'800'000u);
  EXPECT_EQ(p->review().hold_ms, 5000);
  EXPECT_TRUE(p->review().other_than_requester);
  EXPECT_EQ(p->credential_ttl_ms(), 30'000);
}

TEST(Compile, refuses_bad_values_by_their_own_code) {
  const Case cases[] = {
      {"filesystem: {read: [usr]}\n", "policy.bad_path"},
      {"filesystem: {read: [/usr/]}\n", "policy.bad_path"},
      {"filesystem: {read: [/usr/../etc]}\n", "policy.bad_path"},
      {"filesystem: {read: [/usr//bin]}\n", "policy.bad_path"},
      {"filesystem: {read: [/usr/*]}\n", "policy.bad_path"},
      {"filesystem: {read: [/usr, /usr]}\n", "policy.duplicate"},
      {"filesystem: {read: []}\n", "policy.empty_list"},
      {"filesystem: {read: /usr}\n", "policy.wrong_type"},
      {"filesystem: {write: [/etc/cron.d]}\n", "policy.protected_path"},
      {"filesystem: {write: [/usr/local]}\n", "policy.protected_path"},
      {"process: {limits: {memory: 2GB}}\n", "policy.bad_value"},
      {"process: {limits: {memory: 2.5GiB}}\n", "policy.bad_value"},
      {"process: {limits: {memory: -1}}\n", "policy.bad_value"},
      {"process: {limits: {memory: 0}}\n", "policy.bad_value"},
      {"process: {limits: {memory: 99999999TiB}}\n", "policy.bad_value"},
      {"process: {limits: {pids: \"256\"}}\n", "policy.wrong_type"},
      {"process: {limits: {pids: 0x10}}\n", "policy.wrong_type"},
      {"process: {limits: {pids: 0}}\n", "policy.bad_value"},
      {"process: {limits: {cpus: 1e3}}\n", "policy.wrong_type"},
      {"process: {limits: {cpus: 0}}\n", "policy.bad_value"},
      {"process: {limits: {wallClock: 30}}\n", "policy.bad_value"},
      {"process: {limits: {wallClock: 1h30m}}\n", "policy.bad_value"},
      {"process: {limit: {}}\n", "policy.unknown_field"},
      {"dataClassification: {name: a, version: 1, sha256: abc}\n", "policy.bad_value"},
      {"dataClassification: {name: a}\n", "policy.missing_field"},
      {"review: {hold: 11m}\n", "policy.bad_value"},
      {"review: {approvers: anyone}\n", "policy.unknown_value"},
      {"runtimeCredential: {ttl: 2h}\n", "policy.bad_value"},
      {"trifecta: {privateAndUntrusted: allow}\n", "policy.unknown_value"},
      {"isolation: container\n", "policy.unknown_value"},
      {"network: {}\n", "policy.wrong_type"},
      {"network: []\n", "policy.empty_list"},
      {"network:\n", "policy.wrong_type"},
  };
  for (const Case& c : cases) EXPECT_EQ(code(with(c.yaml)), c.code) << c.yaml;
}

TEST(Compile, refuses_bad_entries_by_their_own_code) {
  const Case cases[] = {
      {"allow: []", "policy.empty_list"},
      {"allow: [{}]", "policy.empty_rule"},
      {"allow: everything", "policy.wrong_type"},
      {"review: all", "policy.bad_value"},
      {"deny: all", "policy.bad_value"},
      {"allow: [{methods: []}]", "policy.empty_list"},
      {"allow: [{methods: [get]}]", "policy.bad_value"},
      {"allow: [{method: [GET]}]", "policy.unknown_field"},
      {"allow: [{paths: [a]}]", "policy.bad_glob"},
      {"allow: [{paths: [\"/a**\"]}]", "policy.bad_glob"},
      {"allow: [{paths: [\"/a%2fb\"]}]", "policy.bad_glob"},
      {"allow: [{query: [a]}]", "policy.wrong_type"},
      {"allow: [{query: {}}]", "policy.wrong_type"},
      {"allow: [{op: fetch}]", "policy.unknown_field"},
      {"protocol: git, allow: [{op: fetch, paths: [/a]}]", "policy.unknown_field"},
      {"protocol: git, allow: [{repos: [a]}]", "policy.missing_field"},
      {"protocol: git, allow: [{op: clone}]", "policy.unknown_value"},
      {"protocol: git, allow: [{op: fetch, refs: [refs/heads/a]}]", "policy.bad_value"},
      {"protocol: git, allow: [{op: push, repos: [/a]}]", "policy.bad_glob"},
      {"protocol: tcp, allow: all", "policy.missing_field"},
      {"credential: nobody, allow: all", "policy.unknown_reference"},
      {"limits: {requestBytes: 2GiB}, allow: all", "policy.bad_value"},
      {"data: secret, allow: all", "policy.unknown_value"},
      {"content: maybe, allow: all", "policy.unknown_value"},
      {"reach: everywhere, allow: all", "policy.unknown_value"},
  };
  for (const Case& c : cases) EXPECT_EQ(code(entry(c.yaml)), c.code) << c.yaml;
  const Case tos[] = {
      {"{hosts: []}", "policy.empty_list"},
      {"{hosts: [\"https://a.example\"]}", "policy.bad_host"},
      {"{hosts: [\"a.example:443\"]}", "policy.bad_host"},
      {"{hosts: [a..example]}", "policy.bad_host"},
      {"{hosts: [1.2.3.4.5]}", "policy.bad_host"},
      {"{hosts: [\"*.a b.example\"]}", "policy.bad_host"},
      {"{hosts: [\"a**.example.com\"]}", "policy.bad_glob"},
      {"{hosts: [\"*.com\"]}", "policy.public_suffix"},
      {"{hosts: [\"foo*.co.uk\"]}", "policy.public_suffix"},
      {"{hosts: [\"**\"]}", "policy.public_suffix"},
      {"{hosts: [\"api.*\"]}", "policy.public_suffix"},
      {"{hosts: [a.example], ports: []}", "policy.empty_list"},
      {"{hosts: [a.example], ports: [0]}", "policy.bad_value"},
      {"{hosts: [a.example], ports: [65536]}", "policy.bad_value"},
      {"{hosts: [a.example], ports: [443, 443]}", "policy.duplicate"},
      {"{hosts: [a.example], ports: [\"443\"]}", "policy.wrong_type"},
      {"{hosts: [a.example], paths: [a]}", "policy.bad_glob"},
      {"{hosts: [a.example], addresses: [10.0.0.1/8]}", "policy.bad_address"},
      {"{hosts: [a.example], addresses: [127.0.0.0/8]}", "policy.bad_address"},
      {"{hosts: [a.example], addresses: [0.0.0.0/0]}", "policy.bad_address"},
      {"{hosts: [a.example], addresses: [93.184.216.0/24]}", "policy.bad_address"},
      {"{hosts: [a.example], addresses: [\"::/0\"]}", "policy.bad_address"},
      {"{hosts: [A.Example., \"*.ok.example\", \"[2606:2800::1]\"], ports: [443, 8443], paths: [/a], "
       "addresses: [10.0.0.0/8, \"fd00::/8\"]}",
       "ok"},
  };
  for (const Case& c : tos)
    EXPECT_EQ(code(with("network:\n  - {name: e, to: " + std::string(c.yaml) + ", allow: all}\n")), c.code)
        << c.yaml;
}

TEST(Compile, what_runs_later_is_quarantined_unless_the_policy_denies_it) {
  EXPECT_EQ(Policy::compile(with(""), "f")->filesystem().run_later, RunLater::quarantine);
  EXPECT_EQ(Policy::compile(with("filesystem: {runLater: quarantine}\n"), "f")->filesystem().run_later,
            RunLater::quarantine);
  EXPECT_EQ(Policy::compile(with("filesystem: {runLater: deny}\n"), "f")->filesystem().run_later,
            RunLater::deny);
  EXPECT_EQ(code(with("filesystem: {runLater: allow}\n")), "policy.unknown_value");
}

TEST(Compile, rules_of_future_protocols_are_checked_too) {
  auto codes = [](std::string_view fields) {
    std::vector<std::string> out;
    auto p = Policy::compile(entry(fields), "f");
    if (!p)
      for (const Diagnostic& d : p.error()) out.push_back(d.code);
    return out;
  };
  EXPECT_THAT(codes("protocol: mcp, allow: [{tool: [x]}]"), testing::Contains("policy.unknown_field"));
  EXPECT_THAT(codes("protocol: mcp, allow: [{tools: [\"[x\"]}]"), testing::Contains("policy.bad_glob"));
  EXPECT_THAT(codes("protocol: registry, allow: [{ecosystem: cpan}]"),
              testing::Contains("policy.unknown_value"));
  EXPECT_THAT(codes("allow: [{methods: [GET], when: {labels: {none: [secret]}}}]"),
              testing::Contains("policy.unknown_value"));
}

TEST(Compile, two_entries_for_one_request_must_agree) {
  auto two = [](std::string_view a, std::string_view b) {
    return code(with("network:\n  - {name: a, " + std::string(a) +
                     ", allow: [{methods: [GET]}]}\n  - {name: b, " + std::string(b) +
                     ", allow: [{methods: [GET]}]}\n"));
  };
  EXPECT_EQ(two("to: {hosts: [h.example]}", "to: {hosts: [h.example]}"), "ok");
  EXPECT_EQ(
      two("to: {hosts: [h.example], ports: [8080]}", "to: {hosts: [h.example], ports: [8080]}, tls: none"),
      "policy.ambiguous");
  EXPECT_EQ(
      two("to: {hosts: [h.example], ports: [8080]}", "to: {hosts: [h.example], ports: [8081]}, tls: none"),
      "ok");
  EXPECT_EQ(two("to: {hosts: [\"*.a.example\"], ports: [8080]}",
                "to: {hosts: [x.a.example], ports: [8080]}, tls: none"),
            "policy.ambiguous");
  EXPECT_EQ(two("to: {hosts: [x.a.example], ports: [8080]}",
                "to: {hosts: [\"**.a.example\"], ports: [8080]}, tls: none"),
            "policy.ambiguous");
  EXPECT_EQ(two("to: {hosts: [\"*.a.example\"], ports: [8080]}",
                "to: {hosts: [\"x*.a.example\"], ports: [8080]}, tls: none"),
            "policy.ambiguous");
  EXPECT_EQ(two("to: {hosts: [\"y*.a.example\"], ports: [8080]}",
                "to: {hosts: [\"x*.a.example\"], ports: [8080]}, tls: none"),
            "ok");
  EXPECT_EQ(two("to: {hosts: [h.example]}", "to: {hosts: [h.example], addresses: [10.0.0.0/8]}"),
            "policy.ambiguous");
  EXPECT_EQ(two("to: {hosts: [h.example], paths: [\"/a/**\"]}",
                "to: {hosts: [h.example], addresses: [10.0.0.0/8], paths: [\"/b/**\"]}"),
            "ok");
  const std::string http_and_git = with(
      "network:\n  - {name: a, to: {hosts: [h.example]}, allow: [{methods: [GET]}]}\n  - {name: b, to: "
      "{hosts: [h.example]}, protocol: git, allow: [{op: fetch}]}\n");
  EXPECT_EQ(first(http_and_git),
            "f:7:28: error: entries 'a' and 'b' can match the same request (host 'h.example') and disagree "
            "on protocol [policy.ambiguous]");
  const std::string apart = with(
      "network:\n  - {name: a, to: {hosts: [h.example], paths: [\"/api/**\"]}, allow: [{methods: [GET]}]}\n"
      "  - {name: b, to: {hosts: [h.example], paths: [\"/git/**\"]}, protocol: git, allow: [{op: fetch}]}\n");
  EXPECT_EQ(code(apart), "ok");
  EXPECT_EQ(code(with("network:\n  - {name: a, to: {hosts: [h.example]}, allow: all}\n  - {name: a, to: "
                      "{hosts: [i.example]}, allow: all}\n")),
            "policy.duplicate");
}

TEST(Compile, credentials_lead_somewhere_and_are_put_only_where_they_may) {
  auto policy = [](std::string_view use, std::string_view credential) {
    return code(with("network:\n  - {name: e, to: {hosts: [h.example]}, " + std::string(use) +
                     "allow: all}\ncredentials:\n  c: " + std::string(credential) + "\n"));
  };
  const std::string_view good =
      "{secret: s, inject: {header: Authorization, format: \"Bearer {secret}\"}, only: [e]}";
  EXPECT_EQ(policy("credential: c, ", good), "ok");
  EXPECT_EQ(policy("", good), "ok");
  EXPECT_EQ(policy("credential: d, ", good), "policy.unknown_reference");
  EXPECT_EQ(policy("credential: c, ", "{secret: s, inject: {header: A, format: \"{secret}\"}, only: [e, x]}"),
            "policy.unknown_reference");
  EXPECT_EQ(policy("credential: c, ", "{secret: s, inject: {header: A, format: \"{secret}\"}}"),
            "policy.missing_field");
  EXPECT_EQ(policy("credential: c, ", "{secret: s, inject: {header: A, format: \"secret\"}, only: [e]}"),
            "policy.bad_value");
  EXPECT_EQ(
      policy("credential: c, ", "{secret: s, inject: {header: A, format: \"{secret}{secret}\"}, only: [e]}"),
      "policy.bad_value");
  for (std::string_view header :
       {"Host", "Content-Length", "transfer-encoding", "Proxy-Authorization", "\"a b\"", "\"a:\""})
    EXPECT_EQ(policy("credential: c, ", "{secret: s, inject: {header: " + std::string(header) +
                                            ", format: \"{secret}\"}, only: [e]}"),
              "policy.bad_value")
        << header;
  EXPECT_EQ(
      code(with("network:\n  - {name: e, to: {hosts: [h.example]}, credential: c, allow: all}\n  - {name: f, "
                "to: {hosts: [i.example]}, allow: all}\n"
                "credentials:\n  c: {secret: s, inject: {header: A, format: \"{secret}\"}, only: [f]}\n")),
      "policy.credential_scope");
}

TEST(Compile, an_entry_without_allow_or_review_allows_nothing_and_is_warned_of) {
  auto p = Policy::compile(with("network:\n  - {name: e, to: {hosts: [h.example]}}\n"), "f");
  ASSERT_TRUE(p);
  EXPECT_EQ(p->decide({.host = "h.example", .method = "GET", .target = "/"}).effect, Effect::deny);
  EXPECT_TRUE(
      std::ranges::any_of(p->warnings(), [](const Diagnostic& d) { return d.code == "policy.no_effect"; }));
}

TEST(Compile, the_count_of_diagnostics_is_bounded) {
  std::string yaml(kHead);
  for (int i = 0; i < 500; ++i) yaml += "x" + std::to_string(i) + ": 1\n";
  auto p = Policy::compile(yaml, "f");
  ASSERT_FALSE(p);
  EXPECT_LE(p.error().size(), 101u);
}

}  // namespace
}  // namespace saw::policy
