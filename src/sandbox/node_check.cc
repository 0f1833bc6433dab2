#include "sandbox/node_check.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include "base/bytes.h"
#include "base/path.h"
#include "sandbox/storage.h"

namespace saw::sandbox {
namespace {

Result<> check_paths(std::string_view kind, const std::vector<std::string>& paths) {
  if (paths.size() > kMaxPlanPaths) return Error::make("node.bad_plan", "{} {} paths", paths.size(), kind);
  for (const std::string& path : paths)
    if (!is_canonical_path(path) || path == "/")
      return Error::make("node.bad_plan", "the {} path '{}' is not canonical", kind, printable(path));
  return {};
}

Result<> check_files(const std::vector<GeneratedFile>& files) {
  if (files.size() > kMaxGeneratedFiles)
    return Error::make("node.bad_plan", "{} generated files", files.size());
  size_t bytes = 0;
  for (const GeneratedFile& file : files) {
    if (!is_canonical_path(file.path) || file.path == "/")
      return Error::make("node.bad_plan", "the generated file's path '{}' is not canonical",
                         printable(file.path));
    bytes += file.content.size();
  }
  if (bytes > kMaxGeneratedBytes) return Error::make("node.bad_plan", "{} bytes of generated files", bytes);
  return {};
}

constexpr std::array<std::string_view, 3> kKernel = {"/proc", "/sys", "/dev"};

// A path of the host that is to be seen inside.
Result<> check_source(const std::string& path, const PlanBounds& bounds) {
  for (std::string_view kernel : kKernel)
    if (is_within(path, kernel))
      return Error::make("node.bad_plan", "'{}' is the kernel's and cannot be shown", printable(path));
  for (const std::string& own : bounds.own_directories)
    if (is_within(path, own) || is_within(own, path))
      return Error::make("node.bad_plan", "'{}' would show SAW's own state", printable(path));
  return {};
}

Result<> check_mounts(const std::vector<HostMount>& mounts, const PlanBounds& bounds) {
  if (mounts.size() > kMaxMounts) return Error::make("node.bad_plan", "{} mounts", mounts.size());
  for (const HostMount& mount : mounts) {
    if (!is_canonical_path(mount.source) || !is_canonical_path(mount.target) || mount.target == "/" ||
        mount.source == "/")
      return Error::make("node.bad_plan", "the mount '{}' at '{}' is not canonical", printable(mount.source),
                         printable(mount.target));
    SAW_TRY(check_source(mount.source, bounds));
  }
  return {};
}

Result<> check_image(const SandboxPlan& plan, const PlanBounds& bounds) {
  if (!is_canonical_path(plan.image_root))
    return Error::make("node.bad_plan", "the image root '{}' is not canonical", printable(plan.image_root));
  if (plan.image_root != "/") return check_source(plan.image_root, bounds);
  for (const std::string& path : plan.read_paths) SAW_TRY(check_source(path, bounds));
  return {};
}

Result<> check_depth(const SandboxPlan& plan) {
  const bool fits = (plan.depth == Depth::call) || (plan.session.empty() == (plan.depth == Depth::workspace));
  if (!fits) return Error::make("node.bad_plan", "a plan whose depth and session do not agree");
  return {};
}

bool is_host_name(std::string_view name) {
  constexpr size_t kMaxHostName = 63;
  return !name.empty() && name.size() <= kMaxHostName && std::ranges::all_of(name, [](unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
  });
}

bool has_nul(const std::string& text) {
  return text.find('\0') != text.npos;
}

Result<> check_strings(std::string_view kind, const std::vector<std::string>& strings, size_t limit) {
  size_t bytes = 0;
  for (const std::string& each : strings) {
    if (has_nul(each)) return Error::make("node.bad_exec", "a NUL byte in the {}", kind);
    bytes += each.size() + 1 + sizeof(char*);  // as execve(2) counts
  }
  if (bytes > limit || strings.size() > kMaxArguments)
    return Error::make("node.bad_exec", "{} bytes of {}", bytes, kind);
  return {};
}

}  // namespace

bool is_sandbox_id(std::string_view id) {
  return id.starts_with("sb-") && id.size() > 3 && is_valid_id(id);
}

bool is_canonical_path(std::string_view path) {
  if (path.empty() || path.size() > kMaxPathLength || path[0] != '/' || path.find('\0') != path.npos)
    return false;
  if (path == "/") return true;
  for (size_t start = 1;;) {
    const size_t end = path.find('/', start);
    const std::string_view part = path.substr(start, end == path.npos ? path.npos : end - start);
    if (part.empty() || part == "." || part == "..") return false;
    if (end == path.npos) return true;
    start = end + 1;
  }
}

Result<> check_plan(const SandboxPlan& plan, const PlanBounds& bounds) {
  if (!is_sandbox_id(plan.id))
    return Error::make("node.bad_plan", "the sandbox id '{}' is not valid", printable(plan.id));
  if (!is_valid_id(plan.workspace)) return Error::make("node.bad_plan", "the workspace id is not valid");
  if (!plan.session.empty() && !is_valid_id(plan.session))
    return Error::make("node.bad_plan", "the session id is not valid");
  SAW_TRY(check_depth(plan));
  SAW_TRY(check_paths("read", plan.read_paths));
  SAW_TRY(check_paths("write", plan.write_paths));
  SAW_TRY(check_paths("deny", plan.deny_paths));
  SAW_TRY(check_image(plan, bounds));
  SAW_TRY(check_files(plan.files));
  SAW_TRY(check_mounts(plan.mounts, bounds));
  if (!is_host_name(plan.hostname))
    return Error::make("node.bad_plan", "the host name '{}' is not valid", printable(plan.hostname));
  return {};
}

std::string real_path_of(const std::string& path) {
  std::error_code error;
  const std::string real = std::filesystem::canonical(path, error).string();
  return error ? path : real;
}

Result<> check_resolved(const SandboxPlan& plan, const PlanBounds& bounds, const RealPath& real_path) {
  if (plan.image_root != "/") return check_source(real_path(plan.image_root), bounds);
  for (const std::string& path : plan.read_paths) {
    const std::string real = real_path(path);
    if (real == "/" || real == "/run")
      return Error::make("node.bad_plan", "'{}' leads to '{}', which cannot be shown", printable(path), real);
    SAW_TRY(check_source(real, bounds));
  }
  return {};
}

Result<> check_exec(const ExecSpec& spec) {
  if (spec.argv.empty() || spec.argv[0].empty())
    return Error::make("node.bad_exec", "a command without a program");
  SAW_TRY(check_strings("arguments", spec.argv, kMaxArgumentBytes));
  SAW_TRY(check_strings("environment", spec.environment, kMaxEnvironmentBytes));
  if (!is_canonical_path(spec.directory))
    return Error::make("node.bad_exec", "the working directory '{}' is not canonical",
                       printable(spec.directory));
  return {};
}

}  // namespace saw::sandbox
