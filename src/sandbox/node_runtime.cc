#include "sandbox/node_runtime.h"

namespace saw::sandbox {
namespace {

class LauncherRuntime final : public Runtime {
 public:
  explicit LauncherRuntime(Launcher launcher) : launcher_(std::move(launcher)) {}
  Result<Launched> launch(const SandboxPlan& plan, const Layers& layers) override {
    return launcher_.launch(plan, layers);
  }
  Result<std::shared_ptr<const Prepared>> prepare(const SandboxPlan& plan, const Layers& layers) override {
    return launcher_.prepare(plan, layers);
  }
  Result<Launching> begin(std::shared_ptr<const Prepared> prepared, const LaunchSpec& spec) override {
    return launcher_.begin(std::move(prepared), spec);
  }
  Result<std::optional<Launched>> finish(Launching& launching) override {
    return launcher_.finish(launching);
  }
  bool restock() override { return launcher_.restock(); }
  void drop_moulds(const std::string& storage) override { launcher_.drop_moulds(storage); }
  Result<Launcher::Sockets> reopen_sockets(int32_t init_pid) override {
    return launcher_.reopen_sockets(init_pid);
  }
  Result<> release_cgroup(const std::string& name) override { return launcher_.release_cgroup(name); }
  std::vector<std::string> existing_cgroups() override { return launcher_.existing_cgroups(); }
  ProbeHost probe_host(const Layers& layers) override {
    const uint32_t inside = launcher_.is_rootless() ? kAgentUid : layers.uid;
    return {.landlock = launcher_.has_landlock(), .uid = inside, .gid = inside};
  }
  std::vector<ProbeOutcome> probe_from_outside(const ProbedSandbox& sandbox) override {
    const uint32_t uid = launcher_.is_rootless() ? 0 : sandbox.uid;
    return sandbox::probe_from_outside(
        sandbox.subject, {.inside = sandbox.inside,
                          .init_pid = sandbox.init_pid,
                          .uid = uid,
                          .gid = uid,
                          .capture_listener = &sandbox.capture_listener,
                          .dns_socket = &sandbox.dns_socket,
                          .limits = launcher_.check_limits(sandbox.cgroup, sandbox.limits, sandbox.init_pid,
                                                           sandbox.degraded)});
  }
  uint64_t oom_kills(const std::string& cgroup) override { return launcher_.oom_kills(cgroup); }
  uint64_t forks_refused(const std::string& cgroup) override { return launcher_.forks_refused(cgroup); }

 private:
  Launcher launcher_;
};

}  // namespace

std::unique_ptr<Runtime> make_runtime(Launcher launcher) {
  return std::make_unique<LauncherRuntime>(std::move(launcher));
}

}  // namespace saw::sandbox
