// Deciding for the protocols whose operations are in the body or need more than a path: each denial has a twin that passes.
#include <string>

#include <gtest/gtest.h>

#include "policy/policy.h"

namespace saw::policy {
namespace {

Policy network(std::string_view entries, std::string_view rest = {}) {
  auto p =
      Policy::compile("apiVersion: saw/v1\nkind: Policy\nmetadata: {name: t}\nprofile: local\nnetwork:\n" +
                          std::string(entries) + std::string(rest),
                      "t");
  if (!p)
    for (const Diagnostic& d : p.error()) ADD_FAILURE() << d.text();
  return std::move(p.value());
}

std::string text(const Decision& d) {
  const std::string_view rule =
      d.rule.starts_with("network.") ? d.rule.substr(d.rule.find('.', 8) + 1) : d.rule;
  return std::string(name(d.effect)) + " " +
         std::string(rule.empty() || rule == "inference" ? d.reason : rule);
}

// ---- GraphQL

const std::string_view kGraphql = R"(
  - name: e
    to: {hosts: [h.example], paths: [/graphql]}
    protocol: graphql
    allow:
      - {types: [query], fields: [viewer, "repo*"]}
      - {types: [mutation], fields: [addComment]}
      - {types: [query], fields: [internal], when: {labels: {none: [untrusted]}}}
    review: [{types: [mutation], fields: [createIssue]}]
    deny: [{fields: [repositoryKeys]}]
)";

class GraphqlRequests : public testing::Test {
 protected:
  std::string ask(std::string_view body, std::vector<Header> headers = {}, Labels labels = 0,
                  std::string_view target = "/graphql") {
    return text(policy_.decide({.host = "h.example",
                                .method = "POST",
                                .target = target,
                                .headers = headers,
                                .body = body,
                                .labels = labels}));
  }
  std::string query(std::string_view document) {
    return ask(R"({"query":")" + std::string(document) + "\"}");
  }
  std::string get(std::string_view target) {
    return text(policy_.decide({.host = "h.example", .method = "GET", .target = target}));
  }
  Policy policy_ = network(kGraphql);
};

TEST_F(GraphqlRequests, every_root_field_needs_its_own_rule) {
  EXPECT_EQ(query("{ viewer { login } repository { id } }"), "allow allow[0]");
  EXPECT_EQ(query("mutation { addComment(t: 1) { id } }"), "allow allow[1]");
  EXPECT_EQ(query("mutation { addComment createIssue }"), "review review[0]");
  EXPECT_EQ(query("{ viewer secrets }"), "deny default-deny");
  EXPECT_EQ(query("{ viewer repositoryKeys }"), "deny deny[0]");
  EXPECT_EQ(query("mutation { viewer }"), "deny default-deny");
  EXPECT_EQ(query("{ __schema { types { name } } }"), "deny default-deny");
}

TEST_F(GraphqlRequests, an_alias_a_fragment_or_another_operation_hides_nothing) {
  EXPECT_EQ(query("{ viewer: repositoryKeys }"), "deny deny[0]");
  EXPECT_EQ(query("{ viewer ...F } fragment F on Query { repositoryKeys }"), "deny deny[0]");
  EXPECT_EQ(query("{ ... on Query { secrets } viewer }"), "deny default-deny");
  EXPECT_EQ(ask(R"({"query":"query A { viewer } query B { secrets }","operationName":"A"})"),
            "allow allow[0]");
  EXPECT_EQ(ask(R"({"query":"query A { viewer } query B { secrets }","operationName":"B"})"),
            "deny default-deny");
  EXPECT_EQ(query("query A { viewer } query B { secrets }"), "deny graphql-operation-ambiguous");
}

