// Reads back what CgroupTree set: whether a process is where its limits are, and whether they are what was asked for.
#include <algorithm>
#include <sstream>

#include "base/file.h"
#include "os/cgroup.h"

namespace saw::os {
namespace {

constexpr uint64_t kCpuPeriodMicroseconds = 100'000;  // cgroup.cc
constexpr uint64_t kPage = 4096;                      // memory limits are kept in whole pages
constexpr size_t kMaxControlFile = 4u << 20;

bool lists(const std::string& text, int64_t number) {
  std::istringstream in(text);
  for (int64_t item = 0; in >> item;)
    if (item == number) return true;
  return false;
}

Result<> expect_value(const std::string& path, const std::string& must_be) {
  std::string is = SAW_TRY(read_file(path, kMaxControlFile));
  while (!is.empty() && is.back() == '\n') is.pop_back();
  if (is != must_be) return Error::make("cgroup.limit", "'{}' is '{}', not '{}'", path, is, must_be);
  return {};
}

}  // namespace

Result<> CgroupTree::check(const std::string& name, const CgroupLimits& limits, int32_t pid,
                           const std::vector<std::string>& missing) const {
  const std::pair<const char*, uint64_t> wanted[] = {
      {"memory", limits.memory_bytes}, {"pids", limits.pids}, {"cpu", limits.cpu_millis_per_second}};
  for (const auto& [controller, value] : wanted) {
    if (value == 0 || std::ranges::find(missing, controller) != missing.end()) continue;
    const auto h = std::ranges::find(hierarchies_, controller, &Hierarchy::controller);
    if (h == hierarchies_.end()) return Error::make("cgroup.limit", "nothing limits {}", controller);
    const std::string group = directory(*h, name), kind = controller;
    const std::string members = SAW_TRY(read_file(group + "/cgroup.procs", kMaxControlFile));
    if (!lists(members, pid)) return Error::make("cgroup.limit", "process {} is not in '{}'", pid, group);
    const std::string quota = std::to_string(value * kCpuPeriodMicroseconds / 1000);
    if (kind == "pids")
      SAW_TRY(expect_value(group + "/pids.max", std::to_string(value)));
    else if (kind == "memory")
      SAW_TRY(expect_value(group + (h->version == 1 ? "/memory.limit_in_bytes" : "/memory.max"),
                           std::to_string(value / kPage * kPage)));
    else if (h->version == 1)
      SAW_TRY(expect_value(group + "/cpu.cfs_quota_us", quota));
    else
      SAW_TRY(expect_value(group + "/cpu.max", fmt::format("{} {}", quota, kCpuPeriodMicroseconds)));
  }
  return {};
}

}  // namespace saw::os
