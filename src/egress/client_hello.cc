#include "egress/client_hello.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace saw::egress {
namespace {

constexpr uint16_t kServerNameExtension = 0, kEncryptedHello = 0xfe0d, kEncryptedName = 0xffce;
constexpr size_t kMaxServerName = 253;

// Reads big-endian numbers and length-prefixed blocks; after the first lack of bytes everything is empty and
// ok() false.
class Cursor {
 public:
  explicit Cursor(std::string_view bytes) : rest_(bytes) {}
  bool ok() const { return ok_; }
  bool empty() const { return rest_.empty(); }
  size_t number(size_t width) {
    size_t value = 0;
    for (char c : block(width)) value = value << 8 | static_cast<unsigned char>(c);
    return value;
  }
  std::string_view block(size_t size) {
    if (size > rest_.size()) {
      ok_ = false;
      rest_ = {};
      return {};
    }
    std::string_view out = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return out;
  }
  std::string_view prefixed(size_t width) { return block(number(width)); }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

std::optional<std::string> host_name(std::string_view text) {
  if (text.empty() || text.size() > kMaxServerName) return std::nullopt;
  std::string out;
  for (char c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
    bool good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
    if (!good) return std::nullopt;
    out.push_back(c);
  }
  return out;
}

ClientHello malformed() {
  return {ClientHello::State::malformed, {}, false};
}

ClientHello read_server_name(std::string_view extension) {
  Cursor outer(extension), list(outer.prefixed(2));
  if (!outer.ok() || !outer.empty() || list.number(1) != 0) return malformed();
  auto name = host_name(list.prefixed(2));
  if (!list.ok() || !list.empty() || !name) return malformed();
  return {ClientHello::State::complete, std::move(*name), false};
}

}  // namespace

ClientHello parse_client_hello_body(std::string_view body) {
  Cursor in(body);
  in.block(2 + 32);  // version, random
  in.prefixed(1);    // session id
  in.prefixed(2);    // cipher suites
  in.prefixed(1);    // compression methods
  if (!in.ok()) return malformed();
  ClientHello out{ClientHello::State::complete, {}, false};
  if (in.empty()) return out;
  Cursor extensions(in.prefixed(2));
  if (!in.ok() || !in.empty()) return malformed();
  bool named = false;
  while (!extensions.empty()) {
    size_t type = extensions.number(2);
    std::string_view data = extensions.prefixed(2);
    if (!extensions.ok()) return malformed();
    if (type == kEncryptedHello || type == kEncryptedName) out.encrypted = true;
    if (type != kServerNameExtension) continue;
    if (std::exchange(named, true)) return malformed();
    ClientHello name = read_server_name(data);
    if (name.state != ClientHello::State::complete) return name;
    out.server_name = std::move(name.server_name);
  }
  return out;
}

ClientHello parse_client_hello(std::string_view bytes) {
  constexpr size_t kRecordHeader = 5, kHandshakeHeader = 4;
  if (bytes.empty()) return {};
  if (bytes[0] != kTlsHandshakeRecord) return {ClientHello::State::not_tls, {}, false};
  const ClientHello more{
      bytes.size() < kMaxClientHello ? ClientHello::State::incomplete : ClientHello::State::malformed,
      {},
      false};

  std::string message;  // the handshake stream, without record headers
  for (std::string_view rest = bytes.substr(0, kMaxClientHello); !rest.empty();) {
    if (rest[0] != kTlsHandshakeRecord || (rest.size() > 1 && rest[1] != 3)) return malformed();
    if (rest.size() < kRecordHeader) break;
    size_t length = static_cast<unsigned char>(rest[3]) * size_t{256} + static_cast<unsigned char>(rest[4]);
    if (length == 0) return malformed();
    rest.remove_prefix(kRecordHeader);
    message += rest.substr(0, length);
    rest.remove_prefix(std::min(length, rest.size()));
    if (!message.empty() && message[0] != 1) return malformed();
    if (message.size() < kHandshakeHeader) continue;
    size_t body = static_cast<unsigned char>(message[1]) * size_t{65536} +
                  static_cast<unsigned char>(message[2]) * size_t{256} +
                  static_cast<unsigned char>(message[3]);
    if (body + kHandshakeHeader > kMaxClientHello) return malformed();
    if (message.size() >= kHandshakeHeader + body)
      return parse_client_hello_body(std::string_view(message).substr(kHandshakeHeader, body));
  }
  return more;
}

}  // namespace saw::egress
