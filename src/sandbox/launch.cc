// The order of confinement, and why it is this one:
//
//   parent   feature check (strict: a missing one aborts)
//            mount script
//            network namespace with its filter, routes and sockets
//            control groups with their limits
//            the control socket
//            clone3(mount, pid, ipc, uts)
//
//   child    die with the parent           so that nothing unrecorded runs
//            join control groups           before anything costs memory; then a cgroup namespace of its own
//            join the network namespace    while it may
//            private propagation, new root, mount script, host name, pivot_root, root read-only
//            rlimits
//            rootless: user namespace      after all mounts: it owns none of its other namespaces
//            securebits, bounding set      while CAP_SETPCAP is there
//            groups, gid, uid              root only
//            capabilities gone, no_new_privs, not dumpable
//            Landlock                      needs no_new_privs; before seccomp
//            descriptors                   3 control socket, 4 go pipe; all others close on exec
//            seccomp                       last: it refuses most of the above
//            execveat(saw-init)            by descriptor: the file is not in the sandbox
//
// saw-init waits on the go pipe. Until the release byte it dies with saw-node; afterwards it survives it.
#include "sandbox/launch.h"

#include <algorithm>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/crypto.h"
#include "os/netns.h"
#include "os/process.h"
#include "os/sandbox_syscalls.h"
#include "os/unix_path.h"
#include "sandbox/launch_child.h"

