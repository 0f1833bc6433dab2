// saw-node's part in the proof of enforcement (R117): what saw-init is told to try, what saw-node looks at itself, and the
// judgement over both.
//
//   ProbeSubject subject = probe_subject(plan, {…});              // sent to saw-init; answered by a ProbeReport
//   auto outcomes = report.outcomes; append(probe_from_outside(subject, view));
//   SAW_TRY(judge(subject, outcomes));                             // "sandbox.unproven" names probe, expected and seen
//
// Limits. saw-init lives on the agent's side: before the agent's first instruction its word is SAW's own, afterwards it is the
// word of a program that the agent could not touch if all else held. What is looked at from outside (Where::outside) needs
// nobody's word.
#pragma once

#include <deque>
#include <set>
#include <string>
#include <vector>

#include "base/fd.h"
#include "os/cgroup.h"
#include "sandbox/plan.h"
#include "sandbox/probe_list.h"

namespace saw::sandbox {

struct ProbeHost {
  bool landlock = false;
  uint32_t uid = 0, gid = 0;                 // of the agent, inside
  std::vector<std::string> own_directories;  // SAW's, on the host
  std::string control_socket;                // the sandbox's, on the host
  std::string abstract_socket;               // AbstractWitness::name()
};
// For a sandbox in which nothing of the agent's has run.
ProbeSubject probe_subject(const SandboxPlan& plan, const ProbeHost& host);

// What saw-node sees of a running sandbox.
struct OutsideView {
  const std::vector<ProbeOutcome>&
      inside;  // saw-init's report: a connection that it says was made must have arrived
  int32_t init_pid = 0;
  uint32_t uid = 0, gid = 0;  // the agent's, as saw-node sees them
  const Fd* capture_listener = nullptr;
  const Fd* dns_socket = nullptr;  // looked at (and emptied) only for When::captured_first
  Result<> limits;                 // CgroupTree::check
};
// The same, named by what saw-node has written down of it.
struct ProbedSandbox {
  const ProbeSubject& subject;
  const std::vector<ProbeOutcome>& inside;
  int32_t init_pid = 0;
  uint32_t uid = 0;
  const std::string& cgroup;
  const LimitSet& limits;
  const std::vector<std::string>& degraded;
  const Fd& capture_listener;
  const Fd& dns_socket;
};
std::vector<ProbeOutcome> probe_from_outside(const ProbeSubject& subject, const OutsideView& view);

// Every probe that applies has one outcome, in the order of the list, and it is as expected.
Result<> judge(const ProbeSubject& subject, const std::vector<ProbeOutcome>& outcomes);

// An abstract socket on the host's side that no sandbox must reach. Nobody ever answers on it.
class AbstractWitness {
 public:
  static Result<AbstractWitness> open();
  const std::string& name() const { return name_; }

 private:
  AbstractWitness(std::string name, Fd listener) : name_(std::move(name)), listener_(std::move(listener)) {}
  std::string name_;
  Fd listener_;
};

// Digests of plans of which a sandbox has passed every probe (plan.h, plan_digest), in this saw-node's life. A call whose plan
// is among them need not be probed: a sandbox of the same plan, built by the same code on the same kernel, was.
class ProvenPlans {
 public:
  static constexpr size_t kMax = 4096;  // then the oldest goes

  bool is_proven(const std::string& digest) const { return digests_.contains(digest); }
  void add(const std::string& digest);

 private:
  std::set<std::string> digests_;
  std::deque<std::string> order_;
};

}  // namespace saw::sandbox
