// One workspace: what is stored about it, what exists of it now, and the way from one to the other.
//
//   workspace.want(Desired::running)    stored first; then
//   workspace.converge(reply)           makes storage → saw-egress → its sandbox → its sessions' sandboxes,
//   or takes them down again
//
// converge() is the whole life cycle: create, start, stop, decommission and recovery after a crash all store
// what should be and call it. Every step is idempotent at saw-node, so it may be repeated from any point (R3,
// R5). One convergence at a time; a change of mind meanwhile is taken up when it ends.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "control/agents.h"
#include "control/alive.h"
#include "control/call_plans.h"
#include "control/cell.h"
#include "control/egress_control.h"
#include "control/held_policy.h"
#include "control/plane.h"
#include "control/quarantine_desk.h"
#include "control/release_desk.h"
#include "control/review_desk.h"
#include "control/secrets.h"
#include "policy/policy.h"

namespace saw::control {

// Facts of this host that do not change while sawd runs.
struct HostFacts {
  std::string system_ca_bundle;  // PEM, shown inside sandboxes with the workspace's CA added
  std::string upstream_trust;    // PEM, what saw-egress trusts: the system's CAs and the operator's
  std::string ledgers;           // directory for what agents use up (ledger.h)
};

// What a workspace needs to know of the commands that run in it (commands.h).
class RunningCommands {
 public:
  virtual ~RunningCommands() = default;
  // Ends the commands and call sandboxes of a workspace, or of one session of it (session not empty); answers
  // when none is left.
  virtual void end_commands(const std::string& workspace, const std::string& session, Reply<> reply) = 0;
  // The sandboxes of its calls, which have channels of their own.
  virtual std::vector<Cell*> call_cells(const std::string& workspace) = 0;
  virtual void sandbox_lost(const std::string& sandbox) = 0;
  virtual bool has_commands(const std::string& workspace, const std::string& session) const = 0;
};

struct Surroundings {
  Plane& plane;
  PerimeterControl& perimeter;
  Agents& agents;
  const Revocations& revocations;
  Secrets& secrets;
  ReviewDesk& reviews;
  RunningCommands& commands;
  ReleaseDesk& releases;
  const HostFacts& host;
};

class Workspace {
 public:
  static constexpr size_t kMaxSessions = 64, kMaxKeptCalls = 16;

  struct Session {
    store::Session record;
    std::unique_ptr<Cell> cell;
    std::string problem;
    bool changing = false;  // its files are being committed or discarded
  };

  static Result<std::unique_ptr<Workspace>> open(Surroundings around, store::Workspace record);
  ~Workspace();

  const store::Workspace& record() const { return record_; }
  const policy::Policy& policy() const { return policy_.get(); }
  WorkspaceState state() const { return state_; }
  Cell& cell() { return *cell_; }
  EgressControl& egress() { return egress_; }
  WorkspaceView view() const;

  Result<> want(store::Desired desired);
  // `reply` when what is wanted is reached, or an attempt failed.
  void converge(Reply<> reply);
  bool is_gone() const { return gone_; }  // decommissioned; the owner drops it

  // Sessions. Creation and end answer when it is done.
  void start_session(const std::string& name, Reply<SessionView> reply);
  void end_session(const std::string& id, Reply<> reply);
  Session* find_session(std::string_view id_or_name);

  // Forks, snapshots, rebuilding (workspace_fork.cc). The sandbox that writes to what is forked is stopped for
  // it and started again; with WhatRuns::stays it is "workspace.conflict" if anything runs there.
  enum class WhatRuns : uint8_t { stays, ends };
  void fork_storage(const std::string& fork, WhatRuns what, Reply<> reply);
  void take_snapshot(const std::string& name, WhatRuns what, Reply<> reply);
  void fork_session(const std::string& id, const std::string& name, WhatRuns what, Reply<SessionView> reply);
  // Everything that runs ends, sessions included; what was written in it is gone, or what the snapshot holds.
  // `emptied` as soon as it is, also if the workspace does not start again.
  void rebuild(const std::string& snapshot, std::move_only_function<void()> emptied, Reply<> reply);
  std::vector<SessionView> session_views() const;
  static SessionView view(const Session& session);

  // Their files (workspace_files.cc). Everything that runs in the session ends first, and the session goes on
  // in a new sandbox. A commit with conflicts is an answer, not an error. A kept call (keep_call) is a session
  // without a sandbox of its own; it ends when all of it is committed, or discarded.
  void commit_session(const std::string& id, const FileChange& change, Reply<CommitView> reply);
  void discard_session(const std::string& id, const FileChange& change, Reply<> reply);
  Result<> keep_call(const std::string& id, const std::string& name);
  // An item of the quarantine that somebody has approved.
  void release_quarantine(const sandbox::ReleaseQuarantine& request, Reply<NodeClient::Answer> reply);

