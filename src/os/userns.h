// The namespaces that saw-node makes for itself before anything else.
//
//   DaemonView view = SAW_TRY(os::enter_daemon_namespaces());
//
// As root: a mount namespace of its own, into which the host's later mounts still come and out of which nothing goes. As an ordinary user:
// a user namespace too, in which that user is 0 and no other id exists. The caller is single-threaded.
#pragma once

#include <cstdint>

#include "base/result.h"

namespace saw::os {

struct DaemonView {
  bool rootless = false;
  uint32_t outside_uid = 0;  // who the caller was before
};

Result<DaemonView> enter_daemon_namespaces();

}  // namespace saw::os
