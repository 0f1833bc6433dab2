// A host has one canonical form, which parses to itself, and an authority is a host with perhaps a port.
#include <cstdint>

#include "base/result.h"
#include "policy/host.h"

using namespace saw::policy;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view raw(reinterpret_cast<const char*>(data), size);
  if (auto authority = parse_authority(raw)) SAW_CHECK(!authority->host.text().empty());
  auto host = HostName::parse(raw);
  if (!host) return 0;
  auto again = HostName::parse(host->text());
  SAW_CHECK(again && again->text() == host->text() && again->address() == host->address());
  if (!host->address())
    for (char c : host->text())
      SAW_CHECK((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.');
  return 0;
}
