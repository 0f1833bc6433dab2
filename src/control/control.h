// The control plane as its API sees it: one function for each thing that may be asked, each taking who asks.
//
//   auto control = SAW_TRY(Control::create({.loop = loop, .clock = clock, .store = *store, .keys = keys, …},
//   std::move(node_channel))); Result<Caller> caller = control->caller(peer_uid);
//   control->create_workspace(*caller, spec, [](Result<WorkspaceCreated> r) { … });
//
// Built from the store alone: whatever the last sawd was doing when it died, create() and saw-node's hello
// lead to the same state (R5). Until recovery has run, everything but status() answers "control.not_ready".
// One thread; answers come on it, possibly at once. Errors carry a stable code; the API maps its first part
// to an HTTP status (api/errors.h).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "audit/log.h"
#include "control/commands.h"
#include "control/quarantine_desk.h"
#include "control/terminals.h"
#include "control/whole_call.h"
#include "control/workspaces.h"

namespace saw::control {

struct ControlOptions {
  os::Loop& loop;
  const Clock& clock;
  store::Store& store;
  const Keys& keys;
  AuditWriter::Open open_audit;
  std::string audit_directory;  // for reading entries
  HostFacts host;
  ReleaseSetup releases = {};
  std::function<void(std::string why)> on_node_lost;
};

class Control {
 public:
  static constexpr uint64_t kMaxAuditPage = 1000;
  static constexpr int64_t kMaxAuditWaitMs = 10'000;
  static constexpr size_t kMaxAuditWaiters = 64;
  static constexpr int64_t kMaxReadyWaitMs = 5000;
  static constexpr size_t kMaxReadyWaiters = 256;

  static Result<std::unique_ptr<Control>> create(ControlOptions options, os::Channel node);

  // From the uid that the kernel vouches for. Ids that this user namespace does not map are nobody
  // ("access.unknown_user").
  Result<Caller> caller(uint32_t uid) const;

  // At once, or when recovery is done; "control.not_ready" after kMaxReadyWaitMs.
  void when_ready(Reply<> reply);
  // Programs and workspaces: those that the caller may see.
  StatusView status(const Caller& caller) const;
  Result<> shut_down(const Caller& caller);

  Result<std::vector<WorkspaceView>> list_workspaces(const Caller& caller) const;
  void create_workspace(const Caller& caller, const WorkspaceSpec& spec, Reply<WorkspaceCreated> reply);
  Result<WorkspaceView> show_workspace(const Caller& caller, std::string_view workspace);
  void start_workspace(const Caller& caller, std::string_view workspace, Reply<WorkspaceView> reply);
  void stop_workspace(const Caller& caller, std::string_view workspace, Reply<WorkspaceView> reply);
  void decommission_workspace(const Caller& caller, std::string_view workspace, Reply<WorkspaceView> reply);

  // The release channels of this host, with the workspaces on them that the caller may see.
  Result<std::vector<ChannelView>> list_channels(const Caller& caller) const;
  void look_at_channel(const std::string& channel) { releases_.look(channel); }

  Result<std::vector<SessionView>> list_sessions(const Caller& caller, std::string_view workspace);
  void start_session(const Caller& caller, std::string_view workspace, const std::string& name,
                     Reply<SessionView> reply);
  void diff_session(const Caller& caller, std::string_view workspace, std::string_view session,
                    const DiffQuery& query, Reply<DiffView> reply);
  void commit_session(const Caller& caller, std::string_view workspace, std::string_view session,
                      FileChange change, Reply<CommitView> reply);
  void discard_session(const Caller& caller, std::string_view workspace, std::string_view session,
                       FileChange change, Reply<> reply);
  void end_session(const Caller& caller, std::string_view workspace, std::string_view session, Reply<> reply);

  // Of the files; what runs there and writes to them is stopped and started again, and only with
  // WhatRuns::ends if it is more than saw-init.
  using WhatRuns = Workspace::WhatRuns;
  void fork_workspace(const Caller& caller, std::string_view workspace, const std::string& name,
                      WhatRuns what, Reply<WorkspaceView> reply);
  void fork_session(const Caller& caller, std::string_view workspace, std::string_view session,
                    const std::string& name, WhatRuns what, Reply<SessionView> reply);
  // An empty name: one is chosen.
  void take_snapshot(const Caller& caller, std::string_view workspace, std::string name, WhatRuns what,
                     Reply<SnapshotView> reply);
  void list_snapshots(const Caller& caller, std::string_view workspace,
                      Reply<std::vector<SnapshotView>> reply);
  void remove_snapshot(const Caller& caller, std::string_view workspace, const std::string& name,
                       Reply<> reply);
  void rebuild_workspace(const Caller& caller, std::string_view workspace, const std::string& snapshot,
                         Reply<WorkspaceView> reply);

