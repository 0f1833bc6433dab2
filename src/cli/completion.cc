#include <algorithm>

#include <fmt/format.h>

#include "cli/help.h"

namespace saw::cli {
namespace {

// Words that may follow a path: subcommands, then options. Built from the table, so that no shell needs to
// ask `saw`.
std::vector<std::string> option_names(const Command& command) {
  std::vector<std::string> names;
  auto add = [&](const std::vector<Option>& options) {
    for (const Option& option : options) names.push_back(option.name.substr(option.name.rfind(',') + 1));
  };
  add(command.options);
  add(global_options());
  return names;
}

std::vector<std::string> next_words(const std::vector<Command>& table, std::string_view path) {
  std::vector<std::string> words;
  const std::string prefix = path.empty() ? "" : fmt::format("{} ", path);
  for (const Command& command : table) {
    if (!command.path.starts_with(prefix)) continue;
    std::string word = command.path.substr(prefix.size());
    word.resize(std::min(word.find(' '), word.size()));
    if (std::ranges::find(words, word) == words.end()) words.push_back(std::move(word));
  }
  return words;
}

std::vector<std::string> groups(const std::vector<Command>& table) {
  std::vector<std::string> words;
  for (const std::string& word : next_words(table, ""))
    if (!next_words(table, word).empty()) words.push_back(word);
  return words;
}

// The `case` arms shared by bash and zsh: from the command's path to the words that may follow.
std::string arms(const std::vector<Command>& table, std::string_view variable) {
  std::string out = fmt::format("    '') {}='{}' ;;\n", variable, fmt::join(next_words(table, ""), " "));
  for (const std::string& group : groups(table))
    out += fmt::format("    '{}') {}='{}' ;;\n", group, variable, fmt::join(next_words(table, group), " "));
  for (const Command& command : table)
    out +=
        fmt::format("    '{}') {}='{}' ;;\n", command.path, variable, fmt::join(option_names(command), " "));
  return out;
}

std::string bash(const std::vector<Command>& table) {
  return fmt::format(R"(# bash completion for saw; made by 'saw completion bash'
_saw() {{
  local current=${{COMP_WORDS[COMP_CWORD]}} path='' words='' word i
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=${{COMP_WORDS[i]}}
    [[ $word == -- ]] && return
    [[ $word == -* ]] && continue
    case $path in
    '') path=$word ;;
    {}) path="$path $word"; break ;;
    *) break ;;
    esac
  done
  case $path in
{}  esac
  if [[ $current == -* || " $words " != *" --json "* ]]; then
    COMPREPLY=($(compgen -W "$words" -- "$current"))
  else
    COMPREPLY=($(compgen -f -- "$current"))
  fi
}}
complete -F _saw saw
)",
                     fmt::join(groups(table), "|"), arms(table, "words"));
}

std::string zsh(const std::vector<Command>& table) {
  return fmt::format(R"(#compdef saw
# zsh completion for saw; made by 'saw completion zsh'
_saw() {{
  local -a given=("${{words[@]:1:CURRENT-2}}")
  local path_='' next='' word
  for word in "${{given[@]}}"; do
    [[ $word == -- ]] && return
    [[ $word == -* ]] && continue
    case $path_ in
    '') path_=$word ;;
    {}) path_="$path_ $word"; break ;;
    *) break ;;
    esac
  done
  case $path_ in
{}  esac
  compadd -- ${{=next}}
}}
_saw "$@"
)",
                     fmt::join(groups(table), "|"), arms(table, "next"));
}

std::string fish_quoted(std::string_view text) {
  std::string out;
  for (const char c : text) out += c == '\'' || c == '\\' ? fmt::format("\\{}", c) : std::string(1, c);
  return out;
}

std::string fish(const std::vector<Command>& table) {
  std::string out = "# fish completion for saw; made by 'saw completion fish'\ncomplete -c saw -f\n";
  for (const std::string& word : next_words(table, "")) {
    const Command* single = find_command(table, word);
    out += fmt::format("complete -c saw -n __fish_use_subcommand -a {} -d '{}'\n", word,
                       single ? fish_quoted(single->summary) : "");
  }
  for (const Command& command : table) {
    const size_t space = command.path.find(' ');
    const std::string first = command.path.substr(0, space);
    std::string condition = fmt::format("__fish_seen_subcommand_from {}", first);
    if (space != std::string::npos) {
      const std::string second = command.path.substr(space + 1);
      out += fmt::format("complete -c saw -n '{}' -a {} -d '{}'\n", condition, second,
                         fish_quoted(command.summary));
      condition += fmt::format("; and __fish_seen_subcommand_from {}", second);
    }
    for (const Option& option : command.options) {
      const std::string name = option.name.substr(option.name.rfind(',') + 3);
      out += fmt::format("complete -c saw -n '{}' -l {}{} -d '{}'\n", condition, name,
                         option.value.empty() ? "" : " -r", fish_quoted(option.help));
    }
  }
  return out;
}

}  // namespace

std::string completion_script(const std::vector<Command>& table, Shell shell) {
  switch (shell) {
    case Shell::bash:
      return bash(table);
    case Shell::zsh:
      return zsh(table);
    case Shell::fish:
      break;
  }
  return fish(table);
}

}  // namespace saw::cli
