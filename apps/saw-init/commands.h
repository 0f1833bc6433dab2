// The commands of a sandbox: started by saw-init, each in a session of its own, and found again when they
// end.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "base/fd.h"
#include "sandbox/init_protocol.h"

namespace saw::init {

constexpr size_t kMaxCommands = 1024;

class Commands {
 public:
  struct Started {
    int32_t pid = 0;
    Fd terminal;  // pty master, with StartCommand::terminal
  };
  // `stdio`: three descriptors, or none with a terminal. The error's os_errno is what execve, chdir or fork
  // said.
  Result<Started> start(const sandbox::StartCommand& command, std::vector<Fd> stdio);
  // To the command's process group. Unknown commands are ignored: they may just have ended.
  void signal(uint64_t exec, int32_t signal);
  void resize(uint64_t exec, uint16_t rows, uint16_t columns);

  // Collects every process that has ended, orphans of the agent's included; the next command among them, or
  // nullopt when none is left.
  std::optional<sandbox::CommandEnded> reap();
  std::vector<uint64_t> running() const;

 private:
  struct Command {
    uint64_t exec = 0;
    Fd terminal;  // the slave's side: for resizing. Holding the master would keep the terminal alive after
                  // its user is gone.
  };
  std::map<int32_t, Command> by_pid_;
  const Command* find(uint64_t exec, int32_t& pid) const;
};

// In a process that is to become a command: signals as a program expects them, and a session of its own.
void prepare_command();
// Changes to the command's directory and executes it, looking its program up in PATH. Returns errno on
// failure only. execvpe(3) without its fallback to a shell: a file that is no program is an error.
int execute_in_place(const sandbox::StartCommand& command);

}  // namespace saw::init
