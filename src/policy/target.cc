#include "policy/target.h"

#include <algorithm>

namespace saw::policy {
namespace {

enum class Where { path, query };

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool unreserved(uint8_t c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
         c == '_' || c == '~';
}

// What may stand raw (RFC 3986 pchar, '/', and '?' in a query), without ';' in a query.
bool stands_raw(uint8_t c, Where where) {
  constexpr std::string_view kRawInPath = "!$&'()*+,;=:@/", kRawInQuery = "!$&'()*+,=:@/?";
  return unreserved(c) || (where == Where::path ? kRawInPath : kRawInQuery).find(static_cast<char>(c)) !=
                              std::string_view::npos;
}

void put_escape(std::string& out, uint8_t c) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  out += '%';
  out += kDigits[c >> 4];
  out += kDigits[c & 15];
}

// Accepts UTF-8 octet by octet: no overlong forms, no surrogates, nothing above U+10FFFF (RFC 3629).
class Utf8 {
 public:
  bool feed(uint8_t c) {
    if (missing_ > 0) {
      if (c < low_ || c > high_) return false;
      low_ = 0x80, high_ = 0xbf;
      --missing_;
      return true;
    }
    if (c < 0x80) return true;
    low_ = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
    high_ = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
    if (c >= 0xc2 && c <= 0xdf)
      missing_ = 1;
    else if (c >= 0xe0 && c <= 0xef)
      missing_ = 2;
    else if (c >= 0xf0 && c <= 0xf4)
      missing_ = 3;
    else
      return false;
    return true;
  }
  bool complete() const { return missing_ == 0; }

 private:
  int missing_ = 0;
  uint8_t low_ = 0x80, high_ = 0xbf;
};

// A reason code, or empty.
std::string_view refuse_escaped(uint8_t c, Where where) {
  if (c == 0) return "malformed:nul";
  if (c < 0x20 || c == 0x7f) return "malformed:control";
  if (where == Where::query) return {};
  if (c == '/') return "malformed:encoded-slash";
  if (c == '\\') return "malformed:backslash";
  if (c >= 0x80) return "malformed:non-ascii";
  return {};
}
std::string_view refuse_raw(uint8_t c) {
  if (c == 0) return "malformed:nul";
  if (c <= 0x20 || c == 0x7f) return "malformed:control";
  if (c >= 0x80) return "malformed:non-ascii";
  if (c == '\\') return "malformed:backslash";
  if (c == '#') return "malformed:fragment";
  return {};
}

// Appends the canonical form of the octet at raw[at] and moves past it.
std::string_view put_octet(std::string& out, std::string_view raw, size_t& at, Where where, Utf8& utf8) {
  const auto c = static_cast<uint8_t>(raw[at]);
  if (c != '%') {
    if (auto reason = refuse_raw(c); !reason.empty()) return reason;
    if (!utf8.feed(c)) return "malformed:non-ascii";
    if (stands_raw(c, where))
      out += static_cast<char>(c);
    else
      put_escape(out, c);
    ++at;
    return {};
  }
  const int high = at + 2 < raw.size() ? hex_value(raw[at + 1]) : -1;
  const int low = at + 2 < raw.size() ? hex_value(raw[at + 2]) : -1;
  if (high < 0 || low < 0) return "malformed:percent";
  const auto octet = static_cast<uint8_t>(high << 4 | low);
  if (auto reason = refuse_escaped(octet, where); !reason.empty()) return reason;
  if (!utf8.feed(octet)) return "malformed:non-ascii";
  if (unreserved(octet))
    out += static_cast<char>(octet);
  else
    put_escape(out, octet);
  at += 3;
  return {};
}

std::string_view put_octets(std::string& out, std::string_view raw, Where where) {
  Utf8 utf8;
  for (size_t at = 0; at < raw.size();)
    if (auto reason = put_octet(out, raw, at, where, utf8); !reason.empty()) return reason;
  return utf8.complete() ? std::string_view() : "malformed:non-ascii";
}

// Dot segments, empty segments and path parameters of a path whose octets are canonical; shortens it in
// place.
std::string_view resolve_segments(std::string& path) {
  size_t write = 0;  // path[0, write) is done and does not end in '/'
  bool seen_parameter = false, after_empty = false, open_end = false;
  for (size_t read = 0; read < path.size();) {
    const size_t end = std::min(path.find('/', read + 1), path.size());
    const std::string_view segment = std::string_view(path).substr(read + 1, end - read - 1);
    const std::string_view plain = segment.substr(0, std::min(segment.find(';'), segment.find("%3B")));
    const bool dot = plain == "." || plain == "..";
    seen_parameter = seen_parameter || plain.size() != segment.size();
    if (dot && seen_parameter) return "malformed:path-parameter";
    open_end = dot || segment.empty();
    if (plain == ".." && dot) {
      if (after_empty) return "malformed:empty-segment";
      if (write == 0) return "malformed:climb";
      write = path.rfind('/', write - 1);
    } else if (segment.empty()) {
      after_empty = true;
    } else if (!dot) {
      after_empty = false;
      const size_t length = segment.size() + 1;
      std::char_traits<char>::move(path.data() + write, path.data() + read, length);
      write += length;
    }
    read = end;
  }
  path.resize(write);
  if (open_end) path += '/';
  return {};
}

}  // namespace

