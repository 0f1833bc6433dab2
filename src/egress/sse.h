// Server-sent events (HTML Living Standard §9.2) as a server sends them, read incrementally and written anew in one form, so that two
// readers cannot disagree on where an event ends.
//
//   SseReader reader;
//   auto events = SAW_TRY(reader.feed(part), "event stream");       // those that are complete, in order
//   for (SseEvent& e : *events) send(encode_sse(e));
//
// Lines end with CR, LF or CRLF, wherever the stream is cut. Comments come as an event of nothing. Unknown fields are dropped, and so is
// what the standard drops: an unfinished event at the end, an id with NUL, a retry that is no number. At most kMaxEvent bytes an event:
// "sse.oversized".
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace saw::egress {

struct SseEvent {
  std::string event;  // its type; empty: "message"
  std::optional<std::string> data, id, retry;
  bool operator==(const SseEvent&) const = default;
};

class SseReader {
 public:
  static constexpr size_t kMaxEvent = 4u << 20;
  Result<std::vector<SseEvent>> feed(std::string_view part);

 private:
  void take_line(std::vector<SseEvent>& out);
  void field(std::string_view name, std::string_view value);

  std::string line_;
  SseEvent event_;
  size_t size_ = 0;  // of what is held for the event
  enum class Place : uint8_t { start, line, after_cr } place_ = Place::start;
};

std::string encode_sse(const SseEvent& event);

}  // namespace saw::egress
