#include "saw-init/commands.h"

#include <csignal>
#include <cstdlib>

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

namespace saw::init {
namespace {

constexpr const char* kDefaultPath = "/usr/local/bin:/usr/bin:/bin";
// Until a new process has become its command. The agent can stop it before (SIGSTOP), or hold a lease on the
// program's file; saw-init must go on all the same.
constexpr int kBecomeMs = 5'000;

struct Terminal {
  Fd master, slave;
};
Result<Terminal> open_terminal(uint16_t rows, uint16_t columns) {
  Terminal out;
  out.master = Fd(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!out.master) return Error::system("init.terminal", "opening a terminal");
  char name[64];
  if (::unlockpt(out.master.get()) != 0 || ::ptsname_r(out.master.get(), name, sizeof name) != 0)
    return Error::system("init.terminal", "unlocking a terminal");
  out.slave = SAW_TRY(Fd::open(name, O_RDWR | O_NOCTTY));
  winsize size{.ws_row = rows, .ws_col = columns};
  ::ioctl(out.slave.get(), TIOCSWINSZ, &size);
  return out;
}

std::vector<char*> pointers(const std::vector<std::string>& strings) {
  std::vector<char*> out;
  for (const std::string& s : strings) out.push_back(const_cast<char*>(s.c_str()));
  out.push_back(nullptr);
  return out;
}

std::string path_of(const std::vector<std::string>& environment) {
  for (const std::string& entry : environment)
    if (entry.starts_with("PATH=")) return entry.substr(5);
  return kDefaultPath;
}

int execute(const sandbox::StartCommand& command) {
  const std::vector<char*> arguments = pointers(command.argv), environment = pointers(command.environment);
  const std::string& name = command.argv[0];
  if (name.find('/') != name.npos) {
    ::execve(name.c_str(), arguments.data(), environment.data());
    return errno;
  }
  int error = ENOENT;
  const std::string path = path_of(command.environment);
  for (size_t at = 0; at <= path.size();) {
    size_t end = path.find(':', at);
    if (end == path.npos) end = path.size();
    const std::string candidate = path.substr(at, end - at) + "/" + name;
    if (candidate[0] == '/') ::execve(candidate.c_str(), arguments.data(), environment.data());
    if (errno != ENOENT && errno != ENOTDIR) error = errno;
    at = end + 1;
  }
  return error;
}

// In the new process; returns errno when it could not become the command.
int become(const sandbox::StartCommand& command, const int (&stdio)[3]) {
  prepare_command();
  for (int i = 0; i < 3; ++i)
    if (::dup2(stdio[i], i) < 0) return errno;
  if (command.terminal && ::ioctl(0, TIOCSCTTY, 0) != 0) return errno;
  return execute_in_place(command);
}

// 0: the new process executes its command. Otherwise errno; then it is gone.
int await_become(pid_t pid, const Fd& failure) {
  pollfd ready{failure.get(), POLLIN, 0};
  int polled;
  do polled = ::poll(&ready, 1, kBecomeMs);
  while (polled < 0 && errno == EINTR);
  int error = polled == 1 ? 0 : ETIMEDOUT;
  if (polled == 1 && ::read(failure.get(), &error, sizeof error) == 0) return 0;
  ::kill(pid, SIGKILL);  // not reaped yet: the number is its own
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  return error;
}

}  // namespace

void prepare_command() {
  // The mould has made every other signal default (launch_child.cc).
  ::signal(SIGPIPE, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::setsid();
}

int execute_in_place(const sandbox::StartCommand& command) {
  if (::chdir(command.directory.empty() ? "/" : command.directory.c_str()) != 0) return errno;
  return execute(command);
}

Result<Commands::Started> Commands::start(const sandbox::StartCommand& command, std::vector<Fd> stdio) {
  if (command.argv.empty() || stdio.size() != (command.terminal ? 0u : 3u) ||
      by_pid_.size() >= kMaxCommands) {
    errno = command.argv.empty() ? EINVAL : EAGAIN;
    return Error::system("init.command", "a command that cannot be started");
  }
  Terminal terminal;
  if (command.terminal) terminal = SAW_TRY(open_terminal(command.rows, command.columns));
  int raw[3];
  for (size_t i = 0; i < 3; ++i) raw[i] = command.terminal ? terminal.slave.get() : stdio[i].get();
  Pipe failure = SAW_TRY(Pipe::create());  // closes on exec: then everything went well
  const pid_t pid = ::fork();
  if (pid < 0) return Error::system("init.fork", "creating a process");
  if (pid == 0) {
    const int error = become(command, raw);
    [[maybe_unused]] ssize_t ignored = ::write(failure.write.get(), &error, sizeof error);
    ::_exit(127);
  }
  failure.write.reset();
  if (const int error = await_become(pid, failure.read)) {
    errno = error;
    return Error::system("init.execute", "executing");
  }
  by_pid_.emplace(pid, Command{command.exec, std::move(terminal.slave)});
  return Started{pid, std::move(terminal.master)};
}

const Commands::Command* Commands::find(uint64_t exec, int32_t& pid) const {
  for (const auto& [p, command] : by_pid_)
    if (command.exec == exec) {
      pid = p;
      return &command;
    }
  return nullptr;
}

void Commands::signal(uint64_t exec, int32_t signal) {
  int32_t pid = 0;
  if (signal > 0 && signal < NSIG && find(exec, pid))
    ::kill(-pid, signal);  // not reaped yet: the group is still the command's own
}

void Commands::resize(uint64_t exec, uint16_t rows, uint16_t columns) {
  int32_t pid = 0;
  const Command* command = find(exec, pid);
  if (!command || !command->terminal) return;
  winsize size{.ws_row = rows, .ws_col = columns};
  ::ioctl(command->terminal.get(), TIOCSWINSZ, &size);
}

std::optional<sandbox::CommandEnded> Commands::reap() {
  while (true) {
    int status = 0;
    const pid_t pid = ::waitpid(-1, &status, WNOHANG);
    if (pid <= 0) return std::nullopt;
    auto found = by_pid_.find(pid);
    if (found == by_pid_.end()) continue;
    const uint64_t exec = found->second.exec;
    by_pid_.erase(found);
    return sandbox::CommandEnded{exec, true, status};
  }
}

std::vector<uint64_t> Commands::running() const {
  std::vector<uint64_t> out;
  for (const auto& [pid, command] : by_pid_) out.push_back(command.exec);
  return out;
}

}  // namespace saw::init
