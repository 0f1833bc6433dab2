#include "egress/websocket.h"

#include <algorithm>
#include <array>

#include <openssl/evp.h>

#include "base/bytes.h"
#include "base/crypto.h"

namespace saw::egress {
namespace {

constexpr uint8_t kContinuation = 0, kFinal = 0x80, kReserved = 0x70, kOpcode = 0x0f, kMasked = 0x80;
constexpr uint8_t kLength16 = 126, kLength64 = 127;
constexpr uint16_t kProtocolError = 1002, kNotUtf8 = 1007, kTooLarge = 1009;

bool is_control(uint8_t opcode) {
  return opcode >= 8;
}
bool is_known(uint8_t opcode) {
  return opcode <= 2 || (opcode >= 8 && opcode <= 10);
}

// §7.4: what may stand in a close frame.
bool is_close_code(uint16_t code) {
  const bool standard = code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006;
  return standard || (code >= 3000 && code <= 4999);
}

WsReader::Step problem(uint16_t code, std::string_view text) {
  return {.consumed = 0, .message = {}, .close_code = code, .problem = text};
}

uint64_t big_endian(std::string_view bytes) {
  uint64_t out = 0;
  for (const char c : bytes) out = out << 8 | static_cast<uint8_t>(c);
  return out;
}

void append_big_endian(std::string& out, uint64_t value, int bytes) {
  for (int i = bytes - 1; i >= 0; --i) out += static_cast<char>(value >> (8 * i) & 0xff);
}

// The length of a UTF-8 sequence by its first byte, and the range of its second; 0: none begins so (RFC 3629).
struct Sequence {
  size_t size;
  uint8_t low, high;
};
Sequence sequence(uint8_t first) {
  if (first < 0x80) return {1, 0, 0};
  if (first < 0xc2) return {0, 0, 0};
  if (first < 0xe0) return {2, 0x80, 0xbf};
  if (first == 0xe0) return {3, 0xa0, 0xbf};
  if (first == 0xed) return {3, 0x80, 0x9f};
  if (first < 0xf0) return {3, 0x80, 0xbf};
  if (first == 0xf0) return {4, 0x90, 0xbf};
  if (first < 0xf4) return {4, 0x80, 0xbf};
  return first == 0xf4 ? Sequence{4, 0x80, 0x8f} : Sequence{0, 0, 0};
}

}  // namespace

bool is_utf8(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    const Sequence s = sequence(static_cast<uint8_t>(text[at]));
    if (s.size == 0 || text.size() - at < s.size) return false;
    for (size_t i = 1; i < s.size; ++i) {
      const auto c = static_cast<uint8_t>(text[at + i]);
      if (c < (i == 1 ? s.low : 0x80) || c > (i == 1 ? s.high : 0xbf)) return false;
    }
    at += s.size;
  }
  return true;
}

// ---- reading

WsReader::Step WsReader::step(std::string_view bytes) {
  return inside_ ? take(bytes) : begin(bytes);
}

WsReader::Head WsReader::read_head(std::string_view bytes) {
  Head out;
  if (bytes.size() < 2) return out;
  const auto first = static_cast<uint8_t>(bytes[0]), second = static_cast<uint8_t>(bytes[1]);
  out.final = (first & kFinal) != 0;
  out.reserved = first & kReserved;
  out.opcode = first & kOpcode;
  out.masked = (second & kMasked) != 0;
  out.length = second & ~kMasked;
  const size_t extra = out.length == kLength16 ? 2 : out.length == kLength64 ? 8 : 0;
  const size_t size = 2 + extra + (out.masked ? 4 : 0);
  if (bytes.size() < size) return out;
  if (extra != 0) out.length = big_endian(bytes.substr(2, extra));
  // Not in the shortest form, or with its highest bit set: no length that both sides read alike.
  if ((extra == 2 && out.length < kLength16) ||
      (extra == 8 && (out.length <= 0xffff || out.length >> 63 != 0)))
    out.reserved = kReserved;
  if (out.masked) std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(size) - 4, 4, out.mask);
  out.size = size;
  return out;
}

WsReader::Step WsReader::check(const Head& head) const {
  if (head.reserved != 0) return problem(kProtocolError, "websocket:reserved-bits-or-length");
  if (!is_known(head.opcode)) return problem(kProtocolError, "websocket:opcode");
  if (head.masked != (sender_ == WsSide::client)) return problem(kProtocolError, "websocket:mask");
  if (is_control(head.opcode)) {
    const bool fine = head.final && head.length <= kMaxControl;
    return fine ? Step{} : problem(kProtocolError, "websocket:control-frame");
  }
  if ((head.opcode == kContinuation) != (message_opcode_ != 0))
    return problem(kProtocolError, "websocket:fragments");
  if (head.length > max_message_ - message_.size()) return problem(kTooLarge, "websocket:oversized");
  return {};
}

WsReader::Step WsReader::begin(std::string_view bytes) {
  Head head = read_head(bytes);
  if (head.size == 0) return {};
  if (Step wrong = check(head); wrong.close_code) return wrong;
  frame_ = head;
  left_ = head.length;
  inside_ = true;
  control_.clear();
  if (!is_control(head.opcode) && head.opcode != kContinuation) message_opcode_ = head.opcode;
  Step out = left_ == 0 ? finish() : Step{};
  out.consumed = head.size;
  return out;
}