TEST_F(GraphqlRequests, one_denied_member_denies_a_batch) {
  EXPECT_EQ(ask(R"([{"query":"{viewer}"},{"query":"{repo}"}])"), "allow allow[0]");
  EXPECT_EQ(ask(R"([{"query":"{viewer}"},{"query":"{secrets}"}])"), "deny default-deny");
  EXPECT_EQ(ask(R"([{"query":"{viewer}"},{"query":"mutation{createIssue}"}])"), "review review[0]");
  EXPECT_EQ(ask("[]"), "deny malformed:graphql");
}

TEST_F(GraphqlRequests, what_would_run_is_what_was_read) {
  EXPECT_EQ(
      ask(R"({"query":"{viewer}","variables":{"a":1},"extensions":{"tracing":true},"operationName":null})"),
      "allow allow[0]");
  EXPECT_EQ(ask(R"({"query":"{viewer}","id":"stored"})"), "deny malformed:graphql-member");
  EXPECT_EQ(ask(R"({"query":"{viewer}","Query":"{secrets}"})"), "deny malformed:graphql-member");
  EXPECT_EQ(ask(R"({"query":"{viewer}","query":"{secrets}"})"), "deny malformed:json-duplicate");
  EXPECT_EQ(ask(R"({"query":"{viewer}","extensions":{"persistedQuery":{"sha256Hash":"00"}}})"),
            "deny malformed:graphql-member");
  EXPECT_EQ(ask(R"({"extensions":{}})"), "deny graphql-query-missing");
  EXPECT_EQ(ask(R"({"query":"{viewer}"})", {}, 0, "/graphql?query=%7Bsecrets%7D"),
            "deny malformed:graphql-parameters");
  EXPECT_EQ(ask(R"({"query":"{viewer}"})", {{"content-type", "application/json; charset=UTF-8"}}),
            "allow allow[0]");
  EXPECT_EQ(ask(R"({"query":"{viewer}"})", {{"content-type", "application/graphql"}}),
            "deny malformed:content-type");
  EXPECT_EQ(ask(R"({"query":"{viewer}"})", {{"content-type", "multipart/form-data; boundary=x"}}),
            "deny malformed:content-type");
  EXPECT_EQ(ask(R"({"query":"{viewer}"})", {{"content-type", "application/json; charset=utf-16"}}),
            "deny malformed:content-type");
  EXPECT_EQ(ask(R"({"query":"{viewer}"})", {{"content-encoding", "gzip"}}), "deny malformed:body-encoded");
  EXPECT_EQ(text(policy_.decide({.host = "h.example", .method = "POST", .target = "/graphql"})),
            "deny malformed:body-missing");
  EXPECT_EQ(text(policy_.decide({.host = "h.example", .method = "PUT", .target = "/graphql", .body = "{}"})),
            "deny protocol-mismatch");
}

TEST_F(GraphqlRequests, queries_may_come_by_get_and_mutations_may_not) {
  EXPECT_EQ(get("/graphql?query=%7Bviewer%7D"), "allow allow[0]");
  EXPECT_EQ(get("/graphql?query=query+A%7Bviewer%7D+query+B%7Bsecrets%7D&operationName=B"),
            "deny default-deny");
  EXPECT_EQ(get("/graphql?query=mutation%7BaddComment%7D"), "deny graphql-mutation-by-get");
  EXPECT_EQ(get("/graphql?query=%7Bviewer%7D&query=%7Bsecrets%7D"), "deny malformed:graphql-parameters");
  EXPECT_EQ(get("/graphql?query=%7Bviewer%7D&id=1"), "deny malformed:graphql-member");
  EXPECT_EQ(get("/graphql"), "deny graphql-query-missing");
}

TEST_F(GraphqlRequests, labels_narrow_a_rule) {
  EXPECT_EQ(query("{ internal }"), "allow allow[2]");
  EXPECT_EQ(ask(R"({"query":"{ internal }"})", {}, kUntrusted), "deny default-deny");
  EXPECT_EQ(ask(R"({"query":"{ viewer }"})", {}, kUntrusted), "allow allow[0]");
  EXPECT_EQ(ask(R"({"query":"{ viewer }"})", {}, kUntrusted | kPrivate),
            "review trifecta.privateAndUntrusted");
}

