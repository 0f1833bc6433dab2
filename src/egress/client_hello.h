// The first message of a TLS client, as far as capture needs it: is it TLS, and which server does it name?
//
//   ClientHello hello = parse_client_hello(first_bytes);
//   if (hello.state == ClientHello::State::incomplete) read_more();     // never more than kMaxClientHello
//   if (hello.state == ClientHello::State::complete) use(hello.server_name);
//
// RFC 8446 §4.1.2, RFC 6066 §3. The message may span several records. A server name is returned in lower
// case; one that is no DNS host name, or repeated, makes the message malformed. Total on any bytes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace saw::egress {

constexpr size_t kMaxClientHello = 17u << 10;
constexpr char kTlsHandshakeRecord = 0x16;

struct ClientHello {
  enum class State : uint8_t { incomplete, not_tls, malformed, complete } state = State::incomplete;
  std::string server_name;  // empty: none was sent
  // The real name may be another, sealed for the server (Encrypted Client Hello, RFC 9849, or its draft ESNI).
  bool encrypted = false;
};

ClientHello parse_client_hello(std::string_view bytes);
// The message itself, without record and handshake headers: complete or malformed.
ClientHello parse_client_hello_body(std::string_view body);

}  // namespace saw::egress
