#include "egress/websocket.h"

#include <gtest/gtest.h>

namespace saw::egress {
namespace {

std::string bytes(std::initializer_list<int> values) {
  std::string out;
  for (int v : values) out += static_cast<char>(v);
  return out;
}

// "text:hello", "binary:…", "close1000:…", or the close code and the problem.
std::string read(std::string_view stream, WsSide sender = WsSide::server, size_t step = 1000,
                 uint64_t limit = 1000) {
  WsReader reader(sender, limit);
  std::string out, buffer;
  while (true) {
    WsReader::Step got = reader.step(buffer);
    buffer.erase(0, got.consumed);
    if (got.close_code) return out + std::to_string(*got.close_code) + " " + std::string(got.problem);
    if (got.message) {
      const char* names[] = {"", "text:", "binary:", "", "", "", "", "", "close", "ping:", "pong:"};
      out += names[static_cast<int>(got.message->kind)];
      if (got.message->kind == WsKind::close) out += std::to_string(got.message->close_code) + ":";
      out += got.message->payload + ";";
    }
    if (got.consumed > 0) continue;
    if (stream.empty()) return out + (buffer.empty() ? "" : "…");
    buffer += stream.substr(0, step);
    stream.remove_prefix(std::min(step, stream.size()));
  }
}

TEST(WebSocketFrames, messages_come_whole_however_they_are_cut) {
  const std::string stream = bytes({0x01, 3}) + "Hel" + bytes({0x89, 2}) + "hi" + bytes({0x80, 2}) + "lo" +
                             bytes({0x82, 0}) + bytes({0x88, 5, 0x03, 0xe8}) + "bye";
  for (size_t step : {1, 2, 3, 1000})
    EXPECT_EQ(read(stream, WsSide::server, step), "ping:hi;text:Hello;binary:;close1000:bye;");
}

TEST(WebSocketFrames, what_is_written_is_read_back) {
  for (size_t size : {0, 1, 125, 126, 65535, 65536, 70000})
    for (WsSide side : {WsSide::client, WsSide::server}) {
      const std::string payload(size, 'x');
      EXPECT_EQ(read(ws_frame(side, WsKind::text, payload), side, 100'000, 100'000), "text:" + payload + ";")
          << size;
    }
  EXPECT_EQ(read(ws_close(WsSide::client, 1008, std::string(200, 'x')), WsSide::client),
            "close1008:" + std::string(123, 'x') + ";");
  EXPECT_EQ(read(ws_close(WsSide::server, 0, "")), "close0:;");
  const std::string one = ws_frame(WsSide::client, WsKind::text, "same"),
                    other = ws_frame(WsSide::client, WsKind::text, "same");
  EXPECT_NE(one, other) << "a fresh mask each time";
}

TEST(WebSocketFrames, a_client_masks_and_a_server_does_not) {
  EXPECT_EQ(read(bytes({0x81, 0x81, 1, 2, 3, 4, 'a' ^ 1}), WsSide::client), "text:a;");
  EXPECT_EQ(read(bytes({0x81, 0x81, 1, 2, 3, 4, 'a' ^ 1}), WsSide::server), "1002 websocket:mask");
  EXPECT_EQ(read(bytes({0x81, 1, 'a'}), WsSide::client), "1002 websocket:mask");
}

TEST(WebSocketFrames, what_two_readers_could_take_differently_is_refused) {
  EXPECT_EQ(read(bytes({0xc1, 1, 'a'})), "1002 websocket:reserved-bits-or-length")
      << "as of permessage-deflate";
  EXPECT_EQ(read(bytes({0x83, 0})), "1002 websocket:opcode");
  EXPECT_EQ(read(bytes({0x8b, 0})), "1002 websocket:opcode");
  EXPECT_EQ(read(bytes({0x81, 126, 0, 125})), "1002 websocket:reserved-bits-or-length");
  EXPECT_EQ(read(bytes({0x81, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff})), "1002 websocket:reserved-bits-or-length");
  EXPECT_EQ(read(bytes({0x81, 127, 0x80, 0, 0, 0, 0, 0, 0, 0})), "1002 websocket:reserved-bits-or-length");
  EXPECT_EQ(read(bytes({0x09, 0})), "1002 websocket:control-frame");
  EXPECT_EQ(read(bytes({0x89, 126, 0, 126})), "1002 websocket:control-frame");
  EXPECT_EQ(read(bytes({0x80, 1, 'a'})), "1002 websocket:fragments") << "a continuation of nothing";
  EXPECT_EQ(read(bytes({0x01, 1, 'a', 0x81, 1, 'b'})), "1002 websocket:fragments")
      << "a message inside another";
  EXPECT_EQ(read(bytes({0x88, 1, 3})), "1002 websocket:close-frame");
  EXPECT_EQ(read(bytes({0x88, 2, 0x03, 0xed})), "1002 websocket:close-code") << "1005 is not for the wire";
  EXPECT_EQ(read(bytes({0x88, 2, 0x0b, 0xb8})), "close3000:;");
}

TEST(WebSocketFrames, text_is_utf8_even_across_fragments) {
  EXPECT_EQ(read(bytes({0x01, 1, 0xc3, 0x80, 1, 0xa4})), "text:\xc3\xa4;");
  for (auto bad : {bytes({0xc0, 0xaf}), bytes({0xed, 0xa0, 0x80}), bytes({0xf4, 0x90, 0x80, 0x80}),
                   bytes({0xff}), bytes({0xe2, 0x82}), bytes({0x80})}) {
    EXPECT_EQ(read(bytes({0x81, static_cast<int>(bad.size())}) + bad), "1007 websocket:not-utf8");
    EXPECT_EQ(read(bytes({0x82, static_cast<int>(bad.size())}) + bad), "binary:" + bad + ";");
  }
}

TEST(WebSocketFrames, a_message_has_a_limit_whatever_its_fragments) {
  EXPECT_EQ(read(bytes({0x82, 5}) + "12345", WsSide::server, 1, 5), "binary:12345;");
  EXPECT_EQ(read(bytes({0x82, 6}), WsSide::server, 1, 5), "1009 websocket:oversized");
  EXPECT_EQ(read(bytes({0x02, 3}) + "123" + bytes({0x80, 3}), WsSide::server, 1, 5),
            "1009 websocket:oversized");
  EXPECT_EQ(read(bytes({0x82, 127, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})),
            "1009 websocket:oversized");
}

std::string_view request(std::string_view fields, std::string_view line = "GET /chat HTTP/1.1") {
  const std::string text = std::string(line) + "\r\nHost: h\r\n" + std::string(fields) + "\r\n";
  const ParsedRequest parsed = parse_request_head(text);
  EXPECT_EQ(parsed.state, HeadState::complete) << text;
  return check_ws_request(parsed.head);
}

TEST(WebSocketHandshake, a_request_asks_for_exactly_that) {
  const std::string good =
      "Upgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n";
  const std::string key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
  EXPECT_EQ(request(good + key), "");
  EXPECT_EQ(request(good), "websocket:key");
  EXPECT_EQ(request(good + key + key), "websocket:key");
  EXPECT_EQ(request(good + "Sec-WebSocket-Key: c2hvcnQ=\r\n"), "websocket:key");
  EXPECT_EQ(request(good + "Upgrade: h2c\r\n" + key), "websocket:upgrade");
  EXPECT_EQ(request("Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" + key), "websocket:upgrade");
  EXPECT_EQ(request(good + key, "POST /chat HTTP/1.1"), "websocket:method");
  EXPECT_EQ(request(good + key + "Content-Length: 3\r\n"), "websocket:method");
  EXPECT_EQ(request("Upgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Version: 8\r\n" + key),
            "websocket:version");
}

std::string_view answer(std::string_view fields) {
  const std::string asked =
      "GET / HTTP/1.1\r\nHost: h\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: "
      "chat, "
      "superchat\r\n\r\n";
  const std::string said =
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
      std::string(fields) + "\r\n";
  return check_ws_answer(parse_request_head(asked).head, parse_response_head(said, "GET").head);
}

TEST(WebSocketHandshake, an_answer_accepts_that_key_and_nothing_that_was_not_asked_for) {
  const std::string good = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";  // RFC 6455 §1.3
  EXPECT_EQ(answer(good), "");
  EXPECT_EQ(answer(""), "websocket:accept");
  EXPECT_EQ(answer("Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n"), "websocket:accept");
  EXPECT_EQ(answer(good + good), "websocket:accept");
  EXPECT_EQ(answer(good + "Sec-WebSocket-Extensions: permessage-deflate\r\n"), "websocket:extension");
  EXPECT_EQ(answer(good + "Sec-WebSocket-Protocol: chat\r\n"), "");
  EXPECT_EQ(answer(good + "Sec-WebSocket-Protocol: other\r\n"), "websocket:subprotocol");
  EXPECT_EQ(answer(good + "Sec-WebSocket-Protocol: chat, superchat\r\n"), "websocket:subprotocol");
}

}  // namespace
}  // namespace saw::egress
