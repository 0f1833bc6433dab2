// saw-init: waits for the release byte, then serves. Inherited: 3 the control socket, 4 the go pipe
// (sandbox/launch_child.h).
#include <csignal>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "saw-init/init.h"

namespace {

constexpr int kControl = 3, kGo = 4;

// Nothing that a sandbox runs exists before saw-node has recorded it and says so. The end of the pipe:
// saw-node is gone.
bool wait_for_release() {
  char byte = 0;
  ssize_t n;
  do n = ::read(kGo, &byte, 1);
  while (n < 0 && errno == EINTR);
  ::close(kGo);
  return n == 1;
}

}  // namespace

int main() {
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);  // execve made it dumpable; nothing of the agent's runs yet
  // Whoever holds the control socket can take saw-node's next connection: no command may inherit it.
  if (::fcntl(kControl, F_SETFD, FD_CLOEXEC) != 0) return 1;
  ::signal(SIGPIPE, SIG_IGN);
  sigset_t children;
  ::sigemptyset(&children);
  ::sigaddset(&children, SIGCHLD);
  ::sigprocmask(SIG_BLOCK, &children, nullptr);
  saw::Fd signals(::signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals || !wait_for_release()) return 1;
  ::prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0);  // from here on the sandbox survives saw-node
  auto ended = saw::init::Init(saw::Fd(kControl), std::move(signals)).run();
  return ended ? 0 : 1;
}
