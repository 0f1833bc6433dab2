#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <gtest/gtest.h>

#include "policy/policy.h"

namespace saw::policy {
namespace {

std::string under(std::string_view profile, std::string_view rest) {
  return "apiVersion: saw/v1\nkind: Policy\nmetadata: {name: t}\nprofile: " + std::string(profile) + "\n" +
         std::string(rest);
}
std::string code(std::string_view yaml) {
  auto p = Policy::compile(yaml, "f");
  return p ? "ok" : p.error().at(0).code;
}
std::string entry(std::string_view fields) {
  return "network:\n  - {name: e, to: {hosts: [h.example]}, " + std::string(fields) + "}\n";
}
const std::string kOtherApprover = "review: {approvers: other-than-requester}\n";

TEST(Profile, public_has_no_internal_reach_addresses_data_or_credential) {
  for (std::string fields : {"reach: internal, allow: all", "data: internal, allow: all"})
    EXPECT_EQ(code(under("public", entry(fields))), "policy.profile") << fields;
  EXPECT_EQ(code(under("public",
                       "network:\n  - {name: e, to: {hosts: [h.example], addresses: [10.0.0.0/8]}, reach: "
                       "external, allow: all}\n")),
            "policy.profile");
  const std::string credential =
      "credentials:\n  c: {secret: s, inject: {header: A, format: \"{secret}\"}, only: [e]}\n";
  EXPECT_EQ(code(under("public", entry("reach: internal, credential: c, allow: all") + credential)),
            "policy.profile");
  EXPECT_EQ(code(under("public", entry("credential: c, allow: all") + credential)), "ok");
  EXPECT_EQ(code(under("public", entry("allow: all"))), "ok");
}

TEST(Profile, public_has_no_private_data_in_answers_or_files) {
  EXPECT_EQ(code(under("public", entry("data: private, allow: all"))), "policy.profile");
  const std::string files = "filesystem: {read: [/data], labels: [{path: /data, add: ";
  EXPECT_EQ(code(under("public", files + "private}]}\n")), "policy.profile");
  EXPECT_EQ(code(under("public", files + "untrusted}]}\n")), "ok");
}

TEST(Profile, corporate_inspects_what_goes_outside) {
  const std::string passthrough = "protocol: git, tls: passthrough, allow: all", inside = "reach: internal, ";
  EXPECT_EQ(code(under("corporate", entry(passthrough))), "policy.profile");
  EXPECT_EQ(code(under("corporate", entry(inside + passthrough))), "ok");
  const std::string raw =
      "network:\n  - {name: e, to: {hosts: [h.example], ports: [5432]}, protocol: tcp, tls: none, ";
  EXPECT_EQ(code(under("corporate", raw + "allow: all}\n")), "policy.profile");
  EXPECT_EQ(code(under("corporate", raw + "reach: internal, allow: all}\n")), "ok");
}

TEST(Profile, corporate_names_exact_operations_of_every_protocol) {
  struct Case {
    std::string_view rules, code;
  };
  const Case cases[] = {
      {"protocol: graphql, allow: [{types: [query]}]", "ok"},
      {"protocol: graphql, allow: [{types: [mutation], fields: [addComment]}]", "ok"},
      {"protocol: graphql, allow: [{types: [mutation], fields: [\"add*\"]}]", "policy.profile"},
      {"protocol: graphql, allow: [{names: [Known]}]", "policy.profile"},
      {"protocol: jsonrpc, allow: [{methods: [look]}]", "ok"},
      {"protocol: jsonrpc, allow: [{methods: [\"l*\"]}]", "policy.profile"},
      {"protocol: mcp, allow: [{methods: [tools/list, ping]}]", "ok"},
      {"protocol: mcp, allow: [{methods: [tools/call], tools: [\"search_*\"]}]", "ok"},
      {"protocol: mcp, allow: [{methods: [tools/call]}]", "policy.profile"},
      {"protocol: mcp, allow: [{methods: [tools/call], tools: [\"*\"]}]", "policy.profile"},
      {"protocol: websocket, allow: [{paths: [/feed]}]", "ok"},
      {"protocol: websocket, allow: [{paths: [\"/**\"]}]", "policy.profile"},
      {"protocol: registry, allow: [{ecosystem: npm, op: read}]", "ok"},
      {"protocol: registry, allow: [{ecosystem: npm, op: publish, packages: [ours]}]", "ok"},
      {"protocol: registry, allow: [{ecosystem: npm, op: publish}]", "policy.profile"},
      {"protocol: registry, review: [{ecosystem: npm, op: publish}]", "ok"},
  };
  for (const Case& c : cases) EXPECT_EQ(code(under("corporate", entry(c.rules))), c.code) << c.rules;
}

TEST(Profile, only_public_reaches_the_wide_internet_and_only_in_so_many_words) {
  const std::string wide = "network:\n  - {name: e, to: {hosts: [\"**\"]}, ";
  EXPECT_EQ(code(under("public", wide + "allow: all}\n")), "ok");
  EXPECT_EQ(code(under("public", wide + "allow: [{methods: [GET]}]}\n")), "policy.public_suffix");
  for (std::string_view profile : {"corporate", "regulated", "local"})
    EXPECT_EQ(code(under(profile, wide + "allow: all}\n" + kOtherApprover)), "policy.public_suffix")
        << profile;
}

TEST(Profile, corporate_has_no_wildcard_to_the_outside) {
  const std::string wild = "network:\n  - {name: e, to: {hosts: [\"*.acme.example\"]}, ";
  EXPECT_EQ(code(under("corporate", wild + "allow: [{methods: [GET]}]}\n")), "policy.profile");
  EXPECT_EQ(code(under("corporate", wild + "reach: internal, allow: [{methods: [GET]}]}\n")), "ok");
}

TEST(Profile, corporate_names_what_it_allows) {
  EXPECT_EQ(code(under("corporate", entry("reach: internal, allow: all"))), "policy.profile");
  EXPECT_EQ(code(under("corporate", entry("allow: all"))), "policy.profile");
  EXPECT_EQ(code(under("corporate", entry("protocol: git, reach: internal, allow: all"))), "ok");
}

TEST(Profile, corporate_writes_to_the_outside_wait_for_review_unless_the_path_is_exact) {
  struct Case {
    std::string_view rules, code;
  };
  const Case cases[] = {
      {"allow: [{methods: [GET, HEAD, OPTIONS], paths: [\"/**\"]}]", "ok"},
      {"review: [{methods: [POST], paths: [\"/**\"]}]", "ok"},
      {"allow: [{methods: [POST], paths: [\"/**\"]}]", "policy.profile"},
      {"allow: [{methods: [POST], paths: [\"/repos/*/issues\"]}]", "ok"},
      {"allow: [{methods: [POST], paths: [\"/repos/*\"]}]", "policy.profile"},
      {"allow: [{methods: [POST], paths: [/exact, \"/a/**\"]}]", "policy.profile"},
      {"allow: [{methods: [POST]}]", "policy.profile"},
      {"allow: [{paths: [\"/a/**\"]}]", "policy.profile"},
      {"allow: [{paths: [/exact]}]", "ok"},
      {"protocol: git, allow: [{op: fetch}]", "ok"},
      {"protocol: git, allow: [{op: push, repos: [\"a/*\"]}]", "policy.profile"},
      {"protocol: git, allow: [{op: push, repos: [a/b], refs: [\"refs/heads/agent/**\"]}]", "ok"},
      {"protocol: git, allow: all", "policy.profile"},
      {"protocol: git, review: [{op: push}]", "ok"},
  };
  for (const Case& c : cases) EXPECT_EQ(code(under("corporate", entry(c.rules))), c.code) << c.rules;
}

TEST(Profile, regulated_is_corporate_with_another_approver) {
  EXPECT_EQ(code(under("regulated", entry("allow: [{methods: [GET]}]"))), "policy.profile");
  EXPECT_EQ(code(under("regulated", kOtherApprover + entry("allow: [{methods: [GET]}]"))), "ok");
  EXPECT_EQ(code(under("regulated", kOtherApprover + entry("allow: [{methods: [POST]}]"))), "policy.profile");
}

TEST(Profile, local_allows_the_same_and_lists_each_relaxation) {
  auto p = Policy::compile(under("local", entry("allow: all")), "f");
  ASSERT_TRUE(p);
  EXPECT_EQ(p->isolation(), Isolation::namespaces);
  EXPECT_GE(std::ranges::count(p->warnings(), "policy.relaxed", &Diagnostic::code), 2);
  for (const Diagnostic& d : p->warnings()) EXPECT_EQ(d.severity, Diagnostic::Severity::warning);
}

TEST(Profile, all_but_local_want_a_virtual_machine_by_default) {
  EXPECT_EQ(Policy::compile(under("public", ""), "f")->isolation(), Isolation::vm);
  EXPECT_EQ(Policy::compile(under("corporate", "isolation: namespace\n"), "f")->isolation(),
            Isolation::namespaces);
}

std::string slurp(const std::filesystem::path& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST(ShippedPolicies, compile) {
  size_t seen = 0;
  for (const auto& file : std::filesystem::directory_iterator(SAW_SOURCE_DIR "/policies")) {
    if (file.path().extension() != ".yaml") continue;
    ++seen;
    auto p = Policy::compile(slurp(file.path()), file.path().filename().string());
    if (p) continue;
    for (const Diagnostic& d : p.error()) ADD_FAILURE() << d.text();
  }
  EXPECT_GE(seen, 3u);
}

TEST(Shipped, every_policy_in_the_documents_compiles) {
  for (std::string name : {"README.md", "docs/policy.md"}) {
    const std::string text = slurp(SAW_SOURCE_DIR "/" + name), open = "```yaml\n";
    int policies = 0;
    for (size_t at = text.find(open); at != text.npos; at = text.find(open, at + 1)) {
      const size_t start = at + open.size();
      const std::string block = text.substr(start, text.find("```", start) - start);
      if (block.find("kind: Policy") == block.npos) continue;
      ++policies;
      auto p = Policy::compile(block, name);
      if (!p)
        for (const Diagnostic& d : p.error()) ADD_FAILURE() << d.text();
    }
    EXPECT_EQ(policies, 1) << name;
  }
}

// SAW_ACCEPT_GOLDEN=1 rewrites the expected texts.
TEST(Golden, the_compiled_form_of_shipped_policies) {
  for (std::string name : {"local-dev", "corporate-coding", "public-research"}) {
    auto p = Policy::compile(slurp(SAW_SOURCE_DIR "/policies/" + name + ".yaml"), name);
    ASSERT_TRUE(p) << name;
    const std::filesystem::path golden = SAW_SOURCE_DIR "/tests/golden/policy/" + name + ".txt";
    if (std::getenv("SAW_ACCEPT_GOLDEN") != nullptr) std::ofstream(golden) << p->canonical();
    EXPECT_EQ(p->canonical(), slurp(golden)) << "if this is meant: SAW_ACCEPT_GOLDEN=1";
  }
}

}  // namespace
}  // namespace saw::policy
