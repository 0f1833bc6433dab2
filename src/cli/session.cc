// session …: sandboxes whose writes are their own until they are committed.
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/context.h"
#include "cli/run.h"
#include "cli/session_files.h"
#include "cli/session_find.h"

namespace saw::cli {
namespace {

using nlohmann::json;

Outcome session_start(Context& context) {
  json body = json::object();
  if (const auto name = context.args.find("--name")) body["name"] = *name;
  const json session = CLI_TRY(call(context, "POST", sessions_of(context.args.text("W")), body));
  context.out.json(session);
  context.out.line(text_of(session, "id"));
  return 0;
}

Outcome session_exec(Context& context) {
  auto session = find_session(context, context.args.text("S"));
  if (!session) {
    Failure failure = std::move(session).error();
    if (failure.exit == Exit::failed) failure.exit = Exit::saw_failed;  // 1 is the command's own to say
    return std::unexpected(std::move(failure));
  }
  return run_in_sandbox(context, session->workspace, "session", session->id);
}

Outcome session_fork(Context& context) {
  const FoundSession session = CLI_TRY(find_session(context, context.args.text("S")));
  json body = {{"name", context.args.text("NEW")}};
  if (context.args.has("--stop")) body["stop"] = true;
  const json fork = CLI_TRY(call(context, "POST", path_of(session) + "/fork", body));
  context.out.json(fork);
  context.out.line(text_of(fork, "id"));
  return 0;
}

Outcome session_end(Context& context) {
  const FoundSession session = CLI_TRY(find_session(context, context.args.text("S")));
  context.out.json(CLI_TRY(call(context, "DELETE", path_of(session))));
  context.out.note(fmt::format("session {} ended; what it wrote is gone", session.id));
  return 0;
}

Outcome session_list(Context& context) {
  std::vector<std::string> workspaces;
  if (const auto one = context.args.find("W")) {
    workspaces.push_back(*one);
  } else {
    const json all = CLI_TRY(call(context, "GET", "/v1/workspaces"));
    for (const json& w : list_of(all, "workspaces")) workspaces.push_back(text_of(w, "id"));
  }
  json all = json::array();
  std::vector<Output::Row> rows;
  for (const std::string& workspace : workspaces) {
    const json answer = CLI_TRY(call(context, "GET", sessions_of(workspace)));
    for (const json& s : list_of(answer, "sessions")) {
      all.push_back(s);
      rows.push_back({text_of(s, "id"), text_of(s, "name"), text_of(s, "workspace"), text_of(s, "state"),
                      text_of(s, "created")});
    }
  }
  context.out.json({{"sessions", std::move(all)}});
  context.out.table({"ID", "NAME", "WORKSPACE", "STATE", "CREATED"}, rows, "no sessions");
  return 0;
}

}  // namespace

std::vector<Command> session_commands() {
  const Positional session = {"S", "the session's id or name, or WORKSPACE/NAME"};
  std::vector<Command> commands = {
      {.path = "session start",
       .summary = "start a session on top of a workspace; prints its id",
       .positionals = {{"W", "the workspace"}},
       .options = {{"--name", "S", "a name for it"}},
       .text = "The session sees the workspace's files as they are, and writes into a layer of its own.",
       .examples = {"saw session start dev --name fix"},
       .run = session_start},
      {.path = "session exec",
       .summary = "run a command in a session",
       .positionals = {session},
       .options = exec_options(),
       .rest = "CMD…",
       .text = "As 'saw exec', in the session.",
       .examples = {"saw session exec fix -- make test"},
       .run = session_exec},
      {.path = "session fork",
       .summary = "a second session from the state of a first; prints its id",
       .positionals = {session, {"NEW", "a name for it"}},
       .options = {{"--stop", "", "end what runs in the session, if anything does"}},
       .text =
           "Both hold what the first wrote so far, and each its own from then on; the cost does not depend "
           "on "
           "how much that is. The first one's sandbox is stopped and started again for it: processes in it "
           "end, so without --stop it is refused if there are any.",
       .examples = {"saw session fork fix fix-2"},
       .run = session_fork},
      {.path = "session end",
       .summary = "end a session and discard what it wrote",
       .positionals = {session},
       .text = "Everything that runs in it is killed.",
       .examples = {"saw session end fix"},
       .run = session_end},
      {.path = "session list",
       .summary = "the sessions of one workspace or of all",
       .positionals = {{"W", "only this workspace's", Need::optional}},
       .examples = {"saw session list dev"},
       .run = session_list},
  };
  const std::vector<Command> files = session_file_commands();
  constexpr ptrdiff_t kAfterExec = 2;
  commands.insert(commands.begin() + kAfterExec, files.begin(), files.end());
  return commands;
}

}  // namespace saw::cli
