#include <algorithm>
#include <charconv>
#include <deque>

#include <CLI/CLI.hpp>

#include "cli/command.h"

namespace saw::cli {
namespace {

constexpr size_t kMaxWords = 2;  // of a command's path

// "--policy" for "-f,--follow": the name under which a value is asked for.
std::string long_name(const Option& option) {
  return option.name.substr(option.name.rfind(',') + 1);
}

size_t distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t change = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({change, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

std::string nearest(const std::vector<Command>& table, std::string_view path) {
  constexpr size_t kFarthest = 2;
  std::string best;
  size_t least = kFarthest + 1;
  for (const Command& command : table) {
    const std::string first = command.path.substr(0, command.path.find(' '));
    for (const std::string& candidate : {command.path, first}) {
      if (const size_t d = distance(path, candidate); d < least) least = d, best = candidate;
    }
  }
  return best;
}

bool is_group(const std::vector<Command>& table, std::string_view word) {
  return std::ranges::any_of(table,
                             [&](const Command& c) { return c.path.starts_with(std::string(word) + " "); });
}

// Which command the words name, and what else they hold.
struct Split {
  std::string path;
  std::vector<std::string> others;  // in their order
};
Split split(const std::vector<Command>& table, const std::vector<std::string>& words) {
  Split out;
  size_t taken = 0;
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    const bool complete = taken == kMaxWords || (taken == 1 && !is_group(table, out.path)) || word == "--";
    if (complete) {
      out.others.insert(out.others.end(), words.begin() + static_cast<ptrdiff_t>(i), words.end());
      break;
    }
    if (word.starts_with("-")) {
      out.others.push_back(word);
      if ((word == "--socket" || word == "--dir") && i + 1 < words.size()) out.others.push_back(words[++i]);
      continue;
    }
    out.path += (taken++ ? " " : "") + word;
  }
  return out;
}

std::unexpected<Failure> usage(std::string_view path, std::string reason) {
  Failure failure{Exit::usage, "cli.usage", std::move(reason),
                  {},          {},          path.empty() ? "saw help" : fmt::format("saw help {}", path)};
  return std::unexpected(std::move(failure));
}

std::unexpected<Failure> unknown(const std::vector<Command>& table, const std::string& path) {
  const std::string near = nearest(table, path);
  const std::string group = path.substr(0, path.find(' '));
  return usage(is_group(table, group) ? group : "",
               fmt::format("there is no command '{}'{}", path,
                           near.empty() ? "" : fmt::format("; did you mean '{}'?", near)));
}

// Where CLI11 puts what was given, under the name of the table. A single value goes into a string, which
// CLI11 takes as it is; in a vector it would give "{}" a meaning.
struct Holder {
  std::string name;
  bool flag = false;
  std::string single;
  std::vector<std::string> several;
  const CLI::Option* option = nullptr;
};

void declare(CLI::App& app, const Command& command, std::deque<Holder>& holders) {
  auto add = [&](const Option& option) {
    Holder& holder = holders.emplace_back(long_name(option));
    if (option.value.empty()) {
      app.add_flag(option.name, holder.flag);
      return;
    }
    if (option.occurs == Occurs::repeatedly)
      app.add_option(option.name, holder.several)
          ->expected(1)
          ->allow_extra_args(false)
          ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    else
      holder.option = app.add_option(option.name, holder.single);
  };
  for (const Option& option : command.options) add(option);
  for (const Option& option : global_options())
    if (long_name(option) != "--help") add(option);
  for (const Positional& positional : command.positionals) {
    Holder& holder = holders.emplace_back(positional.name);
    if (positional.occurs == Occurs::repeatedly) {
      app.add_option(positional.name, holder.several)->required(positional.need == Need::required);
      continue;
    }
    holder.option =
        app.add_option(positional.name, holder.single)->required(positional.need == Need::required);
  }
}

Attempt<Args> parse_arguments(const Command& command, std::vector<std::string> words) {
  Args args;
  if (!command.rest.empty()) {
    const auto dashes = std::ranges::find(words, "--");
    if (dashes != words.end()) args.set_rest({dashes + 1, words.end()});
    words.erase(dashes, words.end());
  }
  CLI::App app;
  app.set_help_flag("");
  std::deque<Holder> holders;
  try {
    declare(app, command, holders);
    std::ranges::reverse(words);
    app.parse(words);
  } catch (const CLI::ParseError& e) {
    return usage(command.path, e.what());
  }
  if (!command.rest.empty() && command.rest_need == Need::required && args.rest().empty())
    return usage(command.path,
                 fmt::format("put the command after '--': saw {} … -- {}", command.path, command.rest));
  for (const Holder& holder : holders) {
    if (holder.flag) args.add(holder.name, "yes");
    if (holder.option && holder.option->count() > 0) args.add(holder.name, holder.single);
    for (const std::string& value : holder.several) args.add(holder.name, value);
  }
  return args;
}

bool asks_for_help(const std::vector<std::string>& words) {
  const auto end = std::ranges::find(words, "--");
  return std::find(words.begin(), end, "--help") != end || std::find(words.begin(), end, "-h") != end;
}

}  // namespace

const std::vector<Option>& global_options() {
  static const std::vector<Option> options = {
      {"--json", "", "one JSON document, or JSON lines, on stdout and nothing else there"},
      {"--socket", "PATH",
       "the daemon's socket (default $SAW_SOCKET, $XDG_RUNTIME_DIR/saw/saw.sock, /run/saw/saw.sock)"},
      {"--dir", "DIR", "SAW's state (default $SAW_DIR; /var/lib/saw as root, $XDG_STATE_HOME/saw otherwise)"},
      {"-h,--help", "", "this help"},
  };
  return options;
}

std::optional<std::string> Args::find(std::string_view name) const {
  const auto found = values_.find(name);
  if (found == values_.end() || found->second.empty()) return std::nullopt;
  return found->second.back();
}

std::string Args::text(std::string_view name, std::string_view otherwise) const {
  return find(name).value_or(std::string(otherwise));
}

std::vector<std::string> Args::list(std::string_view name) const {
  const auto found = values_.find(name);
  return found == values_.end() ? std::vector<std::string>{} : found->second;
}

const Command* find_command(const std::vector<Command>& table, std::string_view path) {
  const auto found = std::ranges::find(table, path, &Command::path);
  return found == table.end() ? nullptr : &*found;
}

Attempt<Invocation> parse(const std::vector<Command>& table, const std::vector<std::string>& words) {
  const bool help = asks_for_help(words);
  Split given = split(table, words);
  Invocation invocation;
  invocation.command = find_command(table, given.path);
  const bool group = is_group(table, given.path);
  if (help && (invocation.command || group || given.path.empty())) {
    invocation.topic = given.path;
    invocation.wants = Wants::help;
    return invocation;
  }
  if (given.path.empty()) {
    for (const std::string& word : given.others)
      if (word == "--version") return parse(table, {"version"});
    return usage("", "say what to do, for example 'saw status'");
  }
  if (!invocation.command) {
    if (group) return usage(given.path, fmt::format("'saw {}' needs to know what to do", given.path));
    return unknown(table, given.path);
  }
  invocation.args = CLI_TRY(parse_arguments(*invocation.command, std::move(given.others)));
  return invocation;
}

namespace {

// The number at the front of `text`, and the unit behind it.
std::optional<std::pair<double, std::string_view>> number_and_unit(std::string_view text) {
  double number = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  if (error != std::errc{} || number < 0) return std::nullopt;
  return std::pair{number, text.substr(static_cast<size_t>(end - text.data()))};
}

}  // namespace

std::optional<int64_t> parse_duration_ms(std::string_view text) {
  constexpr double kLongest = 366.0 * 24 * 3600 * 1000;
  static constexpr std::pair<std::string_view, double> kUnits[] = {{"ms", 1},  {"s", 1e3},   {"", 1e3},
                                                                   {"m", 6e4}, {"h", 3.6e6}, {"d", 8.64e7}};
  const auto parts = number_and_unit(text);
  if (!parts) return std::nullopt;
  for (const auto& [unit, factor] : kUnits)
    if (unit == parts->second && parts->first * factor <= kLongest)
      return static_cast<int64_t>(parts->first * factor);
  return std::nullopt;
}

std::optional<uint64_t> parse_size(std::string_view text) {
  constexpr double kLargest = 1e18;
  const auto parts = number_and_unit(text);
  if (!parts) return std::nullopt;
  std::string_view unit = parts->second;
  if (unit.ends_with("iB")) unit.remove_suffix(2);
  double factor = 1;
  constexpr std::string_view kPrefixes = "KMGT";
  if (unit.size() > 1 || (!unit.empty() && !kPrefixes.contains(unit[0]))) return std::nullopt;
  if (!unit.empty())
    for (size_t i = 0; i <= kPrefixes.find(unit[0]); ++i) factor *= 1024;
  if (parts->first * factor > kLargest) return std::nullopt;
  return static_cast<uint64_t>(parts->first * factor);
}

}  // namespace saw::cli
