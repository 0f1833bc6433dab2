#include "egress/destination.h"

#include <fmt/format.h>

#include "egress/http1_parser.h"
#include "policy/address.h"

namespace saw::egress {
namespace {

bool same_host(const Destination& destination, std::string_view host) {
  if (!destination.literal) return same_token(host, destination.host);
  auto address = policy::parse_address(host);
  return address && policy::to_text(*address) == destination.host;
}

}  // namespace

std::string Destination::authority() const {
  std::string out = host.find(':') == std::string::npos ? host : "[" + host + "]";
  const uint16_t standard = tls ? 443 : 80;
  if (port != standard) out += fmt::format(":{}", port);
  return out;
}

std::string Destination::url(std::string_view target) const {
  return fmt::format("{}://{}{}", scheme(), authority(), target);
}

bool Destination::is_named_by(std::string_view text) const {
  size_t bracket = text.rfind(']'), colon = text.rfind(':');
  const bool has_port =
      colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket);
  if (has_port) {
    if (text.substr(colon + 1) != fmt::to_string(port)) return false;
    text = text.substr(0, colon);
  }
  return same_host(*this, text);
}

std::string range_text(const policy::AddressRange& range) {
  constexpr int kMappedBits = 96;
  const std::string base = policy::to_text(range.base);
  const bool mapped = base.find(':') == std::string::npos;
  return fmt::format("{}/{}", base, mapped ? range.prefix - kMappedBits : range.prefix);
}

}  // namespace saw::egress
