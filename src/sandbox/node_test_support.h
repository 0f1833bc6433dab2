// A whole saw-node without privileges: real processes (sleep) stand for saw-init and for the other programs,
// the test plays their side of each link, and Runtime is replaced at its seam.
#pragma once

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <optional>

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "os/process.h"
#include "os/spawn.h"
#include "os/unix_path.h"
#include "sandbox/node.h"

namespace saw::sandbox::testing_support {

inline os::Child start_sleeper() {
  auto child = os::spawn({.program = "/bin/sleep", .arguments = {"sleep", "1000"}});
  SAW_CHECK(child.has_value(), "{}", child.error().message);
  return std::move(*child);
}

// An outcome of each probe that applies, as it must be.
inline std::vector<ProbeOutcome> sound_outcomes(const ProbeSubject& subject, Where where) {
  std::vector<ProbeOutcome> out;
  for (size_t i = 0; i < probe_list().size(); ++i) {
    const Probe& probe = probe_list()[i];
    if (probe.where != where || !applies(probe, subject)) continue;
    ProbeOutcome outcome{.probe = static_cast<uint16_t>(i)};
    if (!is_expected(probe, outcome)) outcome.ending = Ending::refused;
    while (!is_expected(probe, outcome)) ++outcome.number;
    out.push_back(std::move(outcome));
  }
  return out;
}

// The other end of one sandbox's control socket, as a test wants it to behave.
struct FakeInit {
  os::Child process;
  Fd listener;
  os::Loop::Watch accepting;
  std::unique_ptr<os::Link> link;
  std::vector<uint64_t> running;
  std::vector<StartCommand> starts;
  std::vector<std::vector<Fd>> stdio;
  std::vector<SignalCommand> signals;
  std::vector<RunProbes> probes;

  void say(const FromInit& message, std::vector<Fd> fds = {}) {
    link->send(wire::encode(message), std::move(fds));
  }
  void say_bytes(std::string bytes) { link->send(std::move(bytes)); }
};

class FakeRuntime final : public Runtime {
 public:
  FakeRuntime(os::Loop& loop, std::string run_directory) : loop_(loop), run_(std::move(run_directory)) {}

  Result<Launched> launch(const SandboxPlan& plan, const Layers& layers) override {
    if (fail_next)
      return Error::make("sandbox.mount", "mounting: {}", *std::exchange(fail_next, std::nullopt));
    last_layers = layers;
    auto init = std::make_unique<FakeInit>();
    init->process = start_sleeper();
    Launched out{.init_pid = init->process.pid(), .init_start_time = *os::start_time_of(init->process.pid())};
    out.control_socket = run_ + "/" + plan.id + ".sock";
    out.cgroup = plan.id;
    init->listener = SAW_TRY(os::listen_unix(out.control_socket, os::SocketKind::seqpacket, 0600));
    FakeInit* raw = init.get();
    init->accepting =
        loop_.watch(raw->listener.get(), os::Loop::kReadable, [this, raw](uint32_t) { accept(*raw); });
    out.init_pidfd = Fd(::dup(raw->process.pidfd()));
    out.capture_listener = SAW_TRY(Fd::open("/dev/null", 0));
    out.dns_socket = SAW_TRY(Fd::open("/dev/null", 0));
    Pipe go = SAW_TRY(Pipe::create());
    out.go_pipe = std::move(go.write);
    go_pipes_.push_back(std::move(go.read));
    cgroups.push_back(plan.id);
    inits[plan.id] = std::move(init);
    return out;
  }
  Result<std::shared_ptr<const Prepared>> prepare(const SandboxPlan&, const Layers& layers) override {
    last_layers = layers;
    return std::make_shared<const Prepared>(Prepared{.storage = layers.root});
  }
  Result<Launching> begin(std::shared_ptr<const Prepared>, const LaunchSpec&) override {
    return Error::make("sandbox.mount", "not in this test");
  }
  Result<std::optional<Launched>> finish(Launching&) override { return std::optional<Launched>(); }
  bool restock() override { return false; }
  void drop_moulds(const std::string& storage) override { dropped.push_back(storage); }
  Result<Launcher::Sockets> reopen_sockets(int32_t) override {
    ++reopened;
    return Launcher::Sockets{SAW_TRY(Fd::open("/dev/null", 0)), SAW_TRY(Fd::open("/dev/null", 0))};
  }
  Result<> release_cgroup(const std::string& name) override {
    if (busy_cgroups > 0) return --busy_cgroups, Error::make("os.cgroup", "busy");
    std::erase(cgroups, name);
    return {};
  }
  std::vector<std::string> existing_cgroups() override { return cgroups; }
  uint64_t oom_kills(const std::string&) override { return ooms; }
  uint64_t forks_refused(const std::string&) override { return refusals; }
  ProbeHost probe_host(const Layers&) override { return {.landlock = true, .uid = 1000, .gid = 1000}; }
  std::vector<ProbeOutcome> probe_from_outside(const ProbedSandbox& sandbox) override {
    auto outcomes = sound_outcomes(sandbox.subject, Where::outside);
    if (surprise_from_outside) outcomes[0].ending = Ending::differs;
    return outcomes;
  }

