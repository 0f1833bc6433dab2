// WebSocket (RFC 6455) on the wire, read strictly: frames put together to whole messages, and written again as one frame each, so that
// what was judged is what is sent.
//
//   WsReader reader(WsSide::client, 1u << 20);                      // whose frames these are: a client's are masked
//   WsReader::Step step = reader.step(buffered);                    // consumed 0 and no message: more bytes are needed
//   if (step.close_code) fail(*step.close_code, step.problem);      // 1002, 1007 or 1009
//   if (step.message) judge(*step.message);
//   stream.write(ws_frame(WsSide::server, WsKind::text, payload));
//
// Refused: reserved bits (no extension is ever agreed on) and opcodes, a mask where none belongs or none where one does, lengths not in
// their shortest form, control frames that are long or in fragments, a continuation of nothing, a message inside another, text that is
// not UTF-8, a close frame of one byte or with a code that is not for the wire, messages over the limit. Total on any bytes. Sans-IO.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "egress/http1_parser.h"

namespace saw::egress {

enum class WsSide : uint8_t { client, server };
enum class WsKind : uint8_t { text = 1, binary = 2, close = 8, ping = 9, pong = 10 };

struct WsMessage {
  WsKind kind = WsKind::text;
  std::string payload;      // of close: the reason
  uint16_t close_code = 0;  // of close; 0: none given
};

class WsReader {
 public:
  static constexpr size_t kMaxControl = 125;
  WsReader(WsSide sender, uint64_t max_message) : sender_(sender), max_message_(max_message) {}

  struct Step {
    size_t consumed = 0;
    std::optional<WsMessage> message;
    std::optional<uint16_t> close_code;  // the bytes are none that may come: answer with this code
    std::string_view problem;            // then; static text
  };
  // Consumes one frame's head, or part of its payload, or nothing. After a problem: no further steps.
  Step step(std::string_view bytes);

 private:
  struct Head {
    size_t size = 0;  // 0: more bytes are needed
    bool final = false, masked = false;
    uint8_t opcode = 0, reserved = 0;
    uint64_t length = 0;
    uint8_t mask[4] = {};
  };
  static Head read_head(std::string_view bytes);
  Step begin(std::string_view bytes);
  Step check(const Head& head) const;
  Step take(std::string_view bytes);
  Step finish();
  Step finish_control();

  WsSide sender_;
  uint64_t max_message_;
  Head frame_;
  bool inside_ = false;  // a frame
  uint64_t left_ = 0;    // of its payload
  std::string control_, message_;
  uint8_t message_opcode_ = 0;  // 0: no message is under way
};

// A whole message as one frame, masked with a fresh key if a client sends it.
std::string ws_frame(WsSide sender, WsKind kind, std::string_view payload);
// The reason is cut to what fits. Code 0: a close frame without one.
std::string ws_close(WsSide sender, uint16_t code, std::string_view reason);

bool is_utf8(std::string_view text);

// ---- the handshake (§4)

// Whether the request asks for a WebSocket and nothing else; otherwise why not (static text). No body, GET, HTTP/1.1, one each of Upgrade,
// Sec-WebSocket-Version (13) and Sec-WebSocket-Key (16 bytes in base64).
std::string_view check_ws_request(const RequestHead& head);
// The same for an answer with status 101: it accepts the key, no extension, and at most one subprotocol that was asked for.
std::string_view check_ws_answer(const RequestHead& request, const ResponseHead& answer);
std::string ws_accept(std::string_view key);

}  // namespace saw::egress
