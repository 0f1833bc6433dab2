// One running sandbox as saw-node sees it: the saw-init process and the conversation with it. What saw-init
// sends is hostile: it may speak about its own execs, in the order in which things happen, and nothing else;
// otherwise it is killed.
//
//   auto sandbox = RunningSandbox::open(loop, {std::move(child), std::move(channel)}, {.on_ready = …,
//   .on_gone = …}); sandbox->start_exec(7, spec, std::move(child_ends));
//
// With Peer::probes it is ready only once saw-init has run them and on_probed has found the report good (R117).
//
// An exec goes: start_exec → on_exec_started (once) → on_exec_ended (once). When saw-init is gone, on_gone
// comes once, as the last callback, and execs that had not ended are still in execs(). on_gone may destroy
// the sandbox, the other callbacks may not.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "os/link.h"
#include "os/spawn.h"
#include "sandbox/init_protocol.h"
#include "sandbox/node_protocol.h"

namespace saw::sandbox {

class RunningSandbox {
 public:
  static constexpr size_t kMaxExecs = 1024;
  static constexpr int64_t kHelloTimeoutMs = 10'000, kProbeTimeoutMs = 10'000;

  struct Callbacks {
    std::move_only_function<void()> on_ready;  // saw-init said hello, and its probes are judged
    // An error ends the sandbox. Only with Peer::probes, and after prove().
    std::move_only_function<Result<>(const ProbeReport&)> on_probed;
    // `terminal` is the pty's master where a terminal was asked for.
    std::move_only_function<void(uint64_t exec, int32_t inner_pid, Fd terminal)> on_exec_started;
    std::move_only_function<void(uint64_t exec, const CommandEnded& end)> on_exec_ended;
    std::move_only_function<void(std::string reason)> on_gone;
  };
  struct Peer {
    os::Child init;
    os::Channel channel;
    uint64_t execs_below = 0;  // saw-init may still run execs with smaller numbers, of an earlier saw-node;
                               // 0: a fresh one runs none
    std::optional<ProbeSubject> probes;  // run before anything else
  };
  enum class ExecState : uint8_t { requested, running };
  struct Exec {
    ExecState state = ExecState::requested;
    bool terminal = false;
  };

  static std::unique_ptr<RunningSandbox> open(os::Loop& loop, Peer peer, Callbacks callbacks);

  // `stdio`: [stdin, stdout, stderr] of the command, or nothing with a terminal.
  void start_exec(uint64_t exec, const ExecSpec& spec, std::vector<Fd> stdio);
  void signal_exec(uint64_t exec, int32_t signal);
  void resize_exec(uint64_t exec, uint16_t rows, uint16_t columns);
  // Has saw-init run probes again; one round at a time. The answer, or its absence, ends as the first round did.
  Result<> prove(const ProbeSubject& subject);
  void kill(std::string reason);  // the first reason counts

  bool is_ready() const { return ready_; }
  const os::Child& init() const { return init_; }
  const std::map<uint64_t, Exec>& execs() const { return execs_; }

 private:
  RunningSandbox(os::Loop& loop, os::Child init, uint64_t execs_below, std::optional<ProbeSubject> probes,
                 Callbacks callbacks)
      : loop_(loop),
        init_(std::move(init)),
        execs_below_(execs_below),
        probes_(std::move(probes)),
        callbacks_(std::move(callbacks)) {}
  void on_message(const std::string& payload, std::vector<Fd> fds);
  Result<> handle(const InitHello& hello, std::vector<Fd>& fds);
  Result<> handle(const CommandStarted& started, std::vector<Fd>& fds);
  Result<> handle(const CommandEnded& ended, std::vector<Fd>& fds);
  Result<> handle(const ProbeReport& report, std::vector<Fd>& fds);
  void ask_for_probes(const ProbeSubject& subject);
  void become_ready();
  void on_init_ended();

  os::Loop& loop_;
  os::Child init_;
  uint64_t execs_below_;
  std::optional<ProbeSubject> probes_;
  Callbacks callbacks_;
  std::unique_ptr<os::Link> link_;
  os::Loop::Watch watch_;  // after init_, whose descriptor it watches
  os::Loop::Timer hello_timer_, probe_timer_;
  std::map<uint64_t, Exec> execs_;
  std::string kill_reason_;
  uint64_t probe_round_ = 0;
  bool said_hello_ = false, ready_ = false, probing_ = false;
};

}  // namespace saw::sandbox
