// How overlayfs records what a layer deletes (Documentation/filesystems/overlayfs.rst, "whiteouts and opaque
// directories").
#pragma once

#include <sys/stat.h>

namespace saw::os {

// A character device 0:0 in an upper layer hides the name below.
bool is_whiteout(const struct stat& info);
// A directory of an upper layer below which nothing of the lower layers is visible: extended attribute
// trusted.overlay.opaque (mounted by root) or user.overlay.opaque (mounted in a user namespace). An agent can
// set the second itself; where root mounted, that means nothing.
enum class MarkNamespace { trusted, user };
bool is_opaque(int directory, MarkNamespace marks);

}  // namespace saw::os
