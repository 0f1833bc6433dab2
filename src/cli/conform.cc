#include "cli/conform.h"

#include <algorithm>

#include <fmt/format.h>

namespace saw::cli {
namespace {

struct Finding {
  ControlState state;
  std::string evidence;
};
using Check = Finding (*)(const Observed&);

Finding on(std::string evidence) {
  return {ControlState::on, std::move(evidence)};
}
Finding off(std::string evidence) {
  return {ControlState::off, std::move(evidence)};
}

Finding not_yet(const Observed&) {
  return off("not available yet");
}

// What is there is said; a control counts only whole.
Finding quarantine_of_commits(const Observed&) {
  return off(
      "commits of sessions and kept calls are guarded; what 'saw exec' writes into a workspace is not");
}

Finding commits_of_a_root(const Observed&) {
  return off("commits are bound to the root of what was shown; a policy cannot demand their review yet");
}

Finding runs(const Observed& o, const char* program, const char* evidence) {
  if (!o.daemon) return off("no daemon answers");
  return o.running.contains(program) ? on(evidence) : off(fmt::format("{} is not running", program));
}

Finding daemon_says(const Observed& o, const char* evidence) {
  return o.daemon ? on(evidence) : off("no daemon answers");
}

// Every running workspace has everything its sandbox was planned with.
Finding sandboxes_whole(const Observed& o) {
  if (!o.daemon) return off("no daemon answers");
  if (o.workspaces.empty()) return off("no workspace runs, so nothing was shown");
  for (const RunningWorkspace& w : o.workspaces)
    if (w.degraded > 0)
      return off(fmt::format("workspace {} runs without {} guarantees; see 'saw workspace show {}'", w.name,
                             w.degraded, w.name));
  return on(fmt::format("{} running, none degraded", o.workspaces.size()));
}

Finding host_is_whole(const Observed& o) {
  if (o.features.empty()) return off("saw-node --probe gave no answer");
  for (const HostFeature& f : o.features)
    if (f.state != "ok" && f.name != "own-kernel")
      return off(fmt::format("{} is {}; see 'saw doctor'", f.name, f.state));
  return on(fmt::format("{} host features, all ok", o.features.size()));
}

Finding sandboxes_proven(const Observed& o) {
  if (!o.daemon) return off("no daemon answers");
  if (o.workspaces.empty()) return off("no workspace runs, so nothing was shown");
  for (const RunningWorkspace& w : o.workspaces)
    if (w.probes == 0) return off(fmt::format("workspace {} runs without a proof", w.name));
  return on(fmt::format("{} running, each proven by {} probes or more", o.workspaces.size(),
                        std::ranges::min(o.workspaces, {}, &RunningWorkspace::probes).probes));
}

Finding vm_isolation(const Observed& o) {
  for (const RunningWorkspace& w : o.workspaces)
    if (w.isolation != "vm") return off(fmt::format("workspace {} is isolated by namespaces", w.name));
  return off("the microvm driver is not available yet");
}

Finding credential_proxy(const Observed& o) {
  if (!o.daemon) return off("no daemon answers");
  const bool used =
      std::ranges::any_of(o.workspaces, [](const RunningWorkspace& w) { return w.credentials > 0; });
  if (!used) return {ControlState::not_applicable, "no running workspace's policy names a credential"};
  return runs(o, "saw-egress", "placeholders inside, injection by saw-egress");
}

Finding owned(const Observed& o) {
  return daemon_says(o, "peer credentials decide; others get 403");
}
Finding api(const Observed& o) {
  return daemon_says(o, "the API answers");
}
Finding registered(const Observed& o) {
  return daemon_says(o, "each exec mints and resolves a credential");
}
Finding reviews(const Observed& o) {
  return runs(o, "saw-egress", "requests under a review rule are held");
}
Finding runtime_denial(const Observed& o) {
  return runs(o, "saw-egress", "default deny by policy, captured in the network namespace");
}
Finding perimeter_denial(const Observed& o) {
  return runs(o, "saw-perimeter", "the operator's list, judged apart from policy");
}
Finding audit_log(const Observed& o) {
  if (!o.daemon) return off("no daemon answers");
  return o.audit_ok ? on(fmt::format("{} entries; 'saw audit verify' checks them", o.audit_entries))
                    : off("the audit log cannot be written");
}

struct Row {
  const char *id, *what;
  int phase;
  Check check;
};
// Phase 1: what must hold before an agent runs unattended on anything that matters. Phase 2: what scales it
// to an organisation.
constexpr Row kRows[] = {
    {"R1", "one owner per workspace", 1, owned},
    {"R2", "VM-class isolation", 1, vm_isolation},
    {"R3", "one life-cycle API", 1, api},
    {"R7", "only approved, signed images start", 1, not_yet},
    {"R18", "SSO login over the network", 1, not_yet},
    {"R19", "attested workspace identity", 1, not_yet},
    {"R20", "registered agents, short-lived credentials", 1, registered},
    {"R27", "delegation records, enforced and narrowing", 1, not_yet},
    {"R36", "attachment only through the broker", 1, not_yet},
    {"R44", "egress denied by default at the runtime layer", 1, runtime_denial},
    {"R45", "egress denied by default at the perimeter", 1, perimeter_denial},
    {"R54", "credential injection at egress", 1, credential_proxy},
    {"R60", "inference only through the routed path", 1, not_yet},
    {"R62", "signed policy bundles and releases", 1, not_yet},
    {"R81", "confined file system and processes", 1, sandboxes_whole},
    {"R86", "every kernel guarantee on this host", 1, host_is_whole},
    {"R89", "human review of consequential writes", 1, reviews},
    {"R97", "OCSF events in a Merkle log", 1, audit_log},
    {"R106", "kill switch", 1, not_yet},
    {"R111", "rate limits", 2, not_yet},
    {"R112", "budget gate", 2, not_yet},
    {"R114", "observed trifecta labels", 2, not_yet},
    {"R117", "negative probes inside each sandbox", 2, sandboxes_proven},
    {"R118", "quarantine of run-later writes", 2, quarantine_of_commits},
    {"R119", "transactions: commit under review", 2, commits_of_a_root},
    {"R120", "policy proofs", 2, not_yet},
    {"R121", "policy replay", 2, not_yet},
};

}  // namespace

std::string_view name(ControlState state) {
  switch (state) {
    case ControlState::on:
      return "on";
    case ControlState::off:
      return "off";
    case ControlState::not_applicable:
      break;
  }
  return "n/a";
}

Conformance conform(const Observed& observed) {
  Conformance report{.phase_1 = true, .phase_2 = true};
  for (const Row& row : kRows) {
    Finding finding = row.check(observed);
    if (finding.state == ControlState::off) (row.phase == 1 ? report.phase_1 : report.phase_2) = false;
    report.controls.push_back({row.id, row.what, row.phase, finding.state, std::move(finding.evidence)});
  }
  report.phase_2 = report.phase_2 && report.phase_1;
  return report;
}

}  // namespace saw::cli