// ---- MCP and JSON-RPC

const std::string_view kMcp = R"(
  - name: e
    to: {hosts: [h.example], paths: [/mcp]}
    protocol: mcp
    allow:
      - {methods: [initialize, ping, "notifications/*", tools/list]}
      - {methods: [tools/call], tools: [search_*]}
      - {methods: [tools/call], tools: [read_file], arguments: {/path: "/public/*"}}
    review: [{methods: [tools/call], tools: [create_ticket]}]
    deny: [{tools: [search_secrets]}, {tools: ["*"], arguments: {/force: "true"}}]
)";

class Mcp : public testing::Test {
 protected:
  std::string ask(std::string_view body, std::string_view method = "POST") {
    return text(policy_.decide({.host = "h.example", .method = method, .target = "/mcp", .body = body}));
  }
  std::string message(std::string_view method) {
    return ask(R"({"jsonrpc":"2.0","id":1,"method":")" + std::string(method) + "\"}");
  }
  std::string call(std::string_view tool, std::string_view arguments = "{}") {
    return ask(R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":")" + std::string(tool) +
               R"(","arguments":)" + std::string(arguments) + "}}");
  }
  Policy policy_ = network(kMcp);
};

TEST_F(Mcp, judges_method_tool_and_arguments) {
  EXPECT_EQ(message("initialize"), "allow allow[0]");
  EXPECT_EQ(message("notifications/initialized"), "allow allow[0]");
  EXPECT_EQ(message("notifications/a/b"), "deny default-deny");
  EXPECT_EQ(message("resources/read"), "deny default-deny");
  EXPECT_EQ(call("search_code"), "allow allow[1]");
  EXPECT_EQ(call("create_ticket"), "review review[0]");
  EXPECT_EQ(call("delete_all"), "deny default-deny");
  EXPECT_EQ(call("search_secrets"), "deny deny[0]");
  EXPECT_EQ(call("read_file", R"({"path":"/public/a"})"), "allow allow[2]");
  EXPECT_EQ(call("read_file", R"({"path":"/etc/passwd"})"), "deny default-deny");
  EXPECT_EQ(call("read_file"), "deny default-deny");
}

TEST_F(Mcp, an_argument_said_twice_or_in_other_letters_does_not_slip_through) {
  EXPECT_EQ(call("read_file", R"({"path":["/public/a","/etc/passwd"]})"), "deny default-deny");
  EXPECT_EQ(call("read_file", R"({"path":"/public/a","Path":"/etc/passwd"})"), "deny default-deny");
  EXPECT_EQ(call("read_file", R"({"path":"/public/a","path":"/etc/passwd"})"),
            "deny malformed:json-duplicate");
  EXPECT_EQ(call("search_code", R"({"FORCE":true})"), "deny deny[1]");
  EXPECT_EQ(call("search_code", R"({"force":false})"), "allow allow[1]");
  EXPECT_EQ(call("read_file", R"({"path":"/public/\u002e\u002e/etc"})"),
            "allow allow[2]");  // a value, not a path: docs/policy.md
}

TEST_F(Mcp, a_batch_is_as_good_as_its_worst_member) {
  const std::string good = R"({"jsonrpc":"2.0","id":1,"method":"ping"})";
  EXPECT_EQ(ask("[" + good + "," + good + "]"), "allow allow[0]");
  EXPECT_EQ(ask("[" + good + R"(,{"jsonrpc":"2.0","id":2,"method":"resources/read"}])"), "deny default-deny");
  EXPECT_EQ(ask("[" + good +
                R"(,{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"create_ticket"}}])"),
            "review review[0]");
}

