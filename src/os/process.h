// Processes by names that are never reused, and the new process of a sandbox.
#pragma once

#include <cstdint>
#include <optional>

#include "base/fd.h"

namespace saw::os {

// Field 22 of /proc/<pid>/stat, in clock ticks since boot: with the pid, a name that is never reused.
// nullopt: no such process.
std::optional<uint64_t> start_time_of(int32_t pid);

// clone3(2) with new mount, pid, ipc and uts namespaces. Returns 0 in the child, which shares nothing with
// the parent but descriptors and must restrict itself to async-signal-safe work.
struct NewProcess {
  int32_t pid = 0;  // 0: this is the child
  int pidfd = -1;
};
Result<NewProcess> clone_into_namespaces();

// Kills and reaps a child that was never handed on.
void destroy_child(int32_t pid, const Fd& pidfd);

// ---- between clone and exec: no allocation, errno values
int die_with_parent() noexcept;    // SIGKILL; forgotten when the uid changes, so asked for again afterwards
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
int reset_signals() noexcept;                         // every handler default, nothing blocked
// Descriptors `fds` become 3, 4, …; every other one but 0–2 closes on exec. At most kMaxKept.
constexpr int kMaxKept = 4;
int keep_descriptors(const int* fds, int count) noexcept;
int null_standard_streams() noexcept;  // 0–2 become /dev/null: nothing of the parent's terminal or log stays
                                       // open
int new_session() noexcept;
void execute(int program, const char* name) noexcept;  // returns only on failure, with errno set

}  // namespace saw::os
