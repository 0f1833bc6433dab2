// Carries out a SandboxPlan on this host: namespaces, mounts, network, limits, identity, confinement, then
// saw-init as PID 1.
//
//   Launcher launcher = SAW_TRY(Launcher::create(host));
//   auto prepared = SAW_TRY(launcher.prepare(plan, layers));     // once per plan
//   Launching launching = SAW_TRY(launcher.begin(*prepared, {.id = "sb-1"}));
//   …                                                            // until launching.report is readable
//   std::optional<Launched> sandbox = SAW_TRY(launcher.finish(launching));
//   SAW_TRY(sandbox->go());                       // until then saw-init waits, and dies with saw-node:
//                                                 // nothing unrecorded ever runs
//
// A sandbox is forked from a mould, a small process that has the root of its kind ready (mould_protocol.h);
// moulds are started when they are first needed. The order of confinement is written down in launch_child.h
// and tested. Works as root, and as an ordinary user inside a user namespace that saw-node made for itself
// (Host::rootless). One thread; begin() and finish() do not wait, launch() does.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "os/cgroup.h"
#include "os/idmap.h"
#include "os/seccomp.h"
#include "sandbox/mould_protocol.h"
#include "sandbox/plan.h"

namespace saw::sandbox {

class Moulds;  // moulds.h
class Spares;  // spares.h

struct Host {
  bool rootless = false;
  std::string run_directory;      // holds <sandbox id>.sock
  std::string scratch_directory;  // an empty directory, on which a mould mounts in its own mount namespace
  std::string init_path;          // the static saw-init
};

constexpr uint32_t kAgentUid = 1000;

struct Launched {
  int32_t init_pid = 0;          // in saw-node's pid namespace
  uint64_t init_start_time = 0;  // field 22 of /proc/<pid>/stat: with the pid, a name that is never reused
  Fd init_pidfd;
  Fd capture_listener, dns_socket;  // inside the sandbox's network namespace; empty with Network::none
  std::string control_socket;  // Serve::many: path; saw-init accepts one SOCK_SEQPACKET connection at a time
  Fd control;                  // Serve::once: the connected socket
  std::vector<Fd> streams;     // Serve::once: our ends of stdin, stdout, stderr
  Fd script;                   // of a runtime: a memfd that it reads once released
  std::string cgroup;          // name below SAW's cgroup roots, for release_cgroup()
  std::vector<std::string> degraded;
  Fd go_pipe;     // Serve::once: the socket for the StartCommand, or a runtime's release
  Result<> go();  // closes go_pipe after writing the release byte
};

// One plan, worked out for this host.
struct Prepared {
  std::string mould;  // key: same mould, same root
  std::string mould_message;
  std::string storage;  // Layers::owner
  std::vector<StorageMount> mounts;
  SandboxSpec spec;
  os::CgroupLimits limits;
  Network network = Network::captured;
  Strictness strictness = Strictness::strict;
  uint32_t uid = 0;  // of the agent, as saw-node sees it
};

// What is new with each sandbox.
struct LaunchSpec {
  std::string id;  // names the control socket and the cgroup
  Serve serve = Serve::many;
  First first = First::wait;                      // Serve::once
  std::vector<std::string> command, environment;  // to be executed at once, unless it is First::wait
  std::string directory;
};

// A sandbox on its way. Destroying it does not stop the sandbox: finish() takes over until it has an outcome.
struct Launching {
  Launched out;
  Fd report;  // readable when finish() has something to do
  bool built = false;
  std::optional<Error> failed;
  std::shared_ptr<const Prepared> prepared;
};

class Launcher {
 public:
  static Result<Launcher> create(Host host);
  Launcher(Launcher&&) noexcept;
  ~Launcher();

  Result<std::shared_ptr<const Prepared>> prepare(const SandboxPlan& plan, const Layers& layers) const;
  Result<Launching> begin(std::shared_ptr<const Prepared> prepared, const LaunchSpec& spec) const;
  // nullopt: not yet. An error: nothing of it is left.
  Result<std::optional<Launched>> finish(Launching& launching) const;
  // All of it, at most kBuildDeadlineMs.
  Result<Launched> launch(const SandboxPlan& plan, const Layers& layers) const;
  static constexpr int kBuildDeadlineMs = 10'000;

  // Ends the moulds of one workspace, by Layers::owner (empty: all).
  void drop_moulds(const std::string& storage) const;
  // Makes one thing beforehand that the next sandbox will need; whether there is more to make.
  bool restock() const;

  // After a restart of saw-node: listener and DNS socket anew, in the network namespace of a living saw-init.
  struct Sockets {
    Fd capture_listener, dns_socket;
  };
  Result<Sockets> reopen_sockets(int32_t init_pid) const;
  // Removes the cgroup, or keeps a call's for another; waits (bounded) for its last process. An absent one is
  // fine.
  Result<> release_cgroup(const std::string& name) const;
  // Whether the process is in that cgroup and each limit that `degraded` does not name is the plan's, as the kernel says.
  Result<> check_limits(const std::string& cgroup, const LimitSet& limits, int32_t pid,
                        const std::vector<std::string>& degraded) const;
  bool has_landlock() const { return landlock_abi_ > 0; }
  bool is_rootless() const { return host_.rootless; }
  // Every cgroup of ours that exists, for the clean-up of what a killed saw-node left.
  std::vector<std::string> existing_cgroups() const;
  // How many of its processes the kernel has killed for want of memory; 0 when that cannot be known.
  uint64_t oom_kills(const std::string& cgroup) const;
  uint64_t forks_refused(
      const std::string& cgroup) const;  // likewise, for want of room in the number of them

 private:
  Launcher(Host host, std::unique_ptr<os::CgroupTree> cgroups);
  Result<std::vector<Fd>> mount_storage(const Prepared& prepared) const;
  Result<std::vector<std::string>> check_features(Strictness strictness, const os::Cgroup& cgroup) const;
  Result<> fill(const Prepared& prepared, const LaunchSpec& spec, const os::Cgroup& cgroup,
                Launching& out) const;
  static Result<> know(int32_t pid, Launched& out);
  Error undo(Launched& out, Error error) const;

  Host host_;
  std::unique_ptr<os::CgroupTree> cgroups_;
  os::SeccompProgram filter_;
  int landlock_abi_ = 0;
  std::unique_ptr<Moulds> moulds_;
  std::unique_ptr<Spares> spares_;
  std::unique_ptr<os::IdMaps> maps_;
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
