// What a saw-node holds, counted from outside in /proc and /sys: before and after many calls it is the same.
//
//   Holdings before = count_holdings(node.pid(), node.directory());
//   …
//   for (const std::string& grown : growth(before, count_holdings(…))) …
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace saw::bench {

struct Holding {
  std::string name;
  int64_t count = 0;
  int64_t tolerated = 0;  // growth that is no leak, however many calls: caches, pools, neighbours
};
using Holdings = std::vector<Holding>;

// `pid`: saw-node. `directory`: everything of it lies below. `cgroups`: its own control groups.
Holdings count_holdings(int32_t pid, const std::string& directory, const std::vector<std::string>& cgroups);

// "fds of saw-node: 31 → 10031" for each that grew by more than is tolerated.
std::vector<std::string> growth(const Holdings& before, const Holdings& after);

std::string describe(const Holdings& before, const Holdings& after);

// Of everything that descends from `pid`, itself excluded.
struct Memory {
  int64_t pss_kib = 0, rss_kib = 0, processes = 0;
};
Memory memory_of_descendants(int32_t pid);

}  // namespace saw::bench
