// session …: sandboxes whose writes are discarded at the end. A session is named by its id, its name, or
// "workspace/name".
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/context.h"
#include "cli/run.h"

namespace saw::cli {
namespace {

using nlohmann::json;

std::string sessions_of(const std::string& workspace) {
  return fmt::format("/v1/workspaces/{}/sessions", url_segment(workspace));
}

struct Found {
  std::string workspace, id;
};

// The API keeps sessions below their workspace; here one may be named alone, as long as that is not
// ambiguous.
Attempt<Found> find_session(Context& context, const std::string& given) {
  const size_t slash = given.find('/');
  std::vector<std::string> workspaces;
  if (slash != std::string::npos) {
    workspaces.push_back(given.substr(0, slash));
  } else {
    const json all = CLI_TRY(call(context, "GET", "/v1/workspaces"));
    for (const json& w : list_of(all, "workspaces")) workspaces.push_back(text_of(w, "id"));
  }
  const std::string wanted = slash == std::string::npos ? given : given.substr(slash + 1);
  std::vector<Found> found;
  for (const std::string& workspace : workspaces) {
    const json sessions = CLI_TRY(call(context, "GET", sessions_of(workspace)));
    for (const json& s : list_of(sessions, "sessions"))
      if (text_of(s, "id") == wanted || text_of(s, "name") == wanted)
        found.push_back({workspace, text_of(s, "id")});
  }
  if (found.empty()) {
    Failure failure{.exit = Exit::failed,
                    .code = "session.not_found",
                    .reason = fmt::format("there is no session '{}'", given),
                    .ask = "saw session list"};
    return std::unexpected(std::move(failure));
  }
  if (found.size() > 1)
    return fail(Exit::usage, "session.ambiguous",
                "{} sessions are called '{}'; name it as WORKSPACE/{} or by its id", found.size(), given,
                wanted);
  return found.front();
}

std::string path_of(const Found& session) {
  return fmt::format("{}/{}", sessions_of(session.workspace), url_segment(session.id));
}

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

Outcome session_diff(Context& context) {
  const Found session = CLI_TRY(find_session(context, context.args.text("S")));
  const json diff = CLI_TRY(call(context, "GET", path_of(session) + "/diff"));
  context.out.json(diff);
  std::vector<Output::Row> rows;
  for (const json& change : list_of(diff, "changes"))
    rows.push_back(
        {text_of(change, "kind"), text_of(change, "type"), text_of(change, "size"), text_of(change, "path")});
  context.out.table({"CHANGE", "TYPE", "BYTES", "PATH"}, rows, "the session changed nothing");
  if (text_of(diff, "complete") == "false")
    context.out.note("there are more changes than can be listed; these are the first");
  return 0;
}

Outcome session_end(Context& context) {
  const Found session = CLI_TRY(find_session(context, context.args.text("S")));
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
  return {
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
      {.path = "session diff",
       .summary = "what a session changed",
       .positionals = {session},
       .examples = {"saw session diff fix", "saw session diff dev/fix --json"},
       .run = session_diff},
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
}

}  // namespace saw::cli
