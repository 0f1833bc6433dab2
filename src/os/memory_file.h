// A file that lives in memory and has no name (memfd_create(2)): closed on exec, and sealable.
#pragma once

#include "base/fd.h"

namespace saw::os {

Result<Fd> memory_file(const char* name);

}  // namespace saw::os
