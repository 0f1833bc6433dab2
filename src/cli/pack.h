// A file, directory or link of the user's disk as an archive, for a sandbox.
//
//   PackResult sum = SAW_TRY(pack("/home/me/src", "item", [&](std::string_view bytes) { return write_all(pipe, bytes); }));
//
// Symbolic links go as they are and are not followed; anything but files, directories and links is an error.
// A file that becomes shorter meanwhile is one too.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace saw::cli {

struct PackResult {
  uint64_t files = 0, bytes = 0;
};
using PackWrite = std::function<Result<>(std::string_view bytes)>;

// `name`: what its top is called in the archive. `last`, where given: an empty file that ends it, because tar(1)
// takes an archive that was cut off between two entries for a whole one.
Result<PackResult> pack(const std::string& path, const std::string& name, const PackWrite& write,
                        const std::string& last = {});

}  // namespace saw::cli
