// A mould's root, and the way of one of its forks into confinement. Another language: from the clone on it
// allocates nothing, takes no lock, logs nothing; what it needs was prepared before, and a failure is one
// record on a socket. Linked into saw-init, which is static.
//
// The order of confinement, and why it is this one:
//
//   saw-node feature check (strict: a missing one aborts), mount script, network namespace with its filter,
//            routes and sockets, control groups with their limits, sockets and pipes, a detached mount of
//            the workspace's storage
//
//   mould    own mount namespace, private propagation, root, shared steps, pivot_root, root read-only
//            as root: securebits and bounding set, which its forks inherit
//            clone3(mount, pid, ipc, uts), with saw-node as the parent
//
//   sandbox  die with the parent           so that nothing unrecorded runs
//            join control groups           before anything costs memory; then a cgroup namespace of its own
//            join the network namespace    while it may
//            own steps, host name          overlay, scratch, /proc, terminals, masks
//            session, streams
//            rootless: user namespace      after all mounts: it owns none of its other namespaces; then
//                                          securebits and bounding set, which it reset
//            groups, gid, uid              root only
//            capabilities gone, no_new_privs, not dumpable
//            Landlock                      needs no_new_privs; before seccomp
//            descriptors                   all others are closed, the mould's own among them; then rlimits
//            seccomp                       last: it refuses most of the above
//
// There is no exec: the process goes on as PID 1, and was never dumpable since it became the agent's.
#pragma once

#include <span>

#include "os/seccomp.h"
#include "sandbox/mould_protocol.h"

namespace saw::sandbox {

// What a fork finds in its memory.
struct MouldState {
  MouldSpec spec;
  os::SeccompProgram filter;
};

// In the mould: after this, "/" is the shared root. 0, or errno with `index` telling the step.
struct MouldFailure {
  int error = 0;
  uint32_t index = 0;
};
MouldFailure build_mould(const MouldSpec& spec) noexcept;

// Where the descriptors lie afterwards; everything else is closed.
constexpr int kInitControl = 3, kInitGo = 4, kInitReport = 5, kInitStreams = 6, kInitScript = 9;

// In the fork: returns confined, or reports and ends the process. `fds` as SandboxSpec orders them.
void confine(const MouldState& mould, const SandboxSpec& spec, std::span<const int> fds) noexcept;
// The last thing that a sandbox says before it serves.
void report_built(int report) noexcept;

}  // namespace saw::sandbox
