#include "sandbox/run_later.h"

#include <algorithm>
#include <unordered_map>

#include "base/bytes.h"
#include "sandbox/git_config.h"
#include "sandbox/run_later_list.h"

namespace saw::sandbox {
namespace {

using Segments = std::vector<std::string_view>;

Segments split(std::string_view path) {
  Segments out;
  for (size_t at = 0; at < path.size();) {
    const size_t end = std::min(path.find('/', at), path.size());
    if (end > at) out.push_back(path.substr(at, end - at));
    at = end + 1;
  }
  return out;
}

// '*' is any run. The usual single-backtrack loop: linear in practice, at worst pattern × text.
bool segment_matches(std::string_view pattern, std::string_view text) {
  size_t p = 0, t = 0, star = pattern.npos, resume = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = t;
    } else if (p < pattern.size() && pattern[p] == text[t]) {
      ++p, ++t;
    } else if (star != pattern.npos) {
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

struct CompiledRule {
  RunLaterRule rule;
  Segments segments;
  bool anchored = false, tree = false;
};

class Index {
 public:
  Index() {
    for (const RunLaterGroup& group : run_later_groups())
      for (std::string_view pattern : group.patterns) add({pattern, group.judge, group.why});
  }

  const std::vector<CompiledRule>& rules() const { return rules_; }

  std::optional<RunLaterMatch> find(std::string_view path, FileType type) const {
    const Segments path_segments = split(path);
    const Query query{path_segments, type};
    size_t best = rules_.size(), end = 0;
    const auto consider = [&](size_t rule, size_t from) {
      if (rule >= best || (rules_[rule].anchored && from != 0)) return;
      // The exceptions are for plain files: a link under such a name is none.
      if (rules_[rule].rule.judge == Judge::never && type != FileType::file) return;
      if (auto found = match(query, rules_[rule], 0, from)) best = rule, end = *found;
    };
    for (size_t from = 0; from < path_segments.size(); ++from) {
      if (auto found = by_first_.find(path_segments[from]); found != by_first_.end())
        for (size_t rule : found->second) consider(rule, from);
      for (size_t rule : wild_first_) consider(rule, from);
    }
    if (best == rules_.size()) return std::nullopt;
    const std::string_view last = path_segments[end - 1];
    return RunLaterMatch{rules_[best].rule, static_cast<size_t>(last.data() + last.size() - path.data())};
  }

 private:
  struct Query {
    const Segments& path;
    FileType type;
  };

  void add(const RunLaterRule& rule) {
    CompiledRule compiled{.rule = rule, .segments = split(rule.pattern)};
    compiled.anchored = rule.pattern.starts_with('/');
    compiled.tree = rule.pattern.ends_with('/');
    const std::string_view first = compiled.segments.front();
    if (first.find('*') == first.npos)
      by_first_[first].push_back(rules_.size());
    else
      wild_first_.push_back(rules_.size());
    rules_.push_back(std::move(compiled));
  }

  // How many segments of the path the rule names, if its segments from `p` hold at segment `t`.
  static std::optional<size_t> match(const Query& query, const CompiledRule& rule, size_t p, size_t t) {
    if (p == rule.segments.size())
      return rule.tree || t == query.path.size() ? std::optional(t) : std::nullopt;
    // A link that stands for a directory on the way: whatever it leads to lies on run-later paths.
    if (t == query.path.size())
      return query.type == FileType::symlink && p > 0 ? std::optional(t) : std::nullopt;
    if (rule.segments[p] == "**") {
      for (size_t skip = t; skip <= query.path.size(); ++skip)
        if (auto found = match(query, rule, p + 1, skip)) return found;
      return std::nullopt;
    }
    if (!segment_matches(rule.segments[p], query.path[t])) return std::nullopt;
    return match(query, rule, p + 1, t + 1);
  }

  std::vector<CompiledRule> rules_;
  std::unordered_map<std::string_view, std::vector<size_t>> by_first_;
  std::vector<size_t> wild_first_;
};

const Index& index() {
  static const Index built;  // of constants
  return built;
}

// ---- git settings ----

// "a.b.c" → {"a", "b", "c"}; the subsection may hold dots itself.
struct KeyParts {
  std::string_view section, subsection, name;
  explicit KeyParts(std::string_view key) {
    const size_t first = key.find('.'), last = key.rfind('.');
    section = key.substr(0, first);
    if (first == key.npos) return;
    name = key.substr(last + 1);
    if (last > first) subsection = key.substr(first + 1, last - first - 1);
  }
};

bool key_matches(const GitSettingRule& rule, std::string_view key) {
  const KeyParts pattern(rule.key), parts(key);
  if (pattern.section != parts.section) return false;
  if (pattern.name == "*") return true;
  if (pattern.name != parts.name) return false;
  return pattern.subsection == "*" ? !parts.subsection.empty() : parts.subsection.empty();
}

bool is_boolean(std::string_view value) {
  constexpr std::string_view kBooleans[] = {"", "true", "false", "yes", "no", "on", "off", "0", "1"};
  return std::ranges::find(kBooleans, value) != std::end(kBooleans);
}

// "<helper>::<address>" starts git-remote-<helper>; "-…" would be an option of some program.
bool is_plain_url(std::string_view value) {
  return value.find("::") == value.npos && !value.starts_with('-');
}

// A submodule's configuration in ".git/modules/<name>/config" leads back to its work tree by one ".." for
// each of its directories, never higher, and not into a .git.
bool is_own_work_tree(std::string_view value, std::string_view path) {
  const Segments at = split(path);
  const auto git = std::ranges::find(at, ".git");
  if (value.starts_with('/') || at.end() - git < 3 || *(git + 1) != "modules") return false;
  const size_t levels = static_cast<size_t>(at.end() - git) - 1;
  const Segments parts = split(value);
  const auto down = std::ranges::find_if(parts, [](std::string_view part) { return part != ".."; });
  return static_cast<size_t>(down - parts.begin()) <= levels &&
         std::none_of(down, parts.end(),
                      [](std::string_view part) { return part == ".." || part == ".git"; });
}

bool is_harmless(const GitSettingRule& rule, const GitSetting& setting, std::string_view path) {
  switch (rule.effect) {
    case GitSettingEffect::harmless:
      return true;
    case GitSettingEffect::runs:
      return false;
    case GitSettingEffect::url:
      return is_plain_url(setting.value);
    case GitSettingEffect::update:
      return !setting.value.starts_with('!');
    case GitSettingEffect::toggle:
      return is_boolean(setting.value);
    case GitSettingEffect::work_tree:
      return is_own_work_tree(setting.value, path);
  }
  return false;
}

// The settings of `text` that run later, in order; in doubt a setting does.
std::vector<GitSetting> harmful_settings(const GitConfig& config, Judge judge, std::string_view path) {
  std::vector<GitSetting> out;
  for (const GitSetting& setting : config.settings) {
    const auto rule =
        std::ranges::find_if(git_setting_rules(), [&](const auto& r) { return key_matches(r, setting.key); });
    const bool known = rule != git_setting_rules().end();
    if (known ? !is_harmless(*rule, setting, path) : judge == Judge::git_config) out.push_back(setting);
  }
  return out;
}

// The first place where the two differ, as text.
std::string difference(const std::vector<GitSetting>& before, const std::vector<GitSetting>& after) {
  for (size_t i = 0; i < after.size(); ++i)
    if (i >= before.size() || before[i] != after[i])
      return printable(fmt::format("{} = {}", after[i].key, after[i].value));
  return printable(fmt::format("{} is gone", before[after.size()].key));
}

// Also a setting that goes, or changes its place among the others, may be what held another one back.
std::optional<std::string> judge_git_config(Judge judge, std::string_view path,
                                            const BothVersions& versions) {
  if (!versions.after) return "it cannot be read whole";
  if (!versions.before) return "what was there before cannot be read whole";
  const GitConfig before = parse_git_config(*versions.before), after = parse_git_config(*versions.after);
  if (before.cut || after.cut) return "it has more settings than are read";
  const std::vector<GitSetting> had = harmful_settings(before, judge, path),
                                has = harmful_settings(after, judge, path);
  if (had != has) return difference(had, has);
  if (judge == Judge::git_config && after.malformed) return "it is not a well-formed configuration";
  return std::nullopt;
}

// Into the places where git keeps what belongs to a repository, which are judged by name themselves.
bool leads_to_git_directory(std::string_view target) {
  const Segments parts = split(target);
  for (size_t i = 0; i + 2 < parts.size(); ++i)
    if (parts[i] == ".git" && (parts[i + 1] == "modules" || parts[i + 1] == "worktrees"))
      return std::none_of(parts.begin() + static_cast<long>(i), parts.end(),
                          [](std::string_view part) { return part == ".."; });
  return false;
}

std::optional<std::string> judge_git_pointer(std::string_view path, const BothVersions& versions) {
  if (!versions.after) return "it cannot be read whole";
  std::string_view text = *versions.after;
  if (text.empty()) return std::nullopt;
  while (text.ends_with('\n') || text.ends_with('\r')) text.remove_suffix(1);
  constexpr std::string_view kGitDir = "gitdir: ";
  const bool usual = path.ends_with("/commondir")
                         ? text == "../.."
                         : text.starts_with(kGitDir) && leads_to_git_directory(text.substr(kGitDir.size()));
  if (usual && text.find('\0') == text.npos) return std::nullopt;
  return printable(fmt::format("it leads to '{}'", text));
}

std::optional<std::string> judge_content(const RunLaterMatch& match, std::string_view path,
                                         const std::function<BothVersions()>& read) {
  switch (match.rule.judge) {
    case Judge::any_change:
      return "";
    case Judge::git_config:
    case Judge::git_guess:
      return judge_git_config(match.rule.judge, path, read());
    case Judge::git_pointer:
      return judge_git_pointer(path, read());
    case Judge::never:
      return std::nullopt;
  }
  return "";
}

}  // namespace

std::optional<RunLaterMatch> match_run_later(std::string_view path, FileType type) {
  return type == FileType::directory ? std::nullopt : index().find(path, type);
}

std::optional<RunLaterFinding> judge_run_later(const RunLaterMatch& match, std::string_view path,
                                               const std::function<BothVersions()>& read) {
  auto detail = judge_content(match, path, read);
  if (!detail) return std::nullopt;
  return RunLaterFinding{
      .rule = match.rule.pattern, .why = match.rule.why, .detail = std::move(*detail), .place = match.place};
}

std::vector<RunLaterRule> run_later_rules() {
  std::vector<RunLaterRule> out;
  for (const CompiledRule& compiled : index().rules()) out.push_back(compiled.rule);
  return out;
}

std::string describe_run_later() {
  std::string out =
      "# What runs later\n\n"
      "Generated from `src/sandbox/run_later_list.cc`, the reviewed list. A change to one of these paths is "
      "kept back "
      "when a session is committed, until a person releases it (`filesystem.runLater: "
      "quarantine`), or refused (`deny`).\n\n"
      "A name holds at any depth, because projects nest. A final `/` means the directory with everything in "
      "it. `*` is "
      "any run of characters within a name, `**` any number of directories. A symbolic link counts wherever "
      "it would "
      "stand for one of these files or for a directory on the way to one.\n";
  for (const RunLaterGroup& group : run_later_groups()) {
    out += fmt::format("\n## {}\n\n{}{}.\n\n", group.title,
                       group.judge == Judge::never ? "Not kept back: " : "Kept back because ", group.why);
    if (group.judge == Judge::git_config)
      out += "Kept back only when a setting changes that is not known to be harmless; see below.\n\n";
    if (group.judge == Judge::git_guess)
      out += "Kept back only when a setting changes that is known to do harm; see below.\n\n";
    if (group.judge == Judge::git_pointer)
      out += "Kept back unless it leads where git itself puts such things.\n\n";
    std::string_view gap = "";
    for (std::string_view pattern : group.patterns)
      out += fmt::format("{}`{}`", std::exchange(gap, " · "), pattern);
    out += "\n";
  }
  out +=
      "\n## Git settings\n\nA setting that is not in this table counts as running later.\n\n| Setting | "
      "Effect |\n|---|---|\n";
  for (const GitSettingRule& rule : git_setting_rules()) {
    constexpr std::string_view kEffects[] = {"harmless",
                                             "kept back: ",
                                             "kept back with a helper (`::`) or option: ",
                                             "kept back when it starts with `!`: ",
                                             "kept back unless a boolean: ",
                                             "kept back outside a submodule's own: "};
    out += fmt::format("| `{}` | {}{} |\n", rule.key, kEffects[static_cast<size_t>(rule.effect)], rule.why);
  }
  out += "\n## Left out on purpose\n\n";
  for (const RunLaterOmission& omission : run_later_omissions())
    out += fmt::format("- {}: {}.\n", omission.example, omission.why);
  return out;
}

}  // namespace saw::sandbox
