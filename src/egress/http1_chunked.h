// The chunked transfer coding (RFC 9112 §7.1), decoded strictly and incrementally.
//
//   ChunkedDecoder decoder;
//   while (!decoder.finished()) {
//     ChunkedDecoder::Step step = decoder.step(buffered);       // step.data is a view into `buffered`
//     if (step.problem.size()) fail(step.problem);
//     deliver(step.data); buffered.remove_prefix(step.consumed);
//     if (step.consumed == 0) read_more();
//   }
//
// Refused: chunk extensions, sizes over kMaxChunkDigits hexadecimal digits, anything but CRLF as a line end,
// trailer fields. Total.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace saw::egress {

class ChunkedDecoder {
 public:
  static constexpr size_t kMaxChunkDigits = 8;

  struct Step {
    std::string_view data;
    size_t consumed = 0;
    std::string_view problem;  // static text
  };
  // Consumes as much as belongs together: part of one chunk's data, or one line. consumed 0 without a
  // problem: more bytes are needed.
  Step step(std::string_view bytes);
  bool finished() const { return place_ == Place::finished; }

 private:
  enum class Place : uint8_t { size_line, data, data_end, last_line, finished };
  Step size_line(std::string_view bytes);
  Step line_end(std::string_view bytes, Place next, std::string_view problem);
  Place place_ = Place::size_line;
  uint64_t left_ = 0;
};

// One chunk, ready to send. `data` must not be empty: an empty chunk is the end.
std::string encode_chunk(std::string_view data);
constexpr std::string_view kLastChunk = "0\r\n\r\n";

}  // namespace saw::egress
