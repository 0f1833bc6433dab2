// What a workspace costs: to create until it runs, to decommission until nothing is left, and to keep.
//
//   workspace_bench [N [KEPT]]        N (1,000) creations at saw-node and N/5 through the API; KEPT (50)
//                                     workspaces at once, idle, and their share of memory; N/5 forks of a
//                                     workspace with 50,000 files, and the few that have to freeze a layer
//
// Through the API a creation is a whole one: store, keys, CA, audit, sandbox and its saw-egress. Memory is the
// proportional set size (PSS) of all processes that came with the workspaces, and the resident one. Needs
// root.
#include <cstdio>
#include <cstdlib>

#include <unistd.h>

#include "base/crypto.h"
#include "support/bench_node.h"
#include "support/installation.h"
#include "support/leaks.h"

namespace {

using namespace saw;
using namespace saw::bench;
using sandbox::Done;

template <class Work> Result<> timed(Row& row, Work work) {
  const double start = now_us();
  SAW_TRY(work());
  row.micros.push_back(now_us() - start);
  return {};
}

Result<> create_at_the_node(BenchNode& node, sandbox::SandboxPlan plan) {
  SAW_TRY(node.ask<Done>(sandbox::CreateStorage{.workspace = plan.workspace}));
  SAW_TRY(node.ask<sandbox::SandboxStarted>(sandbox::StartSandbox{.plan = std::move(plan)}));
  return {};
}

Result<> remove_at_the_node(BenchNode& node, const std::string& workspace, const std::string& sandbox) {
  SAW_TRY(node.ask<Done>(sandbox::StopSandbox{.sandbox = sandbox}));
  SAW_TRY(node.ask<Done>(sandbox::RemoveStorage{.workspace = workspace}));
  return {};
}

Result<> at_the_node(int rounds, Report& report) {
  auto node = SAW_TRY(BenchNode::start());
  const std::string section = "a workspace at saw-node";
  for (int i = 0; i < rounds; ++i) {
    sandbox::SandboxPlan plan = SAW_TRY(node->plan(sandbox::Depth::workspace, sandbox::Network::captured));
    plan.workspace = random_id("ws-");
    const std::string workspace = plan.workspace, sandbox = plan.id;
    SAW_TRY(timed(report.row(section, "create and start"),
                  [&] { return create_at_the_node(*node, std::move(plan)); }));
    SAW_TRY(timed(report.row(section, "stop and remove"),
                  [&] { return remove_at_the_node(*node, workspace, sandbox); }));
  }
  return {};
}

// A workspace with many files: what its sandbox writes, with that sandbox down afterwards.
class FullWorkspace {
 public:
  static constexpr int kFiles = 50'000;
  explicit FullWorkspace(BenchNode& node) : node_(node) {}
  Result<> write(const Command& command) {
    sandbox::SandboxPlan plan = SAW_TRY(node_.plan(sandbox::Depth::workspace, sandbox::Network::captured));
    plan.workspace = kName;
    const std::string sandbox = plan.id;
    SAW_TRY(create_at_the_node(node_, std::move(plan)));
    SAW_TRY(node_.run_inside(sandbox, command));
    SAW_TRY(node_.ask<Done>(sandbox::StopSandbox{.sandbox = sandbox}));
    return {};
  }
  Result<> fill() {
    return write({"sh", "-c", fmt::format("seq -f f%.0f {} | xargs sh -c 'touch \"$@\"' -", kFiles)});
  }
  Result<> fork(Row& row) {
    const std::string fork = random_id("ws-");
    SAW_TRY(timed(row, [&]() -> Result<> {
      SAW_TRY(node_.ask<Done>(sandbox::ForkStorage{.workspace = kName, .fork = fork}));
      return {};
    }));
    SAW_TRY(node_.ask<Done>(sandbox::RemoveStorage{.workspace = fork}));
    return {};
  }
  Result<> remove() {
    SAW_TRY(node_.ask<Done>(sandbox::RemoveStorage{.workspace = kName}));
    return {};
  }

 private:
  static constexpr const char* kName = "full";
  BenchNode& node_;
};

Result<> forks(int rounds, Report& report) {
  constexpr int kTimes = 4;  // that a workspace's layer is frozen: as many as it may stand on, but one
  auto node = SAW_TRY(BenchNode::start());
  FullWorkspace workspace(*node);
  const std::string section = fmt::format("forks of {} files at saw-node", FullWorkspace::kFiles);
  Row& freezing = report.row(section, "written to since the last one");
  SAW_TRY(workspace.fill());
  SAW_TRY(workspace.fork(report.row(section, "the first one")));
  for (int i = 0; i < kTimes; ++i) {
    SAW_TRY(workspace.write({"sh", "-c", "date > changed; touch f1 f2 f3"}));
    SAW_TRY(workspace.fork(freezing));
  }
  for (int i = 0; i < rounds; ++i) SAW_TRY(workspace.fork(report.row(section, "as it was")));
  return workspace.remove();
}

Result<> through_the_api(Installation& saw, int rounds, Report& report) {
  const std::string section = "a workspace through the API";
  for (int i = 0; i < rounds; ++i) {
    SAW_TRY(timed(report.row(section, "create"),
                  [&] { return saw.ask("POST", "/v1/workspaces", workspace_spec("w")); }));
    SAW_TRY(
        timed(report.row(section, "decommission"), [&] { return saw.ask("DELETE", "/v1/workspaces/w"); }));
  }
  return {};
}

Result<> kept(Installation& saw, int count, Report& report) {
  const Memory before = memory_of_descendants(::getpid());
  for (int i = 0; i < count; ++i)
    SAW_TRY(saw.ask("POST", "/v1/workspaces", workspace_spec(fmt::format("w{}", i))));
  const Memory after = memory_of_descendants(::getpid());
  const std::string section = fmt::format("{} idle workspaces, each", count);
  const auto add = [&](const char* name, const char* unit, int64_t grown) {
    report.amount({.section = section,
                   .name = name,
                   .unit = unit,
                   .value = static_cast<double>(grown) / static_cast<double>(count)});
  };
  add("proportional set size", "KiB", after.pss_kib - before.pss_kib);
  add("resident", "KiB", after.rss_kib - before.rss_kib);
  add("processes", "", after.processes - before.processes);
  for (int i = 0; i < count; ++i) SAW_TRY(saw.ask("DELETE", fmt::format("/v1/workspaces/w{}", i)));
  return {};
}

Result<> run(int rounds, int idle) {
  Report report({.bench = "workspace",
                 .method = "one after the other in a tight loop; the answer is awaited",
                 .compare = Compare::nothing});
  SAW_TRY(at_the_node(rounds, report));
  SAW_TRY(forks(std::max(rounds / 5, 1), report));
  auto saw = SAW_TRY(Installation::start());
  SAW_TRY(through_the_api(*saw, std::max(rounds / 5, 1), report));
  SAW_TRY(kept(*saw, idle, report));
  report.print();
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 1000, idle = argc > 2 ? std::atoi(argv[2]) : 50;
  if (rounds <= 0 || idle <= 0) return std::fputs("usage: workspace_bench [N [KEPT]]\n", stderr), 2;
  if (auto done = run(rounds, idle); !done) {
    std::fprintf(stderr, "workspace_bench: %s\n", done.error().message.c_str());
    return 1;
  }
  return 0;
}
