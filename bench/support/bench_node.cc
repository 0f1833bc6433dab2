#include "support/bench_node.h"

#include <cstdlib>
#include <filesystem>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/crypto.h"
#include "base/file.h"
#include "support/policy.h"

namespace saw::bench {
namespace {

using sandbox::Depth;
using sandbox::Network;

constexpr const char* kCaBundle = "/etc/ssl/certs/ca-certificates.crt";
constexpr const char* kDirectory = "/workspace";
constexpr size_t kMaxOutput = 1u << 20;

// The other programs of SAW lie where this one does.
Result<> find_programs() {
  std::error_code error;
  const std::string here = std::filesystem::read_symlink("/proc/self/exe", error).parent_path().string();
  if (error || ::setenv("SAW_BIN", here.c_str(), 0) != 0)
    return Error::make("bench.programs", "cannot find this program's own directory");
  return {};
}

class PreparedCall : public Contender {
 public:
  PreparedCall(BenchNode& node, CallKind kind, std::string plan, Command command)
      : node_(node), kind_(std::move(kind)), plan_(std::move(plan)), command_(std::move(command)) {}
  std::string name() const override { return kind_.name; }
  bool is_gone_later() const override { return true; }
  std::string remark() const override {
    return others_ == 0 ? "" : fmt::format("{} calls found nothing ready", others_);
  }
  Result<Timing> run() override {
    NodeCall call(node_, plan_, command_);
    Result<bool> over = false;
    const bool in_time = node_.process().run_until([&] {
      over = call.advance();
      return !over || *over;
    });
    if (!over) return std::unexpected(over.error());
    if (!in_time) return Error::make("bench.silent", "a call does not end");
    others_ += call.warmth() != kind_.wanted;
    return call.timing();
  }

