// What a tool call in a sandbox of its own costs, against a bare spawn of the same program, bubblewrap and
// crun.
//
//   call_bench [--n N] [--every MS] [--only tight|paced|sustained] [--leaks[=CALLS]] [-- COMMAND…]
//
// Latency: every contender once a round, in shuffled order, N (1,000) rounds in a tight loop and again with
// one call per MS (12) milliseconds, in a workspace that is running. Throughput: two calls under way at any time. --leaks instead: CALLS
// (10,000) calls, and what saw-node holds before and after; 1 if anything grew. Needs root. The table goes to
// stderr, JSON to stdout.
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <thread>

#include <sys/wait.h>

#include "support/bench_node.h"
#include "support/leaks.h"

namespace {

using namespace saw;
using namespace saw::bench;
using sandbox::Network;

constexpr int kSustainedCalls = 1000, kAtOnce = 2;
constexpr uint32_t kParked = 4;
constexpr int kProofSandboxes = 24;
constexpr int kWarmUpCalls = 300;  // before the first count: whatever is cached is cached then
constexpr int kSettleRounds = 50, kSettleMs = 100;

struct Options {
  int rounds = 1000, every_ms = 12, leak_calls = 0;
  bool tight = true, paced = true, sustained = true;
  Command command = {"/bin/true"};
};

std::optional<Options> parse(int argc, char** argv) {
  Options out;
  const auto number = [](const char* text) -> int {
    int value = 0;
    const char* end = text + std::strlen(text);
    return std::from_chars(text, end, value).ptr == end ? value : 0;
  };
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    const char* value = i + 1 < argc ? argv[i + 1] : nullptr;
    if (word == "--") {
      out.command.assign(argv + i + 1, argv + argc);
      return out.command.empty() ? std::nullopt : std::optional(out);
    }
    if (word == "--leaks")
      out.leak_calls = 10'000;
    else if (word.starts_with("--leaks=") && (out.leak_calls = number(argv[i] + 8)) > 0)
      continue;
    else if (word == "--n" && value && (out.rounds = number(value)) > 0)
      ++i;
    else if (word == "--every" && value && (out.every_ms = number(value)) > 0)
      ++i;
    else if (word == "--only" && value) {
      const std::string_view mode = argv[++i];
      out.tight = mode == "tight", out.paced = mode == "paced", out.sustained = mode == "sustained";
      if (!out.tight && !out.paced && !out.sustained) return std::nullopt;
    } else
      return std::nullopt;
  }
  return out;
}

Result<double> sustained_spawns(const Command& command, int count, int at_once) {
  const double start = now_us();
  int running = 0;
  for (int begun = 0; begun < count || running > 0;) {
    while (begun < count && running < at_once) {
      SAW_TRY(spawn(command));
      ++begun, ++running;
    }
    int status = 0;
    const pid_t ended = ::wait(&status);
    if (ended < 0) return Error::system("bench.wait", "waiting for a command");
    SAW_TRY(expect_success(ended, status));
    --running;
  }
  return count * 1e6 / (now_us() - start);
}

bool ends_with_any(std::string_view text, std::initializer_list<std::string_view> ends) {
  return std::ranges::any_of(ends, [&](std::string_view end) { return text.ends_with(end); });
}

// A command that a started runtime can serve: bash -c …, python3 -c ….
std::vector<sandbox::WarmRuntime> runtime_of(const Command& command) {
  using Kind = sandbox::WarmRuntime::Kind;
  if (command.size() < 3 || command[1] != "-c") return {};
  if (ends_with_any(command[0], {"bash"})) return {{.command = command[0], .kind = Kind::bash}};
  if (ends_with_any(command[0], {"python3"})) return {{.command = command[0], .kind = Kind::python}};
  return {};
}

enum class Pool : uint8_t { filled, empty };

std::vector<CallKind> call_kinds(Pool pool, const Command& command) {
  std::vector<CallKind> out;
  for (const Network network : {Network::none, Network::captured}) {
    const std::string where = network == Network::captured ? ", own netns" : ", no egress";
    if (pool == Pool::filled)
      out.push_back({.name = "SAW warm" + where, .network = network, .parked = kParked});
    else
      out.push_back({.name = "SAW cold" + where, .network = network});
  }
  if (pool == Pool::empty) return out;
  if (auto runtimes = runtime_of(command); !runtimes.empty())
    out.push_back({.name = "SAW started " + command[0] + ", own netns",
                   .parked = kParked,
                   .runtimes = std::move(runtimes),
                   .wanted = sandbox::Warmth::runtime});
  return out;
}

Result<> throughput(BenchNode& node, const Options& options, Report& report) {
  const std::string section = fmt::format("sustained, {} at once", kAtOnce);
  const auto add = [&](const std::string& name, double value) {
    report.amount({.section = section, .name = name, .unit = "calls/s", .value = value});
  };
  add("bare spawn", SAW_TRY(sustained_spawns(options.command, kSustainedCalls, kAtOnce)));
  for (const Pool pool : {Pool::filled, Pool::empty})
    for (const CallKind& kind : call_kinds(pool, options.command)) {
      const std::string plan = SAW_TRY(prepare(node, kind));
      add(kind.name, SAW_TRY(sustained_calls(node, plan, options.command, kSustainedCalls, kAtOnce)));
      SAW_TRY(forget_calls(node));
    }
  if (bubblewrap(options.command)->absent().empty())
    add("bubblewrap",
        SAW_TRY(sustained_spawns(bubblewrap_command(options.command), kSustainedCalls, kAtOnce)));
  return {};
}

