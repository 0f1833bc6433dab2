#include "egress/hello_guard.h"

#include <algorithm>

namespace saw::egress {
namespace {

constexpr uint8_t kChangeCipherSpec = 20, kAlert = 21, kHandshake = 22, kApplicationData = 23;
constexpr char kClientHello = 1, kServerHello = 2;
constexpr size_t kHandshakeHeader = 4, kMaxRecord = 16384 + 256, kMaxHellos = 2;

// The random of a ServerHello that is a HelloRetryRequest (RFC 8446 §4.1.3).
constexpr unsigned char kRetry[32] = {0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c,
                                      0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb,
                                      0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c};

size_t length_of(std::string_view message) {
  return static_cast<unsigned char>(message[1]) * size_t{65536} +
         static_cast<unsigned char>(message[2]) * size_t{256} + static_cast<unsigned char>(message[3]);
}

}  // namespace

bool HelloGuard::feed(Records& records, std::string_view bytes, bool (HelloGuard::*on_record)(uint8_t),
                      bool (HelloGuard::*on_handshake)(std::string&)) {
  while (!bytes.empty() && !over_) {
    if (records.left == 0) {
      records.header[records.have++] = static_cast<uint8_t>(bytes[0]);
      bytes.remove_prefix(1);
      if (records.have < sizeof records.header) continue;
      records.have = 0;
      records.type = records.header[0];
      records.left = records.header[3] * size_t{256} + records.header[4];
      if (records.header[1] != 3 || records.left == 0 || records.left > kMaxRecord)
        return fail("tls.malformed");
      // A message is not interrupted by anything else (RFC 8446 §5.1).
      if (records.type != kHandshake && !records.handshake.empty()) return fail("tls.malformed");
      if (!(this->*on_record)(records.type)) return false;
      continue;
    }
    const std::string_view part = bytes.substr(0, records.left);
    bytes.remove_prefix(part.size());
    records.left -= part.size();
    if (records.type != kHandshake) continue;
    if (records.handshake.size() + part.size() > kMaxClientHello + kMaxRecord) return fail("tls.malformed");
    records.handshake += part;
    if (!(this->*on_handshake)(records.handshake)) return false;
  }
  return true;
}

bool HelloGuard::from_client(std::string_view bytes) {
  if (over_) return true;
  seen_ += bytes.size();
  if (seen_ > kMaxOpening) return fail("tls.malformed");
  return feed(client_, bytes, &HelloGuard::client_record, &HelloGuard::client_handshake);
}

bool HelloGuard::from_server(std::string_view bytes) {
  if (over_) return true;
  return feed(server_, bytes, &HelloGuard::server_record, &HelloGuard::server_handshake);
}

bool HelloGuard::client_record(uint8_t type) {
  const bool known =
      type == kChangeCipherSpec || type == kAlert || type == kHandshake || type == kApplicationData;
  if (!known || (hellos_ == 0 && type != kHandshake)) return fail("tls.malformed");
  return true;
}

bool HelloGuard::client_handshake(std::string& stream) {
  while (stream.size() >= kHandshakeHeader) {
    if (stream[0] != kClientHello) return fail("tls.malformed");
    const size_t whole = kHandshakeHeader + length_of(stream);
    if (whole > kMaxClientHello) return fail("tls.malformed");
    if (stream.size() < whole) return true;
    const ClientHello hello =
        parse_client_hello_body(std::string_view(stream).substr(kHandshakeHeader, whole - kHandshakeHeader));
    if (hello.state != ClientHello::State::complete || ++hellos_ > kMaxHellos) return fail("tls.malformed");
    if (hello.encrypted) return fail("tls.encrypted_hello");
    if (hello.server_name.empty()) return fail("tls.sni_missing");
    if (hello.server_name != host_) return fail("tls.sni_mismatch");
    stream.erase(0, whole);
  }
  return true;
}

bool HelloGuard::server_record(uint8_t type) {
  if (type == kHandshake || type == kAlert || type == kChangeCipherSpec) return true;
  return fail("tls.not_tls");
}

bool HelloGuard::server_handshake(std::string& stream) {
  constexpr size_t kVersion = 2;
  while (stream.size() >= kHandshakeHeader + kVersion + sizeof kRetry) {
    if (stream[0] != kServerHello) return fail("tls.not_tls");
    const std::string_view random =
        std::string_view(stream).substr(kHandshakeHeader + kVersion, sizeof kRetry);
    const bool retry = std::ranges::equal(
        random, kRetry, [](char a, unsigned char b) { return static_cast<unsigned char>(a) == b; });
    if (!retry) return over_ = true;
    const size_t whole = kHandshakeHeader + length_of(stream);
    if (whole > kMaxClientHello) return fail("tls.not_tls");
    if (stream.size() < whole) return true;
    stream.erase(0, whole);
  }
  return true;
}

}  // namespace saw::egress
