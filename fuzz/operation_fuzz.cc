// A request in its protocol's words: total, printable, within its bounds.
#include <algorithm>
#include <cstdint>

#include "base/result.h"
#include "egress/operation.h"

using namespace saw::egress;
using saw::policy::Protocol;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  constexpr Protocol kProtocols[] = {Protocol::graphql, Protocol::jsonrpc, Protocol::mcp};
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const bool get = (data[0] & 4) != 0;
  const Operation op = describe_operation({.protocol = kProtocols[data[0] % 3],
                                           .method = get ? "GET" : "POST",
                                           .target = get ? text.substr(0, 4096) : std::string_view("/x"),
                                           .body = text});
  auto shown = [](unsigned char c) { return c >= 0x20 || c == '\n'; };
  SAW_CHECK(std::ranges::all_of(op.summary, shown) && std::ranges::all_of(op.detail, shown));
  SAW_CHECK(op.detail.size() <= Operation::kMaxDetail);
  SAW_CHECK(op.summary.size() <= 4 * Operation::kMaxSummary);
  return 0;
}
