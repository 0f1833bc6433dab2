// What makes deciding quick has to stay true: it allocates nothing, and its indexes find every rule that reading them one by one finds.
// How quick it is, bench/decide_bench.cc measures.
#include <cstdlib>
#include <new>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "policy/policy.h"
#include "policy/scratch.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SAW_SANITIZED_ALLOCATION 1
#endif
#endif

namespace {
thread_local size_t allocations = 0;
}  // namespace

#ifndef SAW_SANITIZED_ALLOCATION
void* operator new(size_t size) {
  ++allocations;
  void* p = std::malloc(size);
  if (p == nullptr) std::abort();
  return p;
}
void operator delete(void* p) noexcept {
  std::free(p);
}
void operator delete(void* p, size_t) noexcept {
  std::free(p);
}
#endif

namespace saw::policy {
namespace {

Policy network(std::string_view entries) {
  auto p =
      Policy::compile("apiVersion: saw/v1\nkind: Policy\nmetadata: {name: t}\nprofile: local\nnetwork:\n" +
                          std::string(entries),
                      "t");
  if (!p)
    for (const Diagnostic& d : p.error()) ADD_FAILURE() << d.text();
  return std::move(p.value());
}

TEST(Deciding, allocates_nothing_once_its_scratch_has_grown) {
#ifdef SAW_SANITIZED_ALLOCATION
  GTEST_SKIP() << "allocations belong to the sanitizer here";
#endif
  const Policy policy = network(R"(
  - name: api
    to: {hosts: ["*.api.example.com", "10.1.2.3"], ports: [443], addresses: [10.0.0.0/8]}
    allow: [{methods: [GET], paths: ["/repos/**"], query: {q: "a*"}}, {methods: [POST], paths: ["/a/*"]}]
    deny: [{paths: ["/repos/*/secret-of-the-house"], headers: {x-kind: "*"}}]
  - {name: code, to: {hosts: [git.example]}, protocol: git, allow: [{op: push, repos: ["team/*"], refs: ["refs/heads/**"]}]}
  - {name: feed, to: {hosts: [ws.example]}, protocol: websocket, allow: [{paths: ["/feed/**"], messages: ["*"]}]}
  - {name: db, to: {hosts: [db.example], ports: [5432]}, protocol: tcp, tls: none, allow: all}
)");
  const std::string zero(40, '0'), one(40, '1');
  const std::string line = zero + " " + one + " refs/heads/agent/topic";
  const std::string push = fmt::format("{:04x}{}0000", line.size() + 4, line);
  const std::vector<Header> headers = {
      {"Host", "eu.api.example.com"}, {"User-Agent", "agent/1.0"}, {"X-Kind", "code"}};
  const Request requests[] = {
      {.host = "EU.api.example.com",
       .sni = "eu.api.example.com",
       .method = "GET",
       .target = "/repos/%61cme/./a-rather-long-name?q=abc",
       .headers = headers},
      {.host = "eu.api.example.com",
       .method = "GET",
       .target = "/repos/acme/secret-of-the-house/;v=1/",
       .headers = headers},
      {.host = "10.1.2.3", .method = "POST", .target = "https://10.1.2.3/a/b%3Acdefghijklmnopqrst/"},
      {.host = "nobody.example", .method = "GET", .target = "/a/long/enough/path/to/need/the/heap"},
      {.host = "git.example",
       .method = "POST",
       .target = "/team/application.git/git-receive-pack",
       .body = push},
      {.kind = Request::Kind::websocket,
       .host = "ws.example",
       .method = "GET",
       .target = "/feed/of/everything/new",
       .message = "hello"},
      {.kind = Request::Kind::tcp, .host = "db.example", .port = 5432, .tls = false, .ip = "198.51.100.7"},
      {.kind = Request::Kind::dns, .host = "eu.api.example.com"},
      {.host = "api.example.com", .method = "GET", .target = "/%zz/malformed"},
  };
  Policy::Scratch scratch;
  size_t allowed = 0;
  for (const Request& r : requests) allowed += policy.decide(r, scratch).effect == Effect::allow ? 1 : 0;
  EXPECT_EQ(allowed, 5u);
  for (const Request& r : requests) {
    const size_t before = allocations;
    policy.decide(r, scratch);
    EXPECT_EQ(allocations - before, 0u) << r.host << r.target;
  }
}

TEST(Deciding, a_scratch_carries_nothing_from_one_decision_to_the_next) {
  const Policy policy = network(
      "  - {name: a, to: {hosts: [a.example]}, allow: [{methods: [GET], paths: [\"/a/**\", \"/a;v/b\"]}]}\n");
  Policy::Scratch scratch;
  for (const char* target :
       {"/a/long/enough/for/the/heap?x=1", "/%zz", "/a/b;v/", "/", "/a;v/b", "*", "/a"}) {
    for (const char* host : {"a.example", "-", "b.example"}) {
      const Request r{.host = host, .method = "GET", .target = target};
      const Decision once = policy.decide(r);
      const Decision& again = policy.decide(r, scratch);
      EXPECT_EQ(once.effect, again.effect) << target;
      EXPECT_EQ(once.rule, again.rule) << target;
      EXPECT_EQ(once.reason, again.reason) << target;
      EXPECT_EQ(once.entry, again.entry) << target;
      EXPECT_EQ(once.canonical_target, again.canonical_target) << target;
    }
  }
}

// Each key both literal and as globs of every depth, so that each way through the index is taken.
TEST(Deciding, the_index_finds_the_rules_of_every_protocol) {
  const Policy policy = network(R"(
  - name: code
    to: {hosts: [git.example]}
    protocol: git
    allow: [{op: fetch, repos: ["**"]}]
    review: [{op: fetch, repos: ["t/*", "a/b/c/*/e", "*/x"]}]
    deny: [{op: fetch, repos: ["t/one", "**/last"]}, {op: push}]
  - name: tools
    to: {hosts: [mcp.example]}
    protocol: mcp
    allow: [{methods: [tools/call], tools: ["*"]}, {methods: [ping]}]
    deny: [{methods: [tools/call], tools: [wipe, "drop_*"]}]
  - name: packages
    to: {hosts: [npm.example]}
    protocol: registry
    allow: [{ecosystem: npm, op: read, packages: ["*", "@acme/*"]}, {ecosystem: pypi, op: read}]
    deny: [{ecosystem: npm, op: read, packages: [evil, "@acme/bad"]}]
)");
  auto judged = [&](const Request& r) { return std::string(policy.decide(r).rule); };
  auto fetch = [&](std::string_view repo) {
    return judged(
        {.host = "git.example", .method = "POST", .target = fmt::format("/{}/git-upload-pack", repo)});
  };
  EXPECT_EQ(fetch("t/one"), "network.code.deny[0]");
  EXPECT_EQ(fetch("t/two.git"), "network.code.review[0]");
  EXPECT_EQ(fetch("a/b/c/d/e"), "network.code.review[0]");
  EXPECT_EQ(fetch("q/x"), "network.code.review[0]");
  EXPECT_EQ(fetch("a/b/c/d/last"), "network.code.deny[0]");
  EXPECT_EQ(fetch("last"), "network.code.deny[0]");
  EXPECT_EQ(fetch("t"), "network.code.allow[0]");
  auto call = [&](std::string_view body) {
    return judged({.host = "mcp.example", .method = "POST", .target = "/", .body = body});
  };
  auto tool = [&](std::string_view name) {
    return call(fmt::format(
        R"({{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{}","arguments":{{}}}}}})",
        name));
  };
  EXPECT_EQ(tool("look"), "network.tools.allow[0]");
  EXPECT_EQ(tool("wipe"), "network.tools.deny[0]");
  EXPECT_EQ(tool("drop_all"), "network.tools.deny[0]");
  EXPECT_EQ(call(R"({"jsonrpc":"2.0","id":1,"method":"ping"})"), "network.tools.allow[1]");
  auto package = [&](std::string_view path) {
    return judged({.host = "npm.example", .method = "GET", .target = path});
  };
  EXPECT_EQ(package("/react"), "network.packages.allow[0]");
  EXPECT_EQ(package("/evil"), "network.packages.deny[0]");
  EXPECT_EQ(package("/@acme/ui"), "network.packages.allow[0]");
  EXPECT_EQ(package("/@acme/bad"), "network.packages.deny[0]");
}

}  // namespace
}  // namespace saw::policy
