#include "egress/sse.h"

#include <algorithm>

namespace saw::egress {
namespace {

constexpr std::string_view kMark = "\xef\xbb\xbf";

void add(std::string& out, std::string_view name, std::string_view value) {
  out.append(name).append(": ").append(value).append("\n");
}

}  // namespace

Result<std::vector<SseEvent>> SseReader::feed(std::string_view part) {
  std::vector<SseEvent> out;
  while (!part.empty()) {
    if (place_ == Place::after_cr) {
      place_ = Place::line;
      if (part.front() == '\n') {
        part.remove_prefix(1);
        continue;
      }
    }
    const size_t end = part.find_first_of("\r\n");
    const std::string_view taken = part.substr(0, end);
    size_ += taken.size() + 1;
    if (size_ > kMaxEvent)
      return Error::make("sse.oversized", "an event of the stream has more than {} bytes", kMaxEvent);
    line_ += taken;
    if (end == std::string_view::npos) break;
    const bool cr = part[end] == '\r';
    part.remove_prefix(end + 1);
    take_line(out);
    place_ = cr ? Place::after_cr : Place::line;
  }
  return out;
}

void SseReader::take_line(std::vector<SseEvent>& out) {
  std::string_view line = line_;
  if (place_ == Place::start && line.starts_with(kMark)) line.remove_prefix(kMark.size());
  if (line.empty()) {
    if (event_ != SseEvent()) out.push_back(std::exchange(event_, {}));
    size_ = 0;
  } else if (line.front() == ':') {
    // A sign of life. Between two events it can pass at once; inside one it says nothing.
    if (event_ == SseEvent()) {
      out.emplace_back();
      size_ = 0;
    }
  } else {
    const size_t colon = line.find(':');
    std::string_view value = colon == std::string_view::npos ? std::string_view() : line.substr(colon + 1);
    if (value.starts_with(' ')) value.remove_prefix(1);
    field(line.substr(0, colon), value);
  }
  line_.clear();
}

void SseReader::field(std::string_view name, std::string_view value) {
  if (name == "event") {
    event_.event = value;
  } else if (name == "data") {
    if (event_.data)
      event_.data->append("\n").append(value);
    else
      event_.data = value;
  } else if (name == "id") {
    if (value.find('\0') == std::string_view::npos) event_.id = value;
  } else if (name == "retry") {
    const bool number =
        !value.empty() && std::ranges::all_of(value, [](char c) { return c >= '0' && c <= '9'; });
    if (number) event_.retry = value;
  }
}

std::string encode_sse(const SseEvent& event) {
  if (event == SseEvent()) return ":\n\n";
  std::string out;
  if (!event.event.empty()) add(out, "event", event.event);
  if (event.id) add(out, "id", *event.id);
  if (event.retry) add(out, "retry", *event.retry);
  if (event.data) {
    for (std::string_view rest = *event.data;;) {
      const size_t end = rest.find('\n');
      add(out, "data", rest.substr(0, end));
      if (end == std::string_view::npos) break;
      rest.remove_prefix(end + 1);
    }
  }
  return out + "\n";
}

}  // namespace saw::egress
