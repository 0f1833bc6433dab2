// doctor, advise, conform: what this host can guarantee, where work belongs, and which controls are on.
#include <nlohmann/json.hpp>

#include "cli/advise.h"
#include "cli/commands.h"
#include "cli/conform.h"
#include "cli/context.h"
#include "cli/spawn.h"

namespace saw::cli {
namespace {

using nlohmann::json;

// saw-node prints one feature per line, or all of them as one array.
Attempt<std::vector<HostFeature>> probe(const Context& context) {
  const std::string node = context.places.programs + "/saw-node";
  auto output = output_of(node, {"--probe"});
  if (!output)
    return std::unexpected(Failure{Exit::saw_failed,
                                   output.error().code,
                                   output.error().message,
                                   {},
                                   {},
                                   "install saw-node beside saw"});
  std::vector<json> found;
  const json whole = json::parse(*output, nullptr, false);
  if (whole.is_array()) {
    for (const json& feature : whole) found.push_back(feature);
  } else {
    for (size_t begin = 0, end; begin < output->size(); begin = end + 1) {
      end = std::min(output->find('\n', begin), output->size());
      json feature = json::parse(output->substr(begin, end - begin), nullptr, false);
      if (feature.is_object()) found.push_back(std::move(feature));
    }
  }
  if (found.empty())
    return fail(Exit::saw_failed, "doctor.malformed", "{} --probe said nothing that can be read", node);
  std::vector<HostFeature> features;
  for (const json& f : found)
    features.push_back(
        {text_of(f, "name"), text_of(f, "state"), text_of(f, "detail"), text_of(f, "consequence")});
  return features;
}

Outcome doctor(Context& context) {
  const std::vector<HostFeature> features = CLI_TRY(probe(context));
  json list = json::array();
  std::vector<Output::Row> rows;
  size_t degraded = 0, missing = 0;
  for (const HostFeature& f : features) {
    degraded += f.state == "degraded";
    missing += f.state == "missing";
    rows.push_back({f.state, f.name, f.detail});
    list.push_back(
        {{"state", f.state}, {"name", f.name}, {"detail", f.detail}, {"consequence", f.consequence}});
  }
  context.out.json({{"ok", degraded + missing == 0},
                    {"degraded", degraded},
                    {"missing", missing},
                    {"features", std::move(list)}});
  context.out.table({"STATE", "GUARANTEE", "HERE"}, rows, "no features");
  for (const HostFeature& f : features)
    if (f.state != "ok") context.out.field(f.name, f.consequence);
  if (degraded + missing == 0)
    context.out.note("this host gives every guarantee");
  else
    context.out.note(fmt::format(
        "{} degraded, {} missing; a policy with 'strict: true' refuses to start without what it needs",
        degraded, missing));
  return missing == 0 ? 0 : 1;
}

Outcome advise_command(Context& context) {
  auto answer = [&](const char* flag) { return context.args.has(flag) ? Answer::yes : Answer::no; };
  const Advice advice = advise({.autonomous = answer("--autonomous"),
                                .internal = answer("--internal"),
                                .internet = answer("--internet"),
                                .serves_others = answer("--serves-others"),
                                .long_running = answer("--long-running")});
  json document = {{"home", name(advice.home)},
                   {"summary", advice.summary},
                   {"reasons", advice.reasons},
                   {"next", advice.next}};
  if (!advice.timescale.empty()) document["timescale"] = advice.timescale;
  context.out.json(document);
  context.out.line(context.out.painted(advice.summary, Tone::bold));
  context.out.line("\nWhy:");
  for (const std::string& reason : advice.reasons) context.out.line(fmt::format("  - {}", reason));
  if (!advice.next.empty()) context.out.line("\nNext:");
  for (const std::string& next : advice.next) context.out.line(fmt::format("  {}", next));
  return 0;
}

// What is known without asserting anything: a part that cannot be asked is absent, and its controls are off.
Observed observe(Context& context) {
  Observed seen;
  if (auto features = probe(context)) seen.features = std::move(*features);
  const auto status = call(context, "GET", "/v1/status");
  if (!status) return seen;
  seen.daemon = true;
  seen.audit_ok = text_of(status->value("audit", json::object()), "ok") == "true";
  seen.audit_entries = text_of(status->value("audit", json::object()), "entries");
  for (const json& p : list_of(*status, "programs"))
    if (text_of(p, "state") == "running") seen.running.insert(text_of(p, "name"));
  const auto workspaces = call(context, "GET", "/v1/workspaces");
  if (!workspaces) return seen;
  for (const json& w : list_of(*workspaces, "workspaces"))
    if (text_of(w, "state") == "running")
      seen.workspaces.push_back({text_of(w, "name"), text_of(w, "profile"), text_of(w, "isolation"),
                                 list_of(w, "degraded").size(), list_of(w, "credentials").size(),
                                 w.value("proof", json::object()).value("probes", size_t{0})});
  return seen;
}

Outcome conform_command(Context& context) {
  const Conformance report = conform(observe(context));
  json controls = json::array();
  std::vector<Output::Row> rows;
  for (const Control& c : report.controls) {
    controls.push_back({{"id", c.id},
                        {"control", c.what},
                        {"phase", c.phase},
                        {"state", name(c.state)},
                        {"evidence", c.evidence}});
    rows.push_back({c.id, fmt::format("{}", c.phase), std::string(name(c.state)), c.what, c.evidence});
  }
  context.out.json(
      {{"phase_1", report.phase_1}, {"phase_2", report.phase_2}, {"controls", std::move(controls)}});
  context.out.table({"ID", "PHASE", "STATE", "CONTROL", "EVIDENCE"}, rows, "no controls");
  context.out.line(fmt::format("\nphase 1: {}\nphase 2: {}", report.phase_1, report.phase_2));
  return report.phase_1 && report.phase_2 ? 0 : 1;
}

}  // namespace

std::vector<Command> host_commands() {
  return {
      {.path = "doctor",
       .summary = "what this host can guarantee, item by item",
       .text = "Each item is ok, degraded or missing, with the consequence. Exit status 1 if one is missing. "
               "Needs no daemon.",
       .examples = {"saw doctor", "saw doctor --json"},
       .run = doctor},
      {.path = "advise",
       .summary = "where a piece of work belongs, and why",
       .options = {{"--autonomous", "", "it acts without a person at each step"},
                   {"--internal", "", "it needs internal services or private data"},
                   {"--internet", "", "it needs wide internet reach"},
                   {"--serves-others", "", "other people are to use what runs there"},
                   {"--long-running", "", "it runs for days with nobody attached"}},
       .examples = {"saw advise --autonomous --internal",
                    "saw advise --autonomous --internet --long-running"},
       .run = advise_command},
      {.path = "conform",
       .summary = "every control on, off or n/a, with evidence",
       .text = "What cannot be shown is off. Exit status 1 while any phase is incomplete.",
       .examples = {"saw conform", "saw conform --json"},
       .run = conform_command},
  };
}

}  // namespace saw::cli
