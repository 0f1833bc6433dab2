// The child between clone and exec: another language. It allocates nothing, takes no lock, logs nothing; what
// it needs was prepared by the parent, and a failure is one record on a pipe.
#pragma once

#include <cstdint>
#include <vector>

#include "os/landlock.h"
#include "os/seccomp.h"
#include "sandbox/mount_script.h"

namespace saw::sandbox {

// In the order in which they happen.
enum class Stage : uint8_t {
  die_with_parent,
  join_cgroup,
  join_network,
  private_mounts,
  root,
  mounts,
  host_name,
  enter_root,
  seal_root,
  session,
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
  execute,
};
constexpr Stage kEnumLast(Stage) {
  return Stage::execute;
}

struct Failure {
  Stage stage = Stage::die_with_parent;
  int32_t error = 0;   // errno
  uint32_t index = 0;  // which step of the script, which path
};

struct ChildSpec {
  bool rootless = false;
  const std::vector<Step>* script = nullptr;
  const std::vector<PathRights>* rights = nullptr;
  os::LandlockRuleset landlock;  // nothing handled: this kernel has none, and the plan lives with that
  const os::SeccompProgram* filter = nullptr;
  std::vector<int> join;  // cgroup files
  int netns = -1, init = -1;
  int control = -1, go = -1, report = -1;  // become 3, 4, 5
  const char* image =
      nullptr;  // opened by the child: a mount can only be copied from the own mount namespace
  const char* scratch = nullptr;
  const char* hostname = nullptr;
  uint32_t uid = 0, gid = 0;  // of the agent, as the parent sees them; rootless: 0
  uint32_t inside_uid = 0;    // rootless: what that is called inside
  LimitSet limits;
  uint64_t process_limit = 0;  // by rlimit, where no cgroup counts processes; 0: none
};

// saw-init's inherited descriptors.
constexpr int kInitControl = 3, kInitGo = 4;

[[noreturn]] void run_child(const ChildSpec& spec) noexcept;

}  // namespace saw::sandbox
