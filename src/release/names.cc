#include "release/names.h"

#include <algorithm>

#include "base/clock.h"

namespace saw::release {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_lower(char c) {
  return c >= 'a' && c <= 'z';
}

}  // namespace

bool is_channel_name(std::string_view text) {
  constexpr size_t kMax = 40;
  return !text.empty() && text.size() <= kMax && is_lower(text[0]) &&
         std::ranges::all_of(text, [](char c) { return is_lower(c) || is_digit(c) || c == '-'; });
}

bool is_version(std::string_view text) {
  constexpr size_t kDay = 10, kMaxNumber = 4;  // "2026-11-24", then '.' and up to four digits
  if (text.size() < kDay + 2 || text.size() > kDay + 1 + kMaxNumber || text[kDay] != '.') return false;
  const std::string_view number = text.substr(kDay + 1);
  return number[0] != '0' && std::ranges::all_of(number, is_digit) &&
         parse_rfc3339(std::string(text.substr(0, kDay)) + "T00:00:00Z").has_value();
}

bool is_member_name(std::string_view text) {
  constexpr size_t kMax = 64;
  return !text.empty() && text.size() <= kMax && text[0] != '.' && std::ranges::all_of(text, [](char c) {
    return is_lower(c) || is_digit(c) || c == '.' || c == '-' || c == '_';
  });
}

bool is_digest(std::string_view text) {
  constexpr std::string_view kPrefix = "sha256:";
  constexpr size_t kHex = 64;
  return text.size() == kPrefix.size() + kHex && text.starts_with(kPrefix) &&
         std::ranges::all_of(text.substr(kPrefix.size()),
                             [](char c) { return is_digit(c) || (c >= 'a' && c <= 'f'); });
}

}  // namespace saw::release
