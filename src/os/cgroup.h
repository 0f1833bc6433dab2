// Resource limits by control groups, version 1 and version 2, below a directory of SAW's own inside the
// caller's current groups.
//
//   CgroupTree tree = CgroupTree::find("saw-3f2a9c");                       // the name of this instance's
//   directory Cgroup group = SAW_TRY(tree.create("sb-abc", {.memory_bytes = 2u << 30, .pids = 256})); … the
//   child writes "0" to each of group.join                           // cheaper than the parent writing its
//   pid (floor.md) SAW_TRY(tree.remove("sb-abc"));
//
// A controller that cannot be had is not an error here: `group.missing` names it, and whoever asked decides.
// Limits of 0 are not asked for.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"

namespace saw::os {

struct CgroupLimits {
  uint64_t memory_bytes = 0, pids = 0, cpu_millis_per_second = 0;
};

struct Cgroup {
  std::vector<Fd> join;  // files to write "0" to
  std::vector<std::string>
      missing;  // "memory", "pids", "cpu": limits that were asked for and are not enforced
};

class CgroupTree {
 public:
  // Reads /proc/self/cgroup and /proc/self/mountinfo. No usable hierarchy gives a tree whose every limit is
  // missing.
  static CgroupTree find(const std::string& instance);
  // The same from the texts of those files.
  static CgroupTree parse(const std::string& instance, const std::string& self_cgroup,
                          const std::string& mountinfo);

  // Which of "memory", "pids", "cpu" this caller can limit, and how: "cgroup v1", "cgroup v2".
  struct Controller {
    std::string name, kind;
  };
  std::vector<Controller> controllers() const;

  Result<Cgroup> create(const std::string& name, const CgroupLimits& limits) const;
  // Whether `pid` is in the group and each limit but the `missing` is what `limits` says: read back from the kernel.
  Result<> check(const std::string& name, const CgroupLimits& limits, int32_t pid,
                 const std::vector<std::string>& missing) const;
  // Waits for the last process to leave, at most kRemoveWaitMs. An absent group is fine.
  Result<> remove(const std::string& name) const;
  // Whether it is as good as new: no process, no limit ever met, hardly any memory charged.
  // A group that cannot be asked is not.
  bool is_pristine(const std::string& name) const;
  static constexpr uint64_t kPristineBytes = 2u << 20;  // what the kernel still holds of its last process
  std::vector<std::string> names() const;
  // How many processes of the group the kernel has killed for want of memory; 0 when nothing counts them.
  uint64_t oom_kills(const std::string& name) const;
  // How many processes and threads were refused to it because their number is limited; 0 when nothing counts
  // them.
  uint64_t forks_refused(const std::string& name) const;

  static constexpr int64_t kRemoveWaitMs = 2'000;

 private:
  struct Hierarchy {
    std::string controller;  // "memory", "pids", "cpu"
    std::string base;        // the caller's own group's directory
    int version = 1;
  };
  std::string directory(const Hierarchy& hierarchy, const std::string& name) const;
  struct Counter {
    std::string_view controller;
    const char *v1, *v2, *key;  // files, and the line that counts
  };
  uint64_t count(const std::string& name, const Counter& counter) const;
  Result<Fd> create_in(const Hierarchy& hierarchy, const std::string& name, const CgroupLimits& limits) const;
  std::vector<Hierarchy> hierarchies_;
  std::string instance_;
};

}  // namespace saw::os
