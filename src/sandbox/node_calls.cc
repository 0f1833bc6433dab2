#include "sandbox/node_calls.h"

#include <algorithm>
#include <csignal>

#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/crypto.h"
#include "sandbox/warm_runtime.h"

namespace saw::sandbox {
namespace {

constexpr uint64_t kOnlyExec = 1;  // as saw-init numbers it (saw-init/once.h)

}  // namespace

// One sandbox, from its last guard on.
struct CallPool::Box {
  uint64_t number = 0;
  int runtime = kPlain;
  std::optional<WarmRuntime> warm;  // what `runtime` was when it was built
  Launched launched;
  os::Child init;
  std::optional<os::Channel> control;
  os::Loop::Watch ended, told;
  std::vector<Ticket> waiting;  // for it to be gone
};

struct CallPool::Plan {
  std::string digest;
  uint64_t generation = 0;  // another one each time that it is prepared
  SandboxPlan plan;
  std::shared_ptr<const Prepared> prepared;
  uint32_t target = 0;  // of each kind
  std::vector<std::string> environment;
  std::string directory;
  std::vector<WarmRuntime> runtimes;
  std::deque<std::unique_ptr<Box>> parked;
  bool refilling = false;
};

struct CallPool::Call {
  std::string sandbox, workspace, session;
  Ticket ticket;
  ExecSpec spec;
  std::unique_ptr<Box> box;
  std::vector<Ticket> stopping;
  uint64_t file_size_bytes = 0;  // its limit
  bool told = false;
};

// A sandbox on its way, for a call that waits or for the pool.
struct CallPool::Building {
  std::string digest;
  uint64_t generation = 0;
  int runtime = kPlain;
  First first = First::wait;  // First::command: it is that call's, and nobody else's
  std::optional<WarmRuntime> warm;
  Launching launching;
  std::unique_ptr<Call> call;
  os::Loop::Watch watch;
  os::Loop::Timer deadline;
  bool late = false;
};

CallPool::CallPool(os::Loop& loop, Config config, Runtime& runtime, Storage& storage, Outbox& outbox)
    : loop_(loop), config_(std::move(config)), runtime_(runtime), storage_(storage), outbox_(outbox) {}
CallPool::~CallPool() = default;

// ---- plans

uint64_t CallPool::announce(const SandboxPlan& plan) {
  const uint64_t coming = next_++;
  coming_.emplace(coming, Coming{.workspace = plan.workspace, .session = plan.session});
  return coming;
}

void CallPool::prepare(const PrepareCalls& message, uint64_t coming, Ticket ticket) {
  const std::string digest = plan_digest(message.plan);
  auto done = [&]() -> Result<> {
    const auto announced = coming_.extract(coming);
    if (announced.empty() || announced.mapped().forgotten)
      return Error::make("node.forgotten", "the plan was forgotten while it was prepared");
    SandboxPlan plan = message.plan;
    plan.id = "sb-call";
    if (plan.depth != Depth::call) return Error::make("node.bad_plan", "a plan that is not a call's");
    SAW_TRY(check_plan(plan, config_.bounds));
    SAW_TRY(check_resolved(plan, config_.bounds, real_path_of));
    if (message.parked > kMaxParked || message.runtimes.size() > kMaxRuntimes)
      return Error::make("node.bad_plan", "{} sandboxes of {} runtimes to be parked", message.parked,
                         message.runtimes.size());
    std::vector<std::string> commands = {"-"};  // without any, what is kept has bounds all the same
    for (const WarmRuntime& warm : message.runtimes) commands.push_back(warm.command);
    for (const std::string& command : commands)
      SAW_TRY(check_exec(
          {.argv = {command}, .environment = message.environment, .directory = message.directory}));
    if (config_.least == Strictness::strict) plan.strictness = Strictness::strict;
    auto found = plans_.find(digest);
    if (found == plans_.end()) {
      if (plans_.size() >= kMaxPlans) return Error::make("node.full", "{} plans are prepared", plans_.size());
      const Layers layers = SAW_TRY(storage_.layers(plan));
      auto fresh = std::make_unique<Plan>(Plan{.digest = digest, .plan = plan});
      fresh->prepared = SAW_TRY(runtime_.prepare(plan, layers));
      found = plans_.emplace(digest, std::move(fresh)).first;
    }
    Plan& known = *found->second;
    known.generation = next_++;
    known.target = message.parked;
    known.environment = message.environment;
    known.directory = message.directory;
    known.runtimes = message.runtimes;
    // Runtimes may be others now.
    while (!known.parked.empty()) {
      discard(std::move(known.parked.front()));
      known.parked.pop_front();
    }
    return {};
  }();
  if (!done) return outbox_.fail(ticket, done.error());
  outbox_.answer(ticket, CallsPrepared{.plan = digest});
  refill(digest);
}

void CallPool::forget(const std::string& workspace, const std::string& session) {
  for (auto& [number, coming] : coming_)
    if (coming.workspace == workspace && (session.empty() || coming.session == session))
      coming.forgotten = true;
  std::erase_if(plans_, [&](auto& entry) {
    Plan& plan = *entry.second;
    if (plan.plan.workspace != workspace || (!session.empty() && plan.plan.session != session)) return false;
    for (std::unique_ptr<Box>& box : plan.parked) discard(std::move(box));
    return true;
  });
  // Also where no call was ever prepared: the workspace's and its sessions' own sandboxes have moulds, too.
  if (session.empty() && is_valid_id(workspace)) runtime_.drop_moulds(workspace);
}

void CallPool::restack(const std::string& workspace) {
  // Parked now, a sandbox would not see directories that the workspace's own sandbox makes when it starts.
  std::erase_if(plans_, [&](auto& entry) {
    Plan& plan = *entry.second;
    if (plan.plan.workspace != workspace) return false;
    for (std::unique_ptr<Box>& box : plan.parked) discard(std::move(box));
    plan.parked.clear();
    auto layers = storage_.layers(plan.plan);
    auto prepared = layers ? runtime_.prepare(plan.plan, *layers)
                           : Result<std::shared_ptr<const Prepared>>(std::unexpected(layers.error()));
    if (!prepared) return true;  // its session is gone
    plan.prepared = std::move(*prepared);
    plan.generation = next_++;
    return false;
  });
}

int CallPool::runtime_for(const Plan& plan, const ExecSpec& spec) const {
  if (spec.environment != plan.environment || spec.directory != plan.directory) return kPlain;
  for (size_t i = 0; i < plan.runtimes.size(); ++i)
    if (serves(plan.runtimes[i], spec.argv)) return static_cast<int>(i);
  return kPlain;
}

// ---- the pool

std::unique_ptr<CallPool::Box> CallPool::take_parked(Plan& plan, int runtime) {
  auto found = std::ranges::find(plan.parked, runtime, [](const auto& box) { return box->runtime; });
  if (found == plan.parked.end()) return nullptr;
  std::unique_ptr<Box> box = std::move(*found);
  plan.parked.erase(found);
  return box;
}

// What can wait until no call is being served: the processors are the calls' first.
void CallPool::when_quiet() {
  quiet_timer_ = loop_.after(kQuietMs, [this] {
    // Most calls are over soon; one that is not keeps nobody waiting.
    const bool busy = !calls_.empty() || !building_.empty();
    if (busy && ++postponed_ < kMaxPostponed) return when_quiet();
    postponed_ = 0;
    for (const std::string& digest : std::exchange(wanting_, {})) refill(digest);
    if (runtime_.restock()) when_quiet();
  });
}

// At once where the next calls might find nothing.
void CallPool::replace_taken(const Plan& plan) {
  wanting_.insert(plan.digest);
  if (plan.parked.size() <= plan.target * (1 + plan.runtimes.size()) / 2) refill(plan.digest);
  when_quiet();
}

void CallPool::refill(const std::string& digest) {
  const auto found = plans_.find(digest);
  if (found == plans_.end() || found->second->refilling) return;
  found->second->refilling = true;
  // After what is waiting to be handled now: a call that has just been answered goes first.
  loop_.post([this, digest] {
    const auto again = plans_.find(digest);
    if (again == plans_.end()) return;
    Plan& plan = *again->second;
    plan.refilling = false;
    for (int kind = kPlain; kind < static_cast<int>(plan.runtimes.size()); ++kind) {
      size_t have = 0;
      for (const auto& box : plan.parked) have += box->runtime == kind ? 1 : 0;
      for (const auto& [number, building] : building_)
        have += building->digest == digest && building->generation == plan.generation &&
                        building->runtime == kind && !building->call
                    ? 1
                    : 0;
      if (have < plan.target) return build(plan, kind, nullptr);  // one at a time: the next when it is there
    }
  });
}

void CallPool::build(Plan& plan, int runtime, std::unique_ptr<Call> waiting) {
  LaunchSpec spec{.id = random_id("sb-call-"), .serve = Serve::once, .directory = plan.directory};
  std::optional<WarmRuntime> warm;
  if (runtime != kPlain) {
    warm = plan.runtimes[static_cast<size_t>(runtime)];
    spec.first = First::runtime;
    spec.command = warm_command(*warm);
    spec.environment = plan.environment;
  } else if (waiting) {
    spec.first = First::command;
    spec.command = waiting->spec.argv;
    spec.environment = waiting->spec.environment;
    spec.directory = waiting->spec.directory;
  }
  auto launching = runtime_.begin(plan.prepared, spec);
  if (!launching) {
    if (waiting) return outbox_.fail(waiting->ticket, launching.error());
    return log_warning("parking a sandbox: {}", launching.error().message);
  }
  when_quiet();
  const uint64_t number = next_++;
  auto building = std::make_unique<Building>(Building{.digest = plan.digest,
                                                      .generation = plan.generation,
                                                      .runtime = runtime,
                                                      .first = spec.first,
                                                      .warm = std::move(warm),
                                                      .launching = std::move(*launching),
                                                      .call = std::move(waiting)});
  building->watch = loop_.watch(building->launching.report.get(), os::Loop::kReadable,
                                [this, number](uint32_t) { on_build_progress(number); });
  building->deadline = loop_.after(Launcher::kBuildDeadlineMs, [this, number] { on_build_late(number); });
  building_.emplace(number, std::move(building));
}

void CallPool::on_build_progress(uint64_t number) {
  auto node = building_.extract(number);
  Building& building = *node.mapped();
  auto finished = runtime_.finish(building.launching);
  if (finished && !*finished) return void(building_.insert(std::move(node)));
  std::unique_ptr<Call> call = std::move(building.call);
  if (!finished) return fail_build(std::move(call), finished.error());
  auto box = std::make_unique<Box>(Box{.number = number,
                                       .runtime = building.runtime,
                                       .warm = std::move(building.warm),
                                       .launched = std::move(**finished)});
  box->init = os::Child(box->launched.init_pid, std::move(box->launched.init_pidfd));
  auto control = os::Channel::adopt(std::move(box->launched.control));
  if (control) box->control = std::move(*control);
  const auto plan = plans_.find(building.digest);
  if (call && !call->stopping.empty()) {
    outbox_.fail(call->ticket, {"node.stopped", "the call was stopped while it was being started"});
    box->waiting = std::move(call->stopping);
    discard(std::move(box));
  } else if (call) {
    begin_call(std::move(call), std::move(box), Warmth::cold);
  } else if (plan == plans_.end() || plan->second->generation != building.generation ||
             building.first == First::command) {
    discard(std::move(box));
  } else {
    park(*plan->second, std::move(box));
  }
  if (plan != plans_.end()) refill(building.digest);
}

void CallPool::fail_build(std::unique_ptr<Call> call, const Error& error) {
  if (call) {
    outbox_.fail(call->ticket, error);
    for (const Ticket& ticket : call->stopping) outbox_.answer(ticket, Done{});
  } else {
    log_warning("parking a sandbox: {}", error.message);
  }
  check_empty();
}

// Its mould does not come on: what waits for that mould after it would not, either. With the mould and the
// sandbox dead the report ends, and the build fails by that; should even this not come, it is given up.
void CallPool::on_build_late(uint64_t number) {
  const auto found = building_.find(number);
  if (found == building_.end()) return;
  Building& building = *found->second;
  if (!std::exchange(building.late, true)) {
    log_error("a sandbox is not ready after {} ms: its mould is ended", Launcher::kBuildDeadlineMs);
    building.deadline = loop_.after(Launcher::kBuildDeadlineMs, [this, number] { on_build_late(number); });
    const Launched& launched = building.launching.out;
    if (launched.init_pid != 0)
      if (auto init = os::Child::open(launched.init_pid)) init->kill(SIGKILL);
    return runtime_.drop_moulds(building.launching.prepared->storage);
  }
  auto node = building_.extract(found);
  fail_build(std::move(building.call), {"sandbox.build", "the new sandbox did not end and was given up"});
  loop_.post([dead = std::move(node)] {});  // this runs in its own timer
}

CallPool::Building* CallPool::being_built(const std::string& sandbox) const {
  for (const auto& [number, building] : building_)
    if (building->call && building->call->sandbox == sandbox) return building.get();
  return nullptr;
}

bool CallPool::owns(const std::string& sandbox) const {
  return calls_.contains(sandbox) || being_built(sandbox) != nullptr;
}

void CallPool::park(Plan& plan, std::unique_ptr<Box> box) {
  // It should not end by itself; then it is no longer there to be taken.
  box->ended = loop_.watch(
      box->init.pidfd(), os::Loop::kReadable, [this, digest = plan.digest, number = box->number](uint32_t) {
        const auto home = plans_.find(digest);
        if (home == plans_.end()) return;
        auto& parked = home->second->parked;
        auto dead = std::ranges::find(parked, number, [](const auto& b) { return b->number; });
        if (dead == parked.end()) return;
        std::unique_ptr<Box> gone = std::move(*dead);
        parked.erase(dead);
        log_warning("a parked sandbox ended by itself");
        discard(std::move(gone));
      });
  plan.parked.push_back(std::move(box));
}

// ---- calls

void CallPool::run(const RunCall& message, Ticket ticket) {
  const auto found = plans_.find(message.plan);
  auto acceptable = [&]() -> Result<> {
    if (found == plans_.end()) return Error::make("node.unknown_plan", "no such plan is prepared");
    if (!is_sandbox_id(message.sandbox) || owns(message.sandbox))
      return Error::make("node.duplicate", "the sandbox id '{}' is not valid or in use", message.sandbox);
    if (calls_.size() + building_.size() >= kMaxCalls)
      return Error::make("node.full", "{} calls are running", calls_.size());
    if (message.spec.terminal) return Error::make("node.bad_exec", "a call with a terminal");
    return check_exec(message.spec);
  }();
  if (!acceptable) return outbox_.fail(ticket, acceptable.error());
  Plan& plan = *found->second;
  auto call = std::make_unique<Call>(Call{.sandbox = message.sandbox,
                                          .workspace = plan.plan.workspace,
                                          .session = plan.plan.session,
                                          .ticket = ticket,
                                          .spec = message.spec,
                                          .file_size_bytes = plan.plan.limits.file_size_bytes});
  const int runtime = runtime_for(plan, message.spec);
  std::unique_ptr<Box> box = runtime == kPlain ? nullptr : take_parked(plan, runtime);
  Warmth warmth = Warmth::runtime;
  if (!box) box = take_parked(plan, kPlain), warmth = Warmth::parked;
  if (!box) return build(plan, kPlain, std::move(call));
  begin_call(std::move(call), std::move(box), warmth);
  replace_taken(plan);
}

void CallPool::begin_call(std::unique_ptr<Call> call, std::unique_ptr<Box> box, Warmth warmth) {
  Launched& launched = box->launched;
  auto released = [&]() -> Result<> {
    if (!box->control) return Error::make("node.call", "a sandbox without a control channel");
    if (warmth == Warmth::cold) return {};  // it was built with its command
    if (box->runtime != kPlain) {
      SAW_TRY(write_all(launched.script, warm_script(*box->warm, call->spec.argv)));
      return write_all(launched.go_pipe, "g");
    }
    auto go = SAW_TRY(os::Channel::adopt(std::move(launched.go_pipe)));
    auto sent = go.send(wire::encode_struct(StartCommand{.exec = kOnlyExec,
                                                         .argv = call->spec.argv,
                                                         .environment = call->spec.environment,
                                                         .directory = call->spec.directory}));
    launched.go_pipe = std::move(go).take();
    return sent;
  }();
  if (!released) {
    outbox_.fail(call->ticket, released.error());
    return discard(std::move(box));
  }
  std::vector<Fd> fds = std::move(launched.streams);
  for (Fd& socket : duplicates({&launched.capture_listener, &launched.dns_socket}))
    fds.push_back(std::move(socket));
  outbox_.answer(call->ticket,
                 CallStarted{.exec = kOnlyExec, .warmth = warmth, .degraded = launched.degraded},
                 std::move(fds));
  Call* raw = call.get();
  box->told =
      loop_.watch(box->control->fd(), os::Loop::kReadable, [this, raw](uint32_t) { on_control(*raw); });
  box->ended.cancel();  // it may have been parked
  box->ended = loop_.watch(box->init.pidfd(), os::Loop::kReadable,
                           [this, sandbox = call->sandbox](uint32_t) { on_gone(sandbox); });
  call->box = std::move(box);
  calls_.emplace(raw->sandbox, std::move(call));
}

// What saw-init says is hostile: one CommandEnded, and nothing else.
void CallPool::on_control(Call& call) {
  Box& box = *call.box;
  auto got = box.control->receive();
  if (got && got->state == os::Channel::State::empty) return;
  box.told.cancel();
  if (!got || got->state == os::Channel::State::closed) return box.init.kill(SIGKILL);
  auto message = wire::decode<FromInit>(got->payload);
  const auto* ended = message ? std::get_if<CommandEnded>(&*message) : nullptr;
  if (ended == nullptr || !got->fds.empty() || call.told) return box.init.kill(SIGKILL);
  ExecExited event{.sandbox = call.sandbox, .exec = kOnlyExec};
  int32_t refused = 0;  // why it could not become the command
  if (box.runtime == kPlain &&
      ::recv(box.launched.go_pipe.get(), &refused, sizeof refused, MSG_DONTWAIT) == sizeof refused) {
    event.end = ExecEnd::not_started;
    event.status = refused;
  } else if (WIFSIGNALED(ended->wait_status)) {
    event.status = WTERMSIG(ended->wait_status);
    event.end = event.status == SIGKILL && runtime_.oom_kills(box.launched.cgroup) > 0
                    ? ExecEnd::out_of_memory
                    : ExecEnd::signalled;
    if (event.status == SIGXFSZ && call.file_size_bytes > 0) event.end = ExecEnd::file_too_large;
  } else {
    event.status = WEXITSTATUS(ended->wait_status);
  }
  // Its group was as good as new: what is counted there is its own. Of one that succeeded nothing is asked.
  if (event.end != ExecEnd::exited || event.status != 0)
    event.met = {.memory_kills = runtime_.oom_kills(box.launched.cgroup),
                 .forks_refused = runtime_.forks_refused(box.launched.cgroup)};
  tell_end(call, event);
  box.init.kill(SIGKILL);  // it waits for that
}

void CallPool::tell_end(Call& call, ExecExited event) {
  if (std::exchange(call.told, true)) return;
  outbox_.event(std::move(event));
}

void CallPool::on_gone(const std::string& sandbox) {
  auto node = calls_.extract(sandbox);
  if (node.empty()) return;
  Call& call = *node.mapped();
  if (!call.told) on_control(call);  // its last words may be there still
  if (!call.told) {
    const bool starved = runtime_.oom_kills(call.box->launched.cgroup) > 0;
    tell_end(call, {.sandbox = sandbox,
                    .exec = kOnlyExec,
                    .end = starved ? ExecEnd::out_of_memory : ExecEnd::sandbox_gone,
                    .status = SIGKILL,
                    .met = {.memory_kills = runtime_.oom_kills(call.box->launched.cgroup)}});
  }
  call.box->told.cancel();
  call.box->init.reap();
  clean(std::move(call.box), call.stopping);
  loop_.post([dead = std::move(node)] {});  // this runs in its own watch
}

void CallPool::signal(const SignalExec& message) {
  constexpr int kLastSignal = 64;
  const auto found = calls_.find(message.sandbox);
  if (found == calls_.end() || message.signal < 1 || message.signal > kLastSignal) return;
  const Box& box = *found->second->box;
  auto sent = box.control->send(wire::encode(ToInit{SignalCommand{kOnlyExec, message.signal}}));
  if (!sent) box.init.kill(SIGKILL);  // it does not listen
}

void CallPool::stop(const std::string& sandbox, Ticket ticket) {
  if (Building* building = being_built(sandbox)) return building->call->stopping.push_back(ticket);
  const auto found = calls_.find(sandbox);
  if (found == calls_.end()) return outbox_.answer(ticket, Done{});
  found->second->stopping.push_back(ticket);
  found->second->box->init.kill(SIGKILL);
}

void CallPool::give_sockets(const std::string& sandbox, Ticket ticket) {
  const auto found = calls_.find(sandbox);
  if (found == calls_.end()) return outbox_.fail(ticket, {"node.unknown", "no such sandbox is running"});
  const Launched& launched = found->second->box->launched;
  outbox_.answer(ticket, SandboxStarted{.sandbox = sandbox, .degraded = launched.degraded},
                 duplicates({&launched.capture_listener, &launched.dns_socket}));
}

void CallPool::stop_all() {
  for (auto& [sandbox, call] : calls_) call->box->init.kill(SIGKILL);
  // Whoever waits for these is gone, or will be told that nothing comes.
  for (auto& [number, building] : building_) {
    building->generation = 0;  // of no plan
    auto call = std::exchange(building->call, nullptr);
    if (!call) continue;
    outbox_.fail(call->ticket, {"node.stopping", "saw-node is stopping", 0});
    for (const Ticket& waiting : call->stopping) outbox_.answer(waiting, Done{});
  }
  for (auto& [number, coming] : coming_) coming.forgotten = true;
  std::vector<std::string> workspaces;
  workspaces.reserve(plans_.size());
  for (const auto& [digest, plan] : plans_) workspaces.push_back(plan->plan.workspace);
  for (const std::string& workspace : workspaces) forget(workspace, "");
}

// ---- ends

// Not used, or never to be used.
void CallPool::discard(std::unique_ptr<Box> box) {
  box->told.cancel();
  box->ended.cancel();
  box->init.kill(SIGKILL);
  const uint64_t number = box->number;
  box->ended = loop_.watch(box->init.pidfd(), os::Loop::kReadable, [this, number](uint32_t) {
    auto node = dying_.extract(number);
    if (node.empty()) return;
    node.mapped()->init.reap();
    std::vector<Ticket> waiting = std::exchange(node.mapped()->waiting, {});
    clean(std::move(node.mapped()), waiting);
  });
  dying_.emplace(number, std::move(box));
}

void CallPool::clean(std::unique_ptr<Box> box, const std::vector<Ticket>& waiting) {
  auto released = runtime_.release_cgroup(box->launched.cgroup);
  if (!released) log_error("a call left something behind: {}", released.error().message);
  for (const Ticket& ticket : waiting) {
    if (released)
      outbox_.answer(ticket, Done{});
    else
      outbox_.fail(ticket, released.error());
  }
  loop_.post([dead = std::move(box)] {});  // this may run in its own watch
  check_empty();
}

void CallPool::check_empty() {
  if (!calls_.empty() || !building_.empty() || !dying_.empty()) return;
  for (auto& done : std::exchange(when_empty_, {})) done();
}

void CallPool::when_empty(std::move_only_function<void()> done) {
  when_empty_.push_back(std::move(done));
  check_empty();
}

bool CallPool::uses_storage(const std::string& workspace, const std::string& session) const {
  const auto uses = [&](const Call& call) {
    return call.workspace == workspace && (session.empty() || call.session == session);
  };
  return std::ranges::any_of(calls_, [&](const auto& entry) { return uses(*entry.second); }) ||
         std::ranges::any_of(
             building_, [&](const auto& entry) { return entry.second->call && uses(*entry.second->call); });
}

std::vector<SandboxInfo> CallPool::list() const {
  std::vector<SandboxInfo> out;
  out.reserve(calls_.size());
  for (const auto& [sandbox, call] : calls_)
    out.push_back(
        {.sandbox = sandbox, .workspace = call->workspace, .session = call->session, .depth = Depth::call});
  return out;
}

}  // namespace saw::sandbox