namespace saw::sandbox {
namespace {

constexpr int kBuildDeadlineMs = 10'000;
constexpr size_t kInstanceBytes = 6;

std::string_view name(Stage stage) {
  constexpr std::string_view kNames[] = {"asking to die with its parent",
                                         "joining its control groups",
                                         "joining its network",
                                         "making mounts private",
                                         "mounting its root",
                                         "mounting",
                                         "setting the host name",
                                         "entering its root",
                                         "making the root read-only",
                                         "starting a session",
                                         "setting limits",
                                         "entering a user namespace",
                                         "locking securebits",
                                         "emptying the bounding set",
                                         "changing the user",
                                         "dropping capabilities",
                                         "setting no_new_privs",
                                         "asking again to die with its parent",
                                         "enforcing Landlock",
                                         "arranging descriptors",
                                         "loading the system call filter",
                                         "executing saw-init"};
  return kNames[static_cast<int>(stage)];
}

std::unexpected<Error> explain(const Failure& failure, const ChildSpec& child) {
  std::string what = fmt::format("the new sandbox, {}", name(failure.stage));
  if (failure.stage == Stage::mounts && failure.index < child.script->size())
    what += " (" + describe((*child.script)[failure.index]) + ")";
  if (failure.stage == Stage::landlock && failure.index < child.rights->size())
    what += " (" + (*child.rights)[failure.index].path + ")";
  return std::unexpected(Error::from_errno("sandbox.build", failure.error, std::move(what)));
}

// Waits until the child has executed saw-init (the pipe closes) or says why not.
Result<> await_built(const Fd& report, const ChildSpec& child) {
  pollfd ready{report.get(), POLLIN, 0};
  int polled;
  do polled = ::poll(&ready, 1, kBuildDeadlineMs);
  while (polled < 0 && errno == EINTR);
  if (polled == 0)
    return Error::make("sandbox.build", "the new sandbox was not ready after {} ms", kBuildDeadlineMs);
  Failure failure;
  const ssize_t n = ::read(report.get(), &failure, sizeof failure);
  if (n == 0) return {};
  if (n != sizeof failure || failure.stage > kEnumLast(Stage{}))
    return Error::make("sandbox.build", "a malformed failure record");
  return explain(failure, child);
}

struct SandboxNetwork {
  Fd netns;
  os::CapturedSockets sockets;
};
Result<SandboxNetwork> build_network(Network wanted) {
  if (wanted == Network::none) return SandboxNetwork{SAW_TRY(os::create_dead_network()), {}};
  os::CapturedNetwork net = SAW_TRY(os::create_captured_network());
  return SandboxNetwork{std::move(net.netns), std::move(net.sockets)};
}

}  // namespace

Result<> Launched::go() {
  SAW_TRY(write_all(go_pipe, "g"), "releasing the sandbox");
  go_pipe.reset();
  return {};
}

Launcher::Launcher(Host host, os::CgroupTree cgroups)
    : host_(std::move(host)),
      cgroups_(std::move(cgroups)),
      filter_(os::compile_seccomp(os::sandbox_syscalls(), os::Verdict::unknown)),
      landlock_abi_(os::landlock_abi()) {}

Result<Launcher> Launcher::create(Host host) {
  SAW_TRY(Fd::open(host.init_path, O_PATH), "looking for saw-init");
  SAW_TRY(Fd::open(host.scratch_directory, O_PATH | O_DIRECTORY), "looking for the scratch directory");
  SAW_TRY(Fd::open(host.run_directory, O_PATH | O_DIRECTORY), "looking for the run directory");
  // One directory of control groups per instance of SAW: two on one host must not clean up each other's.
  const std::string instance = "saw-" + to_hex(view(sha256(host.run_directory)).substr(0, kInstanceBytes));
  os::CgroupTree cgroups = os::CgroupTree::find(instance);
  return Launcher(std::move(host), std::move(cgroups));
}

// What this sandbox will not have. With Strictness::strict that is an error.
Result<std::vector<std::string>> Launcher::check_features(const SandboxPlan& plan,
                                                          const os::Cgroup& cgroup) const {
  std::vector<std::string> degraded;
  if (landlock_abi_ == 0)
    degraded.push_back("landlock: paths are confined by mounts and permissions only");
  else if (landlock_abi_ < os::kLandlockAbiScopes)
    degraded.push_back("landlock-scopes: this kernel cannot scope signals and abstract sockets");
  for (const std::string& missing : cgroup.missing)
    degraded.push_back(fmt::format("cgroup-{}: that limit is not enforced by the kernel", missing));
  if (!degraded.empty() && plan.strictness == Strictness::strict)
    return Error::make("sandbox.missing_feature", "the policy is strict and this host lacks {}",
                       fmt::join(degraded, "; "));
  return degraded;
}

Result<> Launcher::start(const ChildSpec& child, Launched& out) const {
  Pipe report = SAW_TRY(Pipe::create());
  ChildSpec spec = child;
  spec.report = report.write.get();
  os::NewProcess process = SAW_TRY(os::clone_into_namespaces());
  if (process.pid == 0) run_child(spec);
  out.init_pid = process.pid;
  out.init_pidfd = Fd(process.pidfd);
  report.write.reset();
  auto built = await_built(report.read, spec);
  if (built) {
    out.init_start_time = os::start_time_of(out.init_pid).value_or(0);
    return {};
  }
  os::destroy_child(out.init_pid, out.init_pidfd);
  return built;
}

Result<Launched> Launcher::launch(const SandboxPlan& plan, const Layers& layers) const {
  const os::CgroupLimits limits{plan.limits.memory_bytes, plan.limits.pids,
                                plan.limits.cpu_millis_per_second};
  os::Cgroup cgroup = SAW_TRY(cgroups_.create(plan.id, limits), "setting limits");
  Launched out{.control_socket = host_.run_directory + "/" + plan.id + ".sock", .cgroup = plan.id};
  auto undo = [&](Error error) {
    ::unlink(out.control_socket.c_str());
    auto removed = cgroups_.remove(plan.id);
    return std::unexpected(std::move(error));
  };
  auto degraded = check_features(plan, cgroup);
  if (!degraded) return undo(std::move(degraded).error());
  out.degraded = std::move(*degraded);
  auto filled = fill(plan, layers, cgroup, out);
  if (!filled) return undo(std::move(filled).error().within(fmt::format("launching sandbox '{}'", plan.id)));
  return out;
}

Result<> Launcher::fill(const SandboxPlan& plan, const Layers& layers, const os::Cgroup& cgroup,
                        Launched& out) const {
  const uint32_t inside = host_.rootless ? kAgentUid : layers.uid;
  const std::vector<Step> script = SAW_TRY(make_mount_script(plan, layers,
                                                             {.rootless = host_.rootless,
                                                              .scratch_directory = host_.scratch_directory,
                                                              .uid = inside,
                                                              .gid = host_.rootless ? kAgentUid : layers.gid},
                                                             image_at(plan.image_root)));
  const std::vector<PathRights> rights = landlock_rights(plan);
  SandboxNetwork network = SAW_TRY(build_network(plan.network));
  const Fd init = SAW_TRY(Fd::open(host_.init_path, O_PATH), "opening saw-init");
  const Fd control = SAW_TRY(os::listen_unix(out.control_socket, os::SocketKind::seqpacket, 0600),
                             "creating the control socket");
  Pipe go = SAW_TRY(Pipe::create());
  ChildSpec child{.rootless = host_.rootless,
                  .script = &script,
                  .rights = &rights,
                  .landlock = os::landlock_everything(landlock_abi_),
                  .filter = &filter_,
                  .netns = network.netns.get(),
                  .init = init.get(),
                  .control = control.get(),
                  .go = go.read.get(),
                  .image = plan.image_root.c_str(),
                  .scratch = host_.scratch_directory.c_str(),
                  .hostname = plan.hostname.c_str(),
                  .uid = host_.rootless ? 0 : layers.uid,
                  .gid = host_.rootless ? 0 : layers.gid,
                  .inside_uid = kAgentUid,
                  .limits = plan.limits};
  for (const Fd& file : cgroup.join) child.join.push_back(file.get());
  const bool counted =
      std::ranges::none_of(cgroup.missing, [](const std::string& m) { return m.starts_with("pids"); });
  if (!counted) child.process_limit = plan.limits.pids;
  SAW_TRY(start(child, out));
  out.capture_listener = std::move(network.sockets.listener);
  out.dns_socket = std::move(network.sockets.dns);
  out.go_pipe = std::move(go.write);
  return {};
}

Result<Launcher::Sockets> Launcher::reopen_sockets(int32_t init_pid) const {
  os::CapturedSockets sockets = SAW_TRY(os::reopen_captured_sockets(init_pid));
  return Sockets{std::move(sockets.listener), std::move(sockets.dns)};
}

Result<> Launcher::release_cgroup(const std::string& name) const {
  return cgroups_.remove(name);
}
std::vector<std::string> Launcher::existing_cgroups() const {
  return cgroups_.names();
}
uint64_t Launcher::oom_kills(const std::string& cgroup) const {
  return cgroups_.oom_kills(cgroup);
}

}  // namespace saw::sandbox
