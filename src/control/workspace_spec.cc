#include "control/workspace_spec.h"

#include "base/bytes.h"
#include "base/crypto.h"
#include "base/wire.h"
#include "control/agents.h"
#include "policy/yaml.h"

namespace saw::control {
namespace {

constexpr size_t kMaxMounts = 64, kMaxPath = 4096, kMaxDiagnostics = 20;

Result<policy::Policy> compile(const WorkspaceSpec& spec) {
  if (spec.policy_yaml.size() > policy::yaml::kMaxBytes)
    return Error::make("request.policy", "a policy of more than {} bytes", policy::yaml::kMaxBytes);
  auto compiled = policy::Policy::compile(spec.policy_yaml, spec.policy_file);
  if (compiled) return std::move(*compiled);
  std::string text = "the policy is not valid:";
  for (size_t shown = 0; const policy::Diagnostic& diagnostic : compiled.error()) {
    if (++shown > kMaxDiagnostics) break;
    text += "\n" + diagnostic.text();
  }
  return Error::make("policy.invalid", "{}", text);
}

Result<> check_host_paths(const WorkspaceSpec& spec, const Caller& caller) {
  if (spec.mounts.size() > kMaxMounts)
    return Error::make("request.mounts", "more than {} mounts", kMaxMounts);
  if (spec.image != "host" && !is_canonical_path(spec.image))
    return Error::make("request.image", "an image is 'host' or an absolute directory, not '{}'",
                       printable(spec.image));
  for (const MountSpec& mount : spec.mounts)
    if (!is_canonical_path(mount.source) || !is_canonical_path(mount.target) || mount.target == "/")
      return Error::make("request.mounts",
                         "mount '{}' to '{}': absolute paths without '.', '..' or empty segments",
                         printable(mount.source), printable(mount.target));
  if (caller.role != Role::operator_ && (spec.image != "host" || !spec.mounts.empty()))
    return Error::make("access.operator_only",
                       "only an operator can show host directories inside a workspace");
  return {};
}

Result<> check_profile(const WorkspaceSpec& spec, const policy::Policy& policy) {
  if (!spec.profile.empty() && spec.profile != policy::name(policy.profile()))
    return Error::make("request.profile", "profile '{}' was asked for, the policy is for profile '{}'",
                       printable(spec.profile), policy::name(policy.profile()));
  if (!spec.isolation.empty() && spec.isolation != "namespace" && spec.isolation != "vm")
    return Error::make("request.isolation", "isolation is 'namespace' or 'vm', not '{}'",
                       printable(spec.isolation));
  if (spec.isolation == "vm" || policy.isolation() == policy::Isolation::vm)
    return Error::make("not_available_yet",
                       "isolation 'vm' is not available yet, and nothing weaker is started in its place");
  return {};
}

}  // namespace

bool is_canonical_path(std::string_view path) {
  if (path.empty() || path.front() != '/' || path.size() > kMaxPath || path.find('\0') != path.npos)
    return false;
  if (path == "/") return true;
  for (size_t start = 1; start <= path.size();) {
    size_t end = std::min(path.find('/', start), path.size());
    std::string_view segment = path.substr(start, end - start);
    if (segment.empty() || segment == "." || segment == "..") return false;
    start = end + 1;
  }
  return path.back() != '/';
}

std::string spec_digest(const WorkspaceSpec& spec) {
  wire::Writer writer;
  writer(spec.name, spec.profile, spec.policy_yaml, spec.image, spec.memory_bytes, spec.pids,
         spec.cpu_millis);
  for (const MountSpec& mount : spec.mounts) writer(mount.source, mount.target, mount.writable);
  return digest_text(sha256(std::move(writer).take()));
}

Result<Accepted> accept(const WorkspaceSpec& spec, const Caller& caller) {
  SAW_TRY(check_name("workspace", spec.name));
  SAW_TRY(check_host_paths(spec, caller));
  policy::Policy policy = SAW_TRY(compile(spec));
  SAW_TRY(check_profile(spec, policy));
  store::Workspace w{.owner = caller.sponsor,
                     .name = spec.name,
                     .desired = store::Desired::running,
                     .spec_digest = spec_digest(spec),
                     .profile = std::string(policy::name(policy.profile())),
                     .image = spec.image,
                     .policy_yaml = spec.policy_yaml,
                     .policy_file = printable(spec.policy_file),
                     .policy_name = policy.name(),
                     .policy_digest = digest_text(policy.digest()),
                     .memory_bytes = spec.memory_bytes,
                     .pids = spec.pids,
                     .cpu_millis = spec.cpu_millis};
  for (const MountSpec& mount : spec.mounts) w.mounts.push_back({mount.source, mount.target, mount.writable});
  return Accepted{std::move(w), std::move(policy)};
}

}  // namespace saw::control
