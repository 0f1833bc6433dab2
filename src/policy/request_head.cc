#include "policy/request_head.h"

#include <algorithm>

namespace saw::policy {

bool same_letters(std::string_view a, std::string_view lower) {
  return std::ranges::equal(
      a, lower, [](char x, char y) { return (x >= 'A' && x <= 'Z' ? static_cast<char>(x + 32) : x) == y; });
}

bool may_be_taken_for(std::string_view name, std::string_view lower) {
  return std::ranges::equal(name, lower, [](char x, char y) {
    return (x == '_' ? '-' : x >= 'A' && x <= 'Z' ? static_cast<char>(x + 32) : x) == (y == '_' ? '-' : y);
  });
}

namespace {

Reason check_method(std::string_view method) {
  constexpr size_t kMaxMethod = 32;
  const bool token =
      !method.empty() && method.size() <= kMaxMethod && std::ranges::all_of(method, [](char c) {
        return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
      });
  return token && method != "CONNECT" ? Reason() : "malformed:method";
}

bool digits_only(std::string_view s) {
  return !s.empty() && std::ranges::all_of(s, [](char c) { return c >= '0' && c <= '9'; });
}

Reason check_authority(std::string_view text, const Subject& s) {
  auto authority = parse_authority(text);
  if (!authority) return authority.error();
  // A client that leaves the port out means the connection's, whatever the scheme's default is.
  const bool same_port = authority->port == 0 || authority->port == s.request.port;
  return authority->host.text() == s.host.text() && same_port ? Reason() : "malformed:host-mismatch";
}

// Fields by which some servers take another method or target than the request's own.
Reason check_override(std::string_view name) {
  constexpr std::string_view kMethod[] = {"x-http-method-override", "x-http-method", "x-method-override"};
  constexpr std::string_view kTarget[] = {"x-original-url", "x-rewrite-url"};
  auto is = [&](std::string_view field) { return may_be_taken_for(name, field); };
  if (std::ranges::any_of(kMethod, is)) return "malformed:method-override";
  return std::ranges::any_of(kTarget, is) ? "malformed:target-override" : Reason();
}

// "Content_Length": to one reader a field of no meaning, to another where the body ends.
bool imitates_framing(std::string_view name) {
  constexpr std::string_view kFields[] = {"content-length", "transfer-encoding"};
  return name.find('_') != std::string_view::npos &&
         std::ranges::any_of(kFields, [&](std::string_view field) { return may_be_taken_for(name, field); });
}

Reason check_headers(const Subject& s) {
  std::string_view length;
  bool host_seen = false, length_seen = false, chunked = false;
  for (const Header& header : s.request.headers) {
    if (same_letters(header.name, "host") || header.name == ":authority") {
      if (host_seen && header.name != ":authority") return "malformed:duplicate-host";
      host_seen = true;
      if (auto reason = check_authority(header.value, s); !reason.empty()) return reason;
    } else if (same_letters(header.name, "content-length")) {
      if (!digits_only(header.value) || (length_seen && header.value != length))
        return "malformed:content-length";
      length = header.value;
      length_seen = true;
    } else if (same_letters(header.name, "transfer-encoding")) {
      chunked = true;
    } else if (imitates_framing(header.name)) {
      return "malformed:header-underscore";
    } else if (auto reason = check_override(header.name); !reason.empty()) {
      return reason;
    } else if (s.request.kind == Request::Kind::http && same_letters(header.name, "upgrade") &&
               same_letters(header.value.substr(0, 9), "websocket")) {
      return "protocol-mismatch";
    }
  }
  return length_seen && chunked ? "malformed:content-length" : Reason();
}

// "application/json", "application/problem+json"; with a charset only utf-8.
bool is_json_type(std::string_view value) {
  std::string type;
  for (const char c : value)
    if (c != ' ' && c != '\t') type += c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  const size_t parameters = std::min(type.find(';'), type.size());
  const std::string_view name = std::string_view(type).substr(0, parameters);
  const std::string_view rest = std::string_view(type).substr(parameters);
  const bool json =
      name == "application/json" || (name.starts_with("application/") && name.ends_with("+json"));
  return json && (rest.empty() || rest == ";charset=utf-8" || rest == ";charset=\"utf-8\"");
}

}  // namespace

Reason judge_address(Subject& s) {
  s.address = s.host.address();
  if (!s.request.ip.empty()) {
    auto ip = parse_address(s.request.ip);
    if (!ip || (s.address && *s.address != *ip)) return "malformed:ip";
    s.address = ip;
  }
  return s.address && classify(*s.address) == AddressClass::never ? "address-never" : Reason();
}

Reason check_head(const Subject& s) {
  const Reason reason = check_method(s.request.method);
  return reason.empty() ? check_headers(s) : reason;
}

Reason check_sni(const Subject& s) {
  if (!s.request.tls || s.request.sni.empty()) return {};
  auto sni = HostName::parse(s.request.sni);
  return sni && sni->text() == s.host.text() ? Reason() : "malformed:sni-mismatch";
}

Reason read_target(const Subject& s, Target& into) {
  const TargetParts parts = split_target(s.request.target);
  if (parts.scheme.empty()) return canonicalise(parts.rest, into);
  if (!same_letters(parts.scheme, s.request.tls ? "https" : "http")) return "malformed:scheme";
  if (auto reason = check_authority(parts.authority, s); !reason.empty()) return reason;
  return canonicalise(parts.rest.empty() ? std::string_view("/") : parts.rest, into);
}

bool is_encoded(std::span<const Header> headers) {
  return std::ranges::any_of(headers, [](const Header& h) {
    return may_be_taken_for(h.name, "content-encoding") && !same_letters(h.value, "identity");
  });
}

Reason check_json_type(std::span<const Header> headers) {
  bool seen = false;
  for (const Header& h : headers) {
    if (!may_be_taken_for(h.name, "content-type")) continue;
    if (seen || !is_json_type(h.value)) return "malformed:content-type";
    seen = true;
  }
  return {};
}

}  // namespace saw::policy
