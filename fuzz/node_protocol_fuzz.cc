// What sawd sends to saw-node: any bytes give a message or an error, and checking a plan or a command never
// fails otherwise than by an error. An accepted plan names nothing that could leave its place.
#include <cstdint>

#include "base/path.h"
#include "sandbox/node_check.h"
#include "sandbox/storage.h"

using namespace saw;
using namespace saw::sandbox;

namespace {

void check_accepted(const SandboxPlan& plan) {
  const PlanBounds bounds{.own_directories = {"/var/lib/saw"}};
  if (!check_plan(plan, bounds)) return;
  SAW_CHECK(is_valid_id(plan.workspace) && is_sandbox_id(plan.id) && plan.id.find('/') == plan.id.npos);
  for (const HostMount& mount : plan.mounts)
    SAW_CHECK(!is_within(mount.source, "/var/lib/saw") && mount.source.find("/../") == mount.source.npos);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  auto message = wire::decode<ToNode>(bytes);
  if (!message) return 0;
  if (const auto* start = std::get_if<StartSandbox>(&*message)) check_accepted(start->plan);
  if (const auto* exec = std::get_if<StartExec>(&*message))
    static_cast<void>(check_exec(exec->spec).has_value());
  SAW_CHECK(wire::decode<ToNode>(wire::encode(*message)).has_value());
  return 0;
}
