#include "cli/help.h"

#include <algorithm>

#include <fmt/format.h>

namespace saw::cli {
namespace {

constexpr std::string_view kOneLine = "a governed place for autonomous agents to run in";

struct Status {
  std::string_view code, meaning;
};
constexpr Status kStatuses[] = {
    {"0", "done"},
    {"1", "the thing asked for failed, or a check found something"},
    {"2", "usage"},
    {"125", "SAW itself failed before the command ran, or what was asked for is not available yet"},
    {"126", "refused by policy or authority"},
    {"127", "run, exec: the command does not exist in the sandbox"},
    {"other",
     "run, exec: the command's own status; 128+n when signal n ended it; 137 on a limit (time, memory, file "
     "size)"},
};

struct Variable {
  std::string_view name, meaning;
};
constexpr Variable kVariables[] = {
    {"SAW_SOCKET", "the daemon's socket, instead of the default"},
    {"SAW_DIR", "where state lives, instead of the default"},
    {"NO_COLOR", "no colour, whatever it is set to"},
};

std::string availability(const Command& command) {
  return command.run ? "" : " (not available yet)";
}

std::string option_label(const Option& option) {
  std::string name = option.name;
  if (const size_t comma = name.find(','); comma != std::string::npos) name.insert(comma + 1, " ");
  return option.value.empty() ? name : fmt::format("{} {}", name, option.value);
}

struct Item {
  std::string label, text;
};
std::string list(std::string_view title, const std::vector<Item>& items) {
  if (items.empty()) return {};
  constexpr size_t kWidest = 26;
  size_t width = 0;
  for (const Item& item : items)
    if (item.label.size() <= kWidest) width = std::max(width, item.label.size());
  std::string out = fmt::format("\n{}:\n", title);
  for (const Item& item : items) {
    if (item.label.size() > width)
      out += fmt::format("  {}\n  {:<{}}  {}\n", item.label, "", width, item.text);
    else
      out += fmt::format("  {:<{}}  {}\n", item.label, width, item.text);
  }
  return out;
}

std::vector<Item> positional_items(const Command& command) {
  std::vector<Item> items;
  for (const Positional& p : command.positionals) items.push_back({p.name, p.help});
  if (!command.rest.empty())
    items.push_back(
        {fmt::format("-- {}", command.rest), "the command and its arguments, run without a shell"});
  return items;
}

std::vector<Item> option_items(const std::vector<Option>& options) {
  std::vector<Item> items;
  for (const Option& option : options)
    items.push_back({option_label(option),
                     option.help + (option.occurs == Occurs::repeatedly ? " (may be repeated)" : "")});
  return items;
}

// First words in the order of the table, each once.
std::vector<std::string> first_words(const std::vector<Command>& table) {
  std::vector<std::string> words;
  for (const Command& command : table) {
    std::string first = command.path.substr(0, command.path.find(' '));
    if (std::ranges::find(words, first) == words.end()) words.push_back(std::move(first));
  }
  return words;
}

std::vector<const Command*> group_of(const std::vector<Command>& table, std::string_view word) {
  std::vector<const Command*> group;
  for (const Command& command : table)
    if (command.path.starts_with(fmt::format("{} ", word))) group.push_back(&command);
  return group;
}

std::string command_help(const Command& command) {
  std::string out = fmt::format("saw {}: {}{}\n\nUsage: {}\n", command.path, command.summary,
                                availability(command), usage_line(command));
  if (!command.text.empty()) out += fmt::format("\n{}\n", command.text);
  out += list("Arguments", positional_items(command));
  out += list("Options", option_items(command.options));
  out += list("Options of every command", option_items(global_options()));
  if (command.examples.empty()) return out;
  out += "\nExamples:\n";
  for (const std::string& example : command.examples) out += fmt::format("  {}\n", example);
  return out;
}

std::string group_help(const std::vector<const Command*>& group, std::string_view word) {
  std::vector<Item> items;
  for (const Command* command : group)
    items.push_back({command->path.substr(word.size() + 1), command->summary + availability(*command)});
  return fmt::format("Usage: saw {} COMMAND …\n{}\n'saw help {} COMMAND' says more.\n", word,
                     list("Commands", items), word);
}

std::string overview(const std::vector<Command>& table) {
  std::string out = fmt::format("saw: {}\n\nUsage: saw COMMAND [OPTION…] …\n", kOneLine);
  std::vector<Item> items;
  for (const std::string& word : first_words(table)) {
    const Command* single = find_command(table, word);
    const auto group = group_of(table, word);
    if (single) {
      items.push_back({word, single->summary + availability(*single)});
      continue;
    }
    std::string verbs;
    const bool any = std::ranges::any_of(group, [](const Command* c) { return c->run != nullptr; });
    for (const Command* c : group)
      if (c->run || !any) verbs += (verbs.empty() ? "" : ", ") + c->path.substr(word.size() + 1);
    items.push_back({word, verbs + (any ? "" : " (not available yet)")});
  }
  out += list("Commands", items);
  out += list("Options of every command", option_items(global_options()));
  out +=
      "\nA first round:\n  saw up\n  saw workspace create dev\n  saw run "
      "dev -- echo hello\n";
  out += "\n'saw help COMMAND' says more.\n";
  return out;
}

// A line of text for troff: nothing in it is a request or an escape.
std::string troff(std::string_view text) {
  std::string out = text.starts_with('.') || text.starts_with('\'') ? "\\&" : "";
  for (const char c : text) out += c == '\\' ? "\\e" : c == '-' ? "\\-" : std::string(1, c);
  return out;
}

std::string troff_items(const std::vector<Item>& items) {
  std::string out;
  for (const Item& item : items) out += fmt::format(".TP\n.B {}\n{}\n", troff(item.label), troff(item.text));
  return out;
}

}  // namespace

std::string usage_line(const Command& command) {
  std::string out = fmt::format("saw {}", command.path);
  if (!command.options.empty()) out += " [OPTION…]";
  for (const Positional& p : command.positionals) {
    const std::string name = p.name + (p.occurs == Occurs::repeatedly ? "…" : "");
    out += p.need == Need::required ? fmt::format(" {}", name) : fmt::format(" [{}]", name);
  }
  if (!command.rest.empty())
    out += command.rest_need == Need::required ? fmt::format(" -- {}", command.rest)
                                               : fmt::format(" [-- {}]", command.rest);
  return out;
}

std::string help_text(const std::vector<Command>& table, std::string_view topic) {
  if (topic.empty()) return overview(table);
  if (const Command* command = find_command(table, topic)) return command_help(*command);
  const auto group = group_of(table, topic);
  return group.empty() ? std::string{} : group_help(group, topic);
}

std::string man_page(const std::vector<Command>& table) {
  std::string out = fmt::format(".TH SAW 1 \"\" \"saw {}\" \"User Commands\"\n.SH NAME\nsaw \\- {}\n",
                                SAW_VERSION, kOneLine);
  out += ".SH SYNOPSIS\n.B saw\nCOMMAND [OPTION...] ...\n.SH COMMANDS\n";
  for (const Command& command : table) {
    out += fmt::format(".SS {}\n{}{}.\n", troff(usage_line(command)), troff(command.summary),
                       availability(command));
    if (!command.text.empty()) out += fmt::format(".PP\n{}\n", troff(command.text));
    out += troff_items(positional_items(command)) + troff_items(option_items(command.options));
    if (!command.examples.empty()) out += ".PP\nExamples:\n.PP\n.nf\n";
    for (const std::string& example : command.examples) out += fmt::format("{}\n", troff(example));
    if (!command.examples.empty()) out += ".fi\n";
  }
  out += ".SH OPTIONS\n" + troff_items(option_items(global_options())) + ".SH ENVIRONMENT\n";
  for (const Variable& v : kVariables) out += fmt::format(".TP\n.B {}\n{}\n", v.name, troff(v.meaning));
  out += ".SH EXIT STATUS\n";
  for (const Status& s : kStatuses) out += fmt::format(".TP\n.B {}\n{}\n", s.code, troff(s.meaning));
  return out;
}

std::string reference_page(const std::vector<Command>& table) {
  std::string out = fmt::format(
      "# The command line\n\n`saw`: {}. Generated by `saw help --markdown`; do not edit.\n", kOneLine);
  out +=
      "\nResults go to stdout, messages for people to stderr. With `--json`, stdout carries one JSON "
      "document or JSON lines and nothing else; a\n"
      "refusal or failure is `{\"error\":{\"code\",\"reason\",\"layer\",\"rule\",\"ask\"}}` there.\n\n## "
      "Exit status\n\n| | |\n|---|---|\n";
  for (const Status& s : kStatuses) out += fmt::format("| {} | {} |\n", s.code, s.meaning);
  out += "\n## Environment\n\n| | |\n|---|---|\n";
  for (const Variable& v : kVariables) out += fmt::format("| `{}` | {} |\n", v.name, v.meaning);
  auto rows = [](const std::vector<Item>& items) {
    std::string text = items.empty() ? "" : "\n| | |\n|---|---|\n";
    for (const Item& item : items) text += fmt::format("| `{}` | {} |\n", item.label, item.text);
    return text;
  };
  out += "\n## Options of every command\n" + rows(option_items(global_options())) + "\n## Commands\n";
  for (const Command& command : table) {
    out += fmt::format("\n### `{}`\n\n{}{}.\n", usage_line(command), command.summary, availability(command));
    if (!command.text.empty()) out += fmt::format("\n{}\n", command.text);
    std::vector<Item> items = positional_items(command);
    for (Item& item : option_items(command.options)) items.push_back(std::move(item));
    out += rows(items);
    if (command.examples.empty()) continue;
    out += "\n```sh\n";
    for (const std::string& example : command.examples) out += fmt::format("{}\n", example);
    out += "```\n";
  }
  return out;
}

}  // namespace saw::cli
