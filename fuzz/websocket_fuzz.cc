// WebSocket frames: what is read does not depend on where the stream was cut (the first byte says where), and a message that was read is
// read back from what is written for it.
#include <cstdint>

#include "base/result.h"
#include "egress/websocket.h"

using namespace saw::egress;

namespace {

constexpr uint64_t kLimit = 4096;

struct Outcome {
  std::string messages;
  uint16_t code = 0;
  bool operator==(const Outcome&) const = default;
};

std::string written(const WsMessage& message) {
  return message.kind == WsKind::close ? ws_close(WsSide::server, message.close_code, message.payload)
                                       : ws_frame(WsSide::server, message.kind, message.payload);
}

Outcome read(WsSide sender, std::string_view bytes, size_t step) {
  WsReader reader(sender, kLimit);
  Outcome out;
  std::string buffer;
  while (true) {
    WsReader::Step got = reader.step(buffer);
    SAW_CHECK(got.consumed <= buffer.size());
    buffer.erase(0, got.consumed);
    if (got.close_code) {
      SAW_CHECK(!got.problem.empty());
      out.code = *got.close_code;
      return out;
    }
    if (got.message) {
      SAW_CHECK(got.message->payload.size() <= kLimit);
      out.messages += written(*got.message);
    }
    if (got.consumed > 0) continue;
    if (bytes.empty()) return out;
    buffer += bytes.substr(0, step);
    bytes.remove_prefix(std::min(step, bytes.size()));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const WsSide sender = (data[0] & 0x80) != 0 ? WsSide::client : WsSide::server;
  const Outcome whole = read(sender, bytes, bytes.size() + 1);
  SAW_CHECK(read(sender, bytes, data[0] % 16 + 1u) == whole);
  SAW_CHECK(read(WsSide::server, whole.messages, 1000).messages == whole.messages);
  return 0;
}
