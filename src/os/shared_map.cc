#include "os/shared_map.h"

#include <utility>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

namespace saw::os {

Result<SharedMap> SharedMap::create(const Fd& file, size_t size) {
  struct stat found{};
  if (::fstat(file.get(), &found) != 0) return Error::system("os.shared_map", "looking at the file");
  if (!S_ISREG(found.st_mode) || std::cmp_less(found.st_size, size))
    return Error::make("os.shared_map", "the file has {} bytes, not {}", found.st_size, size);
  void* at = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
  if (at == MAP_FAILED) return Error::system("os.shared_map", "mapping the file");
  return SharedMap({static_cast<std::byte*>(at), size});
}

SharedMap::SharedMap(SharedMap&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}

SharedMap& SharedMap::operator=(SharedMap&& other) noexcept {
  std::swap(bytes_, other.bytes_);
  return *this;
}

SharedMap::~SharedMap() {
  if (!bytes_.empty()) ::munmap(bytes_.data(), bytes_.size());
}

Result<> preallocate(const Fd& file, size_t size) {
  if (int error = ::posix_fallocate(file.get(), 0, static_cast<off_t>(size)))
    return std::unexpected(Error::from_errno("os.preallocate", error, "giving the file its room"));
  return {};
}

}  // namespace saw::os