  std::optional<std::string> fail_next;
  int busy_cgroups = 0, reopened = 0;
  uint64_t ooms = 0, refusals = 0;
  bool shy = false;  // new connections get no hello
  bool surprise_from_outside = false;
  enum class Probing : uint8_t { answer, surprise, silence } probing = Probing::answer;
  Layers last_layers;
  std::vector<std::string> dropped;  // storage directories
  std::vector<std::string> cgroups;
  std::map<std::string, std::unique_ptr<FakeInit>> inits;

 private:
  void answer(FakeInit& init, const RunProbes& request) {
    if (probing == Probing::silence) return;
    auto outcomes = sound_outcomes(request.subject, Where::inside);
    if (probing == Probing::surprise) outcomes[0].ending = Ending::done;
    init.say(ProbeReport{request.round, std::move(outcomes)});
  }
  void accept(FakeInit& init) {
    Fd socket(::accept4(init.listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    auto channel = os::Channel::adopt(std::move(socket));
    if (!channel) return;
    init.link = os::Link::open(loop_, std::move(*channel),
                               {.on_message =
                                    [this, &init](const std::string& payload, std::vector<Fd> fds) {
                                      auto message = wire::decode<ToInit>(payload);
                                      SAW_CHECK(message.has_value());
                                      if (auto* start = std::get_if<StartCommand>(&*message)) {
                                        init.starts.push_back(*start);
                                        init.stdio.push_back(std::move(fds));
                                      } else if (auto* signal = std::get_if<SignalCommand>(&*message)) {
                                        init.signals.push_back(*signal);
                                      } else if (auto* probes = std::get_if<RunProbes>(&*message)) {
                                        init.probes.push_back(*probes);
                                        answer(init, *probes);
                                      }
                                    },
                                .on_close = [](const std::string&) {}});
    if (!shy) init.say(InitHello{init.running});
  }
  os::Loop& loop_;
  std::string run_;
  std::vector<Fd> go_pipes_;
};

// What the test's sawd was told.
struct Told {
  FromNode message;
  std::vector<Fd> fds;
};

class NodeHarness : public testing::Test {
 protected:
  struct Program {
    std::string name;
    std::vector<std::string> arguments;
    std::vector<Fd> descriptors;
    std::optional<uint32_t> identity;
    os::NetworkView network;
    os::Child process;
  };

  NodeHarness() : loop_(std::move(*os::Loop::create())) {
    std::string name = testing::TempDir() + "saw-node-XXXXXX";
    directory_ = ::mkdtemp(name.data());
    std::filesystem::create_directories(directory_ + "/run");
    std::filesystem::create_directories(directory_ + "/node");
    runtime_ = std::make_unique<FakeRuntime>(loop_, directory_ + "/run");
  }
  ~NodeHarness() override {
    control_.reset();
    node_.reset();
    for (auto& [id, init] : runtime_->inits) reap(init->process);
    for (Program& program : programs_) reap(program.process);
    runtime_.reset();
    std::filesystem::remove_all(directory_);
  }
  static void reap(const os::Child& child) {
    child.kill(SIGKILL);
    child.wait_ended(5'000);
    child.reap();
  }

  void start_node() {
    storage_.emplace(std::move(*Storage::open(directory_ + "/node", {})));
    auto state = StateDirectory::open(directory_ + "/node/state");
    Node::Config config{.version = "test",
                        .node_id = "node-test",
                        .sandboxes = {.run_directory = directory_ + "/run",
                                      .bounds = {.own_directories = {directory_}},
                                      .first_exec = ++generation_ * 1000},
                        .programs = {.bin_directory = "/nowhere",
                                     .state_directory = directory_,
                                     .socket_path = directory_ + "/run/saw.sock",
                                     .control_lock = directory_ + "/node/sawd.lock",
                                     .api_listener = std::move(*Fd::open("/dev/null", 0))}};
    node_ = std::make_unique<Node>(
        loop_, std::move(config),
        Node::Parts{.runtime = *runtime_,
                    .storage = *storage_,
                    .state = std::move(*state),
                    .spawn = [this](const os::SpawnSpec& spec) { return spawn(spec); },
                    .on_ready = [this] { ++ready_; },
                    .on_start_failed = [this](const std::string& why) { start_failure_ = why; }});
    auto started = node_->start();
    ASSERT_TRUE(started) << started.error().message;
  }

  Result<os::Child> spawn(const os::SpawnSpec& spec) {
    Program program{.name = spec.arguments[0],
                    .arguments = spec.arguments,
                    .identity = spec.identity,
                    .network = spec.network};
    if (refuse_to_start_ == program.name)
      return Error::make("os.spawn", "starting '{}': no such file", program.name);
    for (const Fd& fd : spec.descriptors) program.descriptors.push_back(std::move(*fd.duplicate()));
    program.process = start_sleeper();
    if (program.name == "sawd") {
      // The duplicate stands for sawd's own; the lock must not stay with the test.
      program.descriptors.resize(2);
      open_control(std::move(program.descriptors[0]));
    }
    os::Child handed_on(program.process.pid(), Fd(::dup(program.process.pidfd())));
    programs_.push_back(std::move(program));
    return handed_on;
  }
  void open_control(Fd fd) {
    control_ = os::Link::open(loop_, std::move(*os::Channel::adopt(std::move(fd))),
                              {.on_message =
                                   [this](const std::string& payload, std::vector<Fd> fds) {
                                     auto message = wire::decode<FromNode>(payload);
                                     SAW_CHECK(message.has_value());
                                     told_.push_back({std::move(*message), std::move(fds)});
                                   },
                               .on_close = [this](const std::string&) { control_closed_ = true; }});
  }
  Program& program(const std::string& name) {  // the latest of that name
    for (auto it = programs_.rbegin(); it != programs_.rend(); ++it)
      if (it->name == name) return *it;
    SAW_CHECK(false, "no {} was started", name);
  }
  size_t count(const std::string& name) const {
    return static_cast<size_t>(std::ranges::count(programs_, name, &Program::name));
  }

  // Runs the loop until `done`, at most five seconds.
  template <class Done> [[nodiscard]] bool run_until(Done done) {
    for (int i = 0; i < 5'000; ++i) {
      if (done()) return true;
      pollfd ready{.fd = loop_.fd(), .events = POLLIN};
      ::poll(&ready, 1, 1);
      if (!loop_.run_ready()) stopped_ = true;
    }
    return false;
  }
  template <class T> Told* find_told(uint64_t request = 0) {
    for (Told& told : told_)
      if (auto* message = std::get_if<T>(&told.message)) {
        if constexpr (requires { message->request; }) {
          if (request != 0 && message->request != request) continue;
        }
        return &told;
      }
    return nullptr;
  }
  // The answer or event of that type, waited for. nullptr when it does not come.
  template <class T> T* await(uint64_t request = 0) {
    if (!run_until([&] { return find_told<T>(request) != nullptr; })) return nullptr;
    return &std::get<T>(find_told<T>(request)->message);
  }
  void send(const ToNode& message) { control_->send(wire::encode(message)); }

  static SandboxPlan plan(const std::string& id, Depth depth = Depth::workspace) {
    return {.id = id,
            .depth = depth,
            .workspace = "w",
            .session = depth == Depth::session ? "s" : "",
            .image_root = "/",
            .hostname = "dev"};
  }
  // A ready sandbox.
  FakeInit& start_sandbox(const std::string& id, Depth depth = Depth::workspace) {
    return start_sandbox(plan(id, depth));
  }
  FakeInit& start_sandbox(const SandboxPlan& wanted) {
    const std::string& id = wanted.id;
    const uint64_t request = ++request_;
    send(CreateStorage{.request = ++request_, .workspace = "w"});
    send(StartSandbox{.request = request, .plan = wanted});
    auto* started = await<SandboxStarted>(request);
    SAW_CHECK(started != nullptr, "sandbox {} did not start", id);
    return *runtime_->inits.at(id);
  }
  // A command that saw-init has reported as started.
  uint64_t start_command(FakeInit& init, const std::string& sandbox) {
    const uint64_t request = ++request_;
    const size_t before = init.starts.size();
    send(StartExec{.request = request, .sandbox = sandbox, .spec = {.argv = {"true"}, .directory = "/"}});
    SAW_CHECK(run_until([&] { return init.starts.size() > before; }));
    init.say(CommandStarted{.exec = init.starts.back().exec, .pid = 2});
    auto* started = await<ExecStarted>(request);
    SAW_CHECK(started != nullptr);
    return started->exec;
  }
  bool has_traces(const std::string& id) const {
    return std::filesystem::exists(directory_ + "/run/" + id + ".sock") ||
           std::filesystem::exists(directory_ + "/node/state/" + id) ||
           std::ranges::find(runtime_->cgroups, id) != runtime_->cgroups.end();
  }

  os::Loop loop_;
  std::string directory_, refuse_to_start_, start_failure_;
  std::unique_ptr<FakeRuntime> runtime_;
  std::optional<Storage> storage_;
  std::unique_ptr<Node> node_;
  std::vector<Program> programs_;
  std::unique_ptr<os::Link> control_;
  std::vector<Told> told_;
  uint64_t request_ = 0, generation_ = 0;
  int ready_ = 0;
  bool control_closed_ = false, stopped_ = false;
};

}  // namespace saw::sandbox::testing_support
