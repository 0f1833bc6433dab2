// A lock that ends with its holder, however that ends (flock(2)).
//
//   Fd lock = SAW_TRY(lock_file("/run/saw/node.lock"));     // "io.locked": somebody else has it
//
// Held as long as the descriptor is open, here or in a process that inherited it. The file may be unlinked by
// its holder: a lock on a file that is no longer at its path does not count.
#pragma once

#include <string>

#include "base/fd.h"

namespace saw {

Result<Fd> lock_file(const std::string& path);

}  // namespace saw
