// Questions about paths as text. Nothing here looks at the file system: both paths are canonical already.
#pragma once

#include <algorithm>
#include <ranges>
#include <string_view>

namespace saw {

// `path` is `directory` or lies below it: "/a/b" is within "/a" and "/", "/ab" is not within "/a".
bool is_within(std::string_view path, std::string_view directory);
bool is_within_any(std::string_view path, const std::ranges::range auto& directories) {
  return std::ranges::any_of(directories, [&](std::string_view d) { return is_within(path, d); });
}

}  // namespace saw