  void start_command(const Caller& caller, std::string_view workspace, ExecRequest request,
                     Reply<std::unique_ptr<CommandHandle>> reply);
  // A terminal that goes on when the handle is destroyed. For the workspace's owner alone: not even an operator
  // reads along.
  void attach(const Caller& caller, std::string_view workspace, AttachRequest request,
              Reply<std::unique_ptr<CommandHandle>> reply);
  Result<std::vector<TerminalView>> list_terminals(const Caller& caller, std::string_view workspace);
  void end_terminal(const Caller& caller, std::string_view workspace, const std::string& session,
                    const std::string& terminal, Reply<> reply);
  // A call to its end; its wall clock is bounded.
  void run_call(const Caller& caller, std::string_view workspace, ExecRequest request, WholeRequest whole,
                Reply<WholeResult> reply);

  Result<AgentView> register_agent(const Caller& caller, const std::string& name, const std::string& purpose);
  Result<std::vector<AgentView>> list_agents(const Caller& caller) const;
  Result<AgentView> show_agent(const Caller& caller, std::string_view agent) const;
  Result<AgentView> change_agent(const Caller& caller, std::string_view agent, AgentVerb verb);

  Result<DelegationView> create_delegation(const Caller& caller, std::string_view workspace,
                                           const DelegationSpec& spec);
  // For an agent, by its runtime credential and the channel it came through (R32). No route leads here from
  // the local socket: whoever reaches that is no agent.
  Result<DelegationView> delegate_from_inside(std::string_view credential, std::string_view channel,
                                              const DelegationSpec& spec);
  Result<std::vector<DelegationView>> list_delegations(const Caller& caller);
  Result<DelegationView> show_delegation(const Caller& caller, std::string_view delegation);
  // For good. When it returns, nothing that needed it is admitted any more, and what ran under it is ending.
  Result<> revoke(const Caller& caller, std::string_view kind, std::string_view id, const std::string& why);
  Result<std::vector<RevocationView>> list_revocations(const Caller& caller) const;
  Result<WhoView> whoami(const Caller& caller);
  std::string jwks() const;  // the key that runtime credentials are signed with

  Result<SecretView> put_secret(const Caller& caller, const std::string& name, std::string value);
  Result<> remove_secret(const Caller& caller, const std::string& name);
  Result<std::vector<SecretView>> list_secrets(const Caller& caller) const;

  Result<std::vector<ReviewView>> list_reviews(const Caller& caller, std::string_view state) const;
  Result<ReviewView> show_review(const Caller& caller, std::string_view review);
  // What a review of kind "quarantine" would change.
  void diff_review(const Caller& caller, std::string_view review, Reply<DiffView> reply);
  void approve(const Caller& caller, std::string_view review, std::optional<std::string> digest,
               Reply<ReviewView> reply);
  void deny(const Caller& caller, std::string_view review, std::string why, Reply<ReviewView> reply);

  // Operators only. Waits up to `wait_ms` for an entry at `from`.
  void audit_entries(const Caller& caller, uint64_t from, uint64_t limit, int64_t wait_ms,
                     Reply<AuditPage> reply);
  AuditKeyView audit_key() const;

 private:
  struct AuditWaiter {
    uint64_t from = 0, limit = 0;
    Reply<AuditPage> reply;
    os::Loop::Timer timer;
  };
  struct ReadyWaiter {
    Reply<> reply;
    os::Loop::Timer timer;
  };
  Control(ControlOptions options, std::unique_ptr<AuditWriter> audit, os::Channel node);
  NodeClient::Events node_events();
  void change_workspace(const Caller& caller, std::string_view workspace, store::Desired desired,
                        Reply<WorkspaceView> reply);
  void on_hello(const sandbox::NodeHello& hello);
  void on_sandboxes(const std::vector<sandbox::SandboxInfo>& sandboxes);
  void become_ready();
  Result<> ready() const;
  Result<Workspace*> find(const Caller& caller, std::string_view workspace, std::string_view verb);
  // Once it is up, if it is on its way there (a restart of sawd, say).
  void when_up(Workspace& workspace, Reply<Workspace*> then);
  Result<store::Review> review_for(const Caller& caller, std::string_view review, std::string_view verb);
  void decide(const Caller& caller, std::string_view id, review::Verdict verdict,
              std::optional<std::string> digest, std::string why, Reply<ReviewView> reply);
  Result<AuditPage> read_page(uint64_t from, uint64_t limit) const;
  void wake_audit_waiters();
  Result<std::string> revocable(const Caller& caller, identity::Revocable what, std::string_view id);
  void authority_changed();
  void settle_quarantine();

  ControlOptions options_;
  std::unique_ptr<AuditWriter> audit_;
  sandbox::NodeHello hello_;
  bool greeted_ = false, ready_ = false;
  NodeClient node_;
  Plane plane_;
  PerimeterControl perimeter_;
  Revocations revocations_;
  Agents agents_;
  Secrets secrets_;
  ReviewDesk reviews_;
  QuarantineDesk quarantine_;
  StoreRegistry registry_;
  identity::Resolver resolver_;
  Delegations delegations_;
  Commands commands_;
  Terminals terminals_;     // after commands_, whose handles it has
  WholeCalls whole_calls_;  // after commands_, whose handles it has
  ReleaseDesk releases_;
  Workspaces workspaces_;
  std::vector<std::unique_ptr<AuditWaiter>> audit_waiters_;
  std::vector<std::unique_ptr<ReadyWaiter>> ready_waiters_;
  os::Loop::Timer ready_timer_;
  Alive alive_;
};

}  // namespace saw::control
