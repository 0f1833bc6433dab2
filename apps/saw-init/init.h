// PID 1 of a sandbox: takes commands from saw-node over one connection at a time, and reaps.
//
// It outlives saw-node: between two connections commands run on, and their ends wait in the outbox. It lives
// on the agent's side, as the agent's user, with no more rights than the agent; what keeps the agent's hands
// off it is that it is PID 1 of its namespace (no signal reaches it), not dumpable (no ptrace, no
// /proc/1/fd), that its socket has no name inside and no command inherits it.
#pragma once

#include <deque>
#include <optional>
#include <vector>

#include "os/channel.h"
#include "saw-init/commands.h"

namespace saw::init {

constexpr size_t kMaxOutbox =
    4096;  // ends of commands and starts; beyond it a peer that does not read is cut off

class Init {
 public:
  // `listener`: the control socket; `children`: a signalfd for SIGCHLD.
  Init(Fd listener, Fd children) : listener_(std::move(listener)), children_(std::move(children)) {}
  // Returns only when it cannot go on.
  Result<> run();

 private:
  struct Outgoing {
    sandbox::FromInit message;
    Fd attached;
  };

  Result<> wait_and_handle();
  void accept_peer();
  void drop_peer();
  void read_peer();
  void handle(const sandbox::StartCommand& command, std::vector<Fd> fds);
  void handle(const sandbox::SignalCommand& command, std::vector<Fd>) {
    commands_.signal(command.exec, command.signal);
  }
  void handle(const sandbox::ResizeCommand& command, std::vector<Fd>) {
    commands_.resize(command.exec, command.rows, command.columns);
  }
  void handle(const sandbox::RunProbes& request, std::vector<Fd>);
  void collect();
  void post(sandbox::FromInit message, Fd attached = {});
  void flush();

  Fd listener_, children_;
  std::optional<os::Channel> peer_;
  Commands commands_;
  std::deque<Outgoing> outbox_;
};

// PID 1 of a workspace or session: waits for the release byte, then serves for as long as the sandbox lives.
// `children`: a signalfd for SIGCHLD. Descriptors: sandbox/launch_child.h.
[[noreturn]] void serve_many(Fd children);

}  // namespace saw::init
