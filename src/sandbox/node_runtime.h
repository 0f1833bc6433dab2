// The seam between saw-node's book-keeping and the kernel work of Launcher, so that the former is tested
// without privileges.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "sandbox/launch.h"
#include "sandbox/node_probes.h"

namespace saw::sandbox {

class Runtime {
 public:
  virtual ~Runtime() = default;
  virtual Result<Launched> launch(const SandboxPlan& plan, const Layers& layers) = 0;
  virtual Result<std::shared_ptr<const Prepared>> prepare(const SandboxPlan& plan, const Layers& layers) = 0;
  virtual Result<Launching> begin(std::shared_ptr<const Prepared> prepared, const LaunchSpec& spec) = 0;
  virtual Result<std::optional<Launched>> finish(Launching& launching) = 0;
  virtual void drop_moulds(const std::string& storage) = 0;
  virtual bool restock() = 0;
  virtual Result<Launcher::Sockets> reopen_sockets(int32_t init_pid) = 0;
  virtual Result<> release_cgroup(const std::string& name) = 0;
  virtual std::vector<std::string> existing_cgroups() = 0;
  // The probe subject's facts of this host; and what is seen of a running sandbox from outside (node_probes.h).
  virtual ProbeHost probe_host(const Layers& layers) = 0;
  virtual std::vector<ProbeOutcome> probe_from_outside(const ProbedSandbox& sandbox) = 0;
  // How many processes of the cgroup the kernel killed for want of memory; 0 when that cannot be known.
  virtual uint64_t oom_kills(const std::string& cgroup) = 0;
  // How many processes it was refused because there may only be so many; 0 when that cannot be known.
  virtual uint64_t forks_refused(const std::string& cgroup) = 0;
};

std::unique_ptr<Runtime> make_runtime(Launcher launcher);

}  // namespace saw::sandbox