  // Recovery: what was stored of it, and which sandboxes saw-node holds.
  void restore_session(store::Session record);
  void finish_ended_sessions();  // an end that a crash interrupted
  void mark_found(const std::set<std::string>& living);
  void on_sandbox_lost(const std::string& sandbox, const std::string& reason);
  bool owns_sandbox(std::string_view sandbox) const;

  Result<sandbox::SandboxPlan> plan(sandbox::Depth depth, const std::string& session,
                                    const std::string& sandbox) const;
  // Of every command: the base, and the placeholders of credentials. Sorted, a value for each name.
  std::vector<std::string> environment() const;
  std::string directory() const;  // where commands start that do not say where
  CallPlans& call_plans() { return call_plans_; }
  // Who may decide what waits for a person, by the policy.
  review::Approvers approvers() const;
  QuarantineDesk::Origin quarantine_origin() const;
  // Whether it may act is another question now (an agent, a revocation, its release): channels open or close.
  void authority_changed();
  void secret_changed(std::string_view secret);
  // Its channel has a new release (workspace_policy.cc). Answers when saw-egress enforces it, or when the workspace is shut
  // off because it does not.
  void project(const release::Verified& release, Reply<> reply);
  // "release.expired", "policy.not_projected", …: why nothing of it may act now.
  Result<> may_act() const;
  // About the workspace itself, or one session of it.
  void lifecycle_event(audit::Lifecycle::Activity activity, audit::Verdict verdict,
                       const std::string& message, std::string by = {},
                       const store::Session* session = nullptr);
  // Who wants what of it, before it is done.
  void record_asked(const std::string& who, const std::string& what);

 private:
  Workspace(Surroundings around, store::Workspace record, policy::Policy policy);
  using Step = void (Workspace::*)();
  using Work = std::move_only_function<void(Reply<> worked)>;
  static sandbox::StopWhen when(WhatRuns what);
  void at_rest(WhatRuns what, Work work, Reply<> reply);
  // For what may need that (sandbox::kWorkspaceRuns), and often does not.
  template <class Request>
  void request_at_rest(Request request, WhatRuns what, Reply<NodeClient::Answer> reply);
  void end_next_session();
  void on_emptied();
  void copy_stopped_session(Session& source, const std::string& fork, Reply<> finished);
  void begin_fork(const std::string& fork, Result<> forked, Reply<SessionView> reply);
  Result<store::Session> new_session(const std::string& name);
  void settle(Result<> result);
  void take_next_step();
  void make_storage();
  void start_egress();
  void start_cell();
  void start_next_session();
  void end_commands();
  void stop_next_session();
  void stop_cell();
  void stop_egress();
  void remove_storage();
  void finish_session_end(Session& session, Reply<> reply);
  Result<Session*> changeable_session(const std::string& id, const FileChange& change);
  void quiesce(const std::string& session, Reply<> reply);
  void resume(const std::string& session, Reply<> reply);
  void file_event(std::string_view operation, audit::Verdict verdict, const Session& session,
                  const std::string& by, const std::string& message, const std::string& root,
                  Reply<> durable = {});
  void start_session_cell(Session& session, Reply<> reply);
  Reply<NodeClient::Answer> then(Step next);
  Reply<> then_done(Step next);
  Result<egress::Configure> egress_configuration() const;
  Result<sandbox::PrepareCalls> calls_to_prepare(const std::string& session) const;
  void forget_calls();
  void on_egress_ready();
  void on_ask(egress::ReviewAsk ask);
  Cell* cell_of(std::string_view sandbox);
  egress::ChannelIdentity identity(const std::string& session) const;
  Cell::ChannelUse channel_use(const Cell& cell) const;
  void each_cell(const std::function<void(Cell&)>& function);
  Result<store::Workspace> with_policy(const release::Verified& release) const;
  std::string static_digest() const;
  void on_projected(Result<std::string> enforced, Reply<> reply);
  void prove_again();
  std::vector<std::string> outdated_sandboxes() const;

  Surroundings around_;
  store::Workspace record_;
  HeldPolicy policy_;
  std::optional<Error> not_projected_;  // its channel's policy could not be enforced
  EgressControl egress_;
  CallPlans call_plans_;
  std::unique_ptr<Cell> cell_;
  std::map<std::string, std::unique_ptr<Session>> sessions_;  // by id
  WorkspaceState state_ = WorkspaceState::stopped;
  std::string problem_;
  bool converging_ = false, gone_ = false;
  store::Desired target_ = store::Desired::stopped;  // of the convergence under way
  std::vector<Reply<>> waiters_;
  struct Rebuilding {
    std::string snapshot;
    std::move_only_function<void()> emptied;
    Reply<> reply;
  } rebuilding_;
  Alive alive_;
};

}  // namespace saw::control
