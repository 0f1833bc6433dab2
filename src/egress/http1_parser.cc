#include "egress/http1_parser.h"

#include <algorithm>
#include <array>

namespace saw::egress {
namespace {

constexpr std::array<bool, 256> token_table() {
  std::array<bool, 256> table{};
  for (unsigned c = '0'; c <= '9'; ++c) table[c] = true;
  for (unsigned c = 'a'; c <= 'z'; ++c) table[c] = true;
  for (unsigned c = 'A'; c <= 'Z'; ++c) table[c] = true;
  for (unsigned char c : std::string_view("!#$%&'*+-.^_`|~")) table[c] = true;
  return table;
}
constexpr std::array<bool, 256> kToken = token_table();

constexpr char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}
constexpr bool is_visible(char c) {
  return c > 0x20 && c < 0x7f;
}
// Field values: visible characters, space and tab. obs-text (>= 0x80) is refused: its meaning depends on the
// reader.
constexpr bool is_value_char(char c) {
  return is_visible(c) || c == ' ' || c == '\t';
}

std::string_view trim(std::string_view s) {
  while (!s.empty() && (s.front() == ' ' || s.front() == '\t')) s.remove_prefix(1);
  while (!s.empty() && (s.back() == ' ' || s.back() == '\t')) s.remove_suffix(1);
  return s;
}

template <class Function> void for_each_member(std::string_view list, Function&& function) {
  while (true) {
    size_t comma = list.find(',');
    function(trim(list.substr(0, comma)));
    if (comma == std::string_view::npos) return;
    list.remove_prefix(comma + 1);
  }
}

std::optional<uint64_t> parse_length(std::string_view text) {
  constexpr size_t kMaxDigits = 18;  // below 2^63 whatever the digits
  if (text.empty() || text.size() > kMaxDigits) return std::nullopt;
  uint64_t value = 0;
  for (char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + static_cast<uint64_t>(c - '0');
  }
  return value;
}

// A line that ends in CRLF, and nothing else that any reader could take for an end of line.
struct Line {
  HeadState state = HeadState::incomplete;
  std::string_view problem, text;
};

Line take_line(std::string_view& rest) {
  size_t end = rest.find_first_of("\r\n");
  if (end == std::string_view::npos) return {};
  if (rest[end] == '\n') return {HeadState::malformed, "malformed:bare-lf", {}};
  if (end + 1 == rest.size()) return {};
  if (rest[end + 1] != '\n') return {HeadState::malformed, "malformed:bare-cr", {}};
  Line line{HeadState::complete, {}, rest.substr(0, end)};
  rest.remove_prefix(end + 2);
  return line;
}

std::string_view parse_field(std::string_view line, Fields& fields) {
  if (line.front() == ' ' || line.front() == '\t') return "malformed:obs-fold";
  size_t colon = line.find(':');
  if (colon == std::string_view::npos) return "malformed:header-without-colon";
  std::string_view name = line.substr(0, colon), value = trim(line.substr(colon + 1));
  if (!name.empty() && (name.back() == ' ' || name.back() == '\t')) return "malformed:space-before-colon";
  if (!is_token(name)) return "malformed:header-name";
  if (!std::ranges::all_of(value, is_value_char)) return "malformed:header-value";
  if (fields.size() >= kMaxHeaders) return "malformed:too-many-headers";
  fields.push_back({name, value});
  return {};
}

// Reads fields up to the empty line. `rest` is what follows the start line.
Line parse_fields(std::string_view& rest, Fields& fields) {
  while (true) {
    Line line = take_line(rest);
    if (line.state != HeadState::complete || line.text.empty()) return line;
    if (std::string_view problem = parse_field(line.text, fields); !problem.empty())
      return {HeadState::malformed, problem, {}};
  }
}

struct Lengths {
  std::string_view problem;
  bool chunked = false;
  std::optional<uint64_t> length;
};

// RFC 9112 §6.1-6.3, with every case that a lenient reader would repair refused (request smuggling).
Lengths read_lengths(const Fields& fields, Version version) {
  Lengths out;
  for (const Field& f : fields) {
    if (same_token(f.name, "transfer-encoding")) {
      if (out.chunked) return {.problem = "malformed:repeated-transfer-encoding"};
      if (version == Version::http10) return {.problem = "malformed:transfer-encoding-in-http10"};
      if (!same_token(f.value, "chunked")) return {.problem = "malformed:transfer-encoding"};
      out.chunked = true;
    } else if (same_token(f.name, "content-length")) {
      if (out.length) return {.problem = "malformed:repeated-content-length"};
      out.length = parse_length(f.value);
      if (!out.length) return {.problem = "malformed:content-length"};
    }
  }
  if (out.chunked && out.length) return {.problem = "malformed:content-length-and-transfer-encoding"};
  return out;
}

std::optional<Version> parse_version(std::string_view text) {
  if (text == "HTTP/1.1") return Version::http11;
  if (text == "HTTP/1.0") return Version::http10;
  return std::nullopt;
}

Persistence persistence_of(const Fields& fields, Version version) {
  if (list_contains(fields, "connection", "close")) return Persistence::close;
  if (version == Version::http10 && !list_contains(fields, "connection", "keep-alive"))
    return Persistence::close;
  return Persistence::keep_alive;
}

std::string_view parse_request_line(std::string_view line, RequestHead& head) {
  size_t first = line.find(' '), last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) return "malformed:request-line";
  auto version = parse_version(line.substr(last + 1));
  if (!version) return "malformed:version";
  head.version = *version;
  head.method = line.substr(0, first);
  head.target = line.substr(first + 1, last - first - 1);
  if (!is_token(head.method)) return "malformed:method";
  if (head.target.empty() || !std::ranges::all_of(head.target, is_visible)) return "malformed:target";
  return {};
}

