#include "egress/sse.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace saw::egress {
namespace {

std::string rewritten(std::string_view stream, size_t step = 1000) {
  SseReader reader;
  std::string out;
  for (size_t at = 0; at < stream.size(); at += step) {
    auto events = reader.feed(stream.substr(at, step));
    if (!events) return events.error().code;
    for (const SseEvent& e : *events) out += encode_sse(e);
  }
  return out;
}

TEST(Sse, an_event_comes_out_in_one_form_however_it_was_cut_and_its_lines_ended) {
  const std::string wanted = "event: message\nid: 7\ndata: a\ndata: b\n\n:\n\ndata: c\n\n";
  for (std::string_view end : {"\n", "\r", "\r\n"}) {
    std::string stream;
    for (std::string_view line :
         {"data:a", "id: 7", "event:message", "data: b", "", ": hello", "data: c", ""})
      stream += std::string(line) + std::string(end);
    for (size_t step : {1, 2, 3, 1000}) EXPECT_EQ(rewritten(stream, step), wanted) << step;
  }
}

TEST(Sse, mixed_line_ends_do_not_hide_an_event) {
  EXPECT_EQ(rewritten("data: a\r\r\ndata: b\n\r"), "data: a\n\ndata: b\n\n")
      << "CR, CRLF: an end and an empty line";
  EXPECT_EQ(rewritten("data: a\r\rdata: b\r\r", 1), "data: a\n\ndata: b\n\n");
}

TEST(Sse, what_the_standard_drops_is_dropped) {
  EXPECT_EQ(rewritten("\xef\xbb\xbf"
                      "data: a\n\n"),
            "data: a\n\n");
  EXPECT_EQ(rewritten("data: a\nretry: soon\nother: x\nid: 1\n\n"), "id: 1\ndata: a\n\n");
  EXPECT_EQ(rewritten(std::string("id: 1\0\ndata: a\n\n", 16)), "data: a\n\n");
  EXPECT_EQ(rewritten("data: unfinished\n"), "");
  EXPECT_EQ(rewritten("data\n\n"), "data: \n\n");
  EXPECT_EQ(rewritten("data:  two spaces\n\n"), "data:  two spaces\n\n");
}

TEST(Sse, an_endless_event_ends_the_stream) {
  const std::string line = "data: " + std::string(1u << 20, 'x') + "\n";
  EXPECT_EQ(rewritten(line + line + line + line + line), "sse.oversized");
  EXPECT_NE(rewritten(line + "\n" + line + "\n" + line + "\n" + line + "\n" + line + "\n"), "sse.oversized");
  EXPECT_EQ(rewritten(std::string(SseReader::kMaxEvent + 1, 'x')), "sse.oversized");
}

}  // namespace
}  // namespace saw::egress
