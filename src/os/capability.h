// Privileges of the calling thread, dropped for good. Usable between clone and exec: no allocation, errors as
// errno values.
#pragma once

#include <cstdint>

namespace saw::os {

// Empties bounding (where CAP_SETPCAP allows) and ambient sets. Before the uid is changed.
int drop_bounding_set() noexcept;
// Locks the securebits so that uid 0 means nothing and no capability can be raised again. Needs CAP_SETPCAP.
int lock_securebits() noexcept;
// 0 when somebody has done these two already, EPERM otherwise.
int check_securebits_locked() noexcept;
int check_bounding_set_empty() noexcept;
// Empties permitted, effective and inheritable, and checks it.
int drop_capabilities() noexcept;
int set_no_new_privileges() noexcept;
// No ptrace, no /proc/<pid>/mem, no core dump by others of the same uid. An execve of an ordinary program
// undoes it.
int set_undumpable() noexcept;
// Supplementary groups emptied, then all three gids and uids.
int become(uint32_t uid, uint32_t gid) noexcept;

enum class CapabilityState : uint8_t { none, some };
CapabilityState capability_state() noexcept;  // of the effective and permitted sets

}  // namespace saw::os
