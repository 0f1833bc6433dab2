// PID 1 of a sandbox for a single command. A process waits for that command with its streams in place, so
// that a call costs no fork: it becomes the command when a StartCommand comes, or it is a runtime (a shell, an
// interpreter) already, waiting for its script. The end of that process is the end of the sandbox, and with
// PID 1 the kernel ends everything else in it.
//
// To saw-node, on the control socket: CommandEnded, once. On the go socket, whoever could not become the
// command says why (an errno as int32); its end without a word means that it has.
#pragma once

#include "base/fd.h"
#include "sandbox/mould_protocol.h"

namespace saw::init {

// `children`: a signalfd for SIGCHLD. Descriptors: launch_child.h.
[[noreturn]] void serve_once(const sandbox::SandboxSpec& spec, Fd children);

// The exec number of the only command.
constexpr uint64_t kOnlyExec = 1;

}  // namespace saw::init