TEST_F(Mcp, its_stream_is_for_whoever_may_call_and_answers_need_a_rule_without_methods) {
  EXPECT_EQ(text(policy_.decide({.host = "h.example", .method = "GET", .target = "/mcp"})), "allow allow[0]");
  EXPECT_EQ(ask(R"({"jsonrpc":"2.0","id":1,"result":{"roots":[]}})"), "deny default-deny");
  EXPECT_EQ(ask(R"({"jsonrpc":"2.0","id":1,"result":{}})"), "allow allow[0]") << "the answer to a ping";
  const Policy all = network("  - {name: e, to: {hosts: [h.example]}, protocol: mcp, allow: all}\n");
  EXPECT_EQ(text(all.decide({.host = "h.example",
                             .method = "POST",
                             .target = "/mcp",
                             .body = R"({"jsonrpc":"2.0","id":1,"result":{}})"})),
            "allow allow");
  const Policy none =
      network("  - {name: e, to: {hosts: [h.example]}, protocol: mcp, review: [{methods: [ping]}]}\n");
  EXPECT_EQ(text(none.decide({.host = "h.example", .method = "GET", .target = "/mcp"})), "deny default-deny");
}

TEST_F(Mcp, a_list_of_tools_shows_what_could_be_called) {
  const Request where{.host = "h.example", .method = "POST", .target = "/mcp"};
  EXPECT_TRUE(policy_.offers_tool(where, "search_code"));
  EXPECT_TRUE(policy_.offers_tool(where, "read_file"));
  EXPECT_TRUE(policy_.offers_tool(where, "create_ticket"));
  EXPECT_FALSE(policy_.offers_tool(where, "search_secrets"));
  EXPECT_FALSE(policy_.offers_tool(where, "delete_all"));
  EXPECT_FALSE(policy_.offers_tool({.host = "other.example", .target = "/mcp"}, "search_code"));
}

TEST(Jsonrpc, judges_method_and_params) {
  const Policy p = network(R"(
  - name: e
    to: {hosts: [h.example]}
    protocol: jsonrpc
    allow: [{methods: ["eth_get*"]}, {methods: [transfer], params: {/0: "acme-*", /amount: "1?"}}]
    deny: [{methods: [eth_getSecret]}]
)");
  auto ask = [&](std::string_view method, std::string_view params) {
    return text(p.decide({.host = "h.example",
                          .method = "POST",
                          .target = "/",
                          .body = R"({"jsonrpc":"2.0","id":1,"method":")" + std::string(method) +
                                  R"(","params":)" + std::string(params) + "}"}));
  };
  EXPECT_EQ(ask("eth_getBalance", "[]"), "allow allow[0]");
  EXPECT_EQ(ask("eth_getSecret", "[]"), "deny deny[0]");
  EXPECT_EQ(ask("eth_send", "[]"), "deny default-deny");
  EXPECT_EQ(ask("transfer", R"({"0":"acme-1","amount":12})"), "allow allow[1]");
  EXPECT_EQ(ask("transfer", R"({"0":"acme-1","amount":120})"), "deny default-deny");
  EXPECT_EQ(ask("transfer", R"({"0":"acme-1","amount":1.2e1})"), "allow allow[1]");
  EXPECT_EQ(text(p.decide({.host = "h.example", .method = "GET", .target = "/"})), "deny protocol-mismatch");
}

// ---- WebSocket

