// The table of commands: what `saw` understands, as data. The parser, the help, the man page, docs/cli.md and
// the shell completions are all made from it, so that they cannot disagree.
//
//   Command{.path = "session end", .summary = "end a session and discard what it wrote",
//           .positionals = {{"S", "the session's id or name"}}, .run = session_end}
//
// `run` sees what was parsed through its Context and returns an exit status or a Failure; it never prints an
// error itself.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/failure.h"

namespace saw::cli {

struct Context;

enum class Need { required, optional };
enum class Occurs { once, repeatedly };
struct Positional {
  std::string name, help;  // name as shown and as asked for: "W"
  Need need = Need::required;
  Occurs occurs = Occurs::once;  // repeatedly: the last one only
};

struct Option {
  std::string name;   // "--policy"; with a short form: "-f,--follow"
  std::string value;  // "FILE"; empty: a flag
  std::string help;
  Occurs occurs = Occurs::once;
};

struct Command {
  std::string path;     // "workspace create"
  std::string summary;  // one line, lower case, no full stop
  std::vector<Positional> positionals;
  std::vector<Option> options;
  std::string rest;  // "CMD…": the command takes what stands behind "--"; empty: it takes none
  Need rest_need = Need::required;
  std::string text;  // paragraphs of the long help
  std::vector<std::string> examples;
  Outcome (*run)(Context&) = nullptr;  // nullptr: known, not available yet
};

// Options that every command takes.
const std::vector<Option>& global_options();

// What was given. Names are those of the table: "W", "--policy".
class Args {
 public:
  bool has(std::string_view name) const { return values_.contains(name); }
  std::optional<std::string> find(std::string_view name) const;
  std::string text(std::string_view name, std::string_view otherwise = "") const;
  std::vector<std::string> list(std::string_view name) const;
  const std::vector<std::string>& rest() const { return rest_; }

  void add(const std::string& name, std::string value) { values_[name].push_back(std::move(value)); }
  void set_rest(std::vector<std::string> rest) { rest_ = std::move(rest); }

 private:
  std::map<std::string, std::vector<std::string>, std::less<>> values_;
  std::vector<std::string> rest_;
};

enum class Wants { run, help };
struct Invocation {
  const Command* command = nullptr;  // nullptr with Wants::help: the help of `topic`, a group or the whole
  std::string topic;
  Wants wants = Wants::run;
  Args args;
};

// `words`: argv without the program's name. Failures are Exit::usage, and say what was meant perhaps.
Attempt<Invocation> parse(const std::vector<Command>& table, const std::vector<std::string>& words);

// The command of exactly this path, nullptr if there is none.
const Command* find_command(const std::vector<Command>& table, std::string_view path);

// "30s", "5m", "1h", "250ms" in milliseconds; "2GiB", "512M", "4096" in bytes (K, M, G, T count by 1024, with
// or without "iB").
std::optional<int64_t> parse_duration_ms(std::string_view text);
std::optional<uint64_t> parse_size(std::string_view text);

}  // namespace saw::cli
