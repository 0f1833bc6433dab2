// How overlayfs records what a layer deletes (Documentation/filesystems/overlayfs.rst, "whiteouts and opaque
// directories").
#pragma once

#include <string_view>

#include <sys/stat.h>

#include "base/result.h"

namespace saw::os {

// A character device 0:0 in an upper layer hides the name below.
bool is_whiteout(const struct stat& info);
// A directory of an upper layer below which nothing of the lower layers is visible: extended attribute
// trusted.overlay.opaque (mounted by root) or user.overlay.opaque (mounted in a user namespace). An agent can
// set the second itself; where root mounted, that means nothing.
enum class MarkNamespace { trusted, user };
bool is_opaque(int directory, MarkNamespace marks);
Result<> make_opaque(int directory, MarkNamespace marks);
// What an inode of the upper layer says of the lower one that it was copied from ("overlay.origin"), compared
// with `lower`: the file handle of an inode, so that one that was put in its place later is told from it.
enum class Origin {
  none,     // made in the upper layer, or the file system gives no handles
  same,     // copied from `lower`
  another,  // copied from an inode that is not `lower`
};
Origin origin_of(int upper, int lower, MarkNamespace marks);  // lower -1: `another` where there is an origin
// Whether an extended attribute is overlayfs's own, in either name space.
bool is_overlay_mark(std::string_view attribute);
// Takes from an inode that leaves its layer what nobody sees of it there: overlayfs's marks, and its access
// control list.
Result<> drop_unseen_attributes(int fd);

}  // namespace saw::os
