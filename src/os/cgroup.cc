#include "os/cgroup.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <set>
#include <sstream>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"

namespace saw::os {
namespace {

constexpr const char* kControllers[] = {"memory", "pids", "cpu"};
constexpr uint64_t kCpuPeriodMicroseconds = 100'000;
constexpr useconds_t kRemovePollMicroseconds = 2'000;
constexpr size_t kMaxProcFile = 4u << 20;

bool has_word(const std::string& list, const std::string& word, char separator) {
  std::istringstream in(list);
  for (std::string item; std::getline(in, item, separator);)
    if (item == word) return true;
  return false;
}

// Line "N:controllers:/path" of /proc/self/cgroup. An empty controller list is the version 2 hierarchy.
std::optional<std::string> own_path(const std::string& self_cgroup, const std::string& controller) {
  std::istringstream in(self_cgroup);
  for (std::string line; std::getline(in, line);) {
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == line.npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    if (controller.empty() ? controllers.empty() : has_word(controllers, controller, ','))
      return line.substr(second + 1);
  }
  return std::nullopt;
}

// The mount point and the mounted root of a hierarchy, from /proc/self/mountinfo (proc_pid_mountinfo(5)).
struct CgroupMount {
  std::string root, point;
};
std::optional<CgroupMount> mounted(const std::string& mountinfo, const std::string& type,
                                   const std::string& controller) {
  std::istringstream in(mountinfo);
  for (std::string line; std::getline(in, line);) {
    const size_t dash = line.find(" - ");
    if (dash == line.npos) continue;
    std::istringstream left(line.substr(0, dash)), right(line.substr(dash + 3));
    std::string id, parent, device, root, point, fs, source, options;
    left >> id >> parent >> device >> root >> point;
    right >> fs >> source >> options;
    if (fs == type && (controller.empty() || has_word(options, controller, ',')))
      return CgroupMount{root, point};
  }
  return std::nullopt;
}

std::optional<std::string> base_of(const CgroupMount& mount, const std::string& own) {
  std::string below = own;
  if (mount.root != "/") {  // a container sees its own part of the hierarchy
    if (!own.starts_with(mount.root)) return std::nullopt;
    below = own.substr(mount.root.size());
  }
  std::string base = mount.point + below;
  while (base.size() > 1 && base.back() == '/') base.pop_back();
  return base;
}

Result<> write_value(const std::string& path, const std::string& value) {
  Fd file = SAW_TRY(Fd::open(path, O_WRONLY));
  SAW_TRY(write_all(file, value), fmt::format("writing '{}' to '{}'", value, path));
  return {};
}

uint64_t wanted(const std::string& controller, const CgroupLimits& limits) {
  if (controller == "memory") return limits.memory_bytes;
  if (controller == "pids") return limits.pids;
  return limits.cpu_millis_per_second;
}

Result<> set_limit_v1(const std::string& directory, const std::string& controller, uint64_t value) {
  if (controller == "pids") return write_value(directory + "/pids.max", std::to_string(value));
  if (controller == "cpu") {
    SAW_TRY(write_value(directory + "/cpu.cfs_period_us", std::to_string(kCpuPeriodMicroseconds)));
    return write_value(directory + "/cpu.cfs_quota_us",
                       std::to_string(value * kCpuPeriodMicroseconds / 1000));
  }
  SAW_TRY(write_value(directory + "/memory.limit_in_bytes", std::to_string(value)));
  const std::string with_swap = directory + "/memory.memsw.limit_in_bytes";
  if (::access(with_swap.c_str(), W_OK) == 0) return write_value(with_swap, std::to_string(value));
  return {};  // swap is not accounted on this host
}

Result<> set_limit_v2(const std::string& directory, const std::string& controller, uint64_t value) {
  if (controller == "pids") return write_value(directory + "/pids.max", std::to_string(value));
  if (controller == "cpu")
    return write_value(directory + "/cpu.max",
                       fmt::format("{} {}", value * kCpuPeriodMicroseconds / 1000, kCpuPeriodMicroseconds));
  SAW_TRY(write_value(directory + "/memory.max", std::to_string(value)));
  const std::string swap = directory + "/memory.swap.max";
  if (::access(swap.c_str(), W_OK) == 0) return write_value(swap, "0");
  return {};
}

Result<> make_group(const std::string& path) {
  if (::mkdir(path.c_str(), 0755) != 0 && errno != EEXIST)
    return Error::system("cgroup.mkdir", "creating control group '{}'", path);
  return {};
}

// Version 2 passes a controller down level by level, and only from a group without processes of its own (or
// the root group).
Result<> enable_below(const std::string& directory, const std::string& controller) {
  return write_value(directory + "/cgroup.subtree_control", "+" + controller);
}

}  // namespace

CgroupTree CgroupTree::find(const std::string& instance) {
  auto self = read_file("/proc/self/cgroup", kMaxProcFile),
       mounts = read_file("/proc/self/mountinfo", kMaxProcFile);
  if (!self || !mounts) return parse(instance, "", "");
  return parse(instance, *self, *mounts);
}

CgroupTree CgroupTree::parse(const std::string& instance, const std::string& self_cgroup,
                             const std::string& mountinfo) {
  CgroupTree out;
  out.instance_ = instance;
  for (const char* controller : kControllers) {
    auto own = own_path(self_cgroup, controller);
    auto mount = mounted(mountinfo, "cgroup", controller);
    int version = 1;
    if (!own || !mount) {
      own = own_path(self_cgroup, "");
      mount = mounted(mountinfo, "cgroup2", "");
      version = 2;
    }
    if (!own || !mount) continue;
    auto base = base_of(*mount, *own);
    if (!base) continue;
    if (version == 2) {
      auto available = read_file(*base + "/cgroup.controllers", kMaxProcFile);
      std::string list = available ? *available : "";
      std::ranges::replace(list, '\n', ' ');
      if (!has_word(list, controller, ' ')) continue;
    }
    out.hierarchies_.push_back({controller, *base, version});
  }
  return out;
}

std::vector<CgroupTree::Controller> CgroupTree::controllers() const {
  std::vector<Controller> out;
  for (const Hierarchy& h : hierarchies_)
    if (::access(h.base.c_str(), W_OK) == 0)
      out.push_back({h.controller, h.version == 1 ? "cgroup v1" : "cgroup v2"});
  return out;
}

std::string CgroupTree::directory(const Hierarchy& h, const std::string& name) const {
  return h.base + "/" + instance_ + "/" + name;
}

Result<Fd> CgroupTree::create_in(const Hierarchy& h, const std::string& name,
                                 const CgroupLimits& limits) const {
  SAW_TRY(make_group(h.base + "/" + instance_));
  if (h.version == 2) {
    SAW_TRY(enable_below(h.base, h.controller));
    SAW_TRY(enable_below(h.base + "/" + instance_, h.controller));
  }
  const std::string path = directory(h, name);
  SAW_TRY(make_group(path));
  SAW_TRY(h.version == 1 ? set_limit_v1(path, h.controller, wanted(h.controller, limits))
                         : set_limit_v2(path, h.controller, wanted(h.controller, limits)));
  return Fd::open(path + (h.version == 1 ? "/tasks" : "/cgroup.procs"), O_WRONLY);
}

Result<Cgroup> CgroupTree::create(const std::string& name, const CgroupLimits& limits) const {
  Cgroup out;
  std::set<std::string> joined;  // of version 2: one directory for all controllers
  for (const char* controller : kControllers) {
    if (wanted(controller, limits) == 0) continue;
    auto hierarchy = std::ranges::find(hierarchies_, controller, &Hierarchy::controller);
    if (hierarchy == hierarchies_.end()) {
      out.missing.push_back(controller);
      continue;
    }
    auto join = create_in(*hierarchy, name, limits);
    if (!join) {
      out.missing.push_back(fmt::format("{} ({})", controller, join.error().message));
    } else if (joined.insert(directory(*hierarchy, name)).second) {
      out.join.push_back(std::move(*join));
    }
  }
  return out;
}

Result<> CgroupTree::remove(const std::string& name) const {
  const Nanos deadline = SystemClock().monotonic() + kRemoveWaitMs * kMillisecond;
  for (const Hierarchy& h : hierarchies_) {
    const std::string path = directory(h, name);
    while (::rmdir(path.c_str()) != 0) {
      if (errno == ENOENT) break;
      if (errno != EBUSY || SystemClock().monotonic() > deadline)
        return Error::system("cgroup.remove", "removing control group '{}'", path);
      ::usleep(kRemovePollMicroseconds);
    }
    ::rmdir((h.base + "/" + instance_).c_str());  // succeeds with the last one
  }
  return {};
}

bool CgroupTree::is_pristine(const std::string& name) const {
  if (oom_kills(name) != 0 || forks_refused(name) != 0) return false;
  bool is_there = false;
  for (const Hierarchy& h : hierarchies_) {
    const std::string path = directory(h, name);
    if (::access(path.c_str(), F_OK) != 0 && errno == ENOENT) continue;  // nothing was to be limited there
    is_there = true;
    auto processes = read_file(path + (h.version == 1 ? "/tasks" : "/cgroup.procs"), kMaxProcFile);
    if (!processes || !processes->empty()) return false;
    if (h.controller != "memory") continue;
    auto used =
        read_file(path + (h.version == 1 ? "/memory.usage_in_bytes" : "/memory.current"), kMaxProcFile);
    if (!used || std::strtoull(used->c_str(), nullptr, 10) > kPristineBytes) return false;
  }
  return is_there;
}

uint64_t CgroupTree::count(const std::string& name, const Counter& counter) const {
  for (const Hierarchy& h : hierarchies_) {
    if (h.controller != counter.controller) continue;
    std::ifstream events(directory(h, name) + (h.version == 1 ? counter.v1 : counter.v2));
    std::string key;
    for (uint64_t value = 0; events >> key >> value;)
      if (key == counter.key) return value;
  }
  return 0;
}
uint64_t CgroupTree::oom_kills(const std::string& name) const {
  return count(name, {"memory", "/memory.oom_control", "/memory.events", "oom_kill"});
}
uint64_t CgroupTree::forks_refused(const std::string& name) const {
  return count(name, {"pids", "/pids.events", "/pids.events", "max"});
}

std::vector<std::string> CgroupTree::names() const {
  std::set<std::string> out;
  for (const Hierarchy& h : hierarchies_) {
    DIR* directory = ::opendir((h.base + "/" + instance_).c_str());
    if (!directory) continue;
    while (const dirent* entry = ::readdir(directory))
      if (entry->d_type == DT_DIR && entry->d_name[0] != '.') out.insert(entry->d_name);
    ::closedir(directory);
  }
  return {out.begin(), out.end()};
}

}  // namespace saw::os
