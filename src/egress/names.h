// Names and their synthetic addresses: what DNS told a sandbox, so that a later connection to the address is
// a connection to the name.
//
//   auto address = names.address_of("api.example.com");      // the same one each time; nullopt once
//   kMaxNames are taken names.name_of(*address) == "api.example.com"
//
// Addresses come from 198.18.0.0/15 (RFC 2544, never routed), one map per channel: nothing leaks from one
// sandbox to another.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace saw::egress {

using Ipv4 = std::array<uint8_t, 4>;

class SyntheticNames {
 public:
  static constexpr size_t kMaxNames = 65'536;

  std::optional<Ipv4> address_of(std::string_view name);
  // "" for an address that was not given out.
  std::string_view name_of(Ipv4 address) const;
  static bool is_synthetic(Ipv4 address);

 private:
  std::unordered_map<std::string, uint32_t> numbers_;
  std::vector<const std::string*> names_;  // number → key of numbers_ (stable: nodes do not move)
};

}  // namespace saw::egress
