#include "os/memory_file.h"

#include <sys/mman.h>

namespace saw::os {

Result<Fd> memory_file(const char* name) {
  Fd file(::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!file) return Error::system("os.memory_file", "creating a file in memory");
  return file;
}

}  // namespace saw::os
