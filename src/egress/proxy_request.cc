#include "egress/proxy_request.h"

#include <algorithm>

#include "egress/http1_parser.h"
#include "policy/address.h"
#include "policy/host.h"

namespace saw::egress {
namespace {

using State = ProxyTarget::State;

constexpr uint8_t kConnect = 1, kIpv4 = 1, kName = 3, kIpv6 = 4;
constexpr size_t kSocksHead = 4, kPort = 2, kMaxAuthority = 300;

ProxyTarget malformed() {
  return {.state = State::malformed, .consumed = 0, .host = {}, .port = 0};
}

uint8_t byte(std::string_view bytes, size_t at) {
  return static_cast<uint8_t>(bytes[at]);
}

ProxyTarget target(std::string_view host, uint16_t port, size_t consumed) {
  auto name = policy::HostName::parse(host);
  if (!name || port == 0) return malformed();
  return {.state = State::complete, .consumed = consumed, .host = std::string(name->text()), .port = port};
}

ProxyTarget authority(std::string_view text, uint16_t otherwise) {
  if (text.size() > kMaxAuthority) return malformed();
  auto parsed = policy::parse_authority(text);
  return parsed ? target(parsed->host.text(), parsed->port != 0 ? parsed->port : otherwise, text.size())
                : malformed();
}

}  // namespace

SocksGreeting parse_socks_greeting(std::string_view bytes) {
  if (!bytes.empty() && bytes[0] != kSocksVersion) return {SocksGreeting::State::malformed, 0, false};
  if (bytes.size() < 2) return {};
  const size_t count = byte(bytes, 1);
  if (count == 0) return {SocksGreeting::State::malformed, 0, false};
  if (bytes.size() < 2 + count) return {};
  return {SocksGreeting::State::complete, 2 + count, bytes.substr(2, count).contains('\0')};
}

ProxyTarget parse_socks_request(std::string_view bytes) {
  if (!bytes.empty() && bytes[0] != kSocksVersion) return malformed();
  if (bytes.size() <= kSocksHead) return {};
  if (bytes[2] != 0) return malformed();
  const uint8_t kind = byte(bytes, 3);
  if (kind != kIpv4 && kind != kIpv6 && kind != kName) return malformed();
  const size_t lead = kind == kName ? 1 : 0;
  const size_t length = kind == kIpv4 ? 4 : kind == kIpv6 ? 16 : byte(bytes, kSocksHead);
  const size_t whole = kSocksHead + lead + length + kPort;
  if (length == 0) return malformed();
  if (bytes.size() < whole) return {};
  const std::string_view host = bytes.substr(kSocksHead + lead, length);
  const auto port = static_cast<uint16_t>(byte(bytes, whole - 2) * 256 + byte(bytes, whole - 1));
  if (byte(bytes, 1) != kConnect)
    return {.state = State::unsupported, .consumed = whole, .host = {}, .port = 0};
  if (kind == kName) return target(host, port, whole);
  policy::Address address{};
  if (kind == kIpv4) address[10] = address[11] = 0xff;
  std::ranges::transform(host, address.end() - static_cast<std::ptrdiff_t>(length),
                         [](char c) { return static_cast<uint8_t>(c); });
  return target(policy::to_text(address), port, whole);
}

ProxyTarget parse_connect_target(std::string_view text) {
  return authority(text, 0);
}

ProxyTarget parse_absolute_target(std::string_view text) {
  constexpr std::string_view kScheme = "http://";
  constexpr uint16_t kHttp = 80;
  const bool http = text.size() > kScheme.size() && same_token(text.substr(0, kScheme.size()), kScheme);
  if (!http) return malformed();
  text.remove_prefix(kScheme.size());
  return authority(text.substr(0, text.find_first_of("/?#")), kHttp);
}

std::string socks_reply(SocksReply reply) {
  std::string out(10, '\0');  // bound to 0.0.0.0:0: nobody needs to know
  out[0] = kSocksVersion;
  out[1] = static_cast<char>(reply);
  out[3] = kIpv4;
  return out;
}

}  // namespace saw::egress
