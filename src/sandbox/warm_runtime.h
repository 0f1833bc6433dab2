// How a shell or interpreter that has started already is given its script: what it is started with, and what
// is written into its script file when a call takes it.
//
//   warm_command({.command = "bash"})                     → {"bash", "-c", <waits, then runs>, "bash"}
//   if (serves(runtime, spec)) write(script, warm_script(runtime, spec.argv)), then the release byte
//
// The script file (descriptor 4) holds NUL-terminated strings: the script, its $0, its arguments. The release
// (descriptor 3) is one byte; its end without one means "never mind". Both are closed before the script
// runs. What a script can tell: in bash a syntax error is reported by `eval`, and BASH_EXECUTION_STRING is
// not the script; in python a traceback has one frame more; and what a runtime reads when it starts
// (BASH_ENV, python's site-packages of the user) is as old as the runtime.
#pragma once

#include <string>
#include <vector>

#include "sandbox/node_protocol.h"

namespace saw::sandbox {

std::vector<std::string> warm_command(const WarmRuntime& runtime);
// Whether the call's command line is one that this runtime can take over: `command -c SCRIPT [ARGUMENTS…]`.
bool serves(const WarmRuntime& runtime, const std::vector<std::string>& argv);
std::string warm_script(const WarmRuntime& runtime, const std::vector<std::string>& argv);

}  // namespace saw::sandbox
