// What saw-node accepts from sawd: every id, path, limit and count is checked here before anything is done
// with it.
//
//   SAW_TRY(check_plan(plan, {.own_directories = {"/var/lib/saw", "/run/saw"}}));
//
// sawd decides which host directory a workspace may see, by a mount or as the image; saw-node refuses only
// what no decision may give away: SAW's own state, and the kernel's file systems. Pure functions; errors have
// codes "node.bad_plan" and "node.bad_exec".
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "sandbox/node_protocol.h"

namespace saw::sandbox {

constexpr size_t kMaxPathLength = 4095;
constexpr size_t kMaxPlanPaths = 1024;  // of each kind
constexpr size_t kMaxGeneratedFiles = 64, kMaxGeneratedBytes = 8u << 20;
constexpr size_t kMaxMounts = 64;
constexpr size_t kMaxArguments = 16'384, kMaxArgumentBytes = 1u << 20;
constexpr size_t kMaxEnvironmentBytes = 1u << 20;

struct PlanBounds {
  std::vector<std::string> own_directories;  // real paths; nothing may show them, nor what contains them
};

// "sb-" and [a-z0-9-]{1,61}: what may name a control socket in the run directory.
bool is_sandbox_id(std::string_view id);
// Absolute, no empty, "." or ".." component, no trailing slash (but "/"), no NUL, at most kMaxPathLength
// bytes.
bool is_canonical_path(std::string_view path);

Result<> check_plan(const SandboxPlan& plan, const PlanBounds& bounds);
// The same for where the image's links lead. (Mounts are bound only where their source has no link in it.)
using RealPath = std::function<std::string(const std::string&)>;
std::string real_path_of(const std::string& path);  // itself where nothing is: that is not shown either
Result<> check_resolved(const SandboxPlan& plan, const PlanBounds& bounds, const RealPath& real_path);
Result<> check_exec(const ExecSpec& spec);

}  // namespace saw::sandbox
