// What the log's writer does to the disk: the seam at which tests make it fail or crash between any two
// steps.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/file.h"
#include "base/result.h"

namespace saw::audit {

class Disk {
 public:
  virtual ~Disk() = default;

  // Writes a file atomically (temporary, rename), making missing directories. With Durability::fsync the file
  // and its name are on disk on return; the names of directories that were made are after flush() only.
  virtual Result<> replace(const std::string& path, std::string_view content, Durability durability) = 0;
  // Writes at `offset` and flushes the data to disk.
  virtual Result<> append(const Fd& file, uint64_t offset, std::string_view bytes) = 0;
  // Brings what was written without flushing to disk: `paths`, and the directories they lie in up to `root`.
  virtual Result<> flush(const std::vector<std::string>& paths, const std::string& root) = 0;
  virtual Result<> truncate(const Fd& file, uint64_t size) = 0;
  // A file, or a directory with all that is in it. What is not there is removed already.
  virtual Result<> remove(const std::string& path) = 0;
};

class PosixDisk final : public Disk {
 public:
  Result<> replace(const std::string& path, std::string_view content, Durability durability) override;
  Result<> append(const Fd& file, uint64_t offset, std::string_view bytes) override;
  Result<> flush(const std::vector<std::string>& paths, const std::string& root) override;
  Result<> truncate(const Fd& file, uint64_t size) override;
  Result<> remove(const std::string& path) override;
};

// Names in a directory; empty when there is no such directory.
std::vector<std::string> list_directory(const std::string& path);
// An exclusive lock that lives as long as the descriptor; "audit.locked" when another process has it.
Result<Fd> lock_file(const std::string& path);

}  // namespace saw::audit
