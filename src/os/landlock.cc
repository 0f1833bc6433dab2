#include "os/landlock.h"

#include <cerrno>
#include <cstddef>

#include <sys/syscall.h>
#include <unistd.h>

namespace saw::os {
namespace {
// The kernel's structures with all members up to ABI 6. A kernel takes a larger structure whose unknown tail
// is zero.
struct RulesetAttribute {
  uint64_t handled_access_fs, handled_access_net, scoped;
};
struct __attribute__((packed)) PathBeneath {
  uint64_t allowed_access;
  int32_t parent_fd;
};
constexpr unsigned kCreateVersion = 1;  // LANDLOCK_CREATE_RULESET_VERSION
constexpr int kRulePathBeneath = 1;     // LANDLOCK_RULE_PATH_BENEATH
constexpr int kAbiRefer = 2, kAbiTruncate = 3, kAbiIoctl = 5;
}  // namespace

int landlock_abi() noexcept {
  long version = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, kCreateVersion);
  return version < 0 ? 0 : static_cast<int>(version);
}

LandlockRuleset landlock_everything(int abi) noexcept {
  if (abi <= 0) return {};
  LandlockRuleset out{.handled = kLandlockMakeSymlink * 2 - 1};
  if (abi >= kAbiRefer) out.handled |= kLandlockRefer;
  if (abi >= kAbiTruncate) out.handled |= kLandlockTruncate;
  if (abi >= kAbiIoctl) out.handled |= kLandlockIoctlDevice;
  if (abi >= kLandlockAbiScopes) out.scoped = kLandlockScopeAbstractSockets | kLandlockScopeSignals;
  return out;
}

int landlock_create(const LandlockRuleset& ruleset) noexcept {
  RulesetAttribute attribute{ruleset.handled, 0, ruleset.scoped};
  // Old kernels know a shorter structure; a zero tail is accepted by all, so the full size is right whenever
  // `scoped` is honest.
  long fd = ::syscall(SYS_landlock_create_ruleset, &attribute, sizeof attribute, 0);
  return fd < 0 ? -errno : static_cast<int>(fd);
}

int landlock_allow(int ruleset_fd, int path_fd, uint64_t rights) noexcept {
  PathBeneath rule{rights, path_fd};
  return ::syscall(SYS_landlock_add_rule, ruleset_fd, kRulePathBeneath, &rule, 0) == 0 ? 0 : errno;
}

int landlock_enforce(int ruleset_fd) noexcept {
  return ::syscall(SYS_landlock_restrict_self, ruleset_fd, 0) == 0 ? 0 : errno;
}

}  // namespace saw::os