TEST(Websocket, an_upgrade_and_each_message_are_judged) {
  const Policy p = network(R"(
  - name: e
    to: {hosts: [h.example]}
    protocol: websocket
    allow: [{paths: [/chat], messages: ["say *"]}, {paths: [/feed]}, {paths: [/raw], binary: allow}]
    review: [{paths: [/chat], messages: ["shout *"]}, {paths: [/desk], messages: ["*"]}]
    deny: [{messages: ["* secret*"]}]
)");
  auto upgrade = [&](std::string_view target) {
    return text(
        p.decide({.kind = Request::Kind::websocket, .host = "h.example", .method = "GET", .target = target}));
  };
  auto say = [&](std::string_view target, std::string_view message) {
    return text(p.decide({.kind = Request::Kind::websocket,
                          .host = "h.example",
                          .method = "GET",
                          .target = target,
                          .message = message}));
  };
  auto binary = [&](std::string_view target) {
    return text(p.decide({.kind = Request::Kind::websocket,
                          .host = "h.example",
                          .method = "GET",
                          .target = target,
                          .frame = Request::Frame::binary}));
  };
  EXPECT_EQ(upgrade("/chat"), "allow allow[0]");
  EXPECT_EQ(upgrade("/feed"), "allow allow[1]");
  EXPECT_EQ(upgrade("/desk"), "allow review[1]");
  EXPECT_EQ(upgrade("/other"), "deny default-deny");
  EXPECT_EQ(say("/chat", "say hi"), "allow allow[0]");
  EXPECT_EQ(say("/chat", "shout hi"), "review review[0]");
  EXPECT_EQ(say("/chat", "whisper"), "deny default-deny");
  EXPECT_EQ(say("/chat", ""), "deny default-deny");
  EXPECT_EQ(say("/chat", "say a secret"), "deny deny[0]");
  EXPECT_EQ(say("/feed", "anything"), "allow allow[1]");
  EXPECT_EQ(binary("/raw"), "allow allow[2]");
  EXPECT_EQ(binary("/feed"), "deny websocket-binary");
  EXPECT_EQ(text(p.decide({.host = "h.example", .method = "GET", .target = "/feed"})),
            "deny protocol-mismatch");
  const Policy http = network("  - {name: e, to: {hosts: [h.example]}, allow: all}\n");
  EXPECT_EQ(text(http.decide(
                {.kind = Request::Kind::websocket, .host = "h.example", .method = "GET", .target = "/"})),
            "deny protocol-mismatch");
}

// ---- registries

TEST(Registries, packages_operations_and_ages) {
  const Policy p = network(R"(
  - name: e
    to: {hosts: [h.example], paths: ["/npm/**"]}
    protocol: registry
    allow:
      - {ecosystem: npm, op: read, minAgeDays: 7}
      - {ecosystem: npm, op: read, packages: ["@acme/*"]}
    review: [{ecosystem: npm, op: publish, packages: ["@acme/*"]}]
    deny: [{ecosystem: npm, op: read, packages: [left-pad]}]
)");
  constexpr Nanos kDay = 24 * 60 * kMinute, kNow = 20'000 * kDay;
  auto ask = [&](std::string_view method, std::string_view target, std::optional<Nanos> published = {}) {
    return p.decide(
        {.host = "h.example", .method = method, .target = target, .published = published, .time = kNow});
  };
  EXPECT_EQ(text(ask("GET", "/npm/react/-/react-1.0.0.tgz", kNow - 8 * kDay)), "allow allow[0]");
  EXPECT_EQ(text(ask("GET", "/npm/react/-/react-1.0.0.tgz", kNow - 6 * kDay)), "deny registry-too-young");
  EXPECT_EQ(text(ask("GET", "/npm/react/-/react-1.0.0.tgz", kNow + kDay)), "deny registry-too-young");
  EXPECT_EQ(text(ask("GET", "/npm/react/-/react-1.0.0.tgz")), "deny registry-age-unknown");
  EXPECT_EQ(text(ask("GET", "/npm/@acme/ui/-/ui-1.0.0.tgz")), "allow allow[1]");
  EXPECT_EQ(text(ask("GET", "/npm/react")), "allow allow[0]");
  EXPECT_EQ(ask("GET", "/npm/react").min_age_days, 7);
  EXPECT_EQ(ask("GET", "/npm/@acme/ui").min_age_days, 0);
  EXPECT_EQ(text(ask("GET", "/npm/left-pad")), "deny deny[0]");
  EXPECT_EQ(text(ask("PUT", "/npm/@acme/ui")), "review review[0]");
  EXPECT_EQ(text(ask("PUT", "/npm/react")), "deny default-deny");
  EXPECT_EQ(text(ask("PUT", "/npm/-/user/me")), "deny registry-unknown-operation");
  EXPECT_EQ(text(ask("GET", "/pypi/simple/x/")), "deny default-deny");
}

