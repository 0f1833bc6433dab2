// One running sandbox as saw-node sees it: the saw-init process and the conversation with it. What saw-init
// sends is hostile: it may speak about its own execs, in the order in which things happen, and nothing else;
// otherwise it is killed.
//
//   auto sandbox = RunningSandbox::open(loop, {std::move(child), std::move(channel)}, {.on_ready = …,
//   .on_gone = …}); sandbox->start_exec(7, spec, std::move(child_ends));
//
// An exec goes: start_exec → on_exec_started (once) → on_exec_ended (once). When saw-init is gone, on_gone
// comes once, as the last callback, and execs that had not ended are still in execs(). on_gone may destroy
// the sandbox, the other callbacks may not.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "os/link.h"
#include "os/spawn.h"
#include "sandbox/init_protocol.h"
#include "sandbox/node_protocol.h"

namespace saw::sandbox {

class RunningSandbox {
 public:
  static constexpr size_t kMaxExecs = 1024;
  static constexpr int64_t kHelloTimeoutMs = 10'000;

  struct Callbacks {
    std::move_only_function<void()> on_ready;  // saw-init said hello
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
  void kill(std::string reason);  // the first reason counts

  bool is_ready() const { return ready_; }
  const os::Child& init() const { return init_; }
  const std::map<uint64_t, Exec>& execs() const { return execs_; }

 private:
  RunningSandbox(os::Child init, uint64_t execs_below, Callbacks callbacks)
      : init_(std::move(init)), execs_below_(execs_below), callbacks_(std::move(callbacks)) {}
  void on_message(const std::string& payload, std::vector<Fd> fds);
  Result<> handle(const InitHello& hello, std::vector<Fd>& fds);
  Result<> handle(const CommandStarted& started, std::vector<Fd>& fds);
  Result<> handle(const CommandEnded& ended, std::vector<Fd>& fds);
  void on_init_ended();

  os::Child init_;
  uint64_t execs_below_;
  Callbacks callbacks_;
  std::unique_ptr<os::Link> link_;
  os::Loop::Watch watch_;  // after init_, whose descriptor it watches
  os::Loop::Timer hello_timer_;
  std::map<uint64_t, Exec> execs_;
  std::string kill_reason_;
  bool ready_ = false;
};

}  // namespace saw::sandbox
