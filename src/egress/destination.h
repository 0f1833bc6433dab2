// Where a captured connection was meant to go, and how it is spoken of.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace saw::egress {

struct Destination {
  std::string host;  // lower-case DNS name, or an address literal in canonical form
  uint16_t port = 0;
  bool literal = false;
  bool tls = false;  // what the agent speaks
  std::string sni;   // with tls; empty: none was sent

  std::string_view scheme() const { return tls ? "https" : "http"; }
  std::string authority() const;                   // as Host and URLs have it, the default port left out
  std::string url(std::string_view target) const;  // for events and messages
  // Whether a Host field or an absolute-form authority names this destination (RFC 9110 §7.2).
  bool is_named_by(std::string_view authority) const;
};

}  // namespace saw::egress