// ---- connections

TEST(Connections, raw_tcp_is_by_name_port_and_labels) {
  const Policy p = network(
      "  - {name: db, to: {hosts: [db.example], ports: [5432]}, protocol: tcp, allow: [{when: {labels: "
      "{none: [untrusted]}}}]}\n");
  auto ask = [&](uint16_t port, Labels labels) {
    return text(p.decide(
        {.kind = Request::Kind::tcp, .host = "db.example", .port = port, .tls = false, .labels = labels}));
  };
  EXPECT_EQ(ask(5432, 0), "allow allow[0]");
  EXPECT_EQ(ask(5432, kUntrusted), "deny default-deny");
  EXPECT_EQ(ask(5433, 0), "deny default-deny");
  EXPECT_EQ(text(p.decide({.host = "db.example", .port = 5432, .method = "GET", .target = "/"})),
            "deny protocol-mismatch");
}

TEST(Connections, passthrough_needs_the_name_in_the_handshake) {
  const Policy p = network("  - {name: e, to: {hosts: [h.example]}, tls: passthrough, allow: all}\n");
  auto ask = [&](std::string_view sni, bool tls = true) {
    return text(p.decide({.kind = Request::Kind::tcp, .host = "h.example", .tls = tls, .sni = sni}));
  };
  EXPECT_EQ(ask("h.example"), "allow allow");
  EXPECT_EQ(ask("H.EXAMPLE"), "allow allow");
  EXPECT_EQ(ask("other.example"), "deny malformed:sni-mismatch");
  EXPECT_EQ(ask(""), "deny sni-missing");
  EXPECT_EQ(ask("h.example", false), "deny tls-required");
  EXPECT_EQ(text(p.decide({.host = "h.example", .sni = "h.example", .method = "DELETE", .target = "/x"})),
            "allow allow");
}

// ---- inference

TEST(Inference, only_listed_models_are_asked_and_only_with_what_they_may_be_told) {
  const Policy p = network(
      "  - {name: hub, to: {hosts: [h.example]}, allow: [{methods: [GET, POST], paths: [\"/v1/**\"]}]}\n",
      "inference:\n  - {model: \"acme-*\", via: hub, data: [public, internal, private]}\n"
      "  - {model: \"open-*\", via: hub}\n");
  auto ask = [&](std::string_view body, Labels labels = 0) {
    return text(p.decide(
        {.host = "h.example", .method = "POST", .target = "/v1/chat", .body = body, .labels = labels}));
  };
  EXPECT_EQ(ask(R"({"model":"acme-7"})"), "allow allow[0]");
  EXPECT_EQ(ask(R"({"model":"acme-7"})", kPrivate), "allow allow[0]");
  EXPECT_EQ(ask(R"({"model":"open-1"})"), "allow allow[0]");
  EXPECT_EQ(ask(R"({"model":"open-1"})", kPrivate), "deny inference-private-data");
  EXPECT_EQ(ask(R"({"model":"gpt"})"), "deny inference-model-unlisted");
  EXPECT_EQ(ask(R"({"model":"acme-7","Model":"gpt"})"), "deny inference-model-missing");
  EXPECT_EQ(ask("{}"), "deny inference-model-missing");
  EXPECT_EQ(ask("model=acme-7"), "deny malformed:json");
  EXPECT_EQ(text(p.decide({.host = "h.example", .method = "GET", .target = "/v1/models"})), "allow allow[0]");
  EXPECT_EQ(p.endpoint("h.example", 443)->body, BodyNeed::whole);
}

