// What this host can guarantee, found out by doing it: a network is captured, a trial sandbox is built and
// thrown away.
#include <csignal>

#include <unistd.h>

#include "base/crypto.h"
#include "base/file.h"
#include "os/landlock.h"
#include "os/spawn.h"
#include "sandbox/launch.h"

namespace saw::sandbox {
namespace {

using State = HostFeature::State;
constexpr uint32_t kTrialUid = 65534;

HostFeature landlock_feature() {
  const int abi = os::landlock_abi();
  HostFeature out{.name = "landlock", .detail = fmt::format("ABI {}", abi)};
  if (abi == 0) {
    out.state = State::missing;
    out.detail = "not in this kernel, or not among its active security modules";
    out.consequence =
        "paths are confined by mounts and permissions only; use kernel 5.13 or newer with lsm=landlock,…";
  } else if (abi < os::kLandlockAbiScopes) {
    out.state = State::degraded;
    out.consequence =
        "signals and abstract sockets are confined by namespaces only; kernel 6.12 adds the second layer";
  }
  return out;
}

std::vector<HostFeature> cgroup_features(const os::CgroupTree& tree) {
  std::vector<HostFeature> out;
  for (const auto& [controller, consequence] :
       {std::pair{"memory",
                  "no limit on memory: one sandbox can use up the host's; delegate a cgroup to this user, or "
                  "run as root"},
        {"pids", "the number of processes is limited per user by rlimit only, not per sandbox"},
        {"cpu", "no limit on processor time: a sandbox competes with everything else"}}) {
    HostFeature feature{
        .state = State::missing, .name = fmt::format("cgroup-{}", controller), .consequence = consequence};
    for (const auto& available : tree.controllers())
      if (available.name == controller)
        feature = {.state = State::ok, .name = feature.name, .detail = available.kind};
    if (feature.state == State::missing) feature.detail = "not available to this process";
    out.push_back(std::move(feature));
  }
  return out;
}

// Builds and destroys a sandbox like those that will be started. Everything else that one needs is in it:
// clone3, overlayfs, the mount API, /proc, devpts, the packet filter, securebits, seccomp.
Result<> try_sandbox(const Launcher& launcher, const std::string& directory) {
  for (const char* name : {"", "/lower", "/upper", "/work"})
    SAW_TRY(make_directories(directory + name, 0755));
  const SandboxPlan plan{.id = random_id("sb-trial-"),
                         .depth = Depth::session,
                         .image_root = "/",
                         .read_paths = {"/usr"},
                         .write_paths = {"/workspace"},
                         .hostname = "trial",
                         .strictness = Strictness::best_effort};
  const Layers layers{.owner = directory,
                      .root = directory,
                      .lower = {directory + "/lower"},
                      .upper = directory + "/upper",
                      .work = directory + "/work",
                      .uid = kTrialUid,
                      .gid = kTrialUid};
  Launched launched = SAW_TRY(launcher.launch(plan, layers));
  const os::Child init(launched.init_pid, std::move(launched.init_pidfd));
  init.kill(SIGKILL);
  init.wait_ended(Launcher::kBuildDeadlineMs);
  init.reap();
  ::unlink(launched.control_socket.c_str());
  return launcher.release_cgroup(launched.cgroup);
}

void remove_trial(const std::string& directory) {
  for (const char* name : {"/work/work", "/work", "/upper/workspace", "/upper", "/lower", ""})
    ::rmdir((directory + name).c_str());
}

HostFeature sandbox_feature(const Host& host) {
  HostFeature out{
      .name = "sandbox",
      .detail = "namespaces, overlay, captured network, system call filter: a trial sandbox was built"};
  auto launcher = Launcher::create(host);
  const std::string directory = host.run_directory + "/" + random_id("trial-");
  Result<> tried = launcher ? try_sandbox(*launcher, directory) : Result<>(std::unexpected(launcher.error()));
  remove_trial(directory);
  if (!tried) {
    out.state = State::missing;
    out.detail = tried.error().message;
    out.consequence = "no sandbox can be started on this host";
  }
  return out;
}

}  // namespace

std::vector<HostFeature> probe_host(const Host& host) {
  std::vector<HostFeature> out = {sandbox_feature(host), landlock_feature()};
  for (HostFeature& feature : cgroup_features(os::CgroupTree::find("saw-probe")))
    out.push_back(std::move(feature));
  if (host.rootless)
    out.push_back({.state = State::degraded,
                   .name = "separate-users",
                   .detail = "everything has this user's uid",
                   .consequence = "SAW's programs and the agent are kept apart by namespaces and filters, "
                                  "not by user ids as well"});
  out.push_back(
      {.state = State::missing,
       .name = kOwnKernel,
       .detail = "no microVM driver yet",
       .consequence = "sandboxes share the host's kernel; a policy with 'isolation: vm' is refused"});
  return out;
}

}  // namespace saw::sandbox
