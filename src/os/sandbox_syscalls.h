// The one reviewed list of what a process inside a sandbox may ask of the kernel.
#pragma once

#include <vector>

#include "os/seccomp.h"

namespace saw::os {

// For compile_seccomp(…, Verdict::unknown): what is neither allowed nor refused here looks as if this kernel
// did not have it.
std::vector<SyscallRule> sandbox_syscalls();

}  // namespace saw::os
