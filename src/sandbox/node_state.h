// What saw-node remembers about each running sandbox over its own death: one small file per sandbox, written
// before the sandbox may run.
//
//   SAW_TRY(state.write(record));     // then Launched::go()
//   for (SandboxRecord& record : SAW_TRY(state.load())) …
//
// Records describe processes and do not outlive the kernel, so they are not flushed to disk; `boot` tells
// those of an earlier boot.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "os/spawn.h"
#include "sandbox/plan.h"
#include "sandbox/probe_list.h"

namespace saw::sandbox {

// What it takes to prove a sandbox again, and the proof that it has.
struct ProofRecord {
  ProbeSubject subject;
  LimitSet limits;
  std::vector<std::string> degraded;
  std::string plan_digest;
  std::string sealed;  // proof.h; empty: a call of a plan that was proven before
  template <class A> void members(A& a) { a(subject, limits, degraded, plan_digest, sealed); }
};

struct SandboxRecord {
  std::string sandbox, workspace, session, boot, control_socket, cgroup;
  Depth depth = Depth::call;
  Network network = Network::captured;
  int32_t init_pid = 0;
  uint64_t init_start_time = 0;
  uint32_t uid = 0;
  ProofRecord proof;
  template <class A> void members(A& a) {
    a(sandbox, workspace, session, boot, control_socket, cgroup, depth, network, init_pid, init_start_time,
      uid, proof);
  }
};

class StateDirectory {
 public:
  static Result<StateDirectory> open(std::string path);

  Result<> write(const SandboxRecord& record) const;
  void remove(const std::string& sandbox) const;
  // Unreadable records are logged and removed, as are half-written ones.
  Result<std::vector<SandboxRecord>> load() const;
  const std::string& boot() const { return boot_; }

 private:
  StateDirectory(std::string path, std::string boot) : path_(std::move(path)), boot_(std::move(boot)) {}
  std::string path_, boot_;
};

// The record's saw-init, if that very process still lives.
std::optional<os::Child> find_init(const SandboxRecord& record, const std::string& boot);

// Whether any process lives in the pid namespace whose first process is `init_pid`: those without a parent are
// its children. true also where that cannot be told.
bool has_children(int32_t init_pid);

// The number in this process's pid namespace of the process that `init_pid` (the first process of a pid
// namespace) knows as `inner_pid`. Looks at init's children only; 0 when it is not (or no longer) there.
int32_t host_pid(int32_t init_pid, int32_t inner_pid);

}  // namespace saw::sandbox