std::string_view canonicalise(std::string_view raw, Target& into) {
  into.text.clear();
  into.path_size = 0;
  if (raw.empty() || raw[0] != '/' || raw.size() > kMaxTarget) return "malformed:target";
  into.text.reserve(raw.size());
  const size_t mark = raw.find('?');
  if (auto reason = put_octets(into.text, raw.substr(0, mark), Where::path); !reason.empty()) return reason;
  if (auto reason = resolve_segments(into.text); !reason.empty()) return reason;
  into.path_size = into.text.size();
  if (mark == std::string_view::npos) return {};
  into.text += '?';
  return put_octets(into.text, raw.substr(mark + 1), Where::query);
}

std::expected<Target, std::string_view> canonical_target(std::string_view raw) {
  Target out;
  if (auto reason = canonicalise(raw, out); !reason.empty()) return std::unexpected(reason);
  return out;
}

std::expected<std::string, std::string> canonical_path_glob(std::string_view raw) {
  if (!raw.starts_with('/')) return std::unexpected("a path starts with '/'");
  std::string out;
  Utf8 utf8;
  for (size_t at = 0; at < raw.size();) {
    const size_t close = raw[at] == '[' ? raw.find(']', at) : std::string_view::npos;
    if (close != std::string_view::npos) {
      out += raw.substr(at, close + 1 - at);
      at = close + 1;
    } else if (raw[at] == '*' || raw[at] == '?' || raw[at] == '[') {
      out += raw[at++];
    } else if (auto reason = put_octet(out, raw, at, Where::path, utf8); !reason.empty()) {
      return std::unexpected("no canonical path can match this (" + std::string(reason) + ")");
    }
  }
  for (size_t begin = 1; begin <= out.size();) {
    const size_t end = std::min(out.find('/', begin), out.size());
    const std::string_view segment = std::string_view(out).substr(begin, end - begin);
    if (segment == "." || segment == "..") return std::unexpected("a canonical path has no dot segments");
    if (segment.empty() && end != out.size())
      return std::unexpected("a canonical path has no empty segments");
    begin = end + 1;
  }
  return out;
}

namespace {

// With the escapes of characters that may stand raw decoded.
void decode_raw(std::string_view path, std::string& decoded) {
  decoded.clear();
  for (size_t at = 0; at < path.size(); ++at) {
    const bool escape = path[at] == '%' && at + 2 < path.size();
    const auto octet =
        escape ? static_cast<uint8_t>(hex_value(path[at + 1]) << 4 | hex_value(path[at + 2])) : uint8_t{0};
    if (escape && octet != '/' && stands_raw(octet, Where::path)) {
      decoded += static_cast<char>(octet);
      at += 2;
    } else {
      decoded += path[at];
    }
  }
}

// Without path parameters and final slash; empty where that is no path.
void strip_parameters(std::string_view decoded, std::string& plain) {
  plain.clear();
  bool parameter = false;
  for (char c : decoded) {
    if (c == '/') parameter = false;
    if (c == ';') parameter = true;
    if (!parameter) plain += c;
  }
  if (!resolve_segments(plain).empty()) plain.clear();
  if (plain.size() > 1 && plain.ends_with('/')) plain.pop_back();
}

}  // namespace

void other_readings(std::string_view path, Readings& into) {
  into.count = 0;
  if (path.find_first_of("%;") == std::string_view::npos && !path.ends_with('/')) return;
  std::string& decoded = into.texts[0];
  std::string& plain = into.texts[1];
  decode_raw(path, decoded);
  strip_parameters(decoded, plain);
  const bool plain_differs = !plain.empty() && plain != decoded;
  if (decoded != path)
    into.count = plain_differs ? 2 : 1;
  else if (plain_differs) {
    std::swap(decoded, plain);
    into.count = 1;
  }
}

TargetParts split_target(std::string_view raw) {
  const size_t colon = raw.find("://");
  if (raw.starts_with('/') || colon == std::string_view::npos || raw.find_first_of("/?#") < colon)
    return {.rest = raw};
  const size_t authority = colon + 3;
  const size_t end = std::min(raw.find_first_of("/?#", authority), raw.size());
  return {.scheme = raw.substr(0, colon),
          .authority = raw.substr(authority, end - authority),
          .rest = raw.substr(end)};
}

std::optional<Parameter> ParameterReader::next() {
  while (rest_.starts_with('&')) rest_.remove_prefix(1);
  if (rest_.empty()) return {};
  const std::string_view text = rest_.substr(0, rest_.find('&'));
  rest_.remove_prefix(text.size());
  size_t size = 0, key_size = std::string_view::npos;
  for (size_t at = 0; at < text.size() && size < scratch_.size();) {
    if (text[at] == '=' && key_size == std::string_view::npos) {
      key_size = size;
      ++at;
    } else if (text[at] == '%') {
      scratch_[size++] = static_cast<char>(hex_value(text[at + 1]) << 4 | hex_value(text[at + 2]));
      at += 3;
    } else {
      scratch_[size++] = text[at] == '+' ? ' ' : text[at];
      ++at;
    }
  }
  const std::string_view all(scratch_.data(), size);
  if (key_size == std::string_view::npos) return Parameter{all, {}};
  return Parameter{all.substr(0, key_size), all.substr(key_size)};
}

}  // namespace saw::policy