TEST(Inference, a_model_that_one_reading_of_the_path_refuses_is_refused) {
  const Policy p = network(
      "  - {name: hub, to: {hosts: [h.example], paths: [/chat]}, allow: [{methods: [POST]}]}\n"
      "  - {name: rest, to: {hosts: [h.example], paths: [/chat/]}, allow: [{methods: [POST]}]}\n",
      "inference:\n  - {model: \"acme-*\", via: hub}\n");
  auto ask = [&](std::string_view body) {
    return p.decide({.host = "h.example", .method = "POST", .target = "/chat/", .body = body});
  };
  EXPECT_EQ(ask(R"({"model":"acme-7"})").rule, "network.rest.allow[0]");
  EXPECT_EQ(ask(R"({"model":"gpt"})").reason, "inference-model-unlisted");
}

// ---- several operations in one request, where a server may read the path in more than one way

TEST(Readings, an_operation_without_a_rule_does_not_hide_the_denial_of_another) {
  auto entries = [](std::string_view protocol, std::string_view denied) {
    return "  - {name: a, to: {hosts: [h.example], paths: [/api/]}, protocol: " + std::string(protocol) +
           ", allow: all}\n  - {name: b, to: {hosts: [h.example], paths: [/api]}, protocol: " +
           std::string(protocol) + ", deny: [" + std::string(denied) + "]}\n";
  };
  auto ask = [](const Policy& p, std::string_view body) {
    return text(p.decide({.host = "h.example", .method = "POST", .target = "/api/", .body = body}));
  };
  const Policy graphql = network(entries("graphql", "{fields: [secrets]}"));
  EXPECT_EQ(ask(graphql, R"({"query":"{viewer}"})"), "allow allow");
  EXPECT_EQ(ask(graphql, R"({"query":"{viewer secrets}"})"), "deny deny[0]");
  EXPECT_EQ(ask(graphql, R"([{"query":"{viewer}"},{"query":"{secrets}"}])"), "deny deny[0]");
  const Policy rpc = network(entries("jsonrpc", "{methods: [wipe]}"));
  EXPECT_EQ(ask(rpc, R"([{"jsonrpc":"2.0","id":1,"method":"look"}])"), "allow allow");
  EXPECT_EQ(
      ask(rpc, R"([{"jsonrpc":"2.0","id":1,"method":"look"},{"jsonrpc":"2.0","id":2,"method":"wipe"}])"),
      "deny deny[0]");
}

TEST(Trifecta, an_upgrade_is_never_freer_under_review_than_under_allow) {
  for (const char* effect : {"allow", "review"}) {
    const Policy p = network(std::string("  - {name: e, to: {hosts: [h.example]}, protocol: websocket, ") +
                             effect + ": [{messages: [\"*\"]}]}\n");
    auto upgrade = [&](Labels labels) {
      return text(p.decide({.kind = Request::Kind::websocket,
                            .host = "h.example",
                            .method = "GET",
                            .target = "/",
                            .labels = labels}));
    };
    EXPECT_TRUE(upgrade(0).starts_with("allow ")) << effect;
    EXPECT_EQ(upgrade(kPrivate | kUntrusted), "review trifecta.privateAndUntrusted") << effect;
  }
}

TEST(When, labels_all_any_none) {
  const Policy p = network(R"(
  - name: e
    to: {hosts: [h.example]}
    reach: internal
    allow:
      - {paths: [/all], when: {labels: {all: [private, untrusted]}}}
      - {paths: [/any], when: {labels: {any: [private, untrusted]}}}
      - {paths: [/none], when: {labels: {none: [private]}}}
)");
  auto ask = [&](std::string_view target, Labels labels) {
    return p.decide({.host = "h.example", .method = "GET", .target = target, .labels = labels}).effect ==
           Effect::allow;
  };
  EXPECT_FALSE(ask("/all", kPrivate));
  EXPECT_TRUE(ask("/all", kPrivate | kUntrusted));
  EXPECT_FALSE(ask("/any", 0));
  EXPECT_TRUE(ask("/any", kUntrusted));
  EXPECT_TRUE(ask("/none", kUntrusted));
  EXPECT_FALSE(ask("/none", kPrivate | kUntrusted));
}

}  // namespace
}  // namespace saw::policy
