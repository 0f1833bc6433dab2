// policy …: the policy language without a daemon. Nothing here decides by itself: src/policy does, as it does
// in saw-egress.
#include "policy/policy.h"

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <tuple>

#include <nlohmann/json.hpp>
#include <unistd.h>

#include "base/file.h"
#include "cli/commands.h"
#include "cli/context.h"
#include "policy/blueprint.h"
#include "policy/decide_json.h"
#include "policy/lint.h"
#include "policy/projectable.h"
#include "policy/schema.h"
#include "policy/trifecta.h"

namespace saw::cli {
namespace {

using nlohmann::json;
using policy::Diagnostic;
using policy::Policy;

json to_json(const Diagnostic& d) {
  return {{"file", d.file},     {"line", d.line},
          {"column", d.column}, {"severity", d.severity == Diagnostic::Severity::error ? "error" : "warning"},
          {"code", d.code},     {"message", d.message}};
}

Attempt<Policy> load(Context& context, const std::string& file) {
  const std::string yaml = CLI_TRY(read_file(absolute(context.places, file)));
  auto compiled = Policy::compile(yaml, file);
  if (!compiled) return fail(Exit::failed, "policy.invalid", "{}", policy::lines_of(compiled.error()));
  return std::move(*compiled);
}

json explain(Context& context, const Policy& compiled) {
  const policy::Trifecta trifecta = policy::trifecta_of(compiled);
  for (const std::string& line : trifecta.lines()) context.out.line(line);
  json legs = json::array();
  for (const policy::TrifectaLeg& leg : trifecta.legs)
    legs.push_back({{"leg", std::string(1, leg.letter)},
                    {"what", leg.what},
                    {"present", leg.present},
                    {"because", leg.because}});
  return {{"legs", std::move(legs)}, {"conclusion", trifecta.conclusion}};
}

json show(Context& context, const policy::Diagnostics& found) {
  json list = json::array();
  for (const Diagnostic& d : found) {
    list.push_back(to_json(d));
    context.out.line(d.text());
  }
  return list;
}

Outcome lint_blueprint(Context& context, const std::string& file, const std::string& yaml) {
  const auto blueprint = policy::Blueprint::read(yaml, file);
  json list = show(context, blueprint ? policy::Diagnostics() : blueprint.error());
  context.out.json({{"file", file}, {"ok", blueprint.has_value()}, {"diagnostics", std::move(list)}});
  if (blueprint)
    context.out.note(fmt::format("{}: blueprint '{}' has every field; its policy is '{}'", file,
                                 blueprint->name, blueprint->policy));
  return blueprint ? 0 : 1;
}

Outcome policy_lint(Context& context) {
  const std::string file = context.args.text("FILE");
  const std::string yaml = CLI_TRY(read_file(absolute(context.places, file)));
  if (policy::is_blueprint(yaml)) return lint_blueprint(context, file, yaml);
  const auto compiled = Policy::compile(yaml, file);
  policy::Diagnostics found = compiled ? compiled->warnings() : compiled.error();
  if (compiled) std::ranges::move(policy::lint(*compiled), std::back_inserter(found));
  std::ranges::sort(found, {}, [](const Diagnostic& d) { return std::tie(d.line, d.column, d.message); });
  json report = {{"file", file}, {"ok", compiled.has_value()}, {"diagnostics", show(context, found)}};
  if (compiled) report["digest"] = digest_text(compiled->digest());
  if (compiled && context.args.has("--explain")) report["trifecta"] = explain(context, *compiled);
  context.out.json(report);
  if (compiled)
    context.out.note(
        fmt::format("{}: policy '{}' is valid, {}", file, compiled->name(), digest_text(compiled->digest())));
  return compiled ? 0 : 1;
}

Outcome policy_show(Context& context) {
  const Policy compiled = CLI_TRY(load(context, context.args.text("FILE")));
  context.out.json({{"name", compiled.name()},
                    {"digest", digest_text(compiled.digest())},
                    {"canonical", compiled.canonical()}});
  if (!context.out.is_json()) context.out.raw(compiled.canonical());
  return 0;
}

// Calls `each` for every line of stdin as it arrives, so that `decide` answers a driver that waits for each
// answer. A line beyond `limit` is handed over cut: it is malformed either way.
template <class Each> Result<> each_line(int fd, size_t limit, Each each) {
  std::string line;
  char buffer[64 << 10];
  for (;;) {
    const ssize_t got = ::read(fd, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Error::system("io.read", "reading requests from stdin");
    if (got == 0) break;
    std::string_view rest(buffer, static_cast<size_t>(got));
    for (size_t end; (end = rest.find('\n')) != std::string_view::npos; rest.remove_prefix(end + 1)) {
      line += rest.substr(0, end);
      each(line);
      line.clear();
    }
    if (line.size() <= limit) line += rest;
  }
  if (!line.empty()) each(line);
  return {};
}

Outcome policy_schema(Context& context) {
  context.out.raw(policy::json_schema());
  return 0;
}

Outcome policy_decide(Context& context) {
  const auto file = context.args.find("--policy");
  if (!file) return fail(Exit::usage, "cli.usage", "say which policy decides: --policy FILE");
  const Policy compiled = CLI_TRY(load(context, *file));
  CLI_TRY(each_line(context.input.fd, policy::kMaxDecideLine, [&](const std::string& line) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) return;
    context.out.raw(policy::decide_line(compiled, line) + "\n");
  }));
  return 0;
}

}  // namespace

std::vector<Command> policy_commands() {
  const Positional file = {"FILE", "a policy in YAML"};
  return {
      {.path = "policy lint",
       .summary = "check a policy: errors with file, line and column",
       .positionals = {file},
       .options = {{"--explain", "", "also print which legs of the lethal trifecta it leaves, and why"}},
       .text =
           "Exit status 1 if there is an error. Warnings alone are fine: rules that never decide, globs "
           "that surprise, credentials\n"
           "without use, private data with a way out, and what no program of this version enforces yet. A "
           "file of kind Blueprint is\n"
           "checked for the fields that every blueprint has. Needs no daemon.",
       .examples = {"saw policy lint policies/local-dev.yaml",
                    "saw policy lint --explain policies/public-research.yaml"},
       .run = policy_lint},
      {.path = "policy show",
       .summary = "a policy in its canonical, compiled form",
       .positionals = {file},
       .examples = {"saw policy show policies/local-dev.yaml"},
       .run = policy_show},
      {.path = "policy schema",
       .summary = "the JSON Schema of the policy language, for editors and other tools",
       .text = "Draft 2020-12. It accepts what 'saw policy lint' accepts field by field; ambiguity, profiles "
               "and globs are lint's. Needs no\n"
               "daemon.",
       .examples = {"saw policy schema > saw-v1.schema.json"},
       .run = policy_schema},
      {.path = "policy decide",
       .summary = "decide requests read from stdin, one JSON object per line",
       .options = {{"--policy", "FILE", "the policy that decides"}},
       .text = "One JSON line out per line in, in the same order: effect, rule, reason, canonical_target, "
               "digest. Malformed or ambiguous input is\n"
               "denied with a reason 'malformed:…'. The decision is the one that saw-egress makes. Needs no "
               "daemon.",
       .examples = {"echo '{\"host\":\"api.example.com\",\"method\":\"GET\",\"target\":\"/\"}' | saw policy "
                    "decide --policy p.yaml"},
       .run = policy_decide},
  };
}

}  // namespace saw::cli
