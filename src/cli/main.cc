#include "cli/main.h"

#include <algorithm>
#include <filesystem>

#include "cli/commands.h"
#include "cli/help.h"

namespace saw::cli {
namespace {

// What parse() cannot say before it has parsed: whether the user wants JSON even about a usage error.
bool asks_for_json(const std::vector<std::string>& words) {
  const auto end = std::ranges::find(words, "--");
  return std::find(words.begin(), end, "--json") != end;
}

Output make_output(const std::vector<std::string>& words, const World& world) {
  const bool colour = world.out_is_terminal && world.err_is_terminal && !world.environment("NO_COLOR") &&
                      world.environment("TERM") != "dumb";
  return Output(world.out, world.err, asks_for_json(words) ? Format::json : Format::people,
                colour ? Paint::colour : Paint::plain);
}

Outcome run_command(const Invocation& invocation, const Output& out, const std::vector<Command>& table,
                    const World& world) {
  const Command& command = *invocation.command;
  if (!command.run)
    return fail(Exit::saw_failed, "not_available_yet", "'saw {}' is not available yet", command.path);
  const Places places = find_places(invocation.args, world);
  const auto api = world.connect(places.socket);
  Context context{.args = invocation.args,
                  .out = out,
                  .api = *api,
                  .places = places,
                  .clock = *world.clock,
                  .table = table,
                  .input = world.input,
                  .uid = world.uid,
                  .user = world.user,
                  .sleep = world.sleep};
  return command.run(context);
}

// A command that does not exist yet takes any arguments: what it is told is "not available yet", not "usage".
const Command* later_command(const std::vector<Command>& table, const std::vector<std::string>& words) {
  std::string path;
  for (const std::string& word : words) {
    if (word == "--") break;
    if (word.starts_with("-")) continue;
    path += (path.empty() ? "" : " ") + word;
    const Command* command = find_command(table, path);
    if (command) return command->run ? nullptr : command;
  }
  return nullptr;
}

bool asks_for_help(const std::vector<std::string>& words) {
  return std::ranges::any_of(words, [](const std::string& word) { return word == "--help" || word == "-h"; });
}

}  // namespace

Places find_places(const Args& args, const World& world) {
  auto variable = [&](const char* name) {
    auto value = world.environment(name);
    return value && !value->empty() ? value : std::nullopt;
  };
  Places places{.programs = world.programs, .current = world.current};
  if (const auto given = args.find("--socket"))
    places.socket = *given;
  else if (const auto socket = variable("SAW_SOCKET"))
    places.socket = *socket;
  else if (const auto runtime = variable("XDG_RUNTIME_DIR"))
    places.socket = *runtime + "/saw/saw.sock";
  else
    places.socket = "/run/saw/saw.sock";

  if (const auto given = args.find("--dir"))
    places.directory = *given;
  else if (const auto directory = variable("SAW_DIR"))
    places.directory = *directory;
  else if (world.uid == 0)
    places.directory = "/var/lib/saw";
  else
    places.directory =
        variable("XDG_STATE_HOME").value_or(variable("HOME").value_or("") + "/.local/state") + "/saw";
  places.socket = absolute(places, places.socket);
  places.directory = absolute(places, places.directory);
  return places;
}

std::vector<Command> all_commands() {
  std::vector<Command> all;
  for (auto* group : {daemon_commands, host_commands, workspace_commands, run_commands, attach_commands,
                      copy_commands, session_commands, policy_commands, prove_commands, release_commands,
                      release_tree_commands, agent_commands, delegate_commands, secret_commands,
                      review_commands, audit_commands, about_commands, later_commands})
    std::ranges::move(group(), std::back_inserter(all));
  return all;
}

int run_saw(const std::vector<std::string>& words, const World& world) {
  const std::vector<Command> table = all_commands();
  const Output out = make_output(words, world);
  Outcome outcome = 0;
  const Command* later = asks_for_help(words) ? nullptr : later_command(table, words);
  if (later) {
    outcome = fail(Exit::saw_failed, "not_available_yet", "'saw {}' is not available yet", later->path);
  } else if (words.empty()) {
    out.raw_error(help_text(table, ""));
    return static_cast<int>(Exit::usage);
  } else if (auto invocation = parse(table, words); !invocation) {
    outcome = std::unexpected(std::move(invocation).error());
  } else if (invocation->wants == Wants::help) {
    out.raw(help_text(table, invocation->topic));
    return 0;
  } else {
    outcome = run_command(*invocation, out, table, world);
  }
  if (outcome) return *outcome;
  out.failure(outcome.error());
  return static_cast<int>(outcome.error().exit);
}

}  // namespace saw::cli
