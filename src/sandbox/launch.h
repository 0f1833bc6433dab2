// Carries out a SandboxPlan on this host: namespaces, mounts, network, limits, identity, confinement, then
// saw-init as PID 1.
//
//   Launcher launcher = SAW_TRY(Launcher::create(host));
//   Launched sandbox = SAW_TRY(launcher.launch(plan, layers));
//   SAW_TRY(sandbox.go());                       // until then saw-init waits, and dies with saw-node:
//   nothing unrecorded ever runs
//
// The order of confinement is written down in launch.cc and tested. Works as root, and as an ordinary user
// inside a user namespace that saw-node made for itself (Host::rootless).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/fd.h"
#include "os/cgroup.h"
#include "os/seccomp.h"
#include "sandbox/plan.h"

namespace saw::sandbox {

struct Host {
  bool rootless = false;
  std::string run_directory;  // holds <sandbox id>.sock
  std::string
      scratch_directory;  // an empty directory, used as mount point inside the child's own mount namespace
  std::string init_path;  // the static saw-init
};

// Where the plan's storage ids lie on this host. Directories exist and belong to `uid`.
struct Layers {
  std::vector<std::string> lower;  // top first; empty for a workspace
  std::string upper;  // workspace: the directory itself; session: overlay upper; call: empty (tmpfs)
  std::string work;   // session: overlay work directory
  uint32_t uid = 0,
           gid =
               0;  // who the agent is outside; inside always kAgentUid when rootless, the same number as root
};

constexpr uint32_t kAgentUid = 1000;

struct Launched {
  int32_t init_pid = 0;          // in saw-node's pid namespace
  uint64_t init_start_time = 0;  // field 22 of /proc/<pid>/stat: with the pid, a name that is never reused
  Fd init_pidfd;
  Fd capture_listener, dns_socket;  // inside the sandbox's network namespace; empty with Network::none
  std::string control_socket;       // path; saw-init accepts one SOCK_SEQPACKET connection at a time
  std::string cgroup;               // name below SAW's cgroup roots, for release_cgroup()
  std::vector<std::string> degraded;
  Fd go_pipe;
  Result<> go();  // closes go_pipe after writing the release byte
};

struct ChildSpec;  // launch_child.h

class Launcher {
 public:
  static Result<Launcher> create(Host host);
  Result<Launched> launch(const SandboxPlan& plan, const Layers& layers) const;
  // After a restart of saw-node: listener and DNS socket anew, in the network namespace of a living saw-init.
  struct Sockets {
    Fd capture_listener, dns_socket;
  };
  Result<Sockets> reopen_sockets(int32_t init_pid) const;
  // Removes the cgroup; waits (bounded) for its last process. An absent one is fine.
  Result<> release_cgroup(const std::string& name) const;
  // Every cgroup of ours that exists, for the clean-up of what a killed saw-node left.
  std::vector<std::string> existing_cgroups() const;
  // How many of its processes the kernel has killed for want of memory; 0 when that cannot be known.
  uint64_t oom_kills(const std::string& cgroup) const;

 private:
  Launcher(Host host, os::CgroupTree cgroups);
  Result<std::vector<std::string>> check_features(const SandboxPlan& plan, const os::Cgroup& cgroup) const;
  Result<> fill(const SandboxPlan& plan, const Layers& layers, const os::Cgroup& cgroup, Launched& out) const;
  Result<> start(const ChildSpec& child, Launched& out) const;

  Host host_;
  os::CgroupTree cgroups_;
  os::SeccompProgram filter_;
  int landlock_abi_ = 0;
};

// One guarantee of this host, for `saw doctor` and NodeHello.
struct HostFeature {
  enum class State : uint8_t { ok, degraded, missing } state = State::ok;
  std::string name;         // "landlock", "cgroup-memory", …
  std::string detail;       // "ABI 7", "cgroup v1"
  std::string consequence;  // what is weaker without it, and what to do
};
// The feature that only a virtual machine gives: its lack weakens no promise of the namespace driver.
constexpr const char* kOwnKernel = "own-kernel";
std::vector<HostFeature> probe_host(const Host& host);

}  // namespace saw::sandbox
