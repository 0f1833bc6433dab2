#include "policy/prove/prove.h"

#include <gtest/gtest.h>

#include "policy/prove/exchange.h"

namespace saw::policy::prove {
namespace {

constexpr const char* kHead = "apiVersion: saw/v1\nkind: Policy\nmetadata: {name: p}\nprofile: local\n";

Policy read(const std::string& body) {
  auto text = Policy::compile(kHead + body, "p.yaml");
  if (!text) ADD_FAILURE() << body << "\n" << text.error().front().text();
  return std::move(*text);
}
std::string entry(const std::string& members, const std::string& to = "hosts: [a.example.com]") {
  return "network:\n  - {name: e, to: {" + to + "}, " + members + "}\n";
}

// What is found, and confirmed by the engine: "proved", or the matter of the counterexample.
std::string found(const std::string& candidate, const std::string& ceiling) {
  const Policy c = read(candidate), l = read(ceiling);
  const Answer answer = prove_within(c.document(), l.document(), {});
  if (answer.verdict != Verdict::counterexample) return std::string(name(answer.verdict));
  const Confirmation confirmation = confirm(c, l, answer.claim);
  EXPECT_TRUE(confirmation.holds) << to_json(answer) << confirmation.candidate << confirmation.ceiling;
  return answer.claim.matter;
}
void expect_only_one_way(const std::string& narrow, const std::string& wide, const char* matter = "effect") {
  EXPECT_EQ(found(narrow, wide), "proved") << narrow << wide;
  EXPECT_EQ(found(wide, narrow), matter) << wide << narrow;
}

TEST(ProveWithin, a_policy_is_within_itself_and_an_empty_one_within_any) {
  const std::string policy = entry("allow: [{methods: [GET], paths: [\"/a/**\"]}]");
  EXPECT_EQ(found(policy, policy), "proved");
  expect_only_one_way("", policy);
}

TEST(ProveWithin, a_wider_host_port_method_or_path_is_found) {
  const std::string allow = "allow: [{methods: [GET], paths: [\"/a/*\"]}]", base = entry(allow);
  expect_only_one_way(base, entry(allow, "hosts: [\"*.example.com\"]"));
  expect_only_one_way(base, entry(allow, "hosts: [a.example.com, b.example.com]"));
  expect_only_one_way(base, entry(allow, "hosts: [a.example.com], ports: [443, 8443]"));
  expect_only_one_way(base, entry("allow: [{methods: [GET, POST], paths: [\"/a/*\"]}]"));
  expect_only_one_way(base, entry("allow: [{methods: [GET], paths: [\"/a/**\"]}]"));
  expect_only_one_way(entry(allow, "hosts: [a.example.com], paths: [\"/a/b\"]"), base);
}

TEST(ProveWithin, the_same_rules_in_other_words_are_within) {
  EXPECT_EQ(found(entry("allow: [{methods: [GET, HEAD], paths: [\"/a\", \"/a/*\", \"/a/*/**\"]}]"),
                  entry("allow: [{methods: [GET], paths: [\"/a/**\"]}]")),
            "proved");
  EXPECT_EQ(found(entry("allow: [{paths: [\"/a/**\"]}], deny: [{paths: [\"/a/x\", \"/a/x/**\"]}]"),
                  entry("allow: [{paths: [\"/a/**\"]}], deny: [{paths: [\"/a/x/**\"]}]")),
            "proved");
}

TEST(ProveWithin, a_dropped_deny_or_review_is_found) {
  expect_only_one_way(entry("allow: [{paths: [\"/**\"]}], deny: [{paths: [\"/x\"]}]"),
                      entry("allow: [{paths: [\"/**\"]}]"));
  expect_only_one_way(entry("allow: [{methods: [GET]}], review: [{methods: [POST]}]"),
                      entry("allow: [{methods: [GET, POST]}]"));
  expect_only_one_way(entry("allow: [{methods: [GET]}]"),
                      entry("allow: [{methods: [GET]}], review: [{methods: [POST]}]"));
}

TEST(ProveWithin, what_a_server_may_read_a_path_as_counts) {
  // The ceiling denies "/a;v" because a server may take it for "/a".
  EXPECT_EQ(found(entry("allow: [{paths: [\"/a;v\"]}]"),
                  entry("allow: [{paths: [\"/a;v\", \"/b\"]}], deny: [{paths: [\"/a\"]}]")),
            "effect");
  EXPECT_EQ(found(entry("allow: [{paths: [\"/b\"]}]"),
                  entry("allow: [{paths: [\"/a;v\", \"/b\"]}], deny: [{paths: [\"/a\"]}]")),
            "proved");
}

TEST(ProveWithin, a_wider_query_or_header_is_found) {
  expect_only_one_way(entry("allow: [{query: {q: \"1\"}}]"), entry("allow: [{query: {q: \"1*\"}}]"));
  expect_only_one_way(entry("allow: [{query: {q: \"*\"}}]"),
                      entry("allow: [{methods: [GET]}, {query: {q: \"*\"}}]"));
  expect_only_one_way(entry("allow: [{headers: {x-a: \"[ab]\"}}]"),
                      entry("allow: [{headers: {x-a: \"?\"}}]"));
  expect_only_one_way(entry("allow: [{paths: [/]}], deny: [{headers: {x-a: \"*\"}}]"),
                      entry("allow: [{paths: [/]}], deny: [{headers: {x-a: \"1*\"}}]"));
}

TEST(ProveWithin, a_wider_address_range_is_found) {
  auto with = [](const char* range) {
    return entry("reach: external, allow: [{paths: [/]}]",
                 fmt::format("hosts: [a.example.com], addresses: [{}]", range));
  };
  expect_only_one_way(with("10.20.1.0/24"), with("10.20.0.0/16"));
  expect_only_one_way(with("fd00:1::/64"), with("fd00:1::/32"));
  EXPECT_EQ(found(with("10.20.1.0/24"), entry("allow: [{paths: [/]}]")), "effect");
}

TEST(ProveWithin, git_operations_repositories_and_refs_count) {
  auto git = [](const char* rules) { return entry(fmt::format("protocol: git, allow: [{}]", rules)); };
  expect_only_one_way(git("{op: fetch, repos: [\"team/*\"]}"), git("{op: fetch, repos: [\"**\"]}"));
  expect_only_one_way(git("{op: fetch, repos: [a]}"), git("{op: fetch, repos: [a]}, {op: push, repos: [a]}"));
  expect_only_one_way(git("{op: push, repos: [a], refs: [\"refs/heads/agent/*\"]}"),
                      git("{op: push, repos: [a], refs: [\"refs/heads/**\"]}"));
}

TEST(ProveWithin, labels_and_the_trifecta_count) {
  const std::string inward = "reach: internal, allow: [{paths: [/]}]", outward = "allow: [{paths: [/]}]";
  EXPECT_EQ(found(entry(inward), entry(outward)), "effect");  // not held where a tree has both labels
  EXPECT_EQ(found(entry(outward), entry(inward)), "proved");
  expect_only_one_way("trifecta: {privateAndUntrusted: deny}\n" + entry(outward), entry(outward));
}

TEST(ProveWithin, what_comes_back_may_not_count_for_less) {
  const std::string allow = "allow: [{paths: [/]}]";
  expect_only_one_way(entry(allow), entry("content: trusted, " + allow), "content");
  expect_only_one_way(entry("data: internal, " + allow), entry(allow), "data");
}

TEST(ProveWithin, a_secret_goes_nowhere_else) {
  auto with = [](const char* secret, const char* header, const char* used) {
    return fmt::format(
        "network:\n  - {{name: e, to: {{hosts: [a.example.com]}}, {}allow: [{{paths: [/]}}]}}\n"
        "  - {{name: f, to: {{hosts: [b.example.com]}}, credential: k, allow: [{{paths: [/]}}]}}\n"
        "credentials:\n  k: {{secret: {}, inject: {{header: {}, format: \"{{secret}}\"}}, only: [e, f]}}\n",
        used, secret, header);
  };
  const std::string both = with("s", "Authorization", "credential: k, "),
                    one = with("s", "Authorization", "");
  expect_only_one_way(one, both, "credential");
  EXPECT_EQ(found(with("t", "Authorization", ""), one), "credential");
  EXPECT_EQ(found(with("s", "X-Log", ""), one), "credential");
}

TEST(ProveWithin, a_name_that_only_the_candidate_resolves_is_found) {
  const std::string ceiling = entry("deny: [{paths: [\"/**\"]}]");
  const std::string shadowed = entry("allow: [{paths: [/a]}], deny: [{paths: [\"/**\"]}]");
  EXPECT_EQ(found(shadowed, ceiling), "dns");
  EXPECT_EQ(found(ceiling, ceiling), "proved");
}

TEST(ProveWithin, files_count_with_what_lies_below_them) {
  auto files = [](const char* members) { return fmt::format("filesystem: {{{}}}\n", members); };
  expect_only_one_way(files("read: [/usr/lib]"), files("read: [/usr]"), "file");
  expect_only_one_way(files("read: [/w]"), files("write: [/w]"), "file");
  expect_only_one_way(files("write: [/w], deny: [/w/s]"), files("write: [/w]"), "file");
  expect_only_one_way(files("write: [/w], deny: [/w/s]"), files("write: [/w], deny: [/w/s/t]"), "file");
}

TEST(ProveWithin, a_weaker_setting_is_found) {
  expect_only_one_way("isolation: vm\n", "isolation: namespace\n", "setting");
  expect_only_one_way("strict: true\n", "", "setting");
  expect_only_one_way("process: {limits: {pids: 5}}\n", "process: {limits: {pids: 6}}\n", "setting");
  expect_only_one_way("process: {limits: {memory: 1GiB}}\n", "", "setting");
  expect_only_one_way("review: {approvers: other-than-requester}\n", "", "setting");
  expect_only_one_way("runtimeCredential: {ttl: 30s}\n", "", "setting");
}

TEST(ProveWithin, a_bound_that_was_met_is_unknown_and_never_proved) {
  const Policy c = read(entry("allow: [{paths: [\"/a/*/b\", \"/c/**\", \"/*/d\"]}]"));
  EXPECT_EQ(prove_within(c.document(), c.document(), {}).verdict, Verdict::proved);
  for (const Bounds& bounds : {Bounds{.states = 3}, Bounds{.classes = 2}}) {
    const Answer answer = prove_within(c.document(), c.document(), {.words = bounds});
    EXPECT_EQ(answer.verdict, Verdict::unknown);
    EXPECT_NE(answer.reason, "");
  }
  const Policy explodes = read(entry("allow: [{query: {q: \"*a????????????????\"}}]"));
  EXPECT_EQ(prove_within(explodes.document(), explodes.document(), {}).verdict, Verdict::unknown);
  const Policy framing = read(entry("allow: [{headers: {content-length: \"1\"}}]"));
  EXPECT_EQ(prove_within(framing.document(), framing.document(), {}).verdict, Verdict::unknown);
}

TEST(ProveWithin, what_is_not_analysed_is_unknown_even_within_itself) {
  for (const std::string& policy :
       {entry("allow: [{methods: [GET], when: {labels: {none: [private]}}}]"),
        entry("protocol: mcp, allow: [{tools: [a]}]"), entry("protocol: graphql, allow: [{fields: [a]}]"),
        entry("tls: passthrough, allow: all"), entry("data: private, allow: all"),
        entry("limits: {concurrent: 1}, allow: all"), std::string("budget: {perDay: {calls: 1}}\n"),
        entry("allow: all") + "inference: [{model: a, via: e}]\n"}) {
    EXPECT_EQ(found(policy, policy), "unknown") << policy;
    EXPECT_EQ(found(policy, ""), "unknown") << policy;
  }
}

TEST(ProveWithin, a_claim_that_is_not_so_is_not_confirmed) {
  const Policy policy = read(entry("allow: [{paths: [/a]}]"));
  const std::string request = R"({"host":"a.example.com","method":"GET","target":"/a"})";
  for (const char* matter :
       {"effect", "dns", "credential", "content", "data", "file", "label", "setting", "x"})
    EXPECT_FALSE(confirm(policy, policy, {.matter = matter, .request = request, .path = "/a"}).holds)
        << matter;
}

TEST(Exchange, answers_a_question_and_refuses_what_is_none) {
  const std::string policy = kHead;
  const std::string question = fmt::format("within {0} {0}\n{1}{1}", policy.size(), policy);
  EXPECT_EQ(answer_question(question, {}), R"({"verdict":"proved"})");
  for (const std::string& bad : {std::string(), std::string("within"), std::string("within 1 1\n"),
                                 std::string("within 99999999999999999999 1\nab"), "within 1 1\nab" + policy,
                                 question + "x", question.substr(0, question.size() - 1)})
    EXPECT_NE(answer_question(bad, {}).find("\"unknown\""), std::string::npos) << bad;
}

}  // namespace
}  // namespace saw::policy::prove
