// Everything that saw-node and saw-init say to each other. saw-init lives on the agent's side: what it sends is hostile.
//
// SOCK_SEQPACKET; saw-node connects to the sandbox's control socket (launch.h), again after a restart. Descriptors: StartCommand carries
// [stdin, stdout, stderr], or none with `terminal`; CommandStarted carries [pty master] then. A command that could not
// be started gives CommandEnded alone, without CommandStarted.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/wire.h"
#include "sandbox/probe_list.h"

namespace saw::sandbox {

// ---- saw-node → saw-init
struct StartCommand {
  uint64_t exec = 0;
  std::vector<std::string> argv, environment;
  std::string directory;
  bool terminal = false;
  uint16_t rows = 24, columns = 80;
  template <class A> void members(A& a) { a(exec, argv, environment, directory, terminal, rows, columns); }
};
struct SignalCommand {
  uint64_t exec = 0;
  int32_t signal = 0;
  template <class A> void members(A& a) { a(exec, signal); }
};
struct ResizeCommand {
  uint64_t exec = 0;
  uint16_t rows = 0, columns = 0;
  template <class A> void members(A& a) { a(exec, rows, columns); }
};
// Runs every probe that applies (probe_list.h). Answer: ProbeReport. Until it has come, a new sandbox gets no command.
struct RunProbes {
  uint64_t round = 0;
  ProbeSubject subject;
  template <class A> void members(A& a) { a(round, subject); }
};
using ToInit = std::variant<StartCommand, SignalCommand, ResizeCommand, RunProbes>;

// ---- saw-init → saw-node
struct InitHello {  // first message on each connection
  std::vector<uint64_t> running;
  template <class A> void members(A& a) { a(running); }
};
struct CommandStarted {
  uint64_t exec = 0;
  int32_t pid = 0;  // in the sandbox's pid namespace
  template <class A> void members(A& a) { a(exec, pid); }
};
struct CommandEnded {
  uint64_t exec = 0;
  bool started = true;      // false: execve failed, status is its errno
  int32_t wait_status = 0;  // as waitpid(2) gives it
  template <class A> void members(A& a) { a(exec, started, wait_status); }
};
struct ProbeReport {
  uint64_t round = 0;
  std::vector<ProbeOutcome> outcomes;
  template <class A> void members(A& a) { a(round, outcomes); }
};
using FromInit = std::variant<InitHello, CommandStarted, CommandEnded, ProbeReport>;

}  // namespace saw::sandbox
