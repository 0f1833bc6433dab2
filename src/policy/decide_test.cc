#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "policy/policy.h"

namespace saw::policy {
namespace {

Policy compile(std::string_view yaml) {
  auto policy = Policy::compile(yaml, "test.yaml");
  if (!policy)
    for (const Diagnostic& d : policy.error()) ADD_FAILURE() << d.text();
  return std::move(policy.value());
}

constexpr std::string_view kHead =
    "apiVersion: saw/v1\nkind: Policy\nmetadata: {name: t}\nprofile: local\nnetwork:\n";

Policy network(std::string_view entries) {
  return compile(std::string(kHead) + std::string(entries));
}

const std::string_view kGithub = R"(
  - name: github-api
    to: {hosts: [api.github.com], ports: [443]}
    allow:
      - {methods: [GET], paths: ["/repos/acme/**", "/user"]}
      - {methods: [POST], paths: ["/search"], query: {scope: "acme-*"}, headers: {X-Kind: "code*"}}
    review:
      - {methods: [POST, PATCH, PUT], paths: ["/repos/acme/**"]}
    deny:
      - {paths: ["/repos/*/*/rulesets"]}
      - {methods: [GET], paths: ["/repos/acme/secret"]}
      - {paths: ["/repos/acme/q"], query: {mode: raw}}
)";

Request http(std::string_view method, std::string_view target, std::string_view host = "api.github.com") {
  return {.host = host, .port = 443, .tls = true, .method = method, .target = target};
}

struct Case {
  std::string_view method, target;
  Effect effect;
  std::string_view rule, reason;
};

TEST(Decide, judges_http_by_method_path_and_query) {
  Policy policy = network(kGithub);
  const Case cases[] = {
      {"GET", "/repos/acme/x", Effect::allow, "network.github-api.allow[0]", "read"},
      {"HEAD", "/repos/acme/x", Effect::allow, "network.github-api.allow[0]", "read"},
      {"GET", "/repos/acme", Effect::allow, "network.github-api.allow[0]", "read"},
      {"GET", "/user", Effect::allow, "network.github-api.allow[0]", "read"},
      {"GET", "/user/", Effect::deny, "", "default-deny"},
      {"GET", "/users", Effect::deny, "", "default-deny"},
      {"POST", "/repos/acme/x/pulls", Effect::review, "network.github-api.review[0]", "write"},
      {"DELETE", "/repos/acme/x", Effect::deny, "", "default-deny"},
      {"GET", "/repos/acme/x/rulesets", Effect::deny, "network.github-api.deny[0]", "denied-by-rule"},
      {"POST", "/repos/acme/x/rulesets", Effect::deny, "network.github-api.deny[0]", "denied-by-rule"},
      {"GET", "/repos/acme/x/%72ulesets", Effect::deny, "network.github-api.deny[0]", "denied-by-rule"},
      {"GET", "/repos/acme/./x//rulesets", Effect::deny, "network.github-api.deny[0]", "denied-by-rule"},
      {"HEAD", "/repos/acme/secret", Effect::deny, "network.github-api.deny[1]", "denied-by-rule"},
      {"GET", "/repos/acme/q?mode=cooked&mode=raw", Effect::deny, "network.github-api.deny[2]",
       "denied-by-rule"},
      {"GET", "/repos/acme/q?m%6Fde=r%61w", Effect::deny, "network.github-api.deny[2]", "denied-by-rule"},
      {"GET", "/repos/acme/q?mode=cooked", Effect::allow, "network.github-api.allow[0]", "read"},
      {"get", "/user", Effect::deny, "", "malformed:method"},
      {"GET", "/repos/acme%2Fx", Effect::deny, "", "malformed:encoded-slash"},
      {"GET", "/repos/acme/../../../x", Effect::deny, "", "malformed:climb"},
      {"GET", "/repos/other/../acme/x", Effect::allow, "network.github-api.allow[0]", "read"},
      {"GET", "/repos/acme/../other", Effect::deny, "", "default-deny"},
  };
  for (const Case& c : cases) {
    Decision d = policy.decide(http(c.method, c.target));
    EXPECT_EQ(name(d.effect), name(c.effect)) << c.method << " " << c.target;
    EXPECT_EQ(d.rule, c.rule) << c.method << " " << c.target;
    EXPECT_EQ(d.reason, c.reason) << c.method << " " << c.target;
  }
}

TEST(Decide, an_allow_rule_needs_every_named_key_and_all_its_values) {
  Policy policy = network(kGithub);
  auto effect = [&](std::string_view target, std::vector<Header> headers) {
    Request r = http("POST", target);
    r.headers = headers;
    return policy.decide(r).effect;
  };
  const Header kind{"x-KIND", "code-1"};
  EXPECT_EQ(effect("/search?scope=acme-a", {kind}), Effect::allow);
  EXPECT_EQ(effect("/search?scope=acme-a&scope=acme-b&x=1", {kind}), Effect::allow);
  EXPECT_EQ(effect("/search?scope=acme-a&scope=evil", {kind}), Effect::deny);
  EXPECT_EQ(effect("/search?scope=acme-a;scope=evil", {kind}), Effect::allow)
      << "the ';' is sent as %3B: part of the one value";
  EXPECT_EQ(effect("/search", {kind}), Effect::deny);
  EXPECT_EQ(effect("/search?scope=acme-a", {}), Effect::deny);
  EXPECT_EQ(effect("/search?scope=acme-a", {kind, {"X-Kind", "text"}}), Effect::deny);
}

TEST(Decide, a_repeated_key_does_not_escape_review) {
  Policy policy = network(R"(
  - name: e
    to: {hosts: [a.example]}
    allow: [{methods: [GET], paths: [/s]}]
    review: [{methods: [GET], paths: [/s], query: {mode: raw}}]
)");
  EXPECT_EQ(policy.decide(http("GET", "/s?mode=raw", "a.example")).effect, Effect::review);
  EXPECT_EQ(policy.decide(http("GET", "/s?mode=raw&mode=x", "a.example")).effect, Effect::review);
  EXPECT_EQ(policy.decide(http("GET", "/s?mode=x", "a.example")).effect, Effect::allow);
}

TEST(Decide, what_was_judged_is_what_is_sent) {
  Policy policy = network(kGithub);
  EXPECT_EQ(policy.decide(http("GET", "/%72epos/./acme//x/?q=%7ea")).canonical_target, "/repos/acme/x/?q=~a");
  EXPECT_EQ(policy.decide(http("GET", "https://api.github.com:443/user")).canonical_target, "/user");
}

TEST(Decide, refuses_every_disagreement_about_the_destination) {
  Policy policy = network(kGithub);
  auto reason = [&](Request r, std::vector<Header> headers) {
    r.headers = headers;
    return std::string(policy.decide(r).reason);
  };
  const Request ok = http("GET", "/user");
  EXPECT_EQ(reason(ok, {{"Host", "API.github.com"}}), "read");
  EXPECT_EQ(reason(ok, {{"Host", "api.github.com:443"}}), "read");
  EXPECT_EQ(reason(ok, {{"Host", "api.github.com:80"}}), "malformed:host-mismatch");
  EXPECT_EQ(reason(ok, {{"Host", "evil.example"}}), "malformed:host-mismatch");
  EXPECT_EQ(reason(ok, {{"Host", "api.github.com"}, {"host", "api.github.com"}}), "malformed:duplicate-host");
  EXPECT_EQ(reason(ok, {{"Host", "u@api.github.com"}}), "malformed:userinfo");
  Request sni = ok;
  sni.sni = "other.example";
  EXPECT_EQ(reason(sni, {}), "malformed:sni-mismatch");
  sni.sni = "API.GITHUB.COM";
  EXPECT_EQ(reason(sni, {}), "read");
  EXPECT_EQ(reason(http("GET", "https://evil.example/user"), {}), "malformed:host-mismatch");
  EXPECT_EQ(reason(http("GET", "https://a@api.github.com/user"), {}), "malformed:userinfo");
  EXPECT_EQ(reason(http("GET", "http://api.github.com/user"), {}), "malformed:scheme");
  EXPECT_EQ(reason(ok, {{"Content-Length", "3"}, {"Transfer-Encoding", "chunked"}}),
            "malformed:content-length");
  EXPECT_EQ(reason(ok, {{"Content-Length", "3"}, {"Content-Length", "4"}}), "malformed:content-length");
  EXPECT_EQ(reason(ok, {{"Content-Length", "+3"}}), "malformed:content-length");
  EXPECT_EQ(reason(ok, {{"Content-Length", "3"}}), "read");
  EXPECT_EQ(reason(ok, {{"Upgrade", "WebSocket"}}), "protocol-mismatch");
  EXPECT_EQ(reason(ok, {{"X-HTTP-Method-Override", "DELETE"}}), "malformed:method-override");
  EXPECT_EQ(reason(ok, {{"X-HTTP-Version", "2"}}), "read");
}

TEST(Decide, names_ports_and_tls_must_all_be_listed) {
  Policy policy = network(kGithub);
  EXPECT_EQ(policy.decide(http("GET", "/user", "API.GitHub.com.")).effect, Effect::allow);
  EXPECT_EQ(policy.decide(http("GET", "/user", "github.com")).reason, "default-deny");
  EXPECT_EQ(policy.decide(http("GET", "/user", "api.github.com.evil.example")).reason, "default-deny");
  EXPECT_EQ(policy.decide(http("GET", "/user", "api_github..com")).reason, "malformed:host");
  Request other = http("GET", "/user");
  other.port = 8443;
  EXPECT_EQ(policy.decide(other).reason, "default-deny");
  Request plain = http("GET", "/user");
  plain.tls = false;
  EXPECT_EQ(policy.decide(plain).reason, "tls-required");
  Request raw = http("", "");
  raw.kind = Request::Kind::tcp;
  EXPECT_EQ(policy.decide(raw).reason, "protocol-mismatch");
}

TEST(Decide, wildcards_match_names_and_never_addresses) {
  Policy policy = network(R"(
  - {name: one, to: {hosts: ["*.acme.example"]}, allow: all}
  - {name: deep, to: {hosts: ["**.deep.example"]}, allow: all}
  - {name: literal, to: {hosts: ["93.184.216.34", "[2606:2800::1]"]}, allow: all}
)");
  auto allowed = [&](std::string_view host) {
    return policy.decide(http("GET", "/", host)).effect == Effect::allow;
  };
  EXPECT_TRUE(allowed("a.acme.example"));
  EXPECT_FALSE(allowed("acme.example"));
  EXPECT_FALSE(allowed("a.b.acme.example"));
  EXPECT_FALSE(allowed("xacme.example"));
  EXPECT_TRUE(allowed("a.b.deep.example"));
  EXPECT_TRUE(allowed("deep.example"));
  EXPECT_FALSE(allowed("xdeep.example"));
  EXPECT_TRUE(allowed("93.184.216.34"));
  EXPECT_TRUE(allowed("0x5db8d822"));
  EXPECT_TRUE(allowed("[2606:2800:0::1]"));
  EXPECT_FALSE(allowed("93.184.216.35"));
}

TEST(Decide, addresses_are_judged_by_class_whatever_is_listed) {
  Policy policy = network(R"(
  - {name: corp, to: {hosts: [git.corp.example], addresses: [10.20.0.0/16]}, allow: all}
  - {name: meta, to: {hosts: ["169.254.169.254", "127.0.0.1", "10.9.9.9"]}, allow: all}
  - {name: web, to: {hosts: [web.example]}, allow: all}
)");
  auto reason = [&](std::string_view host, std::string_view ip) {
    Request r = http("GET", "/", host);
    r.ip = ip;
    return std::string(policy.decide(r).reason);
  };
  EXPECT_EQ(reason("git.corp.example", "10.20.1.2"), "read");
  EXPECT_EQ(reason("git.corp.example", "10.21.1.2"), "address-private");
  EXPECT_EQ(reason("git.corp.example", "::ffff:10.20.1.2"), "read");
  EXPECT_EQ(reason("web.example", "93.184.216.34"), "read");
  EXPECT_EQ(reason("web.example", "10.20.1.2"), "address-private");
  EXPECT_EQ(reason("web.example", "127.0.0.1"), "address-never");
  EXPECT_EQ(reason("web.example", "64:ff9b::7f00:1"), "address-never");
  EXPECT_EQ(reason("web.example", "nonsense"), "malformed:ip");
  EXPECT_EQ(reason("169.254.169.254", ""), "address-never");
  EXPECT_EQ(reason("0x7f.1", ""), "address-never");
  EXPECT_EQ(reason("10.9.9.9", ""), "address-private");
}

TEST(Decide, deny_beats_review_beats_allow_across_entries) {
  Policy policy = network(R"(
  - {name: a, to: {hosts: [h.example]}, allow: all}
  - {name: b, to: {hosts: [h.example]}, review: [{methods: [POST], paths: ["/**"]}]}
  - {name: c, to: {hosts: ["*.example.org", h.example]}, deny: [{paths: ["/admin/**"]}]}
)");
  EXPECT_EQ(policy.decide(http("GET", "/x", "h.example")).rule, "network.a.allow");
  EXPECT_EQ(policy.decide(http("POST", "/x", "h.example")).rule, "network.b.review[0]");
  EXPECT_EQ(policy.decide(http("POST", "/admin", "h.example")).rule, "network.c.deny[0]");
  EXPECT_EQ(policy.decide(http("POST", "/admin", "h.example")).entry, "c");
}

TEST(Decide, names_resolve_only_where_something_could_be_admitted) {
  Policy policy = network(R"(
  - {name: a, to: {hosts: ["*.ok.example"]}, allow: [{methods: [GET]}]}
  - {name: b, to: {hosts: [denied.example]}, deny: [{paths: ["/**"]}]}
  - {name: c, to: {hosts: [nothing.example]}}
  - {name: d, to: {hosts: [reviewed.example], ports: [8443]}, review: [{methods: [GET]}]}
)");
  EXPECT_TRUE(policy.may_resolve("A.ok.example."));
  EXPECT_TRUE(policy.may_resolve("reviewed.example"));
  EXPECT_FALSE(policy.may_resolve("ok.example"));
  EXPECT_FALSE(policy.may_resolve("denied.example"));
  EXPECT_FALSE(policy.may_resolve("nothing.example"));
  EXPECT_FALSE(policy.may_resolve("1.2.3.4"));
  EXPECT_FALSE(policy.may_resolve("exfil.payload.evil.example"));
  Decision d = policy.decide({.kind = Request::Kind::dns, .host = "a.ok.example"});
  EXPECT_EQ(d.effect, Effect::allow);
  EXPECT_EQ(d.rule, "network.a.to");
  EXPECT_EQ(d.reason, "resolve");
  EXPECT_EQ(policy.decide({.kind = Request::Kind::dns, .host = "denied.example"}).reason, "default-deny");
}

TEST(Decide, raw_tcp_is_refused_whatever_is_listed) {
  Policy policy = network("  - {name: db, to: {hosts: [db.example], ports: [5432]}, allow: all}\n");
  Request raw{.kind = Request::Kind::tcp, .host = "db.example", .port = 5432, .tls = false};
  EXPECT_EQ(policy.decide(raw).effect, Effect::deny);
  EXPECT_EQ(policy.decide(raw).reason, "protocol-mismatch");
  raw.port = 5433;
  EXPECT_EQ(policy.decide(raw).reason, "default-deny");
  Request http_there = http("GET", "/", "db.example");
  http_there.port = 5432;
  EXPECT_EQ(policy.decide(http_there).effect, Effect::allow);
}

TEST(Decide, another_spelling_of_a_denied_path_is_denied_too) {
  Policy policy = network(R"(
  - name: api
    to: {hosts: [api.github.com]}
    allow: [{paths: ["/v1/**"]}, {paths: ["/exact;v=1/a"]}]
    review: [{paths: ["/v1/pay@once"]}]
    deny: [{paths: ["/v1/*:delete", "/v1/admin/**"]}]
)");
  const Case cases[] = {
      {"POST", "/v1/a:delete", Effect::deny, "network.api.deny[0]", "denied-by-rule"},
      {"POST", "/v1/a%3Adelete", Effect::deny, "network.api.deny[0]", "denied-by-rule"},
      {"POST", "/v1/a%3adelete;x", Effect::deny, "network.api.deny[0]", "denied-by-rule"},
      {"GET", "/v1/admin;x=1/users", Effect::deny, "network.api.deny[0]", "denied-by-rule"},
      {"GET", "/v1/admin%3Bx=1/users", Effect::deny, "network.api.deny[0]", "denied-by-rule"},
      {"GET", "/v1/;x/admin/users", Effect::deny, "network.api.deny[0]", "denied-by-rule"},
      {"POST", "/v1/pay%40once", Effect::review, "network.api.review[0]", "write"},
      {"POST", "/v1/a:delete/", Effect::deny, "network.api.deny[0]", "denied-by-rule"},
      {"POST", "/v1/a%3Adelete;x/", Effect::deny, "network.api.deny[0]", "denied-by-rule"},
      {"GET", "/v1/a/", Effect::allow, "network.api.allow[0]", "read"},
      {"GET", "/v1/a%3Aread", Effect::allow, "network.api.allow[0]", "read"},
      {"GET", "/v1/@scope;x/b", Effect::allow, "network.api.allow[0]", "read"},
      {"GET", "/exact;v=1/a", Effect::allow, "network.api.allow[1]", "read"},
      {"GET", "/v2/a%3Adelete", Effect::deny, "", "default-deny"},
  };
  for (const Case& c : cases) {
    Decision d = policy.decide(http(c.method, c.target));
    EXPECT_EQ(d.effect, c.effect) << c.target;
    EXPECT_EQ(d.rule, c.rule) << c.target;
    EXPECT_EQ(d.reason, c.reason) << c.target;
  }
  EXPECT_EQ(policy.decide(http("GET", "/v1/a%3Aread")).canonical_target, "/v1/a%3Aread");
}

TEST(Decide, a_denied_repository_is_denied_in_every_spelling) {
  Policy policy = network(R"(
  - name: git
    protocol: git
    to: {hosts: [api.github.com]}
    allow: [{op: fetch, repos: ["**"]}]
    deny: [{op: fetch, repos: ["team/a+b"]}]
)");
  for (std::string path : {"/team/a+b.git", "/team/a%2Bb.git", "/team/a%2bb;x.git", "/team;x/a+b"})
    EXPECT_EQ(policy.decide(http("GET", path + "/info/refs?service=git-upload-pack")).reason,
              "denied-by-rule")
        << path;
  EXPECT_EQ(policy.decide(http("GET", "/team/a%2Bc.git/info/refs?service=git-upload-pack")).effect,
            Effect::allow);
}

TEST(Decide, fields_that_some_servers_read_as_another_are_taken_for_it) {
  Policy policy = network(R"(
  - name: api
    to: {hosts: [api.github.com]}
    allow: [{methods: [GET], paths: ["/a/**"]}, {methods: [GET], paths: [/b], headers: {X-Scope: read}}]
    deny: [{headers: {X-Mode: admin}}]
)");
  auto decide = [&](std::string_view target, std::vector<Header> headers) {
    Request request = http("GET", target);
    request.headers = headers;
    return policy.decide(request);
  };
  EXPECT_EQ(decide("/a/x", {{"X_Mode", "user"}, {"api_key", "k"}}).effect, Effect::allow);
  EXPECT_EQ(decide("/a/x", {{"X_Mode", "admin"}}).reason, "denied-by-rule");
  EXPECT_EQ(decide("/b", {{"X-Scope", "read"}}).effect, Effect::allow);
  EXPECT_EQ(decide("/b", {{"X_Scope", "read"}}).effect, Effect::deny);
  EXPECT_EQ(decide("/b", {{"X-Scope", "read"}, {"X_Scope", "write"}}).effect, Effect::deny);
  EXPECT_EQ(decide("/a/x", {{"X_HTTP_Method_Override", "DELETE"}}).reason, "malformed:method-override");
  EXPECT_EQ(decide("/a/x", {{"X-Original-URL", "/admin"}}).reason, "malformed:target-override");
  EXPECT_EQ(decide("/a/x", {{"x-rewrite_url", "/admin"}}).reason, "malformed:target-override");
  for (std::string_view name : {"Content_Length", "transfer_encoding"})
    EXPECT_EQ(decide("/a/x", {{name, "1"}}).reason, "malformed:header-underscore");
}

TEST(Decide, both_labels_turn_an_outward_allow_into_review) {
  Policy policy = network(R"(
  - {name: out, to: {hosts: [out.example]}, allow: all}
  - {name: in, to: {hosts: [in.example]}, reach: internal, allow: all}
)");
  Request r = http("GET", "/", "out.example");
  r.labels = kPrivate | kUntrusted;
  EXPECT_EQ(policy.decide(r).rule, "trifecta.privateAndUntrusted");
  EXPECT_EQ(policy.decide(r).effect, Effect::review);
  r.labels = kPrivate;
  EXPECT_EQ(policy.decide(r).effect, Effect::allow);
  r.host = "in.example";
  r.labels = kPrivate | kUntrusted;
  EXPECT_EQ(policy.decide(r).effect, Effect::allow);
}

TEST(Endpoint, tells_the_treatment_of_a_destination) {
  Policy policy = network(R"(
  - name: code
    to: {hosts: [h.example], paths: ["/git/**"], addresses: [10.0.0.0/8]}
    protocol: git
    credential: c
    limits: {requestBytes: 64MiB}
    allow: [{op: push}]
  - {name: files, to: {hosts: [h.example], paths: ["/files/**"]}, allow: all}
  - {name: plain, to: {hosts: [p.example]}, tls: none, allow: all}
credentials:
  c: {secret: s, inject: {header: Authorization, format: "Basic {secret}"}, only: [code]}
)");
  EXPECT_FALSE(policy.endpoint("other.example", 443));
  EXPECT_FALSE(policy.endpoint("h.example", 80));
  auto connection = policy.endpoint("h.example", 443);
  ASSERT_TRUE(connection);
  EXPECT_EQ(connection->credential, "") << "not before the path is known";
  EXPECT_TRUE(connection->addresses.empty());
  EXPECT_EQ(connection->limits.request_bytes, 1u << 20);
  EXPECT_EQ(connection->body, BodyNeed::whole);
  auto git = policy.endpoint("H.example", 443, "/git/a/b?x");
  ASSERT_TRUE(git);
  EXPECT_EQ(git->credential, "c");
  EXPECT_EQ(git->protocol, Protocol::git);
  EXPECT_EQ(git->addresses.size(), 1u);
  EXPECT_EQ(git->limits.request_bytes, 64u << 20);
  auto files = policy.endpoint("h.example", 443, "/files/a");
  ASSERT_TRUE(files);
  EXPECT_EQ(files->credential, "");
  EXPECT_EQ(files->body, BodyNeed::none);
  ASSERT_TRUE(policy.endpoint("p.example", 80));
  EXPECT_EQ(policy.endpoint("p.example", 80)->tls, TlsMode::none);
}

}  // namespace
}  // namespace saw::policy
