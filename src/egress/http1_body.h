// A message body as it comes, whatever its framing, with its coding removed.
//
//   BodyReader body(inbound, Framing::chunked, 0);
//   while (true) {
//     BodyReader::Part part = co_await body.next();         // part.data is valid until the next call
//     if (part.state != BodyReader::State::data) break;     // end, failed (cut off), or malformed
//     …
//   }
#pragma once

#include "egress/http1_chunked.h"
#include "egress/http1_parser.h"
#include "egress/stream.h"

namespace saw::egress {

class BodyReader {
 public:
  enum class State : uint8_t { data, end, failed, malformed };
  struct Part {
    State state = State::failed;
    std::string_view data, problem;
  };

  BodyReader(Inbound& in, Framing framing, uint64_t length) : in_(in), framing_(framing), left_(length) {}
  Task<Part> next();
  bool finished() const { return finished_; }

  enum class Collected : uint8_t { whole, too_large, failed, malformed };
  // The rest of the body appended to `into`, which is never longer than `limit`.
  Task<Collected> collect(std::string& into, uint64_t limit);
  std::string_view problem() const { return problem_; }

 private:
  Task<Part> next_counted();
  Task<Part> next_chunked();
  Part end() {
    finished_ = true;
    return {.state = State::end, .data = {}, .problem = {}};
  }

  Inbound& in_;
  Framing framing_;
  uint64_t left_;
  size_t taken_ = 0;  // of the buffer: what the last part showed
  bool finished_ = false;
  ChunkedDecoder decoder_;
  std::string_view problem_;
};

}  // namespace saw::egress
