#include "control/workspace_spec.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/crypto.h"
#include "base/wire.h"
#include "control/agents.h"
#include "policy/projectable.h"
#include "policy/yaml.h"

namespace saw::control {
namespace {

constexpr size_t kMaxMounts = 64, kMaxPath = 4096, kMaxDiagnostics = 20;

Result<policy::Policy> compile(const WorkspaceSpec& spec) {
  if (spec.policy_yaml.size() > policy::yaml::kMaxBytes)
    return Error::make("request.policy", "a policy of more than {} bytes", policy::yaml::kMaxBytes);
  auto compiled = policy::Policy::compile(spec.policy_yaml, spec.policy_file);
  if (compiled) {
    const policy::Diagnostics later = policy::unprojectable(*compiled);
    if (later.empty()) return std::move(*compiled);
    return Error::make("policy.not_available_yet", "the policy cannot be enforced:\n{}",
                       policy::lines_of(later));
  }
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

Result<sandbox::WarmRuntime::Kind> warm_kind(std::string_view command) {
  const size_t slash = command.rfind('/');
  const std::string_view program = slash == command.npos ? command : command.substr(slash + 1);
  if (slash != command.npos && !is_canonical_path(command))
    return Error::make("request.warm", "'{}' is neither a program's name nor an absolute path",
                       printable(command, 80));
  if (program == "bash") return sandbox::WarmRuntime::Kind::bash;
  const std::string_view python = "python3";
  if (program.starts_with(python) && std::ranges::all_of(program.substr(python.size()), [](char c) {
        return c == '.' || (c >= '0' && c <= '9');
      }))
    return sandbox::WarmRuntime::Kind::python;
  return Error::make("request.warm", "'{}' cannot be kept started; bash and python3 can",
                     printable(command, 80));
}

std::vector<std::string> merge_environment(const std::vector<std::string>& base,
                                           const std::map<std::string, std::string>& set) {
  std::map<std::string, std::string> merged;
  for (const std::string& entry : base) {
    size_t equals = entry.find('=');
    merged[entry.substr(0, equals)] = entry.substr(equals + 1);
  }
  for (const auto& [name, value] : set) merged[name] = value;
  std::vector<std::string> out;
  for (const auto& [name, value] : merged) out.push_back(name + "=" + value);
  return out;
}

std::string spec_digest(const WorkspaceSpec& spec) {
  wire::Writer writer;
  // A channel's workspace is the same one whatever the channel's release is at the time.
  writer(spec.name, spec.profile, spec.channel.empty() ? spec.policy_yaml : "channel " + spec.channel,
         spec.image, spec.memory_bytes, spec.pids, spec.cpu_millis);
  for (const MountSpec& mount : spec.mounts) writer(mount.source, mount.target, mount.writable);
  for (const std::string& runtime : spec.warm) writer(runtime);
  return digest_text(sha256(std::move(writer).take()));
}

Result<Accepted> accept(const WorkspaceSpec& asked, const Caller& caller, const release::Verified* release) {
  WorkspaceSpec spec = asked;
  if (spec.channel.empty() == spec.policy_yaml.empty())
    return Error::make("request.policy", "a workspace has either a policy or a channel");
  if (release) {
    spec.policy_yaml = release->policy_text;
    spec.policy_file = fmt::format("{} of channel {}", release->manifest.version, spec.channel);
  }
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
                     .cpu_millis = spec.cpu_millis,
                     .warm = spec.warm,
                     .channel = spec.channel};
  if (spec.warm.size() > sandbox::kMaxRuntimes)
    return Error::make("request.warm", "at most {} runtimes can be kept started", sandbox::kMaxRuntimes);
  for (const std::string& runtime : spec.warm) SAW_TRY(warm_kind(runtime));
  for (const MountSpec& mount : spec.mounts) w.mounts.push_back({mount.source, mount.target, mount.writable});
  return Accepted{std::move(w), std::move(policy)};
}

}  // namespace saw::control
