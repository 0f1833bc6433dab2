// Commands of the contract that do not exist yet. They are known, so that a script learns "not available yet"
// (125) rather than "no such command" (2), and the help shows what is to come.
#include "cli/commands.h"

namespace saw::cli {

std::vector<Command> later_commands() {
  struct Later {
    const char *path, *summary;
  };
  static constexpr Later kLater[] = {
      {"workspace expose", "a URL that only the owner can open"},
      {"ssh", "a ProxyCommand for IDEs"},
      {"policy replay", "what a policy would have decided about the past"},
      {"policy import", "convert another system's policy"},
      {"kill", "stop a workspace, an agent or everything at once"},
      {"login", "log in over the network (OIDC)"},
      {"logout", "forget a login"},
      {"mcp", "an MCP server whose tools run in call sandboxes"},
      {"bench", "published figures, measured here"},
  };
  std::vector<Command> commands;
  for (const Later& later : kLater) commands.push_back({.path = later.path, .summary = later.summary});
  return commands;
}

}  // namespace saw::cli
