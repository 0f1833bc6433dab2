// Questions about paths as text. Nothing here looks at the file system: both paths are canonical already.
#pragma once

#include <string_view>

namespace saw {

// `path` is `directory` or lies below it: "/a/b" is within "/a" and "/", "/ab" is not within "/a".
bool is_within(std::string_view path, std::string_view directory);

}  // namespace saw
