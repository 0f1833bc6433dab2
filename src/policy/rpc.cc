#include "policy/rpc.h"

#include <algorithm>

namespace saw::policy {
namespace {

using Outcome = std::expected<RpcCall, std::string_view>;

constexpr std::string_view kMalformed = "malformed:rpc";

bool only_known(const Json& object, std::initializer_list<std::string_view> known) {
  return std::ranges::all_of(object.members, [&](const JsonMember& member) {
    return std::ranges::find(known, member.key) != known.end();
  });
}

bool structured(const Json* node) {
  return node == nullptr || node->kind == Json::Kind::object || node->kind == Json::Kind::list;
}

bool valid_id(const Json* id) {
  return id == nullptr || id->kind == Json::Kind::text || id->kind == Json::Kind::number ||
         id->kind == Json::Kind::null;
}

// An answer to what the server asked (sampling, elicitation): it has no method.
Outcome answer(const Json& message, RpcDialect dialect) {
  const Json *result = message.find("result"), *error = message.find("error");
  const bool valid = dialect == RpcDialect::mcp && (result == nullptr) != (error == nullptr) &&
                     message.find("id") != nullptr &&
                     only_known(message, {"jsonrpc", "id", "result", "error"});
  if (!valid) return std::unexpected(kMalformed);
  // An answer with nothing in it is what a ping is answered with: whoever may ping may answer one.
  const bool nothing = result != nullptr && result->kind == Json::Kind::object && result->members.empty();
  return RpcCall{.method = nothing ? std::string_view("ping") : std::string_view(),
                 .params = result != nullptr ? result : error};
}

Outcome with_tool(RpcCall call) {
  const Json* params = call.params;
  if (params == nullptr || params->kind != Json::Kind::object || params->has_lookalike("name") ||
      params->has_lookalike("arguments"))
    return std::unexpected(kMalformed);
  const Json* name = params->find("name");
  call.arguments = params->find("arguments");
  if (name == nullptr || name->kind != Json::Kind::text || name->text.empty() ||
      (call.arguments != nullptr && call.arguments->kind != Json::Kind::object))
    return std::unexpected(kMalformed);
  call.tool = name->text;
  return call;
}

Outcome one(const Json& message, RpcDialect dialect) {
  const Json *version = message.find("jsonrpc"), *method = message.find("method");
  if (message.kind != Json::Kind::object || version == nullptr || version->kind != Json::Kind::text ||
      version->text != "2.0" || !valid_id(message.find("id")))
    return std::unexpected(kMalformed);
  if (method == nullptr) return answer(message, dialect);
  RpcCall call{.method = method->text, .params = message.find("params")};
  if (method->kind != Json::Kind::text || method->text.empty() || !structured(call.params) ||
      !only_known(message, {"jsonrpc", "id", "method", "params"}))
    return std::unexpected(kMalformed);
  return dialect == RpcDialect::mcp && call.method == "tools/call" ? with_tool(call) : call;
}

}  // namespace

std::expected<std::vector<RpcCall>, std::string_view> rpc_calls(const Json& body, RpcDialect dialect) {
  std::vector<RpcCall> out;
  auto add = [&](const Json& message) -> std::string_view {
    auto call = one(message, dialect);
    if (!call) return call.error();
    out.push_back(*call);
    return {};
  };
  if (body.kind != Json::Kind::list) {
    if (auto reason = add(body); !reason.empty()) return std::unexpected(reason);
    return out;
  }
  if (body.items.empty()) return std::unexpected(kMalformed);
  if (body.items.size() > RpcCall::kMaxCalls) return std::unexpected("malformed:rpc-oversized");
  for (const Json& message : body.items)
    if (auto reason = add(message); !reason.empty()) return std::unexpected(reason);
  return out;
}

}  // namespace saw::policy
