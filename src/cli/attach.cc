// attach: terminals that go on when nobody looks at them.
#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "cli/commands.h"
#include "cli/context.h"
#include "cli/run.h"

namespace saw::cli {
namespace {

using nlohmann::json;

constexpr const char* kDefaultName = "main";

std::string terminals_of(const Context& context) {
  return fmt::format("/v1/workspaces/{}/terminals", url_segment(context.args.text("W")));
}

std::string exit_of(const json& terminal) {
  const auto exit = terminal.find("exit");
  if (exit == terminal.end() || !exit->is_object()) return "";
  return text_of(*exit, "end") + " " + text_of(*exit, "status");
}

Outcome list_terminals(Context& context) {
  const json answer = CLI_TRY(call(context, "GET", terminals_of(context)));
  context.out.json(answer);
  std::vector<Output::Row> rows;
  for (const json& t : list_of(answer, "terminals"))
    rows.push_back({text_of(t, "name"), text_of(t, "session"), text_of(t, "state"), text_of(t, "attached"),
                    text_of(t, "created"), exit_of(t), text_of(t, "command")});
  context.out.table({"NAME", "SESSION", "STATE", "ATTACHED", "CREATED", "EXIT", "COMMAND"}, rows,
                    "no terminals");
  return 0;
}

Outcome end_terminal(Context& context) {
  const std::string name = context.args.text("--name", kDefaultName);
  std::string target = terminals_of(context) + "/" + url_segment(name);
  if (const auto session = context.args.find("--session")) target += "?session=" + url_segment(*session);
  context.out.json(CLI_TRY(call(context, "DELETE", target)));
  context.out.note(fmt::format("terminal '{}' ended", name));
  return 0;
}

Attempt<json> attach_spec(const Context& context) {
  const Args& args = context.args;
  json spec = {{"rows", context.input.rows}, {"cols", context.input.columns}};
  if (const auto fresh = args.find("--new"))
    spec["name"] = *fresh, spec["which"] = "new";
  else if (const auto name = args.find("--name"))
    spec["name"] = *name, spec["which"] = "existing";
  if (const auto session = args.find("--session")) spec["session"] = *session;
  if (const auto agent = args.find("--agent")) spec["agent"] = *agent;
  if (const auto directory = args.find("--cwd")) spec["cwd"] = *directory;
  json environment = CLI_TRY(environment_of(args));
  if (!environment.empty()) spec["env"] = std::move(environment);
  if (!args.rest().empty()) spec["argv"] = args.rest();
  return spec;
}

// The terminal is raw by now: lines end with a return, too.
std::string greeting(const json& terminal) {
  const std::string name = printable(text_of(terminal, "name"));
  if (text_of(terminal, "state") == "ended")
    return fmt::format("saw: terminal '{}' ended while nobody was attached\r\n", name);
  return fmt::format("saw: attached to terminal '{}'; Ctrl-P Ctrl-Q detaches and leaves it running\r\n",
                     name);
}

Outcome attach(Context& context) {
  const json spec = CLI_TRY(attach_spec(context));
  if (!context.input.terminal)
    return fail(Exit::usage, "cli.usage", "attach needs a terminal on stdin; 'saw exec' does not");
  ExecLocal local{.input = context.input.fd, .terminal = Terminal::raw, .detach = Detach::by_hand};
  local.output = [&out = context.out](Stream stream, std::string_view bytes) {
    print_output(out, stream, bytes);
  };
  std::string name;
  local.started = [&](std::string_view text) {
    const json started = json::parse(text, nullptr, false);
    context.out.json({{"started", started}});
    const auto terminal = started.find("terminal");
    if (terminal == started.end() || !terminal->is_object()) return;
    name = text_of(*terminal, "name");
    context.out.raw_error(greeting(*terminal));
  };
  const std::string target =
      fmt::format("/v1/workspaces/{}/attach?spec={}", url_segment(context.args.text("W")), encode_spec(spec));
  const ExecResult result = CLI_TRY(stream(context, target, local));
  if (result.end == "detached") context.out.note(fmt::format("detached; terminal '{}' goes on", name));
  const std::string command = context.args.rest().empty() ? "a login shell" : context.args.rest().front();
  if (const std::string why = explanation(result, command); !why.empty()) context.out.note(why);
  return exit_status(result);
}

Outcome attach_command(Context& context) {
  const Args& args = context.args;
  const int ways = (args.has("--list") ? 1 : 0) + (args.has("--end") ? 1 : 0) + (args.has("--new") ? 1 : 0);
  if (ways > 1) return fail(Exit::usage, "cli.usage", "only one of --list, --end and --new at a time");
  if (args.has("--new") && args.has("--name"))
    return fail(Exit::usage, "cli.usage",
                "--new names a terminal to start, --name one that exists: not both");
  const bool starts = !args.rest().empty();
  if (starts && (args.has("--list") || args.has("--end") || args.has("--name")))
    return fail(Exit::usage, "cli.usage",
                "a command is for a new terminal: leave it away, or use --new NAME");
  if (args.has("--list")) return list_terminals(context);
  if (args.has("--end")) return end_terminal(context);
  return attach(context);
}

}  // namespace

std::vector<Command> attach_commands() {
  return {
      {.path = "attach",
       .summary = "an interactive terminal; detaching leaves it running",
       .positionals = {{"W", "the workspace"}},
       .options = {{"--session", "S", "in this session instead of the workspace itself"},
                   {"--name", "NAME", "the terminal of this name, which must exist"},
                   {"--new", "NAME", "a new terminal, called this"},
                   {"--list", "", "show the workspace's terminals and leave them alone"},
                   {"--end", "", "end the terminal (main, or --name) with its command"},
                   {"-e,--env", "NAME=VALUE", "set a variable for the command, if it is started",
                    Occurs::repeatedly},
                   {"--cwd", "DIR", "start in this directory of the sandbox (default /workspace)"},
                   {"--agent", "A", "run as this registered agent (default: your default agent)"}},
       .rest = "CMD…",
       .rest_need = Need::optional,
       .text =
           "Attaches to the terminal 'main', or starts it: a login shell, or CMD. Ctrl-P Ctrl-Q detaches; so "
           "does losing the connection,\n"
           "or a signal to 'saw attach'. The command goes on, and the next attach shows the last 256 KiB of "
           "what it wrote and goes on from there.\n"
           "Only the workspace's owner is let in. All who are attached see the same and may type; the size "
           "is "
           "that of the last one.\n"
           "The exit status is the command's, or 0 after detaching. A command that ended while nobody was "
           "attached is told to the next one who is.\n"
           "Terminals end with their sandbox, and when the daemon (sawd) ends: then their commands get "
           "SIGHUP.",
       .examples = {"saw attach dev", "saw attach dev --new build -- make -j8", "saw attach dev --name build",
                    "saw attach dev --list", "saw attach dev --end --name build"},
       .run = attach_command},
  };
}

}  // namespace saw::cli
