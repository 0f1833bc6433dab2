// Where a captured connection was meant to go, and how it is spoken of.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "policy/policy.h"

namespace saw::egress {

struct Destination {
  std::string host;  // lower-case DNS name, or an address literal in canonical form
  uint16_t port = 0;
  bool literal = false;
  bool tls = false;          // what the agent speaks
  std::string sni;           // with tls; empty: none was sent
  bool sealed_name = false;  // with tls: another name may be hidden in the hello

  std::string_view scheme() const { return tls ? "https" : "http"; }
  std::string authority() const;                   // as Host and URLs have it, the default port left out
  std::string url(std::string_view target) const;  // for events and messages
  // Whether a Host field or an absolute-form authority names this destination (RFC 9110 §7.2).
  bool is_named_by(std::string_view authority) const;
};

// "10.20.0.0/16": how a range is named to the perimeter.
std::string range_text(const policy::AddressRange& range);

}  // namespace saw::egress
