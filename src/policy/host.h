// Names of hosts in their one canonical form: lower-case A-labels without a trailing dot, or an address
// literal as to_text() prints it.
//
//   HostName h = HostName::parse("API.Example.com.").value();   // "api.example.com"
//   HostName::parse("0x7f.1")->text()                           // "127.0.0.1": every spelling of an address
//   is that address
//
// Fails with a reason code: "malformed:host". Refused: empty labels, labels over 63 and names over 253
// octets, anything but letters, digits, '-' and '_' (so no ports, no userinfo, no U-labels), zone ids, and
// names whose last label is a number without being an address.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "policy/address.h"

namespace saw::policy {

class HostName {
 public:
  static constexpr size_t kMaxLength = 253;
  static std::expected<HostName, std::string_view> parse(std::string_view text);

  std::string_view text() const { return {text_.data(), size_}; }
  const std::optional<Address>& address() const { return address_; }

 private:
  std::array<char, kMaxLength + 1> text_;
  uint8_t size_ = 0;
  std::optional<Address> address_;
};

// "host", "host:port", "[v6]:port" of a Host field or an absolute URL; port 0 where none is given.
struct Authority {
  HostName host;
  uint16_t port = 0;
};
std::expected<Authority, std::string_view> parse_authority(std::string_view text);

// Whether anybody can register names directly below `suffix` (Mozilla's Public Suffix List; an unknown
// top-level name counts). The empty suffix, the root, is public.
bool is_public_suffix(const std::string& suffix);

}  // namespace saw::policy
