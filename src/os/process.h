// Processes by names that are never reused, and the new process of a sandbox.
#pragma once

#include <cstdint>
#include <optional>

#include "base/fd.h"

namespace saw::os {

// Field 22 of /proc/<pid>/stat, in clock ticks since boot: with the pid, a name that is never reused.
// nullopt: no such process.
std::optional<uint64_t> start_time_of(int32_t pid);

// clone3(2) with new mount, pid, ipc and uts namespaces, as a child of the caller's own parent. Returns 0 in
// the new process, which shares nothing with the caller but descriptors; otherwise its pid, or -errno.
int32_t clone_sandbox() noexcept;

int name_process(const char* name) noexcept;  // what ps shows; up to 15 characters

// ---- between clone and exec: no allocation, errno values
int die_with_parent() noexcept;  // SIGKILL; forgotten when the uid changes, so asked for again afterwards
int join_network_namespace(int netns) noexcept;
int leave_cgroup_view() noexcept;  // a new cgroup namespace: what was joined is the root
int set_host_name(const char* name) noexcept;
// In a new user namespace, the caller's uid and gid (0 in the parent namespace) become `id`. No other id
// exists there.
int enter_user_namespace_as(uint32_t id) noexcept;
enum class Limit : uint8_t { open_files, file_size, processes, core };
// Of Limit::core: no dump, and not even a call of the host's core_pattern program, which 0 would allow
// (core(5)).
constexpr uint64_t kNoCore = 1;
int set_limit(Limit limit, uint64_t value) noexcept;  // soft and hard; not above the current hard limit
int set_oom_score(const char* score) noexcept;  // of the caller, by /proc/self; raising needs no privilege
int reset_signals() noexcept;                   // every handler default, nothing blocked
// Descriptors `fds` become 3, 4, …; every other one but 0–2 is closed. At most kMaxKept.
constexpr int kMaxKept = 8;
int keep_only(const int* fds, int count) noexcept;
int close_above(int last) noexcept;    // every descriptor with a greater number
int null_standard_streams() noexcept;  // 0–2 become /dev/null: nothing of the parent's terminal or log stays
                                       // open
int new_session() noexcept;

}  // namespace saw::os