std::string_view finish_request(RequestHead& head) {
  size_t hosts = 0;
  for (const Field& f : head.fields) {
    if (!same_token(f.name, "host")) continue;
    head.host = f.value;
    ++hosts;
  }
  if (hosts > 1) return "malformed:duplicate-host";
  if (hosts == 0) return "malformed:missing-host";
  Lengths lengths = read_lengths(head.fields, head.version);
  if (!lengths.problem.empty()) return lengths.problem;
  if (lengths.chunked)
    head.framing = Framing::chunked;
  else if (lengths.length.value_or(0) > 0)
    head.framing = Framing::length;
  head.content_length = lengths.length.value_or(0);
  head.persistence = persistence_of(head.fields, head.version);
  if (auto expect = find_field(head.fields, "expect")) {
    if (!same_token(*expect, "100-continue")) return "malformed:expect";
    if (head.version == Version::http11) head.expectation = RequestHead::Expectation::continue_100;
  }
  return {};
}

std::string_view parse_status_line(std::string_view line, ResponseHead& head) {
  constexpr size_t kReasonAt = 13;  // "HTTP/1.1 200 "
  auto version = parse_version(line.substr(0, line.find(' ')));
  if (!version) return "malformed:version";
  head.version = *version;
  if (line.size() < kReasonAt - 1 || (line.size() >= kReasonAt && line[kReasonAt - 1] != ' '))
    return "malformed:status-line";
  std::string_view digits = line.substr(9, 3);
  auto status = parse_length(digits);
  if (!status || *status < 100 || *status > 599) return "malformed:status";
  head.status = static_cast<uint16_t>(*status);
  if (line.size() > kReasonAt) head.reason = line.substr(kReasonAt);
  if (!std::ranges::all_of(head.reason, is_value_char)) return "malformed:reason";
  return {};
}

std::string_view finish_response(ResponseHead& head, std::string_view request_method) {
  Lengths lengths = read_lengths(head.fields, head.version);
  if (!lengths.problem.empty()) return lengths.problem;
  head.persistence = persistence_of(head.fields, head.version);
  head.content_length = lengths.length.value_or(0);
  if (request_method == "HEAD" || head.status < 200 || head.status == 204 || head.status == 304) {
    head.framing = Framing::none;
  } else if (lengths.chunked) {
    head.framing = Framing::chunked;
  } else if (lengths.length) {
    head.framing = *lengths.length > 0 ? Framing::length : Framing::none;
  } else {
    head.framing = Framing::until_close;
    head.persistence = Persistence::close;
  }
  return {};
}

// The parts that requests and responses share. StartLine: (line, head) → problem; Finish: (head) → problem.
template <class Parsed, class StartLine, class Finish>
Parsed parse_head(std::string_view bytes, StartLine&& start_line, Finish&& finish) {
  auto malformed = [](std::string_view problem) {
    return Parsed{.state = HeadState::malformed, .problem = problem, .consumed = 0, .head = {}};
  };
  Parsed out;
  std::string_view window = bytes.substr(0, kMaxHeadBytes), rest = window;
  auto unfinished = [&]() {
    return window.size() < kMaxHeadBytes ? Parsed{} : malformed("malformed:head-too-large");
  };
  Line first = take_line(rest);
  if (first.state == HeadState::malformed) return malformed(first.problem);
  if (first.state == HeadState::incomplete) return unfinished();
  if (std::string_view problem = start_line(first.text, out.head); !problem.empty())
    return malformed(problem);
  Line last = parse_fields(rest, out.head.fields);
  if (last.state == HeadState::malformed) return malformed(last.problem);
  if (last.state == HeadState::incomplete) return unfinished();
  if (std::string_view problem = finish(out.head); !problem.empty()) return malformed(problem);
  out.state = HeadState::complete;
  out.consumed = window.size() - rest.size();
  return out;
}

}  // namespace

ParsedRequest parse_request_head(std::string_view bytes) {
  return parse_head<ParsedRequest>(bytes, parse_request_line, finish_request);
}

ParsedResponse parse_response_head(std::string_view bytes, std::string_view request_method) {
  return parse_head<ParsedResponse>(
      bytes, parse_status_line, [&](ResponseHead& head) { return finish_response(head, request_method); });
}

bool same_token(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) { return lower(x) == lower(y); });
}

bool is_token(std::string_view text) {
  return !text.empty() &&
         std::ranges::all_of(text, [](char c) { return kToken[static_cast<unsigned char>(c)]; });
}

std::optional<std::string_view> find_field(const Fields& fields, std::string_view name) {
  for (const Field& f : fields)
    if (same_token(f.name, name)) return f.value;
  return std::nullopt;
}

bool list_contains(const Fields& fields, std::string_view name, std::string_view member) {
  bool found = false;
  for (const Field& f : fields) {
    if (!same_token(f.name, name)) continue;
    for_each_member(f.value, [&](std::string_view item) { found = found || same_token(item, member); });
  }
  return found;
}

}  // namespace saw::egress
