#include "policy/host.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include <libpsl.h>

namespace saw::policy {
namespace {

constexpr std::string_view kMalformedHost = "malformed:host";
constexpr size_t kMaxLabel = 63;

bool digits_only(std::string_view s) {
  return !s.empty() && std::ranges::all_of(s, [](char c) { return c >= '0' && c <= '9'; });
}

bool valid_label(std::string_view label) {
  if (label.empty() || label.size() > kMaxLabel || label.front() == '-' || label.back() == '-') return false;
  return std::ranges::all_of(
      label, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_'; });
}

// WHATWG URL's "ends in a number": such a name is an address or nothing.
bool ends_in_number(std::string_view name) {
  const std::string_view last = name.substr(name.rfind('.') + 1);
  return digits_only(last) || last.starts_with("0x");
}

bool valid_name(std::string_view name) {
  for (size_t begin = 0; begin <= name.size();) {
    const size_t end = std::min(name.find('.', begin), name.size());
    if (!valid_label(name.substr(begin, end - begin))) return false;
    begin = end + 1;
  }
  return !ends_in_number(name);
}

}  // namespace

std::expected<HostName, std::string_view> HostName::parse(std::string_view text) {
  HostName out;
  if (text.ends_with('.')) text.remove_suffix(1);
  if (text.empty() || text.size() > kMaxLength) return std::unexpected(kMalformedHost);
  if (auto address = parse_address(text)) {
    const std::string canonical = to_text(*address);
    out.address_ = address;
    out.size_ = static_cast<uint8_t>(canonical.size());
    std::memcpy(out.text_.data(), canonical.data(), canonical.size());
    return out;
  }
  std::ranges::transform(text, out.text_.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  out.size_ = static_cast<uint8_t>(text.size());
  if (!valid_name(out.text())) return std::unexpected(kMalformedHost);
  return out;
}

std::expected<Authority, std::string_view> parse_authority(std::string_view text) {
  if (text.find('@') != std::string_view::npos) return std::unexpected("malformed:userinfo");
  Authority out;
  const size_t colon = text.starts_with('[') ? text.find(':', text.find(']')) : text.find(':');
  if (colon != std::string_view::npos) {
    const std::string_view port = text.substr(colon + 1);
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), out.port);
    if (!digits_only(port) || error != std::errc() || end != port.data() + port.size() || out.port == 0)
      return std::unexpected("malformed:port");
    text = text.substr(0, colon);
  }
  auto host = HostName::parse(text);
  if (!host) return std::unexpected(host.error());
  out.host = *host;
  return out;
}

bool is_public_suffix(const std::string& suffix) {
  if (suffix.empty()) return true;
  return psl_is_public_suffix(psl_builtin(), suffix.c_str()) != 0;
}

}  // namespace saw::policy
