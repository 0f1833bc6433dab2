// Whether a text is one JSON object that every parser reads alike: valid UTF-8, no member named twice at any
// level, bounded depth. Asked before the text is parsed for its content, because parsers disagree about which
// of two equal names wins.
#pragma once

#include <string_view>

namespace saw::identity {

constexpr size_t kMaxJsonDepth = 8;

bool is_strict_json_object(std::string_view text);

}  // namespace saw::identity
