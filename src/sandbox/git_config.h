// Reading git configuration text, as git does, to see which settings it has.
//
//   GitConfig config = parse_git_config(text);
//   for (const GitSetting& s : config.settings) …  // {"remote.origin.url", "https://…"}
//
// Total: any bytes give a result, of at most kMaxGitSettings settings, in time linear in the text. Where git
// would stop with an error, this reader notes `malformed` and goes on at the next line, so that it never sees
// less than git does. Source: git-config(1), "SYNTAX".
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace saw::sandbox {

struct GitSetting {
  std::string key;    // "section.name" or "section.subsection.name"; section and name in lower case
  std::string value;  // unquoted; "true" for a name without '='
  bool operator==(const GitSetting&) const = default;
};

struct GitConfig {
  std::vector<GitSetting> settings;  // in the order of the text
  bool malformed = false;            // git refuses it, or there are too many settings
  bool cut = false;                  // there are too many settings: these are the first
};

constexpr size_t kMaxGitSettings = 10'000;

GitConfig parse_git_config(std::string_view text);

}  // namespace saw::sandbox
