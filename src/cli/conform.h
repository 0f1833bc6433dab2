// Which controls are on, from what was observed: R110, as a pure function. A control is on only with evidence
// from this host, now; one that does not exist yet is off and says so; n/a needs a reason. A phase is
// complete only when none of its controls is off, phase 2 only when phase 1 is.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace saw::cli {

struct HostFeature {
  std::string name, state, detail, consequence;
};
struct RunningWorkspace {
  std::string name, profile, isolation;
  size_t degraded = 0, credentials = 0, probes = 0;  // probes: of its proof; 0: it has none
};
struct Observed {
  std::vector<HostFeature> features;
  bool daemon = false, audit_ok = false;
  std::string audit_entries;
  std::set<std::string> running;  // programs: "saw-node", "sawd", "saw-perimeter", "saw-egress"
  std::vector<RunningWorkspace> workspaces;
};

enum class ControlState { on, off, not_applicable };
std::string_view name(ControlState state);
struct Control {
  std::string id, what;  // id: the requirement's
  int phase = 1;
  ControlState state = ControlState::off;
  std::string evidence;
};
struct Conformance {
  std::vector<Control> controls;
  bool phase_1 = false, phase_2 = false;
};
Conformance conform(const Observed& observed);

}  // namespace saw::cli
