// agent …: who may act. An agent that is not active gets no credential, so its next call is refused.
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/context.h"

namespace saw::cli {
namespace {

using nlohmann::json;

std::string path_of(const std::string& agent) {
  return fmt::format("/v1/agents/{}", url_segment(agent));
}

void show(const Output& out, const json& agent) {
  out.json(agent);
  out.line(out.painted(text_of(agent, "name"), Tone::bold));
  for (const char* member : {"id", "state", "sponsor", "purpose", "version", "expires"})
    out.field(member, text_of(agent, member));
}

Outcome agent_register(Context& context) {
  if (context.args.text("--purpose").empty())
    return fail(Exit::usage, "cli.usage", "say what the agent is for: --purpose TEXT");
  const json body = {{"name", context.args.text("NAME")}, {"purpose", context.args.text("--purpose")}};
  const json agent = CLI_TRY(call(context, "POST", "/v1/agents", body));
  context.out.json(agent);
  context.out.line(text_of(agent, "id"));
  return 0;
}

Outcome agent_list(Context& context) {
  const json answer = CLI_TRY(call(context, "GET", "/v1/agents"));
  context.out.json(answer);
  std::vector<Output::Row> rows;
  for (const json& a : list_of(answer, "agents"))
    rows.push_back({text_of(a, "name"), text_of(a, "id"), text_of(a, "state"), text_of(a, "version"),
                    text_of(a, "sponsor"), text_of(a, "purpose")});
  context.out.table({"NAME", "ID", "STATE", "VERSION", "SPONSOR", "PURPOSE"}, rows,
                    "no agents; register one with 'saw agent register NAME --purpose …'");
  return 0;
}

Outcome agent_show(Context& context) {
  show(context.out, CLI_TRY(call(context, "GET", path_of(context.args.text("A")))));
  return 0;
}

Outcome change_state(Context& context, std::string_view verb) {
  const std::string name = context.args.text("A");
  const json agent = CLI_TRY(call(context, "POST", fmt::format("{}/{}", path_of(name), verb)));
  context.out.json(agent);
  context.out.note(fmt::format("agent {} is {}", name, text_of(agent, "state")));
  return 0;
}
Outcome agent_suspend(Context& context) {
  return change_state(context, "suspend");
}
Outcome agent_resume(Context& context) {
  return change_state(context, "resume");
}
Outcome agent_revoke(Context& context) {
  return change_state(context, "revoke");
}

}  // namespace

std::vector<Command> agent_commands() {
  const Positional agent = {"A", "the agent's name or id"};
  return {
      {.path = "agent register",
       .summary = "register an agent; you are its sponsor; prints its id",
       .positionals = {{"NAME", "letters, digits and dashes"}},
       .options = {{"--purpose", "TEXT", "what it is for"}},
       .text = "run and exec without --agent use an agent 'default', registered for you at first use.",
       .examples = {"saw agent register coder --purpose 'fixes failing tests'"},
       .run = agent_register},
      {.path = "agent list", .summary = "your agents", .examples = {"saw agent list"}, .run = agent_list},
      {.path = "agent show",
       .summary = "everything about an agent",
       .positionals = {agent},
       .examples = {"saw agent show coder"},
       .run = agent_show},
      {.path = "agent suspend",
       .summary = "refuse this agent's calls until it is resumed",
       .positionals = {agent},
       .text =
           "From the answer on, no call of it is admitted: run and exec end with status 126 and the reason.",
       .examples = {"saw agent suspend coder"},
       .run = agent_suspend},
      {.path = "agent resume",
       .summary = "lift a suspension",
       .positionals = {agent},
       .examples = {"saw agent resume coder"},
       .run = agent_resume},
      {.path = "agent revoke",
       .summary = "refuse this agent's calls for good",
       .positionals = {agent},
       .examples = {"saw agent revoke coder"},
       .run = agent_revoke},
  };
}

}  // namespace saw::cli
