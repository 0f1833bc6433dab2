// A file's bytes as memory that outlives this process: what is written is the file's, whatever becomes of the writer.
//
//   os::SharedMap map = SAW_TRY(os::SharedMap::create(file, 65'536));       // reads and writes; unmapped at the end
//   map.bytes()[0] = std::byte{1};
//
// The file must have its blocks already (preallocate()): writing to a hole of a full disk would end the process.
#pragma once

#include <cstddef>
#include <span>

#include "base/fd.h"

namespace saw::os {

class SharedMap {
 public:
  // Error "os.shared_map", also when the file is shorter than `size`.
  static Result<SharedMap> create(const Fd& file, size_t size);
  SharedMap(SharedMap&& other) noexcept;
  SharedMap& operator=(SharedMap&& other) noexcept;
  ~SharedMap();

  std::span<std::byte> bytes() const { return bytes_; }

 private:
  explicit SharedMap(std::span<std::byte> bytes) : bytes_(bytes) {}
  std::span<std::byte> bytes_;
};

// Gives the file `size` bytes of zeros beyond what it has, on disk. Error "os.preallocate".
Result<> preallocate(const Fd& file, size_t size);

}  // namespace saw::os
