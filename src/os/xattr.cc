#include "os/xattr.h"

#include <algorithm>

#include <sys/xattr.h>

#include "base/bytes.h"
#include "os/overlay_marks.h"

namespace saw::os {
namespace {

constexpr size_t kMaxValue = 64u << 10, kMaxNames = 64u << 10;  // XATTR_SIZE_MAX, XATTR_LIST_MAX
constexpr std::string_view kUser = "user.";

bool is_own(std::string_view name) {
  return name.starts_with(kUser) && !is_overlay_mark(name);
}

}  // namespace

Result<std::vector<std::string>> attribute_names(int fd) {
  std::string names(256, '\0');
  ssize_t size = ::flistxattr(fd, names.data(), names.size());
  if (size < 0 && errno == ERANGE) {
    names.resize(kMaxNames);
    size = ::flistxattr(fd, names.data(), names.size());
  }
  if (size < 0 && errno == ENOTSUP) return std::vector<std::string>();
  if (size < 0) return Error::system("os.xattr", "listing extended attributes");
  std::vector<std::string> out;
  for (std::string_view rest(names.data(), static_cast<size_t>(size)); !rest.empty();) {
    const std::string_view name = rest.substr(0, rest.find('\0'));
    out.emplace_back(name);
    rest.remove_prefix(std::min(rest.size(), name.size() + 1));
  }
  std::ranges::sort(out);
  return out;
}

Result<std::vector<Attribute>> user_attributes(int fd) {
  std::vector<Attribute> out;
  for (std::string& name : SAW_TRY(attribute_names(fd))) {
    if (!is_own(name)) continue;
    std::string value(kMaxValue, '\0');
    const ssize_t size = ::fgetxattr(fd, name.c_str(), value.data(), value.size());
    if (size < 0 && errno == ENODATA) continue;
    if (size < 0) return Error::system("os.xattr", "reading the attribute {}", printable(name));
    value.resize(static_cast<size_t>(size));
    out.push_back({std::move(name), std::move(value)});
  }
  return out;
}

Result<> set_user_attributes(int fd, const std::vector<Attribute>& attributes) {
  for (const std::string& name : SAW_TRY(attribute_names(fd)))
    if (is_own(name) && std::ranges::find(attributes, name, &Attribute::name) == attributes.end() &&
        ::fremovexattr(fd, name.c_str()) != 0 && errno != ENODATA)
      return Error::system("os.xattr", "removing the attribute {}", printable(name));
  for (const Attribute& each : attributes)
    if (::fsetxattr(fd, each.name.c_str(), each.value.data(), each.value.size(), 0) != 0)
      return Error::system("os.xattr", "setting the attribute {}", printable(each.name));
  return {};
}

}  // namespace saw::os
