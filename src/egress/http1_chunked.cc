#include "egress/http1_chunked.h"

#include <algorithm>

#include "base/result.h"

namespace saw::egress {
namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

ChunkedDecoder::Step ChunkedDecoder::step(std::string_view bytes) {
  switch (place_) {
    case Place::size_line:
      return size_line(bytes);
    case Place::data: {
      size_t n = static_cast<size_t>(std::min<uint64_t>(left_, bytes.size()));
      left_ -= n;
      if (left_ == 0) place_ = Place::data_end;
      return {.data = bytes.substr(0, n), .consumed = n, .problem = {}};
    }
    case Place::data_end:
      return line_end(bytes, Place::size_line, "malformed:chunk-end");
    case Place::last_line:
      return line_end(bytes, Place::finished, "malformed:trailer");
    case Place::finished:
      return {};
  }
  return {};
}

ChunkedDecoder::Step ChunkedDecoder::size_line(std::string_view bytes) {
  uint64_t size = 0;
  size_t digits = 0;
  for (; digits < bytes.size(); ++digits) {
    int value = hex_digit(bytes[digits]);
    if (value < 0) break;
    if (digits == kMaxChunkDigits) return {.data = {}, .consumed = 0, .problem = "malformed:chunk-size"};
    size = size * 16 + static_cast<uint64_t>(value);
  }
  std::string_view rest = bytes.substr(digits);
  if (rest.empty()) return {};
  if (digits == 0) return {.data = {}, .consumed = 0, .problem = "malformed:chunk-size"};
  if (rest[0] == ';') return {.data = {}, .consumed = 0, .problem = "malformed:chunk-extension"};
  if (rest[0] != '\r' || (rest.size() > 1 && rest[1] != '\n'))
    return {.data = {}, .consumed = 0, .problem = "malformed:chunk-size"};
  if (rest.size() < 2) return {};
  left_ = size;
  place_ = size > 0 ? Place::data : Place::last_line;
  return {.data = {}, .consumed = digits + 2, .problem = {}};
}

ChunkedDecoder::Step ChunkedDecoder::line_end(std::string_view bytes, Place next, std::string_view problem) {
  constexpr std::string_view kEnd = "\r\n";
  size_t have = std::min(bytes.size(), kEnd.size());
  if (bytes.substr(0, have) != kEnd.substr(0, have)) return {.data = {}, .consumed = 0, .problem = problem};
  if (have < kEnd.size()) return {};
  place_ = next;
  return {.data = {}, .consumed = kEnd.size(), .problem = {}};
}

std::string encode_chunk(std::string_view data) {
  SAW_CHECK(!data.empty());
  std::string out = fmt::format("{:x}\r\n", data.size());
  out += data;
  out += "\r\n";
  return out;
}

}  // namespace saw::egress
