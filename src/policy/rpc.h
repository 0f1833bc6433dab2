// The calls in a JSON-RPC 2.0 message, and what MCP adds to them.
//
//   auto body = parse_json(text);
//   auto calls = rpc_calls(*body, RpcDialect::mcp);     // one for an object, all of a batch
//   calls->at(0).method, .params, .tool, .arguments
//
// Source: JSON-RPC 2.0 §4–6; Model Context Protocol, "tools/call". Views and pointers into the Json given.
// Refused: "malformed:rpc" (not a request, a notification or, in MCP, an answer; an empty batch; a member that no specification
// names, such as "Method", which some readers take for "method"), "malformed:rpc-oversized" (more than kMaxCalls).
#pragma once

#include <expected>
#include <string_view>
#include <vector>

#include "policy/json.h"

namespace saw::policy {

enum class RpcDialect : uint8_t { jsonrpc, mcp };

struct RpcCall {
  static constexpr size_t kMaxCalls = 1000;
  // Empty: an answer to the server's own request (mcp only); "ping" if there is nothing in it.
  std::string_view method;
  const Json* params = nullptr;  // a list or an object
  // mcp, of "tools/call":
  std::string_view tool;
  const Json* arguments = nullptr;  // an object
};

std::expected<std::vector<RpcCall>, std::string_view> rpc_calls(const Json& body, RpcDialect dialect);

}  // namespace saw::policy