WsReader::Step WsReader::take(std::string_view bytes) {
  const auto size = static_cast<size_t>(std::min<uint64_t>(left_, bytes.size()));
  std::string& into = is_control(frame_.opcode) ? control_ : message_;
  const uint64_t done = frame_.length - left_;
  for (size_t i = 0; i < size; ++i)
    into += frame_.masked ? static_cast<char>(static_cast<uint8_t>(bytes[i]) ^ frame_.mask[(done + i) % 4])
                          : bytes[i];
  left_ -= size;
  Step out = left_ == 0 ? finish() : Step{};
  out.consumed = size;
  return out;
}

WsReader::Step WsReader::finish() {
  inside_ = false;
  if (is_control(frame_.opcode)) return finish_control();
  if (!frame_.final) return {};
  const auto kind = static_cast<WsKind>(std::exchange(message_opcode_, uint8_t{0}));
  if (kind == WsKind::text && !is_utf8(message_)) return problem(kNotUtf8, "websocket:not-utf8");
  return {.consumed = 0,
          .message = WsMessage{.kind = kind, .payload = std::exchange(message_, {}), .close_code = 0},
          .close_code = {},
          .problem = {}};
}

WsReader::Step WsReader::finish_control() {
  WsMessage message{
      .kind = static_cast<WsKind>(frame_.opcode), .payload = std::move(control_), .close_code = 0};
  control_.clear();
  if (message.kind == WsKind::close && !message.payload.empty()) {
    if (message.payload.size() < 2) return problem(kProtocolError, "websocket:close-frame");
    message.close_code = static_cast<uint16_t>(big_endian(std::string_view(message.payload).substr(0, 2)));
    message.payload.erase(0, 2);
    if (!is_close_code(message.close_code)) return problem(kProtocolError, "websocket:close-code");
    if (!is_utf8(message.payload)) return problem(kNotUtf8, "websocket:not-utf8");
  }
  return {.consumed = 0, .message = std::move(message), .close_code = {}, .problem = {}};
}

// ---- writing

std::string ws_frame(WsSide sender, WsKind kind, std::string_view payload) {
  std::string out;
  out.reserve(payload.size() + 14);
  out += static_cast<char>(kFinal | static_cast<uint8_t>(kind));
  const uint8_t mask_bit = sender == WsSide::client ? kMasked : 0;
  if (payload.size() < kLength16) {
    out += static_cast<char>(mask_bit | payload.size());
  } else if (payload.size() <= 0xffff) {
    out += static_cast<char>(mask_bit | kLength16);
    append_big_endian(out, payload.size(), 2);
  } else {
    out += static_cast<char>(mask_bit | kLength64);
    append_big_endian(out, payload.size(), 8);
  }
  if (sender == WsSide::server) return out.append(payload);
  const std::string key = random_bytes(4);
  out += key;
  for (size_t i = 0; i < payload.size(); ++i) out += static_cast<char>(payload[i] ^ key[i % 4]);
  return out;
}

std::string ws_close(WsSide sender, uint16_t code, std::string_view reason) {
  if (code == 0) return ws_frame(sender, WsKind::close, {});
  std::string payload;
  append_big_endian(payload, code, 2);
  std::string_view fits = reason.substr(0, WsReader::kMaxControl - 2);
  while (!is_utf8(fits)) fits.remove_suffix(1);
  return ws_frame(sender, WsKind::close, payload.append(fits));
}

// ---- the handshake

namespace {

// The only field of that name.
std::optional<std::string_view> one_field(const Fields& fields, std::string_view name) {
  std::optional<std::string_view> out;
  for (const Field& f : fields) {
    if (!same_token(f.name, name)) continue;
    if (out) return std::nullopt;
    out = f.value;
  }
  return out;
}

bool upgrades_to_websocket(const Fields& fields) {
  const auto upgrade = one_field(fields, "upgrade");
  return upgrade && same_token(*upgrade, "websocket") && list_contains(fields, "connection", "upgrade");
}

}  // namespace

std::string_view check_ws_request(const RequestHead& head) {
  if (!upgrades_to_websocket(head.fields)) return "websocket:upgrade";
  if (head.method != "GET" || head.version != Version::http11 || head.framing != Framing::none)
    return "websocket:method";
  if (one_field(head.fields, "sec-websocket-version") != "13") return "websocket:version";
  const auto key = one_field(head.fields, "sec-websocket-key");
  constexpr size_t kKeyBytes = 16;
  const auto bytes = key ? from_base64(*key) : std::nullopt;
  return bytes && bytes->size() == kKeyBytes ? std::string_view() : "websocket:key";
}

std::string_view check_ws_answer(const RequestHead& request, const ResponseHead& answer) {
  if (!upgrades_to_websocket(answer.fields)) return "websocket:upgrade";
  const auto key = one_field(request.fields, "sec-websocket-key");
  if (!key || one_field(answer.fields, "sec-websocket-accept") != ws_accept(*key)) return "websocket:accept";
  if (find_field(answer.fields, "sec-websocket-extensions")) return "websocket:extension";
  if (!find_field(answer.fields, "sec-websocket-protocol")) return {};
  const auto chosen = one_field(answer.fields, "sec-websocket-protocol");
  const bool offered =
      chosen && is_token(*chosen) && list_contains(request.fields, "sec-websocket-protocol", *chosen);
  return offered ? std::string_view() : "websocket:subprotocol";
}

std::string ws_accept(std::string_view key) {
  const std::string text = std::string(key) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";  // §1.3
  std::array<unsigned char, 20> digest{};
  unsigned int size = 0;
  SAW_CHECK(EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha1(), nullptr) == 1 &&
            size == digest.size());
  return to_base64({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

}  // namespace saw::egress
