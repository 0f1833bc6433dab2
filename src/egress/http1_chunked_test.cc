#include "egress/http1_chunked.h"

#include <gtest/gtest.h>

namespace saw::egress {
namespace {

struct Decoded {
  std::string data, problem;
  bool finished = false;
  size_t left = 0;
};

// Feeds `bytes` in pieces of `step`, as a network would.
Decoded decode(std::string_view bytes, size_t step = 1u << 20) {
  ChunkedDecoder decoder;
  Decoded out;
  std::string buffer;
  while (!decoder.finished()) {
    auto got = decoder.step(buffer);
    out.data += got.data;
    buffer.erase(0, got.consumed);
    if (!got.problem.empty()) return out.problem = got.problem, out;
    if (got.consumed > 0 || decoder.finished()) continue;
    if (bytes.empty()) return out;
    buffer += bytes.substr(0, step);
    bytes.remove_prefix(std::min(step, bytes.size()));
  }
  out.finished = true;
  out.left = buffer.size() + bytes.size();
  return out;
}

TEST(Chunked, a_body_decodes_the_same_wherever_the_network_cuts_it) {
  for (size_t step : {1u, 2u, 3u, 7u, 100u}) {
    Decoded d = decode("5\r\nhello\r\nA\r\n, world!!!\r\n0\r\n\r\nGET", step);
    EXPECT_TRUE(d.finished);
    EXPECT_EQ(d.data, "hello, world!!!");
    EXPECT_EQ(d.left, 3u) << "what follows belongs to the next message";
  }
}

TEST(Chunked, what_lenient_readers_accept_is_refused) {
  for (size_t step : {1u, 1000u}) {
    EXPECT_EQ(decode("5;a=b\r\nhello\r\n0\r\n\r\n", step).problem, "malformed:chunk-extension");
    EXPECT_EQ(decode("5 \r\nhello\r\n0\r\n\r\n", step).problem, "malformed:chunk-size");
    EXPECT_EQ(decode(" 5\r\nhello\r\n0\r\n\r\n", step).problem, "malformed:chunk-size");
    EXPECT_EQ(decode("0x5\r\nhello\r\n0\r\n\r\n", step).problem, "malformed:chunk-size");
    EXPECT_EQ(decode("-5\r\nhello\r\n0\r\n\r\n", step).problem, "malformed:chunk-size");
    EXPECT_EQ(decode("\r\n\r\n", step).problem, "malformed:chunk-size");
    EXPECT_EQ(decode("5\nhello\r\n0\r\n\r\n", step).problem, "malformed:chunk-size");
    EXPECT_EQ(decode("5\r\nhello0\r\n\r\n", step).problem, "malformed:chunk-end");
    EXPECT_EQ(decode("5\r\nhello\n0\r\n\r\n", step).problem, "malformed:chunk-end");
    EXPECT_EQ(decode("fffffffff\r\n", step).problem, "malformed:chunk-size");
    EXPECT_EQ(decode("0\r\nTrailer: x\r\n\r\n", step).problem, "malformed:trailer");
  }
}

TEST(Chunked, a_body_that_was_cut_off_is_never_finished) {
  std::string_view whole = "5\r\nhello\r\n0\r\n\r\n";
  for (size_t n = 0; n < whole.size(); ++n) EXPECT_FALSE(decode(whole.substr(0, n)).finished) << n;
  EXPECT_TRUE(decode(whole).finished);
}

TEST(Chunked, what_we_encode_decodes) {
  EXPECT_EQ(decode(encode_chunk(std::string(300, 'x')) + std::string(kLastChunk)).data,
            std::string(300, 'x'));
}

}  // namespace
}  // namespace saw::egress
