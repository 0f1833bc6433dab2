// What a proxy's client says first: SOCKS5 greeting and request, CONNECT and absolute-form targets. Where it leads is a host name.
#include <cstdint>

#include "base/result.h"
#include "egress/proxy_request.h"
#include "policy/host.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace saw;
  using namespace saw::egress;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const SocksGreeting greeting = parse_socks_greeting(bytes);
  SAW_CHECK(greeting.consumed <= size);
  if (greeting.state == SocksGreeting::State::incomplete) SAW_CHECK(size < kMaxSocksBytes);
  const ProxyTarget socks = parse_socks_request(bytes);
  if (socks.state == ProxyTarget::State::incomplete) SAW_CHECK(size < kMaxSocksBytes);
  for (const ProxyTarget& target : {socks, parse_connect_target(bytes), parse_absolute_target(bytes)}) {
    SAW_CHECK(target.consumed <= size);
    if (target.state != ProxyTarget::State::complete) continue;
    auto host = policy::HostName::parse(target.host);
    SAW_CHECK(target.port != 0 && host && host->text() == target.host);
  }
  return 0;
}
