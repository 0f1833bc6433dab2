// The request target of HTTP in its one canonical form, which is both judged and sent (docs/policy.md
// "Canonical request").
//
//   auto t = canonical_target("/a/%7Euser/./b//c/../d?x=1");   // "/a/~user/b/d?x=1", path "/a/~user/b/d",
//   query "x=1"
//
// Unreserved octets are percent-decoded once, the remaining escapes are in upper case, characters that RFC
// 3986 does not allow raw are escaped (in a query also ';', so that nobody takes it for a separator), dot
// segments are resolved and repeated slashes merged.
//
// Refused, by reason code:
//   malformed:target          not in origin form, or longer than kMaxTarget
//   malformed:percent         '%' without two hexadecimal digits
//   malformed:encoded-slash   %2F in the path        malformed:backslash   '\' anywhere, %5C in the path
//   malformed:nul             %00                    malformed:control     control characters and spaces,
//   raw; %01–%1F, %7F malformed:non-ascii       octets ≥ 0x80: any in the path; raw, or not UTF-8, in the
//   query malformed:fragment        '#'                    malformed:climb       '..' above the root
//   malformed:path-parameter  ';' in or before a dot segment
//   malformed:empty-segment   '//' directly before '..': servers disagree about what it removes
#pragma once

#include <array>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace saw::policy {

struct Target {
  std::string text;  // path[?query]
  size_t path_size = 0;
  std::string_view path() const { return std::string_view(text).substr(0, path_size); }
  // Without the '?'; empty where there is none.
  std::string_view query() const {
    return path_size == text.size() ? std::string_view() : std::string_view(text).substr(path_size + 1);
  }
};
constexpr size_t kMaxTarget = 16u << 10;

std::expected<Target, std::string_view> canonical_target(std::string_view raw);
// The same into a Target that has room already. Returns a reason code, or nothing.
std::string_view canonicalise(std::string_view raw, Target& into);

// A path glob of a policy with its literal octets in the same form. The error is a phrase for a diagnostic.
std::expected<std::string, std::string> canonical_path_glob(std::string_view raw);

// The other paths that a server might take a canonical path for: with the escapes of characters that may
// stand raw decoded ("/a%3Ab" is "/a:b" to most), and without path parameters and final slash ("/a;v=1/b/" is
// "/a/b" to servlet containers, "/a/" is "/a" to many routers). Only those that differ; mostly none. Upper
// and lower case stay apart: where a server ignores it, only an allow is a fence.
struct Readings {
  std::array<std::string, 2> texts;
  size_t count = 0;
  std::span<const std::string> all() const { return std::span(texts).first(count); }
};
// Into what has room already.
void other_readings(std::string_view canonical_path, Readings& into);

// Splits "http://host:80/path" (the absolute form of a proxy request); scheme and authority are empty for the
// origin form.
struct TargetParts {
  std::string_view scheme, authority, rest;
};
TargetParts split_target(std::string_view raw);

// Walks the parameters of a canonical query, in order, with their decoded octets ('+' is a space).
//
//   ParameterReader reader(target.query());
//   while (auto parameter = reader.next()) use(parameter->key, parameter->value);   // views into the reader,
//   valid until next()
struct Parameter {
  std::string_view key, value;
};
class ParameterReader {
 public:
  explicit ParameterReader(std::string_view canonical_query) : rest_(canonical_query) {}
  std::optional<Parameter> next();

 private:
  std::string_view rest_;
  std::array<char, kMaxTarget> scratch_;
};

}  // namespace saw::policy
