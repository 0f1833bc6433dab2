// A directory that should hold a few regular files and nothing else, read by descriptor without following a link.
//
//   Fd root = SAW_TRY(open_directory("/srv/releases"));
//   Fd release = SAW_TRY(open_directory_at(root, "2026-11-24.1"));           // one name, never a path
//   FlatDirectory files = SAW_TRY(read_flat_directory(release, {.files = 16, .bytes = 1u << 20}));
//
// What is no regular file (link, directory, FIFO, device) is named in `odd` and never opened. More than the limits is
// an error, never a truncation.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"

namespace saw {

struct FlatDirectory {
  std::map<std::string, std::string> files;  // name → content
  std::vector<std::string> odd;              // names of everything else, sorted
};
struct FlatLimits {
  size_t files = 0, bytes = 0;  // entries of any kind; content of all files together
};

// Of a path that the operator gave; links on the way are the operator's.
Result<Fd> open_directory(const std::string& path);
// `name` is one segment, not "." or ".."; a link is refused ("io.open").
Result<Fd> open_directory_at(const Fd& directory, const std::string& name);
Result<FlatDirectory> read_flat_directory(const Fd& directory, FlatLimits limits);
// One regular file; nullopt if there is nothing of that name. "io.not_a_file" for anything else, links included.
Result<std::optional<std::string>> read_file_at(const Fd& directory, const std::string& name, size_t limit);
// Where a link points, as text; nullopt if there is nothing of that name, "io.not_a_link" if it is no link.
Result<std::optional<std::string>> read_link_at(const Fd& directory, const std::string& name);

}  // namespace saw
