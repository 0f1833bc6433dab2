#include "control/workspace.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/log.h"
#include "control/ledger.h"
#include "control/workspace_spec.h"

namespace saw::control {

using store::Desired;

namespace {

std::string ca_context(const std::string& workspace) {
  return "ca/" + workspace;
}

// The narrower of two limits, where 0 is none.
uint64_t narrower(uint64_t a, uint64_t b) {
  return a == 0 ? b : b == 0 ? a : std::min(a, b);
}

}  // namespace

Result<std::unique_ptr<Workspace>> Workspace::open(Surroundings around, store::Workspace record) {
  auto policy = policy::Policy::compile(record.policy_yaml, record.policy_file);
  if (!policy)
    return Error::make("policy.invalid", "the stored policy of workspace '{}' no longer compiles: {}",
                       record.name, policy.error().front().text());
  const store::Agent agent =
      SAW_TRY(around.agents.resolve(record.owner, ""), "finding the workspace's agent");
  std::unique_ptr<Workspace> workspace(new Workspace(around, std::move(record), std::move(*policy)));
  egress::ChannelIdentity id = workspace->identity("");
  id.agent = agent.id;
  id.agent_name = agent.name;
  workspace->cell_ =
      std::make_unique<Cell>(around.plane, workspace->egress_, workspace->record_.sandbox, std::move(id));
  return workspace;
}

Workspace::Workspace(Surroundings around, store::Workspace record, policy::Policy policy)
    : around_(around),
      record_(std::move(record)),
      policy_(std::move(policy), record_.policy_yaml),
      egress_(around.plane, around.perimeter, record_.id, record_.name,
              {.configuration = [this] { return egress_configuration(); },
               .ledger = [this] { return open_ledger(around_.host.ledgers, record_.id); },
               .on_ready = [this] { on_egress_ready(); },
               .on_ask = [this](egress::ReviewAsk ask) { on_ask(std::move(ask)); },
               .on_abandoned = [this](uint64_t ask) { around_.reviews.abandon(record_.id, ask); },
               .on_lost = [this] { around_.reviews.abandon_all(record_.id); }}),
      call_plans_(around.plane, record_.id,
                  {.make = [this](const std::string& session) { return calls_to_prepare(session); }}) {}

Workspace::~Workspace() = default;

egress::ChannelIdentity Workspace::identity(const std::string& session) const {
  return {.sponsor = record_.owner,
          .agent = cell_ ? cell_->identity().agent : "",
          .workspace = record_.id,
          .session = session,
          .agent_name = cell_ ? cell_->identity().agent_name : "",
          .workspace_name = record_.name,
          .trace = to_hex(random_bytes(16))};
}

WorkspaceView Workspace::view() const {
  WorkspaceView v{.id = record_.id,
                  .name = record_.name,
                  .owner = record_.owner,
                  .profile = record_.profile,
                  .policy_name = record_.policy_name,
                  .policy_digest = record_.policy_digest,
                  .image = record_.image,
                  .error = problem_,
                  .state = state_,
                  .created = record_.created,
                  .degraded = cell_->degraded(),
                  .warm = record_.warm,
                  .proof = cell_->proof(),
                  .channel = record_.channel,
                  .outdated = outdated_sandboxes()};
  if (const auto allowed = may_act(); !allowed) v.shut = allowed.error().message;
  if (state_ == WorkspaceState::running) v.sandbox = cell_->sandbox();
  for (const store::Mount& mount : record_.mounts)
    v.mounts.push_back({mount.source, mount.target, mount.writable});
  for (const auto& [secret, placeholder] : record_.placeholders)
    v.credentials.push_back({secret, secret_variable(secret)});
  return v;
}

Result<> Workspace::want(Desired desired) {
  if (record_.desired == Desired::gone && desired != Desired::gone)
    return Error::make("workspace.conflict", "workspace '{}' is being decommissioned", record_.name);
  store::Workspace changed = record_;
  changed.desired = desired;
  // A start from nothing is a new sandbox; its name is stored before it exists, so that a crash leaves at
  // most this one.
  if (desired == Desired::running && cell_->state() == Cell::State::down && !converging_)
    changed.sandbox = random_id("sb-");
  auto stored = around_.plane.store.put(changed);
  // What runs can always be stopped, also by whom it was that filled the disk; a restart would start it again.
  if (!stored && desired == Desired::stopped)
    log_error("workspace '{}' is stopped, but this was not stored: {}", record_.name, stored.error().message);
  else
    SAW_TRY(std::move(stored), fmt::format("storing what workspace '{}' should be", record_.name));
  record_ = std::move(changed);
  if (cell_->state() == Cell::State::down && !converging_) cell_->rename(record_.sandbox);
  return {};
}

Result<sandbox::SandboxPlan> Workspace::plan(sandbox::Depth depth, const std::string& session,
                                             const std::string& sandbox) const {
  SAW_TRY(policy_.attest(record_.policy_yaml));
  sandbox::PlanRequest request{.id = sandbox,
                               .depth = depth,
                               .workspace = record_.id,
                               .session = session,
                               .image_root = record_.image == "host" ? "/" : record_.image,
                               .hostname = record_.name,
                               .ca_pem = record_.ca_certificate,
                               .system_ca_bundle = around_.host.system_ca_bundle};
  for (const store::Mount& mount : record_.mounts)
    request.mounts.push_back(
        {mount.source, mount.target, mount.writable ? sandbox::Access::write : sandbox::Access::read});
  sandbox::SandboxPlan plan = SAW_TRY(sandbox::make_plan(policy_.get(), request), "planning the sandbox");
  plan.limits.memory_bytes = narrower(plan.limits.memory_bytes, record_.memory_bytes);
  plan.limits.pids = narrower(plan.limits.pids, record_.pids);
  plan.limits.cpu_millis_per_second = narrower(plan.limits.cpu_millis_per_second, record_.cpu_millis);
  return plan;
}

std::vector<std::string> Workspace::environment() const {
  std::vector<std::string> out = sandbox::base_environment();
  for (const auto& [secret, placeholder] : record_.placeholders)
    out.push_back(secret_variable(secret) + "=" + placeholder);
  return merge_environment(out, {});
}

std::string Workspace::directory() const {
  const auto& write = policy_.get().filesystem().write;
  return std::ranges::find(write, "/workspace") != write.end() ? "/workspace" : "/";
}

Result<sandbox::PrepareCalls> Workspace::calls_to_prepare(const std::string& session) const {
  sandbox::PrepareCalls out{.plan = SAW_TRY(plan(sandbox::Depth::call, session, "")),
                            .parked = session.empty() ? CallPlans::kParked : CallPlans::kParkedOfSession,
                            .environment = environment(),
                            .directory = directory()};
  for (const std::string& command : record_.warm)
    out.runtimes.push_back({.command = command, .kind = SAW_TRY(warm_kind(command))});
  return out;
}

Result<egress::Configure> Workspace::egress_configuration() const {
  egress::Configure out{.policy_yaml = record_.policy_yaml,
                        .policy_name = record_.policy_name,
                        .ca_certificate_pem = record_.ca_certificate,
                        .upstream_trust_pem = around_.host.upstream_trust,
                        .placeholders = record_.placeholders};
  out.ca_key_pem = SAW_TRY(around_.plane.keys.sealer.unseal(record_.ca_key_sealed, ca_context(record_.id)),
                           "opening the CA key");
  for (const policy::Credential& credential : policy_.get().credentials())
    if (auto value = SAW_TRY(around_.secrets.reveal(record_.owner, credential.secret)))
      out.secrets[credential.secret] = std::move(*value);
  return out;
}

// ---- channels
// ---------------------------------------------------------------------------------------------------------------------

Cell::ChannelUse Workspace::channel_use(const Cell& cell) const {
  const bool may = may_act() && around_.agents.may_act(cell.identity().agent) &&
                   !around_.revocations.contains(identity::Revocable::workspace, record_.id);
  return may ? Cell::ChannelUse::open : Cell::ChannelUse::closed;
}

void Workspace::on_egress_ready() {
  each_cell([](Cell& cell) { cell.rebind(); });
}

void Workspace::each_cell(const std::function<void(Cell&)>& function) {
  function(*cell_);
  for (auto& [id, session] : sessions_) function(*session->cell);
  for (Cell* call : around_.commands.call_cells(record_.id)) function(*call);
}

void Workspace::authority_changed() {
  each_cell([&](Cell& cell) { cell.use_channel(channel_use(cell)); });
}

void Workspace::secret_changed(std::string_view secret) {
  if (record_.placeholders.contains(std::string(secret))) egress_.configure();
}

Cell* Workspace::cell_of(std::string_view sandbox) {
  if (cell_->sandbox() == sandbox) return cell_.get();
  for (auto& [id, session] : sessions_)
    if (session->cell->sandbox() == sandbox) return session->cell.get();
  for (Cell* call : around_.commands.call_cells(record_.id))
    if (call->sandbox() == sandbox) return call;
  return nullptr;
}

bool Workspace::owns_sandbox(std::string_view sandbox) const {
  return const_cast<Workspace*>(this)->cell_of(sandbox) != nullptr;
}

review::Approvers Workspace::approvers() const {
  return policy_.get().review().other_than_requester ? review::Approvers::other_than_requester
                                                     : review::Approvers::anyone_entitled;
}

QuarantineDesk::Origin Workspace::quarantine_origin() const {
  return {.identity = identity(""), .policy_digest = record_.policy_digest};
}

void Workspace::on_ask(egress::ReviewAsk ask) {
  Cell* cell = cell_of(ask.channel);
  if (!cell)
    return egress_.answer(
        {.ask = ask.ask, .outcome = egress::ReviewOutcome::denied, .why = "unknown channel"});
  const policy::ReviewRules rules = policy_.get().review();
  AskContext context{.owner = record_.owner,
                     .identity = cell->identity(),
                     .approvers = approvers(),
                     .hold_ms = rules.hold_ms};
  around_.reviews.ask(context, ask, alive_.guard([this](egress::ReviewVerdict verdict) {
    egress_.answer(std::move(verdict));
  }));
}

// ---- sandboxes that come and go by themselves
// ---------------------------------------------------------------------------------------

void Workspace::mark_found(const std::set<std::string>& living) {
  if (living.contains(cell_->sandbox())) cell_->mark_found();
  for (auto& [id, session] : sessions_)
    if (living.contains(session->cell->sandbox())) session->cell->mark_found();
}

void Workspace::on_sandbox_lost(const std::string& sandbox, const std::string& reason) {
  Cell* cell = cell_of(sandbox);
  if (!cell || cell->state() == Cell::State::stopping) return;
  cell->mark_lost();
  egress_.unbind(sandbox);
  const std::string message =
      fmt::format("sandbox {} of workspace '{}' ended by itself: {}", sandbox, record_.name, reason);
  log_warning("{}", message);
  lifecycle_event(audit::Lifecycle::Activity::stop, audit::Verdict::none, message);
  if (cell == cell_.get()) {
    problem_ = "its sandbox ended: " + reason;
    if (!converging_) state_ = WorkspaceState::failed;
  }
  for (auto& [id, session] : sessions_)
    if (session->cell.get() == cell) session->problem = "its sandbox ended: " + reason;
}

void Workspace::lifecycle_event(audit::Lifecycle::Activity activity, audit::Verdict verdict,
                                const std::string& message, std::string by, const store::Session* session) {
  auto e = event<audit::Lifecycle>(around_.plane, who(cell_->identity()), verdict, message);
  if (!by.empty()) e.who.sponsor = std::move(by);
  e.policy_digest = record_.policy_digest;
  e.activity = activity;
  if (session) e.who.session = session->id;
  e.object_kind = session ? "session" : "workspace";
  e.object_id = session ? session->id : record_.id;
  e.object_name = session ? session->name : record_.name;
  around_.plane.audit.record(audit::lifecycle(e));
}

}  // namespace saw::control
