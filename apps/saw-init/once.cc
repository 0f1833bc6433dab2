#include "saw-init/once.h"

#include <csignal>

#include <fcntl.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/channel.h"
#include "sandbox/init_protocol.h"
#include "sandbox/launch_child.h"
#include "saw-init/commands.h"

namespace saw::init {
namespace {

using sandbox::kInitControl;
using sandbox::kInitGo;
using sandbox::kInitScript;
using sandbox::kInitStreams;

constexpr int kRuntimeGo = 3, kRuntimeScript = 4;  // where a runtime finds them

// An errno that saw-node is to know.
int refuse(int error) {
  [[maybe_unused]] ssize_t ignored = ::write(kInitGo, &error, sizeof error);
  return error;
}

sandbox::StartCommand command_of(const sandbox::SandboxSpec& spec) {
  return {.argv = spec.command, .environment = spec.environment, .directory = spec.directory};
}

// In the process that becomes the command: an errno if it could not, -1 if it was never asked to.
int await_command() {
  auto channel = os::Channel::adopt(Fd(::fcntl(kInitGo, F_DUPFD_CLOEXEC, kInitScript + 1)));
  if (!channel) return EBADF;
  pollfd ready{channel->fd(), POLLIN, 0};
  while (::poll(&ready, 1, -1) < 0 && errno == EINTR) {
  }
  auto got = channel->receive();
  if (!got || got->state != os::Channel::State::message) return -1;
  auto command = wire::decode_struct<sandbox::StartCommand>(got->payload);
  if (!command || command->argv.empty()) return EINVAL;
  return refuse(execute_in_place(*command));
}

// A runtime is started at once: it waits by itself.
int become_runtime(const sandbox::SandboxSpec& spec) {
  ::close(kInitControl);
  if (::dup2(kInitGo, kRuntimeGo) < 0 || ::dup2(kInitScript, kRuntimeScript) < 0) return errno;
  return execute_in_place(command_of(spec));
}

[[noreturn]] void run_command(const sandbox::SandboxSpec& spec) {
  prepare_command();
  for (int i = 0; i < 3; ++i)
    if (::dup2(kInitStreams + i, i) < 0) ::_exit(127);
  int error = 0;
  switch (spec.first) {
    case sandbox::First::wait:
      error = await_command();
      break;
    case sandbox::First::command:
      error = refuse(execute_in_place(command_of(spec)));
      break;
    case sandbox::First::runtime:
      error = become_runtime(spec);
      break;
  }
  ::_exit(error == 0 ? 0 : 127);
}

// The wait status of `command`, once it has ended; orphans of the agent's are collected too.
std::optional<int> collect(pid_t command) {
  std::optional<int> out;
  int status = 0;
  for (pid_t pid; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;)
    if (pid == command) out = status;
  return out;
}

void obey(const os::Channel& control, pid_t command) {
  auto got = control.receive();
  if (!got || got->state == os::Channel::State::closed) ::_exit(0);  // saw-node is gone, and with it the call
  if (got->state != os::Channel::State::message) return;
  auto message = wire::decode<sandbox::ToInit>(got->payload);
  if (!message) ::_exit(1);
  if (const auto* signal = std::get_if<sandbox::SignalCommand>(&*message);
      signal != nullptr && signal->signal > 0 && signal->signal < NSIG)
    ::kill(-command, signal->signal);  // not waited for yet: the group is still the command's own
}

}  // namespace

void serve_once(const sandbox::SandboxSpec& spec, Fd children) {
  const pid_t command = ::fork();
  if (command < 0) ::_exit(1);
  if (command == 0) run_command(spec);
  for (int i = 0; i < 3; ++i) ::close(kInitStreams + i);
  ::close(kInitGo);
  if (spec.first == sandbox::First::runtime) ::close(kInitScript);
  auto control = os::Channel::adopt(Fd(kInitControl));
  if (!control) ::_exit(1);
  sandbox::report_built(sandbox::kInitReport);
  while (true) {
    pollfd watched[] = {{children.get(), POLLIN, 0}, {control->fd(), POLLIN, 0}};
    if (::poll(watched, 2, -1) < 0 && errno != EINTR) ::_exit(1);
    if (watched[0].revents != 0) {
      signalfd_siginfo ignored;
      while (::read(children.get(), &ignored, sizeof ignored) > 0) {
      }
      if (const auto status = collect(command)) {
        auto told =
            control->send(wire::encode(sandbox::FromInit{sandbox::CommandEnded{kOnlyExec, true, *status}}));
        // saw-node ends the sandbox, once it has told: the kernel takes a millisecond to clear up after PID 1,
        // often on the very processor on which saw-node wakes.
        if (!told) ::_exit(1);
      }
    }
    if (watched[1].revents != 0) obey(*control, command);
  }
}

}  // namespace saw::init
