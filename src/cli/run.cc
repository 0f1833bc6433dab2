#include "cli/run.h"

#include <cstring>

#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "cli/commands.h"

namespace saw::cli {
namespace {

using nlohmann::json;

constexpr int kKilled = 137;  // 128 + SIGKILL

Attempt<json> spec_of(const Context& context, std::string_view kind,
                      const std::optional<std::string>& session) {
  const Args& args = context.args;
  json spec = {{"kind", kind}, {"argv", args.rest()}, {"tty", args.has("--tty")}};
  json environment = CLI_TRY(environment_of(args));
  if (args.has("--tty") && !environment.contains("TERM")) environment["TERM"] = "xterm-256color";
  spec["env"] = std::move(environment);
  if (args.has("--tty")) spec["rows"] = context.input.rows, spec["cols"] = context.input.columns;
  if (session) spec["session"] = *session;
  if (kind == "call" && args.has("--keep")) spec["keep"] = true;
  if (const auto agent = args.find("--agent")) spec["agent"] = *agent;
  if (const auto delegation = args.find("--delegation")) spec["delegation"] = *delegation;
  if (const auto directory = args.find("--cwd")) spec["cwd"] = *directory;
  if (const auto timeout = args.find("--timeout")) {
    const auto ms = parse_duration_ms(*timeout);
    if (!ms || *ms == 0)
      return fail(Exit::usage, "cli.usage", "--timeout wants a duration such as 30s or 5m, not '{}'",
                  *timeout);
    spec["timeout_ms"] = *ms;
  }
  return spec;
}

bool is_utf8(std::string_view bytes) {
  try {
    json(bytes).dump();
    return true;
  } catch (const json::exception&) {
    return false;
  }
}

json exit_json(const ExecResult& result) {
  json out = {{"end", result.end}, {"status", result.status}, {"exit_code", exit_status(result)}};
  if (!result.limit.empty()) out["limit"] = result.limit;
  if (result.memory_kills > 0) out["limits_met"]["memory"] = result.memory_kills;
  if (result.forks_refused > 0) out["limits_met"]["pids"] = result.forks_refused;
  return out;
}

Failure before_the_command(Failure failure) {
  if (failure.exit == Exit::failed) failure.exit = Exit::saw_failed;
  return failure;
}

Outcome exec_command(Context& context) {
  return run_in_sandbox(context, context.args.text("W"), "workspace", std::nullopt);
}

Outcome run_command(Context& context) {
  if (context.args.has("--keep") && context.args.has("--session"))
    return fail(Exit::usage, "cli.usage", "a session keeps what is written anyway: use 'saw session exec'");
  return run_in_sandbox(context, context.args.text("W"), "call", context.args.find("--session"));
}

}  // namespace

Attempt<json> environment_of(const Args& args) {
  json environment = json::object();
  for (const std::string& pair : args.list("--env")) {
    const size_t equals = pair.find('=');
    if (equals == 0 || equals == std::string::npos)
      return fail(Exit::usage, "cli.usage", "--env wants NAME=VALUE, not '{}'", pair);
    environment[pair.substr(0, equals)] = pair.substr(equals + 1);
  }
  return environment;
}

std::string encode_spec(const json& spec) {
  return to_base64url(spec.dump(-1, ' ', false, json::error_handler_t::replace));
}

std::string explanation(const ExecResult& result, const std::string& command) {
  if (result.end == "timed_out") return "the command ran into its time limit and was killed";
  if (result.end == "out_of_memory") return "the command ran out of memory and was killed";
  if (result.end == "file_too_large")
    return "the command wrote a file beyond the limit of its size and was killed";
  if (result.end == "sandbox_gone") return "the sandbox was stopped, and the command with it";
  if (result.end == "not_started")
    return fmt::format("cannot run '{}': {}", printable(command), std::strerror(result.status));
  if (result.forks_refused > 0)
    return fmt::format(
        "the limit of processes was met: {} could not be started; the exit status is the command's own",
        result.forks_refused);
  if (result.memory_kills > 0)
    return fmt::format(
        "the limit of memory was met: {} of its processes were killed; the exit status is the command's own",
        result.memory_kills);
  return {};
}

void print_output(const Output& out, Stream stream, std::string_view bytes) {
  if (!out.is_json()) return stream == Stream::output ? out.raw(bytes) : out.raw_error(bytes);
  const std::string name = stream == Stream::output ? "stdout" : "stderr";
  if (is_utf8(bytes))
    out.json({{name, bytes}});
  else
    out.json({{name + "_base64", to_base64(bytes)}});
}

int exit_status(const ExecResult& result) {
  constexpr int kSignalBase = 128, kLargest = 255;
  if (result.end == "detached") return static_cast<int>(Exit::done);
  if (result.end == "exited") return result.status & kLargest;
  if (result.end == "signalled") return (kSignalBase + result.status) & kLargest;
  if (result.end == "not_started")
    return static_cast<int>(result.status == ENOENT ? Exit::not_found : Exit::saw_failed);
  for (const char* killed : {"timed_out", "out_of_memory", "file_too_large", "sandbox_gone"})
    if (result.end == killed) return kKilled;
  return static_cast<int>(Exit::saw_failed);
}

Attempt<ExecResult> stream(Context& context, const std::string& target, const ExecLocal& local) {
  auto result = when_recovered(context, [&] { return context.api.exec(target, local); });
  if (!result) return std::unexpected(failure_of(result.error(), context.places));
  if (result->refused) return std::unexpected(before_the_command(failure_of(*result->refused)));
  context.out.json({{"exit", exit_json(*result)}});
  return std::move(*result);
}

std::vector<Option> exec_options() {
  return {{"-e,--env", "NAME=VALUE", "set a variable for the command", Occurs::repeatedly},
          {"--cwd", "DIR", "start in this directory of the sandbox (default /workspace)"},
          {"--agent", "A", "run as this registered agent (default: your default agent)"},
          {"--timeout", "T", "kill the command and everything it started after T (30s, 5m); exit status 137"},
          {"-t,--tty", "", "give the command a terminal; stdin must be one"}};
}

Outcome run_in_sandbox(Context& context, const std::string& workspace, std::string_view kind,
                       const std::optional<std::string>& session) {
  const json spec = CLI_TRY(spec_of(context, kind, session));
  ExecLocal local;
  local.input = context.input.fd;
  if (context.args.has("--tty")) {
    if (!context.input.terminal) return fail(Exit::usage, "cli.usage", "-t needs a terminal on stdin");
    local.terminal = Terminal::raw;
  }
  local.output = [&out = context.out](Stream stream, std::string_view bytes) {
    print_output(out, stream, bytes);
  };
  std::string call;
  local.started = [&](std::string_view text) {
    const json started = json::parse(text, nullptr, false);
    call = text_of(started, "call");
    context.out.json({{"started", started}});
  };

  const std::string target =
      fmt::format("/v1/workspaces/{}/exec?spec={}", url_segment(workspace), encode_spec(spec));
  const ExecResult result = CLI_TRY(stream(context, target, local));
  if (const std::string why = explanation(result, context.args.rest().front()); !why.empty())
    context.out.note(why);
  if (spec.contains("keep"))
    context.out.note(fmt::format("what it wrote is kept as {}: saw session diff, commit or discard", call));
  return exit_status(result);
}

std::vector<Command> run_commands() {
  std::vector<Option> call_options = exec_options();
  call_options.insert(
      call_options.begin(),
      {{"--session", "S", "on top of this session's files instead of the workspace's"},
       {"--keep", "", "keep what it wrote, to show, commit or discard it (saw session …)"},
       {"--delegation", "D", "under this delegation: by its agent, within its bounds, until it ends"}});
  return {
      {.path = "exec",
       .summary = "run a command in the persistent workspace itself",
       .positionals = {{"W", "the workspace"}},
       .options = exec_options(),
       .rest = "CMD…",
       .text = "What it writes stays. A background process that left the command's process group goes on "
               "when nobody is attached.\n"
               "Signals INT, TERM, HUP and QUIT are passed on; the exit status is the command's.",
       .examples = {"saw exec dev -- git status", "saw exec dev -- sh -c 'nohup ./server >log 2>&1 &'",
                    "saw exec -t dev -- bash"},
       .run = exec_command},
      {.path = "run",
       .summary = "run a command in a call sandbox: clean, and destroyed afterwards",
       .positionals = {{"W", "the workspace"}},
       .options = call_options,
       .rest = "CMD…",
       .text = "The command sees the workspace's files (or the session's); what it writes is gone when it "
               "ends, and so is everything it\n"
               "started. stdin, stdout and stderr are streamed, signals INT, TERM, HUP and QUIT passed on, "
               "the exit status is the command's.\n"
               "With --json: JSON lines {\"started\"}, {\"stdout\"}, {\"stderr\"} (or \"…_base64\" where not "
               "UTF-8), {\"exit\"}.",
       .examples = {"saw run dev -- make test", "tar c . | saw run dev -- tar tv",
                    "saw run --timeout 30s --agent coder dev -- ./risky.sh"},
       .run = run_command},
  };
}

}  // namespace saw::cli
