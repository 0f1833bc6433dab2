// Extended attributes of an open file or directory.
//
//   std::vector<Attribute> own = SAW_TRY(user_attributes(fd.get()));   // "user.*", sorted by name
//   SAW_TRY(set_user_attributes(copy.get(), own));                     // now it has exactly these
//
// Only "user.*" counts as content, and of that what overlayfs keeps for itself does not. A file system without
// extended attributes has none. Sizes are bounded by the kernel (64 KiB of names, 64 KiB a value).
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace saw::os {

struct Attribute {
  std::string name, value;
};

Result<std::vector<std::string>> attribute_names(int fd);
Result<std::vector<Attribute>> user_attributes(int fd);
Result<> set_user_attributes(int fd, const std::vector<Attribute>& attributes);

}  // namespace saw::os
