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
  uint64_t oom_kills(const std::string& cgroup) override { return launcher_.oom_kills(cgroup); }

 private:
  Launcher launcher_;
};

}  // namespace

std::unique_ptr<Runtime> make_runtime(Launcher launcher) {
  return std::make_unique<LauncherRuntime>(std::move(launcher));
}

}  // namespace saw::sandbox
