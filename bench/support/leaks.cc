#include "support/leaks.h"

#include <charconv>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include <fmt/format.h>

#include "base/file.h"

namespace saw::bench {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kToleratedRssKib = 2048;  // of an allocator's free lists, whatever the number of calls
constexpr int64_t kToleratedParked = 8;     // a pool is fuller at one time than at another
constexpr int64_t kToleratedFds = 4 * kToleratedParked;
constexpr int64_t kToleratedKernelNetns = 50;  // neighbours', and those that the kernel still cleans up

struct Process {
  int32_t parent = 0;
  char state = '?';
};

std::map<int32_t, Process> processes() {
  std::map<int32_t, Process> out;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/proc", error)) {
    const std::string name = entry.path().filename().string();
    int32_t pid = 0;
    if (std::from_chars(name.data(), name.data() + name.size(), pid).ptr != name.data() + name.size())
      continue;
    std::ifstream file(entry.path() / "stat");
    std::string text((std::istreambuf_iterator<char>(file)), {});
    const size_t end = text.rfind(')');
    if (end == std::string::npos) continue;  // gone meanwhile
    Process process;
    std::istringstream(text.substr(end + 1)) >> process.state >> process.parent;
    out[pid] = process;
  }
  return out;
}

std::set<int32_t> descendants(const std::map<int32_t, Process>& all, int32_t of) {
  std::set<int32_t> out{of};
  for (size_t before = 0; before != out.size();) {
    before = out.size();
    for (const auto& [pid, process] : all)
      if (out.contains(process.parent)) out.insert(pid);
  }
  return out;
}

std::string link_target(const fs::path& link) {
  std::error_code error;
  return fs::read_symlink(link, error).string();
}

int64_t entries(const fs::path& directory) {
  std::error_code error;
  int64_t count = 0;
  for (auto it = fs::recursive_directory_iterator(directory, error);
       !error && it != fs::recursive_directory_iterator(); it.increment(error))
    ++count;
  return count;
}

int64_t directories(const fs::path& directory) {
  std::error_code error;
  int64_t count = 1;
  for (auto it = fs::recursive_directory_iterator(directory, error);
       !error && it != fs::recursive_directory_iterator(); it.increment(error))
    count += it->is_directory(error);
  return count;
}

int64_t lines(const std::string& path) {
  std::ifstream file(path);
  int64_t count = 0;
  for (std::string line; std::getline(file, line);) ++count;
  return count;
}

// A line such as "VmRSS:   123 kB" of a file in /proc/<pid>; 0 if it is not there.
int64_t kib_of(int32_t pid, const char* file, std::string_view name) {
  std::ifstream in(fmt::format("/proc/{}/{}", pid, file));
  for (std::string line; std::getline(in, line);)
    if (line.starts_with(name)) return std::stoll(line.substr(name.size()));
  return 0;
}

// Every network namespace of the kernel, unreferenced ones that are not freed yet included. 0 where it does
// not tell.
int64_t kernel_network_namespaces() {
  std::ifstream file("/proc/slabinfo");
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string name;
    int64_t active = 0;
    if (words >> name >> active && name == "net_namespace") return active;
  }
  return 0;
}

}  // namespace

Holdings count_holdings(int32_t pid, const std::string& directory, const std::vector<std::string>& cgroups) {
  const auto all = processes();
  const auto ours = descendants(all, pid);
  int64_t zombies = 0, fds = 0, cgroup_directories = 0;
  std::set<std::string> networks;
  for (const int32_t process : ours) {
    zombies += all.contains(process) && all.at(process).state == 'Z';
    networks.insert(link_target(fmt::format("/proc/{}/ns/net", process)));
  }
  std::error_code error;
  for (const auto& fd : fs::directory_iterator(fmt::format("/proc/{}/fd", pid), error)) {
    ++fds;
    if (const std::string target = link_target(fd.path()); target.starts_with("net:"))
      networks.insert(target);
  }
  for (const std::string& cgroup : cgroups) cgroup_directories += directories(cgroup);
  return {{"processes", std::ssize(ours), kToleratedParked},
          {"zombies", zombies},
          {"fds of saw-node", fds, kToleratedFds},
          {"mounts in saw-node's namespace", lines(fmt::format("/proc/{}/mountinfo", pid))},
          {"control groups", cgroup_directories, kToleratedParked},
          {"network namespaces of its processes", std::ssize(networks), kToleratedParked},
          {"network namespaces of the kernel", kernel_network_namespaces(), kToleratedKernelNetns},
          {"files in its run directory", entries(directory + "/run")},
          {"files in its state directory", entries(directory + "/state")},
          {"resident KiB of saw-node", kib_of(pid, "status", "VmRSS:"), kToleratedRssKib}};
}

std::vector<std::string> growth(const Holdings& before, const Holdings& after) {
  std::vector<std::string> out;
  for (size_t i = 0; i < before.size(); ++i)
    if (after[i].count > before[i].count + before[i].tolerated)
      out.push_back(fmt::format("{}: {} → {}", before[i].name, before[i].count, after[i].count));
  return out;
}

Memory memory_of_descendants(int32_t pid) {
  Memory out;
  for (const int32_t process : descendants(processes(), pid)) {
    if (process == pid) continue;
    ++out.processes;
    out.pss_kib += kib_of(process, "smaps_rollup", "Pss:");
    out.rss_kib += kib_of(process, "status", "VmRSS:");
  }
  return out;
}

std::string describe(const Holdings& before, const Holdings& after) {
  std::string out;
  for (size_t i = 0; i < before.size(); ++i)
    out += fmt::format("{:<43} {:>9} → {}\n", before[i].name, before[i].count, after[i].count);
  return out;
}

}  // namespace saw::bench
