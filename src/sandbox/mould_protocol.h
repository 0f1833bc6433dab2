// What saw-node tells a mould, and what comes back: this header is the whole of that conversation.
//
// A mould is a saw-init that has not become a sandbox yet: privileged, small, one per way of confinement and
// workspace. It builds the root that its sandboxes have in common once, in a mount namespace of its own, and
// then forks: each fork confines itself for good and goes on as PID 1 (launch_child.h). A fat process must
// never fork, and executing a program costs as much as all the rest.
//
// SOCK_SEQPACKET, from saw-node only; the first message is a MouldSpec, every other one a SandboxSpec with
// its descriptors. Nothing comes back on that socket. What became of one sandbox comes on the report socket
// that its SandboxSpec carries: Cloned from the mould, Built or Failed from the sandbox, in any order, and
// then the end. saw-node is the parent of every sandbox, and has each one's pid from the kernel with its own
// first word: a mould may die between the clone and its report.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/wire.h"
#include "sandbox/mount_script.h"

namespace saw::sandbox {

struct MouldSpec {
  bool rootless = false;
  std::string image;    // directory of the image
  std::string scratch;  // an empty directory, where the root grows
  std::vector<Step> shared;
  std::string filter;                                  // os::SeccompProgram, byte by byte
  uint64_t landlock_handled = 0, landlock_scoped = 0;  // nothing handled: this kernel has none
  uint32_t uid = 0, gid = 0;                           // of the agent, as saw-node sees them; rootless: 0
  uint32_t inside_uid = 0;                             // rootless: what that is called inside
  std::string hostname;
  template <class A> void members(A& a) {
    a(rootless, image, scratch, shared, filter, landlock_handled, landlock_scoped, uid, gid, inside_uid,
      hostname);
  }
};

// What the waiting process of a sandbox for one command does first.
enum class First : uint8_t {
  wait,     // for a StartCommand on the go socket
  command,  // become it at once: `command` came with the request
  runtime   // become it at once; it waits by itself, for its script
};
constexpr First kEnumLast(First) {
  return First::runtime;
}

// How saw-init gets its commands.
enum class Serve : uint8_t {
  many,  // on connections to a listening socket, once a byte has come through the go pipe
  once   // a single command, for which a process waits; the end of that process is the end of everything
};
constexpr Serve kEnumLast(Serve) {
  return Serve::once;
}

// Descriptors: report, network namespace, control, go; then `mounts` detached mounts of the storage; then for
// Serve::once stdin, stdout, stderr; then with a runtime its script; then the control groups' files. With Serve::many, control
// is the listening socket and go a pipe; with Serve::once, control is a connected socket and go the one on
// which the StartCommand comes (or, for a runtime, the pipe that releases it).
struct SandboxSpec {
  Serve serve = Serve::many;
  std::vector<Step> own;
  std::vector<PathRights> rights;
  LimitSet limits;
  uint32_t mounts = 0;         // of the storage, read-only where they are not to be written to
  uint64_t process_limit = 0;  // by rlimit, where no control group counts processes; 0: none
  First first = First::wait;
  std::vector<std::string> command, environment;  // with First::command and First::runtime
  std::string directory;
  template <class A> void members(A& a) {
    a(serve, own, rights, limits, mounts, process_limit, first, command, environment, directory);
  }
};
constexpr size_t kFixedDescriptors = 4, kStreamDescriptors = 3;

// In the order in which they happen.
enum class Stage : uint8_t {
  mould_mounts,  // of the mould: everything until its root is sealed
  clone,
  die_with_parent,
  join_cgroup,
  join_network,
  mounts,
  host_name,
  session,
  streams,
  limits,
  user_namespace,
  securebits,
  bounding_set,
  identity,
  capabilities,
  no_new_privileges,
  parent_again,
  landlock,
  descriptors,
  filter,
  serve,
};
constexpr Stage kEnumLast(Stage) {
  return Stage::serve;
}

enum class ReportKind : uint8_t { cloned, built, failed };
constexpr ReportKind kEnumLast(ReportKind) {
  return ReportKind::failed;
}
// Sent as it is in memory: the sandbox's side writes it between clone and confinement.
struct Report {
  ReportKind kind = ReportKind::built;
  Stage stage = Stage::serve;
  int32_t pid = 0;     // cloned: as saw-node sees it
  int32_t error = 0;   // failed: errno
  uint32_t index = 0;  // failed: which step, which path
};

}  // namespace saw::sandbox
