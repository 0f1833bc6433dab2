// What a program that insists on a proxy says first: HTTP CONNECT, an absolute-form request, or SOCKS5 (RFC 1928). Pure parsing.
//
//   ProxyTarget t = parse_socks_request(bytes);          // after the greeting was answered
//   ProxyTarget t = parse_connect_target("api.example.com:443");
//   if (t.state == ProxyTarget::State::complete) go_to(t.host, t.port);
//
// A host comes back as policy::HostName has it: lower case, or a canonical literal. Total on any bytes, bounded by kMaxSocksBytes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace saw::egress {

// The proxy's name inside every sandbox; DNS answers it always, and a connection to any port of it is read as a proxy's.
constexpr std::string_view kProxyName = "proxy.saw.internal";
constexpr char kSocksVersion = 5;
constexpr size_t kMaxSocksBytes = 262;  // of one message

struct ProxyTarget {
  enum class State : uint8_t { incomplete, malformed, unsupported, complete } state = State::incomplete;
  size_t consumed = 0;  // with complete and unsupported
  std::string host;
  uint16_t port = 0;
};

// SOCKS5: version, methods. `consumed` 0: incomplete. Only "no authentication" is taken: `accepted` says whether it was offered.
struct SocksGreeting {
  enum class State : uint8_t { incomplete, malformed, complete } state = State::incomplete;
  size_t consumed = 0;
  bool accepted = false;
};
SocksGreeting parse_socks_greeting(std::string_view bytes);
// Only CONNECT; BIND and UDP ASSOCIATE are unsupported.
ProxyTarget parse_socks_request(std::string_view bytes);
// "host:port" of a CONNECT (RFC 9110 §9.3.6); the port must be there.
ProxyTarget parse_connect_target(std::string_view authority);
// "http://host[:port]/…" (absolute-form, RFC 9112 §3.2.2): where it leads; https is for CONNECT.
ProxyTarget parse_absolute_target(std::string_view target);

enum class SocksReply : uint8_t { granted = 0, not_allowed = 2, unsupported = 7 };
std::string socks_reply(SocksReply reply);

}  // namespace saw::egress
