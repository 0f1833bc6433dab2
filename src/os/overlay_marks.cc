#include "os/overlay_marks.h"

#include <array>
#include <cstring>
#include <string>

#include <fcntl.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "os/xattr.h"

namespace saw::os {

bool is_whiteout(const struct stat& info) {
  return S_ISCHR(info.st_mode) && info.st_rdev == makedev(0, 0);
}

namespace {

const char* opaque_mark(MarkNamespace marks) {
  return marks == MarkNamespace::trusted ? "trusted.overlay.opaque" : "user.overlay.opaque";
}

// fs/overlayfs/overlayfs.h, struct ovl_fb: version, magic, len, flags, type, uuid[16], then the handle itself.
constexpr size_t kOriginHeader = 21, kOriginType = 4, kMaxHandle = 128;
constexpr unsigned char kOriginMagic = 0xfb;

struct Handle {
  alignas(file_handle) std::array<char, sizeof(file_handle) + kMaxHandle> bytes{};
  file_handle* get() { return reinterpret_cast<file_handle*>(bytes.data()); }
};

}  // namespace

bool is_opaque(int directory, MarkNamespace marks) {
  char value = 0;
  return ::fgetxattr(directory, opaque_mark(marks), &value, 1) == 1 && value == 'y';
}

Result<> make_opaque(int directory, MarkNamespace marks) {
  if (::fsetxattr(directory, opaque_mark(marks), "y", 1, 0) != 0)
    return Error::system("os.xattr", "marking a directory of a layer as opaque");
  return {};
}

Origin origin_of(int upper, int lower, MarkNamespace marks) {
  const char* name = marks == MarkNamespace::trusted ? "trusted.overlay.origin" : "user.overlay.origin";
  std::array<unsigned char, kOriginHeader + kMaxHandle> mark{};
  const ssize_t size = ::fgetxattr(upper, name, mark.data(), mark.size());
  if (size <= static_cast<ssize_t>(kOriginHeader) || mark[1] != kOriginMagic) return Origin::none;
  if (lower < 0) return Origin::another;
  Handle handle;
  handle.get()->handle_bytes = kMaxHandle;
  int mount = 0;
  if (::name_to_handle_at(lower, "", handle.get(), &mount, AT_EMPTY_PATH) != 0) return Origin::none;
  const size_t length = static_cast<size_t>(size) - kOriginHeader;
  const bool same = handle.get()->handle_type == mark[kOriginType] && handle.get()->handle_bytes == length &&
                    std::memcmp(handle.get()->f_handle, mark.data() + kOriginHeader, length) == 0;
  return same ? Origin::same : Origin::another;
}

bool is_overlay_mark(std::string_view attribute) {
  return attribute.starts_with("trusted.overlay.") || attribute.starts_with("user.overlay.");
}

Result<> drop_unseen_attributes(int fd) {
  constexpr std::string_view kAccessList = "system.posix_acl_access";
  for (const std::string& name : SAW_TRY(attribute_names(fd)))
    if ((is_overlay_mark(name) || name == kAccessList) && ::fremovexattr(fd, name.c_str()) != 0 &&
        errno != ENODATA)
      return Error::system("os.xattr", "removing the attribute {} of a layer's file", name);
  return {};
}

}  // namespace saw::os
