// Reading JSON and the JSON-RPC calls in it is total and bounded; what is a call has a method, and a tool only where MCP says so. A
// value found for an allow is found for a deny too.
#include <cstdint>

#include "base/result.h"
#include "policy/json.h"
#include "policy/rpc.h"

using namespace saw::policy;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view raw(reinterpret_cast<const char*>(data), size);
  auto body = parse_json(raw);
  if (!body) {
    SAW_CHECK(body.error().starts_with("malformed:json"));
    return 0;
  }
  static const Glob kAny = Glob::create("*", Glob::Kind::value).value();
  for (std::string_view pointer : {"/params/arguments/path", "/0/method", "/a~1b"})
    SAW_CHECK(!match_values(*body, pointer, Effect::allow, kAny) ||
              match_values(*body, pointer, Effect::deny, kAny));
  for (RpcDialect dialect : {RpcDialect::jsonrpc, RpcDialect::mcp}) {
    auto calls = rpc_calls(*body, dialect);
    if (!calls) continue;
    SAW_CHECK(!calls->empty() && calls->size() <= RpcCall::kMaxCalls);
    for (const RpcCall& call : *calls) {
      SAW_CHECK(!call.method.empty() || dialect == RpcDialect::mcp);
      SAW_CHECK(call.tool.empty() || call.method == "tools/call");
    }
  }
  return 0;
}
