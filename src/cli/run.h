// One command in a sandbox, from the arguments of run, exec or session exec to its exit status.
#pragma once

#include <optional>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "cli/context.h"

namespace saw::cli {

// What all three commands say about it: --env, --cwd, --timeout, --agent, -t.
std::vector<Option> exec_options();

// `kind`: "workspace", "session" or "call". Failures are Exit::saw_failed, Exit::refused or Exit::usage and
// never Exit::failed: 1 is the command's own to say.
Outcome run_in_sandbox(Context& context, const std::string& workspace, std::string_view kind,
                       const std::optional<std::string>& session);

// The exit status that an end stands for: its own, 128+n, 137 on a limit, 127 where there is no such command.
int exit_status(const ExecResult& result);

}  // namespace saw::cli
