// What an address is, whatever its spelling: the classification that R48 rests on.
//
//   auto a = parse_address("0x7f.1");                   // every textual form that some resolver accepts
//   classify(*a) == AddressClass::loopback
//
// Embedded IPv4 (v4-mapped, v4-compatible, NAT64 64:ff9b::/96 and 64:ff9b:1::/48, 6to4 2002::/16, Teredo 2001::/32) is classified
// by the strictest of the outer and the inner address. Source: IANA special-purpose address registries, RFC 6890. Documentation ranges
// (203.0.113.0/24, 2001:db8::/32, …) count as global: nobody routes them, and docs/cli.md's own example is judged at one.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "policy/policy.h"

namespace saw::policy {

using Address = std::array<uint8_t, 16>;  // network byte order; IPv4 as ::ffff:a.b.c.d

enum class AddressClass : uint8_t {
  global,  // ordinary unicast
  private_use,  // RFC 1918, RFC 6598 carrier-grade, RFC 4193 unique-local: only where both policy and operator list it
  never,  // loopback, link-local, metadata, multicast, unspecified, broadcast, benchmarking, reserved
};

// Decimal, octal, hexadecimal and short IPv4 forms (inet_aton(3)), IPv6 with and without brackets; no zone ids. nullopt: not an address.
std::optional<Address> parse_address(std::string_view text);
std::string to_text(const Address& address);  // "93.184.216.34", "2001:db8::1"
AddressClass classify(const Address& address);
bool contains(const AddressRange& range, const Address& address);
// "10.20.0.0/16", "fd00::/8"; host bits must be zero.
std::optional<AddressRange> parse_range(std::string_view text);

}  // namespace saw::policy
