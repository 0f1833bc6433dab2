#include "cli/session_find.h"

#include <nlohmann/json.hpp>

namespace saw::cli {

using nlohmann::json;

std::string sessions_of(const std::string& workspace) {
  return fmt::format("/v1/workspaces/{}/sessions", url_segment(workspace));
}

Attempt<FoundSession> find_session(Context& context, const std::string& given) {
  const size_t slash = given.find('/');
  std::vector<std::string> workspaces;
  if (slash != std::string::npos) {
    workspaces.push_back(given.substr(0, slash));
  } else {
    const json all = CLI_TRY(call(context, "GET", "/v1/workspaces"));
    for (const json& w : list_of(all, "workspaces")) workspaces.push_back(text_of(w, "id"));
  }
  const std::string wanted = slash == std::string::npos ? given : given.substr(slash + 1);
  std::vector<FoundSession> found;
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

std::string path_of(const FoundSession& session) {
  return fmt::format("{}/{}", sessions_of(session.workspace), url_segment(session.id));
}

}  // namespace saw::cli
