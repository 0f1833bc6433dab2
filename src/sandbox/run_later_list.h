// The reviewed list behind run_later.h, as data: see run_later_list.cc.
#pragma once

#include <span>
#include <string_view>

#include "sandbox/run_later.h"

namespace saw::sandbox {

struct RunLaterGroup {
  std::string_view title, why;
  Judge judge = Judge::any_change;
  std::span<const std::string_view> patterns;
};

// What somebody may look for in the list and not find, and why it is not there.
struct RunLaterOmission {
  std::string_view example, why;
};

// A git setting: "section.name" or "section.*.name", section and name in lower case, '*' any subsection, or
// the whole rest when it ends the key.
enum class GitSettingEffect : uint8_t {
  harmless,
  runs,
  url,       // harmless unless it names a transport helper or an option
  update,    // harmless unless it is a command ("!…")
  toggle,    // harmless as a boolean, a command otherwise
  work_tree  // harmless where git itself puts it: in a submodule's configuration, back to its own work tree
};
struct GitSettingRule {
  std::string_view key;
  GitSettingEffect effect = GitSettingEffect::runs;
  std::string_view why;
};

std::span<const RunLaterGroup> run_later_groups();
std::span<const RunLaterOmission> run_later_omissions();
std::span<const GitSettingRule> git_setting_rules();

}  // namespace saw::sandbox
