#include "harness.h"

#include <csignal>
#include <filesystem>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/crypto.h"
#include "base/file.h"
#include "os/unix_path.h"
#include "userns_state.h"

namespace saw::kernel_test {

using sandbox::Depth;

bool rootless() {
  return userns_state().rootless;
}

TestHost::TestHost() {
  directory_ = "/tmp/" + random_id("saw-kernel-");
  for (const char* name : {"", "/run", "/scratch"})
    SAW_CHECK(make_directories(directory_ + name, 0755).has_value());
  agent_directory("ws");
  auto created = sandbox::Launcher::create({.rootless = rootless(),
                                            .run_directory = directory_ + "/run",
                                            .scratch_directory = directory_ + "/scratch",
                                            .init_path = SAW_INIT_PATH});
  SAW_CHECK(created.has_value(), "{}", created.error().message);
  launcher_ = std::make_unique<sandbox::Launcher>(std::move(*created));
}

TestHost::~TestHost() {
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

std::string TestHost::agent_directory(const std::string& name) {
  const std::string path = directory_ + "/" + name;
  SAW_CHECK(make_directories(path, 0755).has_value());
  if (!rootless()) SAW_CHECK(::chown(path.c_str(), kTestUid, kTestUid) == 0);
  return path;
}

sandbox::SandboxPlan TestHost::plan(Depth depth) const {
  const std::string probe = SAW_PROBE_PATH;
  return {.id = random_id("sb-"),
          .depth = depth,
          .image_root = "/",
          .read_paths = {"/bin", "/etc/alternatives", "/etc/ssl", "/lib", "/lib64", "/usr"},
          .write_paths = {"/home/agent", "/workspace"},
          .files = {{"/etc/hosts", "127.0.0.1 localhost\n"},
                    {"/etc/resolv.conf", "nameserver 10.0.2.3\n"},
                    {"/etc/nsswitch.conf", "hosts: files dns\n"}},
          .mounts = {{probe.substr(0, probe.rfind('/')), "/probe", sandbox::Access::read}},
          .limits = {.scratch_bytes = 64u << 20},
          .hostname = "box",
          .strictness = rootless() ? sandbox::Strictness::best_effort : sandbox::Strictness::strict};
}

sandbox::Layers TestHost::layers(Depth depth) {
  sandbox::Layers out{.owner = directory_, .root = directory_, .uid = kTestUid, .gid = kTestUid};
  if (depth == Depth::workspace) {
    out.upper = workspace();
    return out;
  }
  out.lower = {workspace()};
  if (depth == Depth::session) {
    const std::string name = fmt::format("session-{}", ++sessions_);
    out.upper = agent_directory(name + "/upper");
    out.work = agent_directory(name + "/work");
  }
  return out;
}

TestSandbox TestHost::start(const sandbox::SandboxPlan& plan) {
  auto launched = launcher_->launch(plan, layers(plan.depth));
  SAW_CHECK(launched.has_value(), "{}", launched.error().message);
  auto released = launched->go();
  SAW_CHECK(released.has_value());
  TestSandbox out(*launcher_, std::move(*launched));
  out.connect();
  return out;
}

sandbox::ProbeSubject TestHost::subject(const sandbox::SandboxPlan& plan, TestSandbox& box) {
  if (!witness_) witness_ = std::move(*sandbox::AbstractWitness::open());
  const uint32_t agent = rootless() ? sandbox::kAgentUid : kTestUid;
  return sandbox::probe_subject(plan, {.landlock = launcher_->has_landlock(),
                                       .uid = agent,
                                       .gid = agent,
                                       .own_directories = {directory_, directory_ + "/run"},
                                       .control_socket = box.launched().control_socket,
                                       .abstract_socket = witness_->name()});
}

std::vector<sandbox::ProbeOutcome> TestHost::outside(const sandbox::ProbeSubject& subject,
                                                     const sandbox::SandboxPlan& plan, TestSandbox& box,
                                                     const std::vector<sandbox::ProbeOutcome>& inside) const {
  const uint32_t agent = rootless() ? 0 : kTestUid;
  const sandbox::Launched& launched = box.launched();
  return sandbox::probe_from_outside(
      subject, {.inside = inside,
                .init_pid = launched.init_pid,
                .uid = agent,
                .gid = agent,
                .capture_listener = &launched.capture_listener,
                .dns_socket = &launched.dns_socket,
                .limits = launcher_->check_limits(launched.cgroup, plan.limits, launched.init_pid,
                                                  launched.degraded)});
}

TestSandbox::TestSandbox(const sandbox::Launcher& launcher, sandbox::Launched launched)
    : launcher_(&launcher), launched_(std::move(launched)) {}

TestSandbox::~TestSandbox() {
  if (!launched_.init_pidfd) return;
  ::syscall(SYS_pidfd_send_signal, launched_.init_pidfd.get(), SIGKILL, nullptr, 0);
  ::waitpid(launched_.init_pid, nullptr, 0);
  ::unlink(launched_.control_socket.c_str());
  auto released = launcher_->release_cgroup(launched_.cgroup);
  EXPECT_TRUE(released) << released.error().message;
}

void TestSandbox::connect() {
  auto socket = os::connect_unix(launched_.control_socket, os::SocketKind::seqpacket);
  SAW_CHECK(socket.has_value(), "{}", socket.error().message);
  channel_ = std::move(*os::Channel::adopt(std::move(*socket)));
  auto hello = receive();
  running_at_hello = std::get<sandbox::InitHello>(hello).running;
}

sandbox::FromInit TestSandbox::receive(std::vector<Fd>* fds) {
  pollfd ready{channel_->fd(), POLLIN, 0};
  SAW_CHECK(::poll(&ready, 1, kPatienceMs) == 1, "saw-init does not answer");
  auto got = channel_->receive();
  SAW_CHECK(got.has_value() && got->state == os::Channel::State::message, "saw-init is gone");
  auto message = wire::decode<sandbox::FromInit>(got->payload);
  SAW_CHECK(message.has_value());
  if (fds) *fds = std::move(got->fds);
  return *message;
}

void TestSandbox::send(const sandbox::ToInit& message, std::span<const int> fds) {
  auto sent = channel_->send(wire::encode(message), fds);
  SAW_CHECK(sent.has_value(), "{}", sent.error().message);
}

TestSandbox::Running TestSandbox::start(std::vector<std::string> argv, bool terminal) {
  Running out{.exec = next_exec_++};
  sandbox::StartCommand command{.exec = out.exec,
                                .argv = std::move(argv),
                                .environment = sandbox::base_environment(),
                                .terminal = terminal};
  Pipe pipe = std::move(*Pipe::create());
  Fd null = std::move(*Fd::open("/dev/null", O_RDWR));
  const int fds[] = {null.get(), pipe.write.get(), pipe.write.get()};
  send(command, terminal ? std::span<const int>() : std::span<const int>(fds));
  out.output = std::move(pipe.read);
  while (true) {
    std::vector<Fd> got;
    auto message = receive(&got);
    if (auto* ended = std::get_if<sandbox::CommandEnded>(&message)) {
      ended_[ended->exec] = *ended;
      if (ended->exec == out.exec) return out;  // it did not start
    } else if (auto* started = std::get_if<sandbox::CommandStarted>(&message)) {
      out.pid = started->pid;
      if (!got.empty()) out.terminal = std::move(got[0]);
      return out;
    }
  }
}

std::vector<sandbox::ProbeOutcome> TestSandbox::probes(const sandbox::ProbeSubject& subject) {
  static uint64_t round = 0;
  send(sandbox::RunProbes{++round, subject});
  while (true) {
    auto message = receive();
    if (auto* report = std::get_if<sandbox::ProbeReport>(&message)) {
      EXPECT_EQ(report->round, round);
      return report->outcomes;
    }
  }
}

sandbox::CommandEnded TestSandbox::await_end(uint64_t exec) {
  while (!ended_.contains(exec)) {
    auto message = receive();
    if (auto* ended = std::get_if<sandbox::CommandEnded>(&message)) ended_[ended->exec] = *ended;
  }
  return ended_[exec];
}

Ended TestSandbox::run(std::vector<std::string> argv) {
  Running running = start(std::move(argv));
  auto output = read_all(running.output, 1u << 20);
  return {output ? *output : "", "", await_end(running.exec)};
}

std::string TestSandbox::probe(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "/probe/kernel_probe");
  Ended ended = run(std::move(arguments));
  std::string text = ended.output;
  while (!text.empty() && text.back() == '\n') text.pop_back();
  if (!ended.how.started) return fmt::format("not started: {}", strerrorname_np(ended.how.wait_status));
  if (WIFSIGNALED(ended.how.wait_status))
    return fmt::format("{}signal {}", text, WTERMSIG(ended.how.wait_status));
  return text;
}

}  // namespace saw::kernel_test
