#include "sandbox/plan.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/bytes.h"
#include "base/crypto.h"
#include "base/path.h"
#include "base/wire.h"

namespace saw::sandbox {
namespace {

constexpr uint64_t kDefaultScratchBytes = uint64_t{1} << 30;
constexpr std::string_view kNameserver =
    "10.0.2.3";  // any address does: saw-egress answers for every resolver

// The kernel's own views and the always-fresh scratch areas: SAW makes them itself in every sandbox.
constexpr std::array<std::string_view, 3> kAlwaysProvided = {"/proc", "/dev", "/tmp"};
constexpr std::array<std::string_view, 4> kNeverShown = {"/sys", "/run", "/boot", "/.saw"};

Result<> check_path(std::string_view path) {
  if (path.empty() || path[0] != '/' || path == "/" || path.back() == '/' || path.find("//") != path.npos ||
      path.find('\0') != path.npos)
    return Error::make("plan.path", "'{}' is not an absolute, canonical path below the root", path);
  for (size_t at = 0; at != path.npos; at = path.find('/', at + 1)) {
    std::string_view part = path.substr(at + 1, path.find('/', at + 1) - at - 1);
    if (part == "." || part == "..") return Error::make("plan.path", "'{}' has a '{}' in it", path, part);
  }
  return {};
}

// What remains of a list when SAW's own areas are taken out; an area that can never be shown is an error.
Result<std::vector<std::string>> project_paths(const std::vector<std::string>& paths,
                                               std::string_view section) {
  std::vector<std::string> out;
  for (const std::string& path : paths) {
    SAW_TRY(check_path(path), fmt::format("filesystem.{}", section));
    if (is_within_any(path, kNeverShown))
      return Error::make("plan.cannot_show", "filesystem.{}: '{}' cannot be shown in a sandbox", section,
                         path);
    if (!is_within_any(path, kAlwaysProvided)) out.push_back(path);
  }
  std::ranges::sort(out);
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

LimitSet project_limits(const policy::ProcessLimits& limits) {
  return {.memory_bytes = limits.memory_bytes,
          .pids = limits.pids,
          .open_files = limits.open_files,
          .file_size_bytes = limits.file_size_bytes,
          .cpu_millis_per_second = static_cast<uint64_t>(std::llround(limits.cpus * 1000)),
          .scratch_bytes = kDefaultScratchBytes};
}

std::vector<GeneratedFile> generated_files(const PlanRequest& request) {
  std::string hosts = fmt::format("127.0.0.1 localhost {0}\n::1 localhost {0}\n", request.hostname);
  std::string bundle = request.system_ca_bundle;
  if (!bundle.empty() && bundle.back() != '\n') bundle += '\n';
  bundle += request.ca_pem;
  return {
      {"/etc/hosts", std::move(hosts)},
      {"/etc/nsswitch.conf",
       "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n"},
      {"/etc/resolv.conf", fmt::format("nameserver {}\noptions timeout:5 attempts:2\n", kNameserver)},
      {std::string(kCaBundlePath), bundle},
      {"/etc/ssl/certs/ca-certificates.crt", bundle},
  };
}

void append_list(std::string& out, std::string_view title, const std::vector<std::string>& items) {
  for (const std::string& item : items) out += fmt::format("{} {}\n", title, item);
}

std::string_view name(Depth depth) {
  constexpr std::string_view kNames[] = {"workspace", "session", "call"};
  return kNames[static_cast<int>(depth)];
}

}  // namespace

Result<SandboxPlan> make_plan(const policy::Policy& policy, const PlanRequest& request) {
  SandboxPlan plan{.id = request.id,
                   .depth = request.depth,
                   .workspace = request.workspace,
                   .session = request.session,
                   .image_root = request.image_root};
  const policy::Filesystem& files = policy.filesystem();
  plan.read_paths = SAW_TRY(project_paths(files.read, "read"));
  plan.write_paths = SAW_TRY(project_paths(files.write, "write"));
  plan.deny_paths = SAW_TRY(project_paths(files.deny, "deny"));
  for (const HostMount& mount : request.mounts) {
    SAW_TRY(check_path(mount.source), "mount source");
    SAW_TRY(check_path(mount.target), "mount target");
    if (is_within_any(mount.target, kAlwaysProvided) || is_within_any(mount.target, kNeverShown))
      return Error::make("plan.cannot_show", "nothing can be mounted at '{}'", mount.target);
  }
  plan.mounts = request.mounts;
  plan.files = generated_files(request);
  plan.limits = project_limits(policy.limits());
  plan.hostname = request.hostname;
  plan.strictness = policy.strict() ? Strictness::strict : Strictness::best_effort;
  return plan;
}

std::string describe(const SandboxPlan& plan) {
  std::string out =
      fmt::format("depth {}\nimage {}\nhostname {}\n", name(plan.depth), plan.image_root, plan.hostname);
  append_list(out, "read", plan.read_paths);
  append_list(out, "write", plan.write_paths);
  append_list(out, "deny", plan.deny_paths);
  for (const HostMount& mount : plan.mounts)
    out += fmt::format("mount {} at {} {}\n", mount.source, mount.target,
                       mount.access == Access::read ? "read-only" : "read-write");
  for (const GeneratedFile& file : plan.files)
    out += fmt::format("file {} {} bytes\n", file.path, file.content.size());
  const LimitSet& l = plan.limits;
  out += fmt::format("limits memory {} pids {} files {} file-size {} cpu {}m scratch {}\n", l.memory_bytes,
                     l.pids, l.open_files, l.file_size_bytes, l.cpu_millis_per_second, l.scratch_bytes);
  out += fmt::format("network {}\nstrictness {}\n", plan.network == Network::captured ? "captured" : "none",
                     plan.strictness == Strictness::strict ? "strict" : "best-effort");
  return out;
}

std::string plan_digest(const SandboxPlan& plan) {
  SandboxPlan nameless = plan;
  nameless.id.clear();
  return "sha256:" + to_hex(view(sha256(wire::encode_struct(nameless))));
}

std::vector<std::string> base_environment() {
  std::vector<std::string> out = {"HOME=/home/agent",
                                  "USER=agent",
                                  "LOGNAME=agent",
                                  "SHELL=/bin/sh",
                                  "LANG=C.UTF-8",
                                  "TERM=xterm-256color",
                                  "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                                  "TMPDIR=/tmp",
                                  "SAW=1"};
  for (const char* variable :
       {"SSL_CERT_FILE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "REQUESTS_CA_BUNDLE", "PIP_CERT",
        "NODE_EXTRA_CA_CERTS", "CARGO_HTTP_CAINFO", "AWS_CA_BUNDLE", "DENO_CERT"})
    out.push_back(fmt::format("{}={}", variable, kCaBundlePath));
  return out;
}

}  // namespace saw::sandbox
