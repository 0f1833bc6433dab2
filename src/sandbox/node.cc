#include "sandbox/node.h"

namespace saw::sandbox {

Node::Node(os::Loop& loop, Config config, Parts parts)
    : loop_(loop),
      version_(std::move(config.version)),
      node_id_(std::move(config.node_id)),
      view_(config.view),
      features_(std::move(config.features)),
      storage_(parts.storage),
      on_ready_(std::move(parts.on_ready)),
      on_start_failed_(std::move(parts.on_start_failed)),
      calls_(loop, {.bounds = config.sandboxes.bounds, .least = config.sandboxes.least}, parts.runtime,
             parts.storage, outbox_),
      sandboxes_(loop, std::move(config.sandboxes), parts.runtime, parts.storage, std::move(parts.state),
                 outbox_),
      supervisor_(loop, std::move(config.programs), std::move(parts.spawn),
                  {.on_control = [this](os::Channel channel) { on_control(std::move(channel)); },
                   .on_control_lost = [this](const std::string& why,
                                             int failures) { on_control_lost(why, failures); },
                   .on_perimeter =
                       [this](std::vector<Fd> links) { outbox_.event(PerimeterStarted{}, std::move(links)); },
                   .on_egress_lost =
                       [this](const std::string& workspace) { outbox_.event(EgressExited{workspace}); }}) {}
Node::~Node() = default;

Result<> Node::start() {
  SAW_TRY(sandboxes_.adopt(), "finding the sandboxes of an earlier saw-node");
  empty_trash();
  supervisor_.start();
  return {};
}

void Node::shutdown() {
  if (std::exchange(shutting_down_, true)) return;
  log_info("stopping");
  calls_.stop_all();
  sandboxes_.stop_each(SandboxSet::Which::all);
  calls_.when_empty([this] {
    sandboxes_.when_empty([this] {
      supervisor_.shutdown(
          [this] {
            outbox_.detach();
            control_.reset();
          },
          [this] { loop_.stop(); });
    });
  });
}

// ---- the link to sawd
// -------------------------------------------------------------------------------------------------------------

void Node::on_control(os::Channel channel) {
  control_ = os::Link::open(loop_, std::move(channel),
                            {.on_message = [this](const std::string& payload,
                                                  const std::vector<Fd>& fds) { on_message(payload, fds); },
                             .on_close =
                                 [this](const std::string& why) {
                                   log_warning("lost sawd: {}", why);
                                   supervisor_.restart_control();
                                 }});
  outbox_.attach(control_.get());
  NodeHello hello{
      .version = version_, .node = node_id_, .rootless = view_.rootless, .api_uid_zero = view_.outside_uid};
  hello.proof_key = sandboxes_.proof_key();
  for (const HostFeature& feature : features_) {
    if (feature.state == HostFeature::State::ok)
      hello.guarantees.push_back(feature.name);
    else
      hello.degraded.push_back(feature.name + ": " + feature.consequence);
  }
  outbox_.event(std::move(hello));
}

void Node::on_control_lost(const std::string& why, int failures) {
  outbox_.detach();
  waiting_for_trash_.clear();
  control_.reset();
  calls_.stop_all();  // nobody waits for them any more
  sandboxes_.stop_each(SandboxSet::Which::calls);
  if (ready_ || failures < kMaxStartFailures || shutting_down_) return;
  on_start_failed_(why);
  shutdown();
}

void Node::on_message(const std::string& payload, const std::vector<Fd>& fds) {
  auto message = wire::decode<ToNode>(payload);
  if (!message || !fds.empty()) {
    log_error("sawd sent a malformed message; it is replaced");
    return supervisor_.restart_control();
  }
  std::visit([this](const auto& body) { handle(body); }, *message);
}

void Node::conclude(const Ticket& ticket, const Result<>& result) {
  if (result)
    outbox_.answer(ticket, Done{});
  else
    outbox_.fail(ticket, result.error());
}

// ---- storage
// ----------------------------------------------------------------------------------------------------------------------

void Node::handle(const CreateStorage& message) {
  conclude(outbox_.ticket(message.request), storage_.create_workspace(message.workspace));
}

void Node::handle(const RemoveStorage& message) {
  sandboxes_.end_proofs(
      message.workspace, message.session,
      [this, message, ticket = outbox_.ticket(message.request)] { remove_storage(message, ticket); });
}

void Node::remove_storage(const RemoveStorage& message, const Ticket& ticket) {
  if (sandboxes_.uses_storage(message.workspace, message.session) ||
      calls_.uses_storage(message.workspace, message.session) || has_job(message.workspace, message.session))
    return outbox_.fail(ticket, {"storage.busy", "a sandbox still uses this storage"});
  calls_.forget(message.workspace, message.session);
  auto removed = message.session.empty() ? storage_.remove_workspace(message.workspace)
                                         : storage_.remove_session(message.workspace, message.session);
  conclude_when_removed(ticket, removed);
}

void Node::conclude_when_removed(const Ticket& ticket, const Result<>& result) {
  if (!result) return outbox_.fail(ticket, result.error());
  waiting_for_trash_.push_back(ticket);
  empty_trash();
}

bool Node::is_written(const Ticket& ticket, const std::string& workspace, const std::string& session) {
  if (has_job(workspace, "")) {
    outbox_.fail(ticket, {"session.busy", "a session of this workspace is being committed; try again"});
    return true;
  }
  if (!sandboxes_.writes_storage(workspace, session)) return false;
  outbox_.fail(ticket, {"storage.busy", "a running sandbox still writes to this storage"});
  return true;
}

void Node::handle(const ForkStorage& message) {
  const Ticket ticket = outbox_.ticket(message.request);
  if (is_written(ticket, message.workspace, message.session)) return;
  auto forked = message.session.empty()
                    ? storage_.fork_workspace(message.workspace, message.fork)
                    : storage_.fork_session(message.workspace, message.session, message.fork);
  calls_.restack(message.workspace);
  conclude(ticket, forked);
}

void Node::handle(const TakeSnapshot& message) {
  const Ticket ticket = outbox_.ticket(message.request);
  if (is_written(ticket, message.workspace, "")) return;
  auto taken = storage_.take_snapshot(message.workspace, message.snapshot, message.created);
  calls_.restack(message.workspace);
  conclude(ticket, taken);
}

void Node::handle(const RemoveSnapshot& message) {
  conclude_when_removed(outbox_.ticket(message.request),
                        storage_.remove_snapshot(message.workspace, message.snapshot));
}

void Node::handle(const ListSnapshots& message) {
  const Ticket ticket = outbox_.ticket(message.request);
  auto found = storage_.snapshots(message.workspace);
  if (!found) return outbox_.fail(ticket, found.error());
  outbox_.answer(ticket, Snapshots{.snapshots = std::move(*found)});
}

void Node::handle(const RebuildStorage& message) {
  sandboxes_.end_proofs(message.workspace, "", [this, message, ticket = outbox_.ticket(message.request)] {
    if (sandboxes_.uses_storage(message.workspace, "") || calls_.uses_storage(message.workspace, "") ||
        has_job(message.workspace, ""))
      return outbox_.fail(ticket, {"storage.busy", "a sandbox still uses this storage"});
    auto rebuilt = storage_.rebuild_workspace(message.workspace, message.snapshot);
    calls_.restack(message.workspace);
    conclude_when_removed(ticket, rebuilt);
  });
}

// A little at once; a lot in a process of its own, so that removing a million files does not keep others waiting.
void Node::empty_trash() {
  if (emptying_) return;
  emptying_ = true;
  loop_.post([this] {
    auto more = storage_.trash().empty_some(kTrashSlice);
    if (more && *more) return empty_trash_aside();
    trash_is_empty(more ? Result<>() : Result<>(std::unexpected(more.error())));
  });
}

void Node::empty_trash_aside() {
  static constexpr const char* kEmptied = "emptied";
  const auto work = [this]() -> std::string {
    for (;;) {
      auto more = storage_.trash().empty_some(kTrashSlice);
      if (!more) return more.error().message;
      if (!*more) return kEmptied;
    }
  };
  auto process = os::Background::start(
      loop_, {.keep = storage_.descriptors(), .limit_ms = kJobMs}, work, [this](Result<std::string> answer) {
        trash_process_.reset();
        emptying_ = false;
        if (answer && *answer == kEmptied) return empty_trash();  // what came meanwhile
        trash_is_empty(Error::make("storage.remove", "{}", answer ? *answer : answer.error().message));
      });
  if (!process) return trash_is_empty(std::unexpected(process.error()));
  trash_process_ = std::move(*process);
}

void Node::trash_is_empty(const Result<>& emptied) {
  emptying_ = false;
  if (!emptied) log_error("emptying the trash: {}", emptied.error().message);
  for (const Ticket& ticket : std::exchange(waiting_for_trash_, {})) conclude(ticket, emptied);
}

// ---- sandboxes
// --------------------------------------------------------------------------------------------------------------------

void Node::handle(const StartSandbox& message) {
  const Ticket ticket = outbox_.ticket(message.request);
  if (shutting_down_) return outbox_.fail(ticket, {"node.stopping", "saw-node is stopping"});
  if (!message.plan.session.empty() && has_job(message.plan.workspace, message.plan.session))
    return outbox_.fail(ticket, {"session.busy", "the session is being committed or discarded"});
  if (message.plan.depth == Depth::workspace && storage_.is_stacked(message.plan.workspace) &&
      has_job(message.plan.workspace, ""))
    return outbox_.fail(ticket, {"session.busy", "a session of this workspace is being committed"});
  sandboxes_.start(message, ticket);
}

void Node::handle(const StopSandbox& message) {
  const Ticket ticket = outbox_.ticket(message.request);
  if (message.when == StopWhen::idle && sandboxes_.runs_something(message.sandbox))
    return outbox_.fail(ticket, {"sandbox.busy", "something runs in the sandbox"});
  calls_.owns(message.sandbox) ? calls_.stop(message.sandbox, ticket)
                               : sandboxes_.stop(message.sandbox, ticket);
}
void Node::handle(const GetSockets& message) {
  const Ticket ticket = outbox_.ticket(message.request);
  calls_.owns(message.sandbox) ? calls_.give_sockets(message.sandbox, ticket)
                               : sandboxes_.give_sockets(message.sandbox, ticket);
}
void Node::handle(const ProveSandbox& message) {
  sandboxes_.prove(message.sandbox, outbox_.ticket(message.request));
}
void Node::handle(const StartExec& message) {
  sandboxes_.start_exec(message, outbox_.ticket(message.request));
}
void Node::handle(const SignalExec& message) {
  calls_.owns(message.sandbox) ? calls_.signal(message) : sandboxes_.signal_exec(message);
}
void Node::handle(const ResizeExec& message) {
  sandboxes_.resize_exec(message);
}
void Node::handle(const PrepareCalls& message) {
  const Ticket ticket = outbox_.ticket(message.request);
  if (shutting_down_) return outbox_.fail(ticket, {"node.stopping", "saw-node is stopping"});
  const uint64_t coming = calls_.announce(message.plan);
  sandboxes_.prove_plan(message.plan, [this, message, coming, ticket](Result<> proven) {
    if (proven) return calls_.prepare(message, coming, ticket);
    calls_.withdraw(coming);
    outbox_.fail(ticket, proven.error());
  });
}
void Node::handle(const ForgetCalls& message) {
  calls_.forget(message.workspace, message.session);
  outbox_.answer(outbox_.ticket(message.request), Done{});
}
void Node::handle(const RunCall& message) {
  const Ticket ticket = outbox_.ticket(message.request);
  if (shutting_down_) return outbox_.fail(ticket, {"node.stopping", "saw-node is stopping"});
  calls_.run(message, ticket);
}
void Node::handle(const ListSandboxes& message) {
  std::vector<SandboxInfo> all = sandboxes_.list();
  for (SandboxInfo& call : calls_.list()) all.push_back(std::move(call));
  outbox_.answer(outbox_.ticket(message.request), SandboxList{.sandboxes = std::move(all)});
}

// ---- programs
// ---------------------------------------------------------------------------------------------------------------------

void Node::handle(const StartEgress& message) {
  const Ticket ticket = outbox_.ticket(message.request);
  auto started = [&]() -> Result<std::vector<Fd>> {
    const uint32_t index = SAW_TRY(storage_.index(message.workspace));
    return supervisor_.start_egress(message.workspace, index);
  }();
  if (!started) return outbox_.fail(ticket, started.error());
  outbox_.answer(ticket, EgressStarted{.workspace = message.workspace}, std::move(*started));
}

void Node::handle(const StopEgress& message) {
  const Ticket ticket = outbox_.ticket(message.request);
  supervisor_.stop_egress(message.workspace, [this, ticket] { outbox_.answer(ticket, Done{}); });
}

void Node::handle(const ControlReady&) {
  if (std::exchange(ready_, true)) return;
  if (on_ready_) on_ready_();
}

void Node::handle(const Shutdown&) {
  shutdown();
}

}  // namespace saw::sandbox
