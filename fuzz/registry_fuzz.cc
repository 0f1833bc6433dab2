// Reading a registry request is total: method, path and query on three lines, under every ecosystem.
#include <cstdint>

#include "base/result.h"
#include "policy/registry.h"

using namespace saw::policy;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  auto line = [&] {
    const std::string_view out = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(out.size() + 1, rest.size()));
    return out;
  };
  const std::string_view method = line(), path = line(), query = line();
  for (int e = 0; e <= static_cast<int>(Ecosystem::debian); ++e) {
    auto request = registry_request(static_cast<Ecosystem>(e), method, path, query);
    if (!request) continue;
    SAW_CHECK(request->op == RegistryOp::publish || method == "GET" || method == "HEAD");
    SAW_CHECK(request->what != RegistryRequest::What::index || request->package.empty());
  }
  return 0;
}
