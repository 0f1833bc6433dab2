// What a session costs: start, and reset after few and after many changed files; at saw-node and through the
// API.
//
//   session_bench [N]           N (1,000) starts; N/5 resets of 10 changed files, N/100 of 100,000
//
// A reset is: stop, an empty layer for the session's (DiscardSession), start; the layer alone is counted, and
// all of it. Making the changes is not counted. Needs root.
#include <cstdio>
#include <cstdlib>

#include "support/bench_node.h"
#include "support/installation.h"

namespace {

using namespace saw;
using namespace saw::bench;
using sandbox::Depth;
using sandbox::Done;
using sandbox::Network;

constexpr int kFewFiles = 10, kManyFiles = 100'000;

template <class Work> Result<> timed(Row& row, Work work) {
  const double start = now_us();
  SAW_TRY(work());
  row.micros.push_back(now_us() - start);
  return {};
}

// A session of BenchNode's workspace: one sandbox at a time.
class Session {
 public:
  explicit Session(BenchNode& node) : node_(node) {}
  Result<> start() {
    sandbox::SandboxPlan plan = SAW_TRY(node_.plan(Depth::session, Network::captured));
    sandbox_ = plan.id;
    SAW_TRY(node_.ask<sandbox::SandboxStarted>(sandbox::StartSandbox{.plan = std::move(plan)}));
    return {};
  }
  Result<> stop() {
    SAW_TRY(node_.ask<Done>(sandbox::StopSandbox{.sandbox = sandbox_}));
    return {};
  }
  Result<> remove() {
    SAW_TRY(node_.ask<Done>(
        sandbox::RemoveStorage{.workspace = BenchNode::kWorkspace, .session = BenchNode::kSession}));
    return {};
  }
  Result<> discard() {
    SAW_TRY(node_.ask<Done>(
        sandbox::DiscardSession{.workspace = BenchNode::kWorkspace, .session = BenchNode::kSession}));
    return {};
  }
  Result<> reset(Row& layer) {
    SAW_TRY(stop());
    SAW_TRY(timed(layer, [&] { return discard(); }));
    return start();
  }
  Result<> change(int files) {
    return node_.run_inside(sandbox_, {"sh", "-c", fmt::format("seq -f f%.0f {} | xargs touch", files)});
  }

 private:
  BenchNode& node_;
  std::string sandbox_;
};

Result<> at_the_node(int rounds, Report& report) {
  auto node = SAW_TRY(BenchNode::start());
  Session session(*node);
  const std::string section = "a session at saw-node";
  for (int i = 0; i < rounds; ++i) {
    SAW_TRY(timed(report.row(section, "start"), [&] { return session.start(); }));
    SAW_TRY(timed(report.row(section, "stop"), [&] { return session.stop(); }));
    SAW_TRY(session.remove());
  }
  SAW_TRY(session.start());
  for (const auto& [files, times] : {std::pair{kFewFiles, rounds / 5}, {kManyFiles, rounds / 100}})
    for (int i = 0; i < std::max(times, 1); ++i) {
      SAW_TRY(session.change(files));
      Row& layer = report.row(section, fmt::format("the layer of a reset, {} files changed", files));
      SAW_TRY(timed(report.row(section, fmt::format("reset, {} files changed", files)),
                    [&] { return session.reset(layer); }));
    }
  SAW_TRY(session.stop());
  return session.remove();
}

Result<> through_the_api(int rounds, Report& report) {
  auto saw = SAW_TRY(Installation::start());
  SAW_TRY(saw->ask("POST", "/v1/workspaces", workspace_spec("dev")));
  const std::string section = "a session through the API";
  for (int i = 0; i < rounds; ++i) {
    SAW_TRY(timed(report.row(section, "start"),
                  [&] { return saw->ask("POST", "/v1/workspaces/dev/sessions", R"({"name":"s"})"); }));
    SAW_TRY(timed(report.row(section, "end"),
                  [&] { return saw->ask("DELETE", "/v1/workspaces/dev/sessions/s"); }));
  }
  return {};
}

Result<> run(int rounds) {
  Report report({.bench = "session",
                 .method = "one after the other in a tight loop; the answer is awaited",
                 .compare = Compare::nothing});
  SAW_TRY(at_the_node(rounds, report));
  SAW_TRY(through_the_api(rounds, report));
  report.print();
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 1000;
  if (rounds <= 0) return std::fputs("usage: session_bench [N]\n", stderr), 2;
  if (auto done = run(rounds); !done) {
    std::fprintf(stderr, "session_bench: %s\n", done.error().message.c_str());
    return 1;
  }
  return 0;
}