 private:
  BenchNode& node_;
  CallKind kind_;
  std::string plan_;
  Command command_;
  int others_ = 0;
};

}  // namespace

BenchNode::BenchNode(policy::Policy policy)
    : policy_(std::move(policy)),
      ca_bundle_(read_file(kCaBundle).value_or("no CA bundle on this host\n")),
      process_(testing_support::As::root) {}

Result<std::unique_ptr<BenchNode>> BenchNode::start() {
  if (::geteuid() != 0) return Error::make("bench.root", "saw-node is measured as root");
  SAW_TRY(find_programs());
  auto policy = policy::Policy::compile(kBenchPolicy, "bench.yaml");
  SAW_CHECK(policy.has_value(), "{}", policy.error()[0].text());
  std::unique_ptr<BenchNode> node(new BenchNode(std::move(*policy)));
  node->process_.log_to(SAW_TRY(
      Fd::open(node->process_.directory() + "/saw-node.log", O_WRONLY | O_CREAT | O_TRUNC | O_APPEND)));
  if (!node->process_.start()) return Error::make("bench.start", "saw-node does not start");
  SAW_TRY(node->ask<sandbox::Done>(sandbox::CreateStorage{.workspace = kWorkspace}));
  return node;
}

BenchNode::~BenchNode() {
  if (!process_.is_running()) return;
  process_.send(sandbox::Shutdown{});
  static_cast<void>(process_.wait_node_ended());
}

Result<sandbox::SandboxPlan> BenchNode::plan(Depth depth, Network network) const {
  sandbox::SandboxPlan plan =
      SAW_TRY(sandbox::make_plan(policy_, {.id = random_id("sb-"),
                                           .depth = depth,
                                           .workspace = kWorkspace,
                                           .session = depth == Depth::session ? kSession : "",
                                           .hostname = "bench",
                                           .system_ca_bundle = ca_bundle_}));
  plan.network = network;
  return plan;
}

Result<> BenchNode::run_inside(const std::string& sandbox, const Command& command) {
  const uint64_t request = next_request();
  process_.send(sandbox::StartExec{
      .request = request,
      .sandbox = sandbox,
      .spec = {.argv = command, .environment = sandbox::base_environment(), .directory = kDirectory}});
  std::optional<testing_support::NodeUnderTest::Taken<sandbox::ExecStarted>> started;
  std::optional<testing_support::NodeUnderTest::Taken<sandbox::ExecExited>> ended;
  std::optional<Error> failure;
  const bool over = process_.run_until([&] {
    if (!started)
      started = process_.take<sandbox::ExecStarted>([&](const auto& s) { return s.request == request; });
    if (started)
      ended = process_.take<sandbox::ExecExited>(
          [&](const auto& e) { return e.sandbox == sandbox && e.exec == started->message.exec; });
    failure = failure_of(request);
    return ended || failure;
  });
  if (failure) return std::unexpected(*failure);
  if (!over) return Error::make("bench.silent", "'{}' does not end", command[0]);
  if (ended->message.end != sandbox::ExecEnd::exited || ended->message.status != 0)
    return Error::make("bench.status", "'{}' ended with status {}", command[0], ended->message.status);
  return {};
}

std::optional<Error> BenchNode::failure_of(uint64_t request) {
  auto failed =
      process_.take<sandbox::Failed>([&](const sandbox::Failed& f) { return f.request == request; });
  if (!failed) return std::nullopt;
  return Error{failed->message.code, failed->message.message, 0};
}

void BenchNode::note_lacking(const std::vector<std::string>& degraded) {
  lacking_.clear();
  for (const std::string& name : degraded) lacking_ += (lacking_.empty() ? "" : ", ") + name;
}

Result<std::string> prepare(BenchNode& node, const CallKind& kind) {
  sandbox::SandboxPlan plan = SAW_TRY(node.plan(Depth::call, kind.network));
  plan.hostname = fmt::format("bench-{}", node.next_request());  // kinds do not share a plan
  return SAW_TRY(node.ask<sandbox::CallsPrepared>(
                     sandbox::PrepareCalls{.plan = std::move(plan),
                                           .parked = kind.parked,
                                           .environment = sandbox::base_environment(),
                                           .directory = kDirectory,
                                           .runtimes = kind.runtimes}))
      .plan;
}

Result<> forget_calls(BenchNode& node) {
  SAW_TRY(node.ask<sandbox::Done>(sandbox::ForgetCalls{.workspace = BenchNode::kWorkspace}));
  return {};
}

NodeCall::NodeCall(BenchNode& node, const std::string& plan, const Command& command)
    : node_(node), sandbox_(random_id("sb-")), request_(node.next_request()), began_(now_us()) {
  node_.process().send(sandbox::RunCall{
      .request = request_,
      .plan = plan,
      .sandbox = sandbox_,
      .spec = {.argv = command, .environment = sandbox::base_environment(), .directory = kDirectory}});
}

Result<bool> NodeCall::take_end() {
  auto end = node_.process().take<sandbox::ExecExited>(
      [&](const sandbox::ExecExited& e) { return e.sandbox == sandbox_ && e.exec == exec_; });
  if (!end) return false;
  for (size_t i = 1; i <= 2 && i < streams_.size(); ++i) SAW_TRY(read_all(streams_[i], kMaxOutput));
  timing_.result_us = now_us() - began_;
  streams_.clear();
  if (end->message.end != sandbox::ExecEnd::exited || end->message.status != 0)
    return Error::make("bench.status", "the command ended with status {}", end->message.status);
  return true;
}

Result<bool> NodeCall::advance() {
  using namespace sandbox;
  const auto answers = [&](const auto& message) { return message.request == request_; };
  if (auto failure = node_.failure_of(request_)) return std::unexpected(*failure);
  if (step_ == Step::starting)
    if (auto started = node_.process().take<CallStarted>(answers)) {
      node_.note_lacking(started->message.degraded);
      exec_ = started->message.exec;
      warmth_ = started->message.warmth;
      streams_ = std::move(started->fds);
      if (!streams_.empty()) streams_[0].reset();  // no input
      step_ = Step::running;
    }
  if (step_ == Step::running && SAW_TRY(take_end())) {
    request_ = node_.next_request();
    node_.process().send(StopSandbox{.request = request_, .sandbox = sandbox_});
    step_ = Step::stopping;
  }
  if (step_ == Step::stopping && node_.process().take<Done>(answers)) {
    timing_.gone_us = now_us() - began_;
    step_ = Step::over;
  }
  return step_ == Step::over;
}

Result<std::unique_ptr<Contender>> node_call(BenchNode& node, const CallKind& kind, Command command) {
  return std::make_unique<PreparedCall>(node, kind, SAW_TRY(prepare(node, kind)), std::move(command));
}

Result<double> sustained_calls(BenchNode& node, const std::string& plan, const Command& command, int count,
                               int at_once) {
  const double start = now_us();
  std::vector<std::unique_ptr<NodeCall>> calls;
  int begun = 0;
  while (begun < count || !calls.empty()) {
    for (; begun < count && std::ssize(calls) < at_once; ++begun)
      calls.push_back(std::make_unique<NodeCall>(node, plan, command));
    std::optional<Error> failure;
    const bool moved = node.process().run_until([&] {
      return std::erase_if(calls, [&](const auto& call) {
               auto over = call->advance();
               if (!over) failure = over.error();
               return !over || *over;
             }) > 0;
    });
    if (failure) return std::unexpected(*failure);
    if (!moved) return Error::make("bench.silent", "no call ends");
  }
  return count * 1e6 / (now_us() - start);
}

}  // namespace saw::bench
