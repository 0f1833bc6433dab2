#include "os/capability.h"

#include <cerrno>

#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace saw::os {
namespace {
constexpr unsigned long kMaxCapability = 63;  // the kernel answers EINVAL past its last one
constexpr int kLockedBits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE |
                            SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
                            SECBIT_NO_SETUID_FIXUP_LOCKED;
int outcome(long result) {
  return result == 0 ? 0 : errno;
}
}  // namespace

int drop_bounding_set() noexcept {
  if (int error = outcome(::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0))) return error;
  for (unsigned long capability = 0; capability <= kMaxCapability; ++capability) {
    if (::prctl(PR_CAPBSET_READ, capability, 0, 0, 0) != 1) continue;
    if (int error = outcome(::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0))) return error;
  }
  return 0;
}

int lock_securebits() noexcept {
  return outcome(::prctl(PR_SET_SECUREBITS, kLockedBits, 0, 0, 0));
}

int check_securebits_locked() noexcept {
  return ::prctl(PR_GET_SECUREBITS, 0, 0, 0, 0) == kLockedBits ? 0 : EPERM;
}

int check_bounding_set_empty() noexcept {
  for (unsigned long capability = 0; capability <= kMaxCapability; ++capability) {
    const int has = ::prctl(PR_CAPBSET_READ, capability, 0, 0, 0);
    if (has < 0) return 0;  // past the last one
    if (has > 0) return EPERM;
  }
  return 0;
}

int drop_capabilities() noexcept {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};
  if (int error = outcome(::syscall(SYS_capset, &header, none))) return error;
  return capability_state() == CapabilityState::none ? 0 : EPERM;
}

int set_no_new_privileges() noexcept {
  return outcome(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}
int set_undumpable() noexcept {
  return outcome(::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0));
}

int become(uint32_t uid, uint32_t gid) noexcept {
  // The raw calls: the C library's own would signal other threads to follow, and here there are none.
  if (int error = outcome(::syscall(SYS_setgroups, 0, nullptr))) return error;
  if (int error = outcome(::syscall(SYS_setresgid, gid, gid, gid))) return error;
  return outcome(::syscall(SYS_setresuid, uid, uid, uid));
}

CapabilityState capability_state() noexcept {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct now[_LINUX_CAPABILITY_U32S_3] = {};
  if (::syscall(SYS_capget, &header, now) != 0) return CapabilityState::some;
  for (const auto& half : now)
    if (half.effective | half.permitted | half.inheritable) return CapabilityState::some;
  return CapabilityState::none;
}

}  // namespace saw::os
