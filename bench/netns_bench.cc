// What a sandbox's network costs to build.
//
//   netns_bench [N]         a table: median, p95, p99 in µs over N (1,000) creations of each kind, interleaved
//
// Root, or an ordinary user (then in a user namespace of its own). Each network is closed before the next is
// made, so that the kernel's clean-up of earlier ones runs beside it, as it does in a busy saw-node. `floor` is
// the kernel's own part: going into a new network namespace and back, with nothing done to it.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "os/netns.h"
#include "os/process.h"
#include "os/userns.h"

namespace {

using namespace saw;
using Clock = std::chrono::steady_clock;

void fail(const Error& error) {
  std::fprintf(stderr, "netns_bench: %s\n", error.message.c_str());
  std::exit(1);
}

struct Kind {
  const char* name;
  Result<> (*make)(const os::HomeNetwork&);
  std::vector<double> micros = {};
};

double at(const std::vector<double>& sorted, double share) {
  return sorted[static_cast<size_t>(share * static_cast<double>(sorted.size() - 1))];
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 1000;
  if (rounds <= 0) return 2;
  auto view = os::enter_daemon_namespaces({});
  if (!view) fail(view.error());
  auto home = os::HomeNetwork::make_empty();
  if (!home) fail(home.error());
  Kind kinds[] = {
      {"floor",
       [](const os::HomeNetwork& to) -> Result<> {
         SAW_TRY(os::HomeNetwork::make_empty());
         SAW_CHECK(os::join_network_namespace(to.fd()) == 0);
         return {};
       }},
      {"dead",
       [](const os::HomeNetwork& from) -> Result<> {
         SAW_TRY(os::create_dead_network(from));
         return {};
       }},
      {"captured",
       [](const os::HomeNetwork& from) -> Result<> {
         SAW_TRY(os::create_captured_network(from));
         return {};
       }},
  };
  for (int i = 0; i < rounds; ++i)
    for (Kind& kind : kinds) {
      const auto start = Clock::now();
      auto made = kind.make(*home);
      kind.micros.push_back(std::chrono::duration<double, std::micro>(Clock::now() - start).count());
      if (!made) fail(made.error());
    }
  std::printf("%-16s %10s %10s %10s %8s   (%s)\n", "µs", "median", "p95", "p99", "n",
              view->rootless ? "rootless" : "root");
  for (Kind& kind : kinds) {
    std::ranges::sort(kind.micros);
    std::printf("%-16s %10.0f %10.0f %10.0f %8zu\n", kind.name, at(kind.micros, 0.5), at(kind.micros, 0.95),
                at(kind.micros, 0.99), kind.micros.size());
  }
}
