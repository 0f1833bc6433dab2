// Runs something in a process that is killed at one of its system calls. Test code.
#pragma once

#include <csignal>
#include <functional>

#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/result.h"

namespace saw::sandbox::testing_support {

// Runs `work` in a child that is killed at its `at`-th system call; false: it ended before.
inline bool run_killed_at(int at, const std::function<void()>& work) {
  const pid_t child = ::fork();
  SAW_CHECK(child >= 0);
  if (child == 0) {
    ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
    ::raise(SIGSTOP);
    work();
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  for (int stops = 0; stops < 2 * at; ++stops) {  // at the entry and at the exit of each
    ::ptrace(PTRACE_SYSCALL, child, nullptr, nullptr);
    ::waitpid(child, &status, 0);
    if (WIFEXITED(status)) return false;
  }
  ::kill(child, SIGKILL);
  ::waitpid(child, &status, 0);
  return true;
}

}  // namespace saw::sandbox::testing_support
