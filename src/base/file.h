// Whole files: read with a bound, replace atomically.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace saw {

// The content of a regular file of at most `limit` bytes.
Result<std::string> read_file(const std::string& path, size_t limit = 16u << 20);

enum class Durability { none, fsync };

// Writes `path` so that a reader, or a crash at any moment, sees the old or the new content, whole. The temporary file lies beside
// it. With Durability::fsync the file and its directory are on disk when this returns.
Result<> replace_file(const std::string& path, std::string_view content, unsigned mode,
                      Durability durability);

// Whether anything has that name; a link counts itself.
bool exists(const std::string& path);

// mkdir -p. Directories made get `mode`; existing ones are left as they are.
Result<> make_directories(const std::string& path, unsigned mode = 0700);

}  // namespace saw
