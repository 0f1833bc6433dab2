// The namespaces that saw-node makes for itself before anything else.
//
//   DaemonView view = SAW_TRY(os::enter_daemon_namespaces({}));
//
// As root: a mount namespace of its own, into which the host's later mounts still come and out of which
// nothing goes. As an ordinary user: a user namespace too, in which that user is 0 and no other id exists.
// The caller is single-threaded.
//
// Sandboxes that outlived an earlier saw-node belong to its user namespace, and a new one has no power over
// them. So a new saw-node goes into the old namespace if anything still lives in it; the user who made it may
// do that, but only before entering another one.
#pragma once

#include <cstdint>

#include "base/fd.h"

namespace saw::os {

struct DaemonView {
  bool rootless = false;
  uint32_t outside_uid = 0;  // who the caller was before
};

// `earlier`: a user namespace to join instead of making one; ignored as root.
Result<DaemonView> enter_daemon_namespaces(Fd earlier);

// The parent of the user namespace that process `pid` is in.
Result<Fd> user_namespace_above(int32_t pid);

}  // namespace saw::os