// Warm and cold calls apart: what refills the pools of the one would be measured with the other.
Result<> latency_of(BenchNode& node, const Options& options, Pool pool, Report& report) {
  std::vector<std::unique_ptr<Contender>> contenders;
  contenders.push_back(bare_spawn(options.command));
  for (const CallKind& kind : call_kinds(pool, options.command))
    contenders.push_back(SAW_TRY(node_call(node, kind, options.command)));
  contenders.push_back(bubblewrap(options.command));
  contenders.push_back(
      crun(options.command, node.process().directory() + (pool == Pool::filled ? "/crun-1" : "/crun-2")));
  const std::string what = pool == Pool::filled ? "warm, " : "cold, ";
  if (options.tight) SAW_TRY(race({.rounds = options.rounds}, contenders, report, what + "tight loop"));
  if (options.paced)
    SAW_TRY(race({.rounds = options.rounds, .pace_ms = options.every_ms}, contenders, report,
                 fmt::format("{}one call per {} ms", what, options.every_ms)));
  return forget_calls(node);
}

Result<> latency(BenchNode& node, const Options& options) {
  Report report(
      {.bench = "call",
       .method = fmt::format(
           "'{}'; every contender once a round, shuffled; n rounds; result = exit status and output known",
           fmt::join(options.command, " "))});
  for (const Pool pool : {Pool::filled, Pool::empty}) SAW_TRY(latency_of(node, options, pool, report));
  if (options.sustained) SAW_TRY(throughput(node, options, report));
  report.print();
  if (!node.lacking().empty())
    fmt::print(stderr, "\nguarantees that this host did not give: {}\n", node.lacking());
  return {};
}

Holdings count(BenchNode& node) {
  return count_holdings(node.process().pid(), node.process().directory(), node.process().cgroups());
}

// Counted when it has come to rest: pools filled, namespaces freed. Fluctuations of a pool are tolerated.
Holdings count_at_rest(BenchNode& node) {
  Holdings last = count(node);
  for (int i = 0; i < kSettleRounds; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(kSettleMs));
    Holdings next = count(node);
    const bool rests = growth(last, next).empty() && growth(next, last).empty();
    last = std::move(next);
    if (rests && i > kSettleRounds / 5) break;
  }
  return last;
}

// A count that does not see running sandboxes would not see leaked ones. More than saw-node keeps spares for.
Result<> prove_that_counting_counts(BenchNode& node, const Holdings& before) {
  std::vector<std::string> sandboxes;
  for (int i = 0; i < kProofSandboxes; ++i) {
    sandbox::SandboxPlan plan = SAW_TRY(node.plan(sandbox::Depth::call, Network::captured));
    sandboxes.push_back(plan.id);
    SAW_TRY(node.ask<sandbox::SandboxStarted>(sandbox::StartSandbox{.plan = std::move(plan)}));
  }
  const Holdings during = count_at_rest(node);
  for (const std::string& id : sandboxes)
    SAW_TRY(node.ask<sandbox::Done>(sandbox::StopSandbox{.sandbox = id}));
  for (const std::string_view name : {"processes", "control groups", "fds of saw-node",
                                      "network namespaces of its processes", "files in its run directory"})
    for (size_t i = 0; i < before.size(); ++i)
      if (before[i].name == name && during[i].count <= before[i].count)
        return Error::make("bench.blind", "the count of {} does not see running sandboxes:\n{}", name,
                           describe(before, during));
  return {};
}

Result<int> leaks(BenchNode& node, const Options& options) {
  std::vector<std::string> plans;
  for (const Pool pool : {Pool::filled, Pool::empty})
    for (const CallKind& kind : call_kinds(pool, options.command)) {
      std::string plan = SAW_TRY(prepare(node, kind));
      plans.push_back(std::move(plan));
    }
  const auto run_all = [&](int calls) -> Result<> {
    for (const std::string& plan : plans)
      SAW_TRY(sustained_calls(node, plan, options.command, calls / static_cast<int>(plans.size()), kAtOnce));
    return {};
  };
  SAW_TRY(run_all(kWarmUpCalls));
  const Holdings before = count_at_rest(node);
  SAW_TRY(prove_that_counting_counts(node, before));
  const double start = now_us();
  SAW_TRY(run_all(options.leak_calls));
  const double seconds = (now_us() - start) / 1e6;
  const Holdings after = count_at_rest(node);
  fmt::print(stderr,
             "# leaks: {} calls of '{}', warm and cold, with and without a network, {} at once, {:.1f} s\n{}",
             options.leak_calls, fmt::join(options.command, " "), kAtOnce, seconds, describe(before, after));
  const auto grown = growth(before, after);
  for (const std::string& what : grown) fmt::print(stderr, "GREW  {}\n", what);
  return grown.empty() ? 0 : 1;
}

Result<int> run(const Options& options) {
  auto node = SAW_TRY(BenchNode::start());
  sandbox::SandboxPlan workspace = SAW_TRY(node->plan(sandbox::Depth::workspace, Network::captured));
  SAW_TRY(node->ask<sandbox::SandboxStarted>(sandbox::StartSandbox{.plan = std::move(workspace)}));
  if (options.leak_calls > 0) return leaks(*node, options);
  SAW_TRY(latency(*node, options));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = parse(argc, argv);
  if (!options) {
    std::fputs(
        "usage: call_bench [--n N] [--every MS] [--only tight|paced|sustained] [--leaks[=CALLS]] [-- "
        "COMMAND…]\n",
        stderr);
    return 2;
  }
  auto status = run(*options);
  if (status) return *status;
  std::fprintf(stderr, "call_bench: %s\n", status.error().message.c_str());
  return 1;
}
