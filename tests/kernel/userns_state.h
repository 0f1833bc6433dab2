// What main() found out before the tests: whether this run is an ordinary user's.
#pragma once

#include "os/userns.h"

namespace saw::kernel_test {
os::DaemonView& userns_state();
}  // namespace saw::kernel_test
