// Which changes take effect later, outside the sandbox that made them: shell start-up files, git hooks and the
// git configuration keys that name programs, editor tasks, units, agent instructions (requirements R82, R118).
//
//   if (auto match = match_run_later(change.path, change.type))
//     if (auto finding = judge_run_later(*match, change.path, read_both)) quarantine(change, *finding);
//
// Two steps, because most rules decide by the path alone and a few read the content: `git commit` and `git
// remote add` write .git/config too, and only its keys tell whether a program was named. Where content
// decides, what cannot be read or understood counts as running later.
//
// A path is what the file is called at the end, absolute inside the sandbox, canonical, bytes. How it came
// there (rename, hard link, archive, a symlink written through) makes no difference. A symlink is classified
// also where it stands for a directory on the way to a run-later path: ".git" or ".config" as a link would
// put files of any name on run-later paths.
//
// The list itself, with its reasons and what is left out on purpose, is run_later_list.cc; docs/run-later.md
// is made from it. Limits: names are compared byte for byte, so a file exported to a disk that ignores case
// is judged by the name it has here; a file that an accepted configuration names in its turn (include.path,
// source, exec) is only known if it has one of the usual names.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sandbox/node_protocol.h"

namespace saw::sandbox {

enum class Judge : uint8_t {
  any_change,   // the path says it all
  git_config,   // the settings of a git configuration that are not known to be harmless
  git_guess,    // the same for a file that only may be one: settings known to be harmful
  git_pointer,  // where a ".git" file or a "commondir" leads
  never         // an exception from a wider rule
};

// One name of the list. Patterns: "a/b" is that path at any depth; "/a/b" that path of the sandbox; a final
// "/" means the directory and everything below it, otherwise only a thing that is not a directory; '*' is any
// run within a segment, "**" any number of segments.
struct RunLaterRule {
  std::string_view pattern;
  Judge judge = Judge::any_change;
  std::string_view why;
};

// Both versions of a file, for the rules that read: "" where there was, or is, none; absent where it cannot
// be read whole (too large, not a regular file).
struct BothVersions {
  std::optional<std::string> before, after;
};
constexpr size_t kMaxJudgedBytes = 256u << 10;

struct RunLaterMatch {
  RunLaterRule rule;
  size_t place = 0;  // the first so many bytes of the path are what the rule names: "/w/.vscode"
};

struct RunLaterFinding {
  std::string_view rule;  // its pattern, for people and events
  std::string_view why;   // "git runs it"
  std::string detail;     // what in the content decided: "core.hookspath = x"; printable; may be empty
  size_t place = 0;
};

// The first rule that holds for a path where now (or, of a deletion: until now) a thing of `type` lies. A
// directory has none: its entries do, and to remove one whole runs nothing.
std::optional<RunLaterMatch> match_run_later(std::string_view path, FileType type);

// Whether this change runs later. `read` is called at most once, and only by rules that read.
std::optional<RunLaterFinding> judge_run_later(const RunLaterMatch& match, std::string_view path,
                                               const std::function<BothVersions()>& read);

// All rules, in the order of the list: the first that holds decides.
std::vector<RunLaterRule> run_later_rules();

// docs/run-later.md.
std::string describe_run_later();

}  // namespace saw::sandbox
