// One command in a sandbox, from the arguments of run, exec or session exec to its exit status.
#pragma once

#include <optional>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "cli/context.h"

namespace saw::cli {

// What all three commands say about it: --env, --cwd, --timeout, --agent, -t.
std::vector<Option> exec_options();

// "--env NAME=VALUE" as an object.
Attempt<nlohmann::json> environment_of(const Args& args);
// What a command wrote; with --json as JSON lines: {"stdout":"…"}, or {"stdout_base64":"…"} where the bytes are not
// UTF-8.
void print_output(const Output& out, Stream stream, std::string_view bytes);
// Why a command ended otherwise than by exiting, for people; empty where the status says it all.
std::string explanation(const ExecResult& result, const std::string& command);
// The spec of a stream's target, as its query has it.
std::string encode_spec(const nlohmann::json& spec);
// The stream at `target` to its end, which is told with --json. Before the command ran, a failure is never
// Exit::failed: 1 would be taken for the command's own status.
Attempt<ExecResult> stream(Context& context, const std::string& target, const ExecLocal& local);

// `kind`: "workspace", "session" or "call". Failures are Exit::saw_failed, Exit::refused or Exit::usage and
// never Exit::failed: 1 is the command's own to say.
Outcome run_in_sandbox(Context& context, const std::string& workspace, std::string_view kind,
                       const std::optional<std::string>& session);

// The exit status that an end stands for: its own, 128+n, 137 on a limit, 127 where there is no such command.
int exit_status(const ExecResult& result);

}  // namespace saw::cli
