// Protocols whose operations are in the body: GraphQL, JSON-RPC, MCP, and questions to models.
#include "policy/graphql.h"
#include "policy/json.h"
#include "policy/judge.h"
#include "policy/rpc.h"

namespace saw::policy {
namespace {

// The body as JSON, if the request is one that a server could only read that way.
std::expected<Json, Reason> json_body(const Request& request) {
  if (is_encoded(request.headers)) return std::unexpected("malformed:body-encoded");
  if (Reason reason = check_json_type(request.headers); !reason.empty()) return std::unexpected(reason);
  if (!request.body) return std::unexpected("malformed:body-missing");
  return parse_json(*request.body);
}

// ---- GraphQL over HTTP

struct GraphqlCall {
  std::string_view query;
  std::optional<std::string_view> operation_name;
};

// Other members could name a stored document that would run instead of the one that was judged.
std::expected<GraphqlCall, Reason> graphql_call(const Json& body) {
  constexpr Reason kMember = "malformed:graphql-member";
  if (body.kind != Json::Kind::object) return std::unexpected("malformed:graphql");
  GraphqlCall out;
  for (const auto& [key, value] : body.members) {
    const bool null = value.kind == Json::Kind::null, text = value.kind == Json::Kind::text;
    if (key == "query" && text)
      out.query = value.text;
    else if (key == "operationName" && (text || null))
      out.operation_name = text ? std::optional<std::string_view>(value.text) : std::nullopt;
    else if (key == "extensions" && value.kind == Json::Kind::object && !value.find("persistedQuery") &&
             !value.has_lookalike("persistedQuery"))
      continue;
    else if ((key != "variables" && key != "extensions") || (!null && value.kind != Json::Kind::object) ||
             (key == "extensions" && !null))
      return std::unexpected(kMember);
  }
  if (out.query.empty()) return std::unexpected("graphql-query-missing");
  return out;
}

bool graphql_rule_holds(const Rule& rule, const GraphqlOperation& operation, std::string_view field) {
  if (rule.everything) return true;
  const bool type = rule.types.empty() || std::ranges::find(rule.types, operation.type) != rule.types.end();
  return type && any_matches(rule.names, operation.name) && any_matches(rule.fields, field);
}

Reason graphql_action(OperationType type) {
  return type == OperationType::mutation ? "write" : "read";
}

// ---- JSON-RPC and MCP

bool arguments_match(const Rule& rule, const Json* root) {
  return std::ranges::all_of(rule.arguments, [&](const ValueRule& wanted) {
    return root != nullptr && match_values(*root, wanted.key, rule.effect, wanted.value);
  });
}

bool call_rule_holds(const Rule& rule, Protocol protocol, const RpcCall& call) {
  if (rule.everything) return true;
  if (!rule.calls.empty() && (call.method.empty() || !any_matches(rule.calls, call.method))) return false;
  if (protocol == Protocol::jsonrpc) return arguments_match(rule, call.params);
  if (rule.tools.empty() && rule.arguments.empty()) return true;
  return call.method == "tools/call" && any_matches(rule.tools, call.tool) &&
         arguments_match(rule, call.arguments);
}

}  // namespace

// The strictest of what holds for each root field.
Best Judge::graphql_rule(const GraphqlOperation& operation) {
  Best worst;
  for (const std::string_view field : operation.fields) {
    Best best;
    each_rule(Protocol::graphql, field, [&](const Rule& rule, uint32_t e) {
      if (graphql_rule_holds(rule, operation, field)) best.offer(rule, e);
    });
    worst.join(best);
  }
  return worst;
}

Decision Judge::graphql() {
  const std::string_view method = subject_.request.method;
  if (method == "GET") return graphql_get();
  return method == "POST" ? graphql_post() : refuse("protocol-mismatch");
}

Decision Judge::graphql_post() {
  // Some servers read the target's parameters first.
  if (!subject_.query.empty()) return refuse("malformed:graphql-parameters");
  auto body = json_body(subject_.request);
  if (!body) return refuse(body.error());
  const bool batch = body->kind == Json::Kind::list;
  if (batch && (body->items.empty() || body->items.size() > RpcCall::kMaxCalls))
    return refuse("malformed:graphql");
  const std::span<const Json> members =
      batch ? std::span<const Json>(body->items) : std::span<const Json>(&*body, 1);
  Best worst;
  Reason action = "read";
  for (const Json& member : members) {
    auto call = graphql_call(member);
    if (!call) return refuse(call.error());
    auto operation = graphql_operation(call->query, call->operation_name);
    if (!operation) return refuse(operation.error());
    worst.join(graphql_rule(*operation));
    if (operation->type == OperationType::mutation) action = graphql_action(operation->type);
  }
  return outcome(worst, action);
}

Decision Judge::graphql_get() {
  std::optional<std::string> query, name;
  ParameterReader reader(subject_.query);
  while (auto parameter = reader.next()) {
    const std::string_view key = parameter->key;
    std::optional<std::string>* place = key == "query" ? &query : key == "operationName" ? &name : nullptr;
    if (place == nullptr && key != "variables") return refuse("malformed:graphql-member");
    if (place == nullptr) continue;
    if (*place) return refuse("malformed:graphql-parameters");
    place->emplace(parameter->value);
  }
  if (!query) return refuse("graphql-query-missing");
  auto operation = graphql_operation(*query, name ? std::optional<std::string_view>(*name) : std::nullopt);
  if (!operation) return refuse(operation.error());
  // A link or an image could ask for it.
  if (operation->type != OperationType::query) return refuse("graphql-mutation-by-get");
  return outcome(graphql_rule(*operation), graphql_action(operation->type));
}

Best Judge::call_rule(Protocol protocol, const RpcCall& call) {
  Best best;
  each_rule(protocol, protocol == Protocol::mcp ? call.tool : call.method, [&](const Rule& rule, uint32_t e) {
    if (call_rule_holds(rule, protocol, call)) best.offer(rule, e);
  });
  return best;
}

Decision Judge::calls(Protocol protocol) {
  const std::string_view method = subject_.request.method;
  if (protocol == Protocol::mcp && (method == "GET" || method == "DELETE")) return mcp_stream();
  if (method != "POST") return refuse("protocol-mismatch");
  auto body = json_body(subject_.request);
  if (!body) return refuse(body.error());
  auto all = rpc_calls(*body, protocol == Protocol::mcp ? RpcDialect::mcp : RpcDialect::jsonrpc);
  if (!all) return refuse(all.error());
  Best worst;
  for (const RpcCall& call : *all) worst.join(call_rule(protocol, call));
  return outcome(worst, "call");
}

// MCP's streamable transport: GET listens for what the server sends, DELETE ends the session. Neither says anything, so whoever may
// call something may do both.
Decision Judge::mcp_stream() {
  Best best;
  each_rule(Protocol::mcp, [&](const Rule& rule, uint32_t e) {
    if (rule.effect == Effect::allow) best.offer(rule, e);
  });
  return outcome(best, "stream");
}

bool Judge::offers_tool(std::string_view tool) {
  bool admitted = false, denied = false;
  each_rule(Protocol::mcp, tool, [&](const Rule& rule, uint32_t) {
    const RpcCall call{.method = "tools/call", .tool = tool};
    const bool about = rule.everything || ((rule.calls.empty() || any_matches(rule.calls, call.method)) &&
                                           any_matches(rule.tools, tool));
    if (!about) return;
    admitted = admitted || rule.effect != Effect::deny;
    denied = denied || (rule.effect == Effect::deny && rule.arguments.empty());
  });
  return admitted && !denied;
}

// ---- inference

// What the entry's rules admit must also ask a model that `inference` lists, with no more than it may be told.
Decision Judge::inference(uint32_t e, Decision decision) const {
  if (decision.effect == Effect::deny) return decision;
  // `inference` is a rule like the others, so that its denial counts in every reading of the path.
  auto refuse = [&](Reason reason) {
    return Decision{.effect = Effect::deny, .rule = "inference", .reason = reason, .entry = decision.entry};
  };
  auto body = json_body(subject_.request);
  if (!body) return refuse(body.error());
  const Json* model = body->find("model");
  if (model == nullptr || model->kind != Json::Kind::text || body->has_lookalike("model"))
    return refuse("inference-model-missing");
  bool listed = false;
  for (const uint32_t i : impl_.models[e]) {
    const InferenceRule& rule = impl_.document.inference[i];
    if (!rule.model.matches(model->text)) continue;
    listed = true;
    const bool private_too = std::ranges::find(rule.data, DataClass::private_data) != rule.data.end();
    if ((subject_.request.labels & kPrivate) == 0 || private_too) return decision;
  }
  return refuse(listed ? "inference-private-data" : "inference-model-unlisted");
}

}  // namespace saw::policy
