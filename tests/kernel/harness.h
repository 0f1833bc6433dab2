// A real sandbox for tests: launched by the real Launcher, spoken to through the real saw-init.
//
//   TestHost host;                                             // temporary directories, one uid, a Launcher
//   TestSandbox box = host.start({.depth = Depth::workspace});
//   EXPECT_EQ(box.probe({"write", "/usr/x"}), "EROFS");
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "os/channel.h"
#include "sandbox/init_protocol.h"
#include "sandbox/launch.h"
#include "sandbox/node_probes.h"

namespace saw::kernel_test {

constexpr uint32_t kTestUid = 654321;
constexpr int kPatienceMs = 20'000;

bool rootless();  // whether this run is an ordinary user's

struct Ended {
  std::string output, errors;
  sandbox::CommandEnded how;
};

class TestSandbox {
 public:
  TestSandbox(const sandbox::Launcher& launcher, sandbox::Launched launched);
  TestSandbox(TestSandbox&&) = default;
  ~TestSandbox();

  // One word, or words, as the probe printed them, without the line's end.
  std::string probe(std::vector<std::string> arguments);
  Ended run(std::vector<std::string> argv);
  // A command that goes on; its output comes from the pipe.
  struct Running {
    uint64_t exec = 0;
    int32_t pid = 0;
    Fd output;
    Fd terminal;
  };
  Running start(std::vector<std::string> argv, bool terminal = false);
  sandbox::CommandEnded await_end(uint64_t exec);
  void send(const sandbox::ToInit& message, std::span<const int> fds = {});

  // What saw-init answers to RunProbes, and saw-node's own look from outside, judged.
  std::vector<sandbox::ProbeOutcome> probes(const sandbox::ProbeSubject& subject);

  void connect();
  void disconnect() { channel_.reset(); }
  std::vector<uint64_t> running_at_hello;
  sandbox::Launched& launched() { return launched_; }

 private:
  sandbox::FromInit receive(std::vector<Fd>* fds = nullptr);
  const sandbox::Launcher* launcher_;
  sandbox::Launched launched_;
  std::optional<os::Channel> channel_;
  std::map<uint64_t, sandbox::CommandEnded> ended_;
  uint64_t next_exec_ = 1;
};

class TestHost {
 public:
  TestHost();
  ~TestHost();
  const std::string& directory() const { return directory_; }
  std::string workspace() const { return directory_ + "/ws"; }
  const sandbox::Launcher& launcher() const { return *launcher_; }

  // Read /usr and its links, write /workspace and /home/agent, the probe at /probe.
  sandbox::SandboxPlan plan(sandbox::Depth depth) const;
  sandbox::Layers layers(sandbox::Depth depth);
  TestSandbox start(const sandbox::SandboxPlan& plan);
  TestSandbox start(sandbox::Depth depth) { return start(plan(depth)); }
  // As saw-node would have `box`, started with `plan`, probed.
  sandbox::ProbeSubject subject(const sandbox::SandboxPlan& plan, TestSandbox& box);
  std::vector<sandbox::ProbeOutcome> outside(const sandbox::ProbeSubject& subject,
                                             const sandbox::SandboxPlan& plan, TestSandbox& box,
                                             const std::vector<sandbox::ProbeOutcome>& inside) const;
  // Makes a directory that belongs to the agent.
  std::string agent_directory(const std::string& name);

 private:
  std::string directory_;
  std::unique_ptr<sandbox::Launcher> launcher_;
  std::optional<sandbox::AbstractWitness> witness_;
  int sessions_ = 0;
};

}  // namespace saw::kernel_test
