#include "control/control.h"

#include <algorithm>

#include <unistd.h>

#include "base/bytes.h"
#include "base/log.h"
#include "control/diff_view.h"

namespace saw::control {

using store::Desired;

namespace {
constexpr uint32_t kOverflowUid = 65534;
// A workspace that does not settle must not keep `saw up` waiting: it goes on converging afterwards.
constexpr int64_t kRecoveryPatienceMs = 3000;
}  // namespace

Result<std::unique_ptr<Control>> Control::create(ControlOptions options, os::Channel node) {
  auto audit = SAW_TRY(AuditWriter::create(options.loop, std::move(options.open_audit)));
  return std::unique_ptr<Control>(new Control(std::move(options), std::move(audit), std::move(node)));
}

Control::Control(ControlOptions options, std::unique_ptr<AuditWriter> audit, os::Channel node)
    : options_(std::move(options)),
      audit_(std::move(audit)),
      node_(options_.loop, std::move(node), node_events()),
      plane_{options_.loop, options_.clock, options_.store, options_.keys, *audit_, node_, hello_.proof_key},
      perimeter_(plane_, [this] { workspaces_.each([](Workspace& w) { w.egress().connect_perimeter(); }); }),
      agents_(plane_, revocations_,
              [this](const store::Agent& agent) {
                workspaces_.each([&](Workspace& w) { w.authority_changed(); });
                if (agent.state == "revoked") commands_.kill_agent(agent.id);
              }),
      secrets_(plane_,
               [this](const std::string& owner, std::string_view secret) {
                 workspaces_.each([&](Workspace& w) {
                   if (w.record().owner == owner) w.secret_changed(secret);
                 });
               }),
      reviews_(plane_),
      quarantine_(plane_,
                  [this](const sandbox::ReleaseQuarantine& request, Reply<NodeClient::Answer> reply) {
                    Workspace* workspace = workspaces_.by_id(request.workspace);
                    if (!workspace)
                      return reply(Error::make("workspace.not_found", "the workspace of this item is gone"));
                    workspace->release_quarantine(request, std::move(reply));
                  }),
      registry_(options_.store, revocations_,
                {.workspace = [this](std::string_view id) -> std::optional<identity::WorkspaceRef> {
                   Workspace* workspace = workspaces_.by_id(id);
                   if (!workspace) return std::nullopt;
                   return identity::WorkspaceRef{workspace->record().id, workspace->record().owner};
                 },
                 .call = [this](std::string_view call) { return commands_.is_live(call); }}),
      resolver_(options_.keys.credential.public_key(), registry_, registry_),
      delegations_(plane_, agents_, registry_, resolver_),
      commands_(plane_, agents_, delegations_, resolver_, hello_.node),
      terminals_(plane_, agents_, commands_),
      whole_calls_(options_.loop),
      releases_(plane_, std::move(options_.releases),
                {.project = [this](const std::string& channel,
                                   Reply<> reply) { workspaces_.project(channel, std::move(reply)); },
                 .gate =
                     [this](const std::string& channel) {
                       workspaces_.each([&](Workspace& w) {
                         if (w.record().channel == channel) w.authority_changed();
                       });
                     }}),
      workspaces_({plane_, perimeter_, agents_, revocations_, secrets_, reviews_, commands_, releases_,
                   options_.host}) {
  audit_->on_growth([this] { wake_audit_waiters(); });
}

// ---- saw-node and recovery
// --------------------------------------------------------------------------------------------------------

NodeClient::Events Control::node_events() {
  return {.on_hello = [this](const sandbox::NodeHello& hello) { on_hello(hello); },
          .on_exec_exited = [this](const sandbox::ExecExited& exited) { commands_.on_exec_exited(exited); },
          .on_sandbox_exited =
              [this](const sandbox::SandboxExited& exited) {
                workspaces_.each([&](Workspace& w) {
                  if (w.owns_sandbox(exited.sandbox))
                    w.on_sandbox_lost(exited.sandbox, printable(exited.reason));
                });
                commands_.sandbox_lost(exited.sandbox);
              },
          .on_egress_exited =
              [this](const sandbox::EgressExited& exited) {
                if (Workspace* workspace = workspaces_.by_id(exited.workspace))
                  workspace->egress().on_exited();
              },
          .on_perimeter_started = [this](std::vector<Fd> fds) { perimeter_.on_started(std::move(fds)); },
          .on_lost = [this](std::string why) { options_.on_node_lost(std::move(why)); }};
}

void Control::on_hello(const sandbox::NodeHello& hello) {
  if (greeted_) return options_.on_node_lost("saw-node greeted twice");
  greeted_ = true;
  hello_ = hello;
  auto restored = revocations_.load(options_.store);
  if (restored) restored = reviews_.recover();
  if (restored) restored = releases_.restore();
  if (restored) restored = workspaces_.restore();
  if (!restored) return options_.on_node_lost("recovering from the store: " + restored.error().message);
  node_.request(sandbox::ListSandboxes{}, alive_.guard([this](Result<NodeClient::Answer> answer) {
    auto* list = answer ? std::get_if<sandbox::SandboxList>(&answer->message) : nullptr;
    if (!list) return options_.on_node_lost("saw-node did not list its sandboxes");
    on_sandboxes(list->sandboxes);
  }));
}

// What nobody knows is stopped first: storage that it used may be about to go.
void Control::on_sandboxes(const std::vector<sandbox::SandboxInfo>& sandboxes) {
  std::set<std::string> living;
  for (const sandbox::SandboxInfo& info : sandboxes) {
    bool known = false;
    workspaces_.each([&](Workspace& w) { known |= w.owns_sandbox(info.sandbox); });
    if (known) {
      living.insert(info.sandbox);
      continue;
    }
    log_warning("stopping sandbox {}, which belongs to nothing that is stored", info.sandbox);
    node_.request(sandbox::StopSandbox{.sandbox = info.sandbox}, [](Result<NodeClient::Answer> answer) {
      if (!answer) log_error("stopping a left-over sandbox: {}", answer.error().message);
    });
  }
  workspaces_.recover(living, alive_.guard([this](const Result<>&) { become_ready(); }));
  if (!ready_) ready_timer_ = options_.loop.after(kRecoveryPatienceMs, [this] { become_ready(); });
}

void Control::become_ready() {
  if (ready_) return;
  ready_ = true;
  settle_quarantine();
  releases_.begin();
  auto e = event<audit::Lifecycle>(plane_, {}, audit::Verdict::allowed,
                                   fmt::format("the control plane is ready on node {}", hello_.node));
  e.activity = audit::Lifecycle::Activity::start;
  e.object_kind = "daemon";
  e.object_id = hello_.node;
  e.object_name = "sawd";
  audit_->record(audit::lifecycle(e));
  node_.send(sandbox::ControlReady{});
  for (auto& waiter : std::exchange(ready_waiters_, {})) waiter->reply({});
  log_info("ready: {} workspaces", workspaces_.size());
}

// What waited when sawd ended waits on, or is carried out.
void Control::settle_quarantine() {
  workspaces_.each([&](Workspace& workspace) { quarantine_.recover(workspace.quarantine_origin()); });
  auto closed =
      quarantine_.abandon_unknown([&](std::string_view id) { return workspaces_.by_id(id) != nullptr; });
  if (!closed) log_error("closing reviews of workspaces that are gone: {}", closed.error().message);
}

void Control::when_ready(Reply<> reply) {
  if (ready_ || ready_waiters_.size() >= kMaxReadyWaiters) return reply(ready());
  auto& waiter = *ready_waiters_.emplace_back(std::make_unique<ReadyWaiter>(std::move(reply)));
  waiter.timer = options_.loop.after(kMaxReadyWaitMs, [this, which = &waiter] {
    auto found = std::ranges::find(ready_waiters_, which, &std::unique_ptr<ReadyWaiter>::get);
    if (found == ready_waiters_.end()) return;
    auto due = std::move(*found);
    ready_waiters_.erase(found);
    due->reply(ready());
  });
}

Result<> Control::ready() const {
  if (!ready_) return Error::make("control.not_ready", "SAW is still recovering; try again in a moment");
  return {};
}

// ---- who asks
// ---------------------------------------------------------------------------------------------------------------------

Result<Caller> Control::caller(uint32_t uid) const {
  if (!greeted_) return Error::make("control.not_ready", "SAW is still starting; try again in a moment");
  if (uid == kOverflowUid)
    return Error::make("access.unknown_user",
                       "the kernel does not tell who you are (another user namespace?)");
  // Rootless, saw-node and sawd live in a user namespace in which the user's own uid reads 0.
  const uint32_t real = hello_.rootless && uid == 0 ? hello_.api_uid_zero : uid;
  Caller caller{fmt::format("uid:{}", real), uid == 0 ? Role::operator_ : Role::user};
  // The operator of the machine could undo it anyway; nobody else comes back.
  if (caller.role != Role::operator_ && revocations_.contains(identity::Revocable::user, caller.sponsor))
    return Error::make("access.user_revoked", "user '{}' is revoked", caller.sponsor);
  return caller;
}

Result<Workspace*> Control::find(const Caller& caller, std::string_view workspace, std::string_view verb) {
  SAW_TRY(ready());
  return workspaces_.find(caller, workspace, verb);
}

// ---- the daemon
// -------------------------------------------------------------------------------------------------------------------

StatusView Control::status(const Caller& caller) const {
  StatusView v{.version = SAW_VERSION,
               .node = hello_.node,
               .state = ready_ ? "ready" : "recovering",
               .rootless = hello_.rootless,
               .audit_ok = audit_->available(),
               .audit_entries = audit_->entries(),
               .workspaces = workspaces_.list(caller).size(),
               .degraded = hello_.degraded};
  v.programs.push_back({.name = "sawd", .state = "running", .pid = ::getpid()});
  v.programs.push_back({.name = "saw-node", .state = "running", .pid = ::getppid()});
  v.programs.push_back({.name = "saw-perimeter", .state = perimeter_.is_up() ? "running" : "restarting"});
  workspaces_.each([&](Workspace& w) {
    if (caller.role != Role::operator_ && w.record().owner != caller.sponsor) return;
    const EgressControl::State state = w.egress().state();
    if (state == EgressControl::State::down && w.state() == WorkspaceState::stopped) return;
    v.programs.push_back({.name = "saw-egress",
                          .workspace = w.record().name,
                          .state = state == EgressControl::State::ready ? "running" : "restarting"});
  });
  return v;
}

Result<> Control::shut_down(const Caller& caller) {
  if (caller.role != Role::operator_)
    return Error::make("access.operator_only", "only an operator can shut SAW down");
  auto e = event<audit::Lifecycle>(plane_, {.sponsor = caller.sponsor}, audit::Verdict::allowed,
                                   fmt::format("{} shut SAW down", caller.sponsor));
  e.activity = audit::Lifecycle::Activity::stop;
  e.object_kind = "daemon";
  e.object_id = hello_.node;
  e.object_name = "sawd";
  audit_->record_kept(audit::lifecycle(e),
                      alive_.guard([this](const Result<>&) { node_.send(sandbox::Shutdown{}); }));
  return {};
}

// ---- workspaces and sessions
// ------------------------------------------------------------------------------------------------------

Result<std::vector<WorkspaceView>> Control::list_workspaces(const Caller& caller) const {
  SAW_TRY(ready());
  return workspaces_.list(caller);
}

void Control::create_workspace(const Caller& caller, const WorkspaceSpec& spec,
                               Reply<WorkspaceCreated> reply) {
  if (auto is_ready = ready(); !is_ready) return reply(std::unexpected(std::move(is_ready).error()));
  workspaces_.create(caller, spec, std::move(reply));
}

Result<WorkspaceView> Control::show_workspace(const Caller& caller, std::string_view workspace) {
  return SAW_TRY(find(caller, workspace, "show"))->view();
}

void Control::change_workspace(const Caller& caller, std::string_view workspace, Desired desired,
                               Reply<WorkspaceView> reply) {
  static constexpr std::string_view kVerbs[] = {"stop", "start", "decommission"};
  auto found = find(caller, workspace, kVerbs[static_cast<size_t>(desired)]);
  if (!found) return reply(std::unexpected(std::move(found).error()));
  if (desired != Desired::running) terminals_.forget_ended((*found)->record().id, "");
  workspaces_.change(**found, desired, caller, std::move(reply));
}

void Control::start_workspace(const Caller& caller, std::string_view workspace, Reply<WorkspaceView> reply) {
  change_workspace(caller, workspace, Desired::running, std::move(reply));
}
void Control::stop_workspace(const Caller& caller, std::string_view workspace, Reply<WorkspaceView> reply) {
  change_workspace(caller, workspace, Desired::stopped, std::move(reply));
}
void Control::decommission_workspace(const Caller& caller, std::string_view workspace,
                                     Reply<WorkspaceView> reply) {
  auto gone = [this, reply = std::move(reply)](Result<WorkspaceView> view) mutable {
    if (view) quarantine_.abandon_all(view->id);
    reply(std::move(view));
  };
  change_workspace(caller, workspace, Desired::gone, alive_.guard(std::move(gone)));
}

Result<std::vector<ChannelView>> Control::list_channels(const Caller& caller) const {
  SAW_TRY(ready());
  std::vector<ChannelView> out = releases_.views();
  for (const WorkspaceView& workspace : workspaces_.list(caller))
    for (ChannelView& channel : out)
      if (channel.name == workspace.channel) channel.workspaces.push_back(workspace);
  return out;
}

Result<std::vector<SessionView>> Control::list_sessions(const Caller& caller, std::string_view workspace) {
  return SAW_TRY(find(caller, workspace, "list-sessions"))->session_views();
}

void Control::start_session(const Caller& caller, std::string_view workspace, const std::string& name,
                            Reply<SessionView> reply) {
  auto found = find(caller, workspace, "start-session");
  if (!found) return reply(std::unexpected(std::move(found).error()));
  if (!audit_->available())
    return reply(Error::make("audit.unavailable", "the audit log cannot be written: no session is started"));
  (*found)->start_session(name, std::move(reply));
}

void Control::diff_session(const Caller& caller, std::string_view workspace, std::string_view session,
                           const DiffQuery& query, Reply<DiffView> reply) {
  constexpr size_t kMaxDiffPaths = 256;
  if (query.paths.size() > kMaxDiffPaths || !std::ranges::all_of(query.paths, is_canonical_path))
    return reply(Error::make("request.path", "at most {} absolute paths without '.', '..' or empty segments",
                             kMaxDiffPaths));
  auto found = find(caller, workspace, "diff-session");
  if (!found) return reply(std::unexpected(std::move(found).error()));
  Workspace::Session* known = (*found)->find_session(session);
  if (!known)
    return reply(Error::make("session.not_found", "there is no session '{}'", printable(session, 80)));
  auto convert = [reply = std::move(reply)](Result<NodeClient::Answer> answer) mutable {
    if (!answer) return reply(std::unexpected(std::move(answer).error()));
    auto* changes = std::get_if<sandbox::Changes>(&answer->message);
    if (!changes)
      return reply(Error::make("node.malformed", "saw-node answered a ListChanges with something else"));
    reply(to_view(*changes));
  };
  node_.request(
      sandbox::ListChanges{.workspace = (*found)->record().id,
                           .session = known->record.id,
                           .paths = query.paths,
                           .detail = query.lines ? sandbox::DiffDetail::lines : sandbox::DiffDetail::entries},
      alive_.guard(std::move(convert)));
}

void Control::commit_session(const Caller& caller, std::string_view workspace, std::string_view session,
                             FileChange change, Reply<CommitView> reply) {
  auto found = find(caller, workspace, "commit-session");
  if (!found) return reply(std::unexpected(std::move(found).error()));
  change.by = caller.sponsor;
  Workspace::Session* known = (*found)->find_session(session);
  auto ask = [this, origin = (*found)->quarantine_origin(), id = known ? known->record.id : "",
              reply = std::move(reply)](Result<CommitView> done) mutable {
    if (!done || done->held_back == 0 || done->conflicting > 0) return reply(std::move(done));
    // The commit stands, and its answer waits for the questions that it raises.
    auto asked = [reply = std::move(reply),
                  done = std::move(done)](Result<std::vector<ReviewView>> waiting) mutable {
      if (!waiting) done->quarantine_problem = waiting.error().message;
      if (waiting)
        for (const ReviewView& review : *waiting) done->reviews.push_back(review.id);
      reply(std::move(done));
    };
    quarantine_.committed(origin, id, alive_.guard(std::move(asked)));
  };
  (*found)->commit_session(std::string(session), change, alive_.guard(std::move(ask)));
}

void Control::discard_session(const Caller& caller, std::string_view workspace, std::string_view session,
                              FileChange change, Reply<> reply) {
  auto found = find(caller, workspace, "discard-session");
  if (!found) return reply(std::unexpected(std::move(found).error()));
  change.by = caller.sponsor;
  (*found)->discard_session(std::string(session), change, std::move(reply));
}

void Control::end_session(const Caller& caller, std::string_view workspace, std::string_view session,
                          Reply<> reply) {
  auto found = find(caller, workspace, "end-session");
  if (!found) return reply(std::unexpected(std::move(found).error()));
  Workspace::Session* known = (*found)->find_session(session);
  if (!known)
    return reply(Error::make("session.not_found", "there is no session '{}'", printable(session, 80)));
  terminals_.forget_ended((*found)->record().id, known->record.id);
  (*found)->end_session(known->record.id, std::move(reply));
}

void Control::run_call(const Caller& caller, std::string_view workspace, ExecRequest request,
                       WholeRequest whole, Reply<WholeResult> reply) {
  request.kind = ExecKind::call;
  request.terminal = false;
  if (request.timeout_ms == 0) request.timeout_ms = WholeCalls::kDefaultWallMs;
  request.timeout_ms = std::min(request.timeout_ms, WholeCalls::kMaxWallMs);
  whole.max_output = std::min(whole.max_output, WholeCalls::kMaxOutput);
  start_command(caller, workspace, std::move(request),
                whole_calls_.gather(std::move(whole), std::move(reply)));
}

void Control::start_command(const Caller& caller, std::string_view workspace, ExecRequest request,
                            Reply<std::unique_ptr<CommandHandle>> reply) {
  auto found = find(caller, workspace, "exec");
  if (!found) return reply(std::unexpected(std::move(found).error()));
  request.requested_by = caller.sponsor;
  when_up(**found,
          [this, request = std::move(request), reply = std::move(reply)](Result<Workspace*> up) mutable {
            if (!up) return reply(std::unexpected(std::move(up).error()));
            commands_.start(**up, std::move(request), std::move(reply));
          });
}

void Control::when_up(Workspace& workspace, Reply<Workspace*> then) {
  if (workspace.state() != WorkspaceState::starting) return then(&workspace);
  workspace.converge(
      [this, id = workspace.record().id, then = std::move(then)](const Result<>& settled) mutable {
        Workspace* up = workspaces_.by_id(id);
        if (!settled || !up) return then(Error::make("workspace.conflict", "the workspace did not start"));
        then(up);
      });
}

// ---- terminals

void Control::attach(const Caller& caller, std::string_view workspace, AttachRequest request,
                     Reply<std::unique_ptr<CommandHandle>> reply) {
  auto found = find(Caller{caller.sponsor, Role::user}, workspace, "attach");
  if (!found) return reply(std::unexpected(std::move(found).error()));
  request.by = caller.sponsor;
  when_up(**found,
          [this, request = std::move(request), reply = std::move(reply)](Result<Workspace*> up) mutable {
            if (!up) return reply(std::unexpected(std::move(up).error()));
            terminals_.attach(**up, std::move(request), std::move(reply));
          });
}

Result<std::vector<TerminalView>> Control::list_terminals(const Caller& caller, std::string_view workspace) {
  return terminals_.list(SAW_TRY(find(caller, workspace, "list-terminals"))->record().id);
}

void Control::end_terminal(const Caller& caller, std::string_view workspace, const std::string& session,
                           const std::string& terminal, Reply<> reply) {
  auto found = find(caller, workspace, "end-terminal");
  if (!found) return reply(std::unexpected(std::move(found).error()));
  terminals_.end(**found, session, terminal, caller.sponsor, std::move(reply));
}

// ---- agents, secrets
// --------------------------------------------------------------------------------------------------------------

Result<AgentView> Control::register_agent(const Caller& caller, const std::string& name,
                                          const std::string& purpose) {
  SAW_TRY(ready());
  return agents_.add(caller, name, purpose);
}
Result<std::vector<AgentView>> Control::list_agents(const Caller& caller) const {
  return agents_.list(caller);
}
Result<AgentView> Control::show_agent(const Caller& caller, std::string_view agent) const {
  return agents_.show(caller, agent);
}
Result<AgentView> Control::change_agent(const Caller& caller, std::string_view agent, AgentVerb verb) {
  SAW_TRY(ready());
  return agents_.change(caller, agent, verb);
}

Result<SecretView> Control::put_secret(const Caller& caller, const std::string& name, std::string value) {
  SAW_TRY(ready());
  return secrets_.put(caller, name, std::move(value));
}
Result<> Control::remove_secret(const Caller& caller, const std::string& name) {
  SAW_TRY(ready());
  return secrets_.remove(caller, name);
}
Result<std::vector<SecretView>> Control::list_secrets(const Caller& caller) const {
  return secrets_.list(caller);
}

// ---- reviews
// ----------------------------------------------------------------------------------------------------------------------

Result<std::vector<ReviewView>> Control::list_reviews(const Caller& caller, std::string_view state) const {
  SAW_TRY(ready());
  return reviews_.list(caller, state, [&](std::string_view id) {
    Workspace* workspace = workspaces_.by_id(id);
    return workspace && workspace->record().owner == caller.sponsor;
  });
}

// The reviews of a workspace belong to whoever may reach it.
Result<store::Review> Control::review_for(const Caller& caller, std::string_view id, std::string_view verb) {
  SAW_TRY(ready());
  store::Review review = SAW_TRY(reviews_.find(id));
  if (caller.role != Role::operator_) {
    auto reachable = workspaces_.find_by_id(caller, review.workspace, verb);
    if (!reachable && reachable.error().code == "workspace.not_found")
      return Error::make("review.not_found", "there is no review '{}'", printable(id, 80));
    SAW_TRY(std::move(reachable));
  }
  return review;
}

Result<ReviewView> Control::show_review(const Caller& caller, std::string_view review) {
  return to_view(SAW_TRY(review_for(caller, review, "show-review")));
}

void Control::diff_review(const Caller& caller, std::string_view id, Reply<DiffView> reply) {
  auto review = review_for(caller, id, "show-review");
  if (!review) return reply(std::unexpected(std::move(review).error()));
  if (review->kind != review::kQuarantine)
    return reply(
        Error::make("review.no_diff", "review '{}' is about a request, not about files", review->id));
  quarantine_.show(*review, std::move(reply));
}

void Control::decide(const Caller& caller, std::string_view id, review::Verdict verdict,
                     std::optional<std::string> digest, std::string why, Reply<ReviewView> reply) {
  auto review = review_for(caller, id, "decide-review");
  if (!review) return reply(std::unexpected(std::move(review).error()));
  if (review->kind != review::kQuarantine)
    return reviews_.decide(caller, id, verdict, std::move(digest), std::move(why), std::move(reply));
  Workspace* workspace = workspaces_.by_id(review->workspace);
  if (!workspace)
    return reply(
        Error::make("workspace.not_found", "the workspace of review '{}' is gone", printable(id, 80)));
  quarantine_.decide(*review,
                     {.verdict = verdict,
                      .by = caller.sponsor,
                      .digest = std::move(digest),
                      .why = std::move(why),
                      .approvers = workspace->approvers()},
                     std::move(reply));
}

void Control::approve(const Caller& caller, std::string_view review, std::optional<std::string> digest,
                      Reply<ReviewView> reply) {
  decide(caller, review, review::Verdict::approve, std::move(digest), "", std::move(reply));
}
void Control::deny(const Caller& caller, std::string_view review, std::string why, Reply<ReviewView> reply) {
  decide(caller, review, review::Verdict::deny, std::nullopt, std::move(why), std::move(reply));
}

// ---- audit
// ------------------------------------------------------------------------------------------------------------------------

Result<AuditPage> Control::read_page(uint64_t from, uint64_t limit) const {
  AuditPage page{.size = audit_->entries(), .first = from};
  if (from < page.size)
    page.entries =
        SAW_TRY(audit::read_entries(options_.audit_directory, from, std::min(limit, page.size - from)));
  return page;
}

void Control::audit_entries(const Caller& caller, uint64_t from, uint64_t limit, int64_t wait_ms,
                            Reply<AuditPage> reply) {
  if (caller.role != Role::operator_)
    return reply(Error::make("access.operator_only", "only an operator can read the audit log"));
  limit = std::clamp<uint64_t>(limit, 1, kMaxAuditPage);
  wait_ms = std::clamp<int64_t>(wait_ms, 0, kMaxAuditWaitMs);
  if (from < audit_->entries() || wait_ms == 0 || audit_waiters_.size() >= kMaxAuditWaiters)
    return audit_->when_readable(
        alive_.guard([this, from, limit, reply = std::move(reply)](Result<> readable) mutable {
          if (!readable) return reply(std::unexpected(std::move(readable).error()));
          reply(read_page(from, limit));
        }));
  auto& waiter = *audit_waiters_.emplace_back(std::make_unique<AuditWaiter>(from, limit, std::move(reply)));
  waiter.timer = options_.loop.after(wait_ms, [this, which = &waiter] {
    auto found = std::ranges::find(audit_waiters_, which, &std::unique_ptr<AuditWaiter>::get);
    if (found == audit_waiters_.end()) return;
    auto due = std::move(*found);
    audit_waiters_.erase(found);
    due->reply(read_page(due->from, due->limit));
  });
}

void Control::wake_audit_waiters() {
  std::vector<std::unique_ptr<AuditWaiter>> due;
  for (auto& waiter : audit_waiters_)
    if (waiter->from < audit_->entries()) due.push_back(std::move(waiter));
  std::erase(audit_waiters_, nullptr);
  for (auto& waiter : due) waiter->reply(read_page(waiter->from, waiter->limit));
}

AuditKeyView Control::audit_key() const {
  return {.origin = options_.keys.audit_origin,
          .public_key = to_hex(options_.keys.audit_public),
          .directory = options_.audit_directory};
}

}  // namespace saw::control
