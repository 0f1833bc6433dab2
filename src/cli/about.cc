// whoami, version, help, completion: the command line about itself.
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/context.h"
#include "cli/help.h"

namespace saw::cli {
namespace {

using nlohmann::json;

Outcome whoami(Context& context) {
  const json who = CLI_TRY(call(context, "GET", "/v1/whoami"));
  json answer = who;
  answer["user"] = context.user;
  context.out.json(answer);
  context.out.line(fmt::format("{} ({}), {}, by the {}", text_of(who, "sponsor"),
                               context.user.empty() ? "no name" : context.user, text_of(who, "role"),
                               text_of(who, "how")));
  for (const char* member : {"node", "key_id", "workspaces", "agents", "delegations"})
    context.out.field(member, text_of(who, member));
  return 0;
}

Outcome version(Context& context) {
  context.out.json({{"version", SAW_VERSION}});
  context.out.line(fmt::format("saw {}", SAW_VERSION));
  return 0;
}

Outcome help(Context& context) {
  if (context.args.has("--man")) return context.out.raw(man_page(context.table)), 0;
  if (context.args.has("--markdown")) return context.out.raw(reference_page(context.table)), 0;
  std::string topic = context.args.text("COMMAND");
  if (const auto verb = context.args.find("VERB")) topic += " " + *verb;
  const std::string text = help_text(context.table, topic);
  if (text.empty())
    return std::unexpected(Failure{
        Exit::usage, "cli.usage", fmt::format("there is no command '{}'", topic), {}, {}, "saw help"});
  context.out.json({{"topic", topic}, {"help", text}});
  if (!context.out.is_json()) context.out.raw(text);
  return 0;
}

Outcome completion(Context& context) {
  const std::string shell = context.args.text("SHELL");
  struct Known {
    std::string_view name;
    Shell shell;
  };
  for (const Known& known :
       {Known{"bash", Shell::bash}, Known{"zsh", Shell::zsh}, Known{"fish", Shell::fish}}) {
    if (known.name != shell) continue;
    const std::string script = completion_script(context.table, known.shell);
    context.out.json({{"shell", shell}, {"script", script}});
    if (!context.out.is_json()) context.out.raw(script);
    return 0;
  }
  return fail(Exit::usage, "cli.usage", "no completion for '{}': bash, zsh and fish have one", shell);
}

}  // namespace

std::vector<Command> about_commands() {
  return {
      {.path = "whoami",
       .summary = "who you are to SAW",
       .text = "On one machine, the kernel's peer credentials of the socket identify you. Logging in over "
               "the network is not available yet.",
       .examples = {"saw whoami"},
       .run = whoami},
      {.path = "version",
       .summary = "the version of this program",
       .examples = {"saw version"},
       .run = version},
      {.path = "help",
       .summary = "help for a command or for all of them",
       .positionals = {{"COMMAND", "a command", Need::optional}, {"VERB", "its verb", Need::optional}},
       .options = {{"--man", "", "all of it as a man page"}, {"--markdown", "", "all of it as Markdown"}},
       .examples = {"saw help workspace create", "saw help --man | man -l -"},
       .run = help},
      {.path = "completion",
       .summary = "a completion script for your shell",
       .positionals = {{"SHELL", "bash, zsh or fish"}},
       .examples = {"source <(saw completion bash)",
                    "saw completion fish > ~/.config/fish/completions/saw.fish"},
       .run = completion},
  };
}

}  // namespace saw::cli
