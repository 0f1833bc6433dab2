// Whether a text is one JSON object that every parser reads alike: valid UTF-8, no member named twice at any
// level, bounded depth. Asked before the text is parsed for its content, because parsers disagree about which
// of two equal names wins.
#pragma once

#include <string_view>

namespace saw {

constexpr size_t kMaxJsonDepth = 8;

enum class JsonFault { none, malformed, duplicate_member, too_deep };
JsonFault strict_json_fault(std::string_view text);
inline bool is_strict_json_object(std::string_view text) {
  return strict_json_fault(text) == JsonFault::none;
}

}  // namespace saw
