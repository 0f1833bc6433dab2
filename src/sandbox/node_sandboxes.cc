#include "sandbox/node_sandboxes.h"

#include <csignal>
#include <filesystem>
#include <set>

#include <sys/wait.h>
#include <unistd.h>

#include "os/unix_path.h"

namespace saw::sandbox {
namespace {

constexpr int64_t kCleanRetryMs = 50;
constexpr int kCleanAttempts = 3;  // release_cgroup() itself waits for a last process that dies slowly
constexpr int64_t kDeathTimeoutMs = 5'000;

SandboxStarted started(const SandboxRecord& record) {
  return {.sandbox = record.sandbox,
          .degraded = record.proof.degraded,
          .plan_digest = record.proof.plan_digest,
          .proof = record.proof.sealed};
}

}  // namespace

struct SandboxSet::PendingExec {
  Ticket ticket;
  std::vector<Fd> ours;  // the ends that sawd gets
};

struct SandboxSet::Entry {
  SandboxRecord record;
  Fd capture_listener, dns_socket;
  std::unique_ptr<RunningSandbox> sandbox;
  std::optional<Ticket> starting;                          // whoever waits for it to be ready
  std::vector<Ticket> stopping;                            // whoever waits for it to be gone
  std::vector<std::move_only_function<void()>> waiting;    // likewise
  std::optional<Ticket> proving;                           // whoever asked for a proof
  ProbeSubject probed;                                     // of the round under way
  std::optional<Error> unproven;                           // what its probes showed
  std::move_only_function<void(Result<>)> on_plan_proven;  // it exists only for that
  bool plan_proven = false;
  bool ending = false;
  std::string reason;  // why it ended
  std::map<uint64_t, PendingExec> pending;
  uint64_t oom_kills = 0;
  std::map<uint64_t, LimitsMet> counted;  // by exec: what there was before it
  int clean_attempts = 0;
  os::Loop::Timer clean_timer;
};

SandboxSet::SandboxSet(os::Loop& loop, Config config, Runtime& runtime, Storage& storage,
                       StateDirectory state, Outbox& outbox)
    : loop_(loop),
      config_(std::move(config)),
      runtime_(runtime),
      storage_(storage),
      state_(std::move(state)),
      outbox_(outbox),
      next_exec_(config_.first_exec) {}
SandboxSet::~SandboxSet() = default;

// ---- starting
// ---------------------------------------------------------------------------------------------------------------------

Result<> SandboxSet::prepare(SandboxPlan& plan) const {
  SAW_TRY(check_plan(plan, config_.bounds));
  SAW_TRY(check_resolved(plan, config_.bounds, real_path_of));
  if (config_.least == Strictness::strict) plan.strictness = Strictness::strict;
  if (entries_.size() >= kMaxSandboxes)
    return Error::make("node.full", "{} sandboxes are running", entries_.size());
  if (entries_.contains(plan.id))
    return Error::make("node.duplicate", "sandbox '{}' exists already", plan.id);
  for (const auto& [id, entry] : entries_) {
    // Two overlays with one upper directory, or two lives of one workspace, would corrupt each other's view.
    const SandboxRecord& other = entry->record;
    if (plan.depth != Depth::call && other.depth == plan.depth && other.workspace == plan.workspace &&
        other.session == plan.session)
      return Error::make("node.duplicate", "sandbox '{}' is already the {}'s", id,
                         plan.depth == Depth::workspace ? "workspace" : "session");
  }
  if (plan.depth == Depth::session) SAW_TRY(storage_.create_session(plan.workspace, plan.session));
  if (plan.depth == Depth::workspace) SAW_TRY(storage_.make_ways(plan));
  return {};
}

Result<std::unique_ptr<SandboxSet::Entry>> SandboxSet::launch(const SandboxPlan& plan) {
  const Layers layers = SAW_TRY(storage_.layers(plan));
  Launched launched = SAW_TRY(runtime_.launch(plan, layers));
  auto entry = std::make_unique<Entry>();
  entry->record = {.sandbox = plan.id,
                   .workspace = plan.workspace,
                   .session = plan.session,
                   .boot = state_.boot(),
                   .control_socket = launched.control_socket,
                   .cgroup = launched.cgroup,
                   .depth = plan.depth,
                   .network = plan.network,
                   .init_pid = launched.init_pid,
                   .init_start_time = launched.init_start_time,
                   .uid = layers.uid};
  entry->record.proof.degraded = std::move(launched.degraded);
  entry->capture_listener = std::move(launched.capture_listener);
  entry->dns_socket = std::move(launched.dns_socket);
  os::Child init(launched.init_pid, std::move(launched.init_pidfd));
  // From here on an error must not leave a process: without the go byte saw-init ends, but only once the pipe
  // is closed.
  auto released = [&]() -> Result<> {
    auto probes = SAW_TRY(plan_probes(plan, layers, *entry));
    SAW_TRY(state_.write(entry->record));
    SAW_TRY(launched.go());
    return attach(*entry, std::move(init), 0, std::move(probes));
  }();
  if (!released) {
    launched.go_pipe.reset();
    if (init) {
      init.kill(SIGKILL);
      init.wait_ended(kDeathTimeoutMs);
      init.reap();
    }
    if (auto removed = remove_traces(entry->record); !removed) log_error("{}", removed.error().message);
    return std::unexpected(std::move(released).error());
  }
  return entry;
}

Result<> SandboxSet::attach(Entry& entry, os::Child init, uint64_t execs_below,
                            std::optional<ProbeSubject> probes) {
  auto connected = os::connect_unix(entry.record.control_socket, os::SocketKind::seqpacket);
  auto channel = connected ? os::Channel::adopt(std::move(*connected))
                           : Result<os::Channel>(std::unexpected(connected.error()));
  if (!channel) {
    init.kill(SIGKILL);
    init.wait_ended(kDeathTimeoutMs);
    init.reap();
    return std::unexpected(std::move(channel).error());
  }
  Entry* raw = &entry;  // the entry owns the sandbox, and with it these callbacks
  entry.sandbox = RunningSandbox::open(
      loop_,
      {.init = std::move(init),
       .channel = std::move(*channel),
       .execs_below = execs_below,
       .probes = std::move(probes)},
      {.on_ready = [this, raw] { on_ready(*raw); },
       .on_probed = [this, raw](const ProbeReport& report) { return on_probed(*raw, report); },
       .on_exec_started = [this, raw](uint64_t exec, int32_t pid,
                                      Fd terminal) { on_exec_started(*raw, exec, pid, std::move(terminal)); },
       .on_exec_ended = [this, raw](uint64_t exec,
                                    const CommandEnded& ended) { on_exec_ended(*raw, exec, ended); },
       .on_gone = [this, raw](const std::string& reason) { on_gone(*raw, reason); }});
  return {};
}

void SandboxSet::start(const StartSandbox& message, Ticket ticket) {
  SandboxPlan plan = message.plan;
  auto prepared = prepare(plan);
  if (!prepared) return outbox_.fail(ticket, prepared.error());
  auto entry = launch(plan);
  if (!entry) return outbox_.fail(ticket, entry.error());
  (*entry)->starting = ticket;
  entries_.emplace(plan.id, std::move(*entry));
}

void SandboxSet::on_ready(Entry& entry) {
  if (entry.on_plan_proven) {
    entry.ending = entry.plan_proven = true;
    return entry.sandbox->kill("proven");
  }
  if (!entry.starting) return;
  const Ticket ticket = *std::exchange(entry.starting, std::nullopt);
  outbox_.answer(ticket, started(entry.record), duplicates({&entry.capture_listener, &entry.dns_socket}));
}

void SandboxSet::give_sockets(const std::string& sandbox, Ticket ticket) {
  const Entry* entry = find_running(sandbox);
  if (entry == nullptr) return outbox_.fail(ticket, {"node.unknown", "no such sandbox is running"});
  outbox_.answer(ticket, started(entry->record), duplicates({&entry->capture_listener, &entry->dns_socket}));
}

// ---- proving
// ----------------------------------------------------------------------------------------------------------------------

// What saw-init has to try before anything else; nothing for a call of a proven plan.
Result<std::optional<ProbeSubject>> SandboxSet::plan_probes(const SandboxPlan& plan, const Layers& layers,
                                                            Entry& entry) {
  if (!witness_) witness_ = SAW_TRY(AbstractWitness::open());
  ProbeHost host = runtime_.probe_host(layers);
  host.own_directories = config_.bounds.own_directories;
  host.control_socket = entry.record.control_socket;
  host.abstract_socket = witness_->name();
  ProofRecord& proof = entry.record.proof;
  proof.plan_digest = plan_digest(plan);
  proof.limits = plan.limits;
  proof.subject = probe_subject(plan, host);
  if (plan.depth == Depth::call && proven_.is_proven(proof.plan_digest)) return std::nullopt;
  return entry.probed = proof.subject;
}

void SandboxSet::prove(const std::string& sandbox, Ticket ticket) {
  Entry* entry = find_running(sandbox);
  if (entry == nullptr) return outbox_.fail(ticket, {"node.unknown", "no such sandbox is running"});
  ProbeSubject subject = entry->record.proof.subject;
  subject.first = false;
  // The name is another one after a restart of saw-node.
  if (!witness_) {
    auto witness = AbstractWitness::open();
    if (!witness) return outbox_.fail(ticket, witness.error());
    witness_ = std::move(*witness);
  }
  subject.abstract_socket = witness_->name();
  if (auto asked = entry->sandbox->prove(subject); !asked) return outbox_.fail(ticket, asked.error());
  entry->probed = std::move(subject);
  entry->proving = ticket;
}

void SandboxSet::prove_plan(SandboxPlan plan, std::move_only_function<void(Result<>)> done) {
  const std::string digest = plan_digest(plan);
  if (proven_.is_proven(digest)) return done({});
  if (plan.depth != Depth::call) return done(Error::make("node.bad_plan", "a plan that is not a call's"));
  plan.id = random_id("sb-proof-");
  auto prepared = prepare(plan);
  if (!prepared) return done(std::move(prepared));
  auto entry = launch(plan);
  if (!entry) return done(std::unexpected(std::move(entry).error()));
  // The plan may have become stricter than it was asked for (Config::least): it is known by what was asked for.
  (*entry)->on_plan_proven = [this, digest, done = std::move(done)](Result<> proven) mutable {
    if (proven) proven_.add(digest);
    done(std::move(proven));
  };
  entries_.emplace(plan.id, std::move(*entry));
}

Result<> SandboxSet::on_probed(Entry& entry, const ProbeReport& report) {
  auto concluded = conclude_probes(entry, report);
  if (!concluded) entry.unproven = concluded.error();
  if (concluded && entry.proving)
    outbox_.answer(*std::exchange(entry.proving, std::nullopt),
                   SandboxProven{.sandbox = entry.record.sandbox, .proof = entry.record.proof.sealed});
  return concluded;
}

Result<> SandboxSet::conclude_probes(Entry& entry, const ProbeReport& report) {
  const SandboxRecord& record = entry.record;
  std::vector<ProbeOutcome> outcomes = report.outcomes;
  const ProbedSandbox sandbox{.subject = entry.probed,
                              .inside = report.outcomes,
                              .init_pid = record.init_pid,
                              .uid = record.uid,
                              .cgroup = record.cgroup,
                              .limits = record.proof.limits,
                              .degraded = record.proof.degraded,
                              .capture_listener = entry.capture_listener,
                              .dns_socket = entry.dns_socket};
  for (ProbeOutcome& outcome : runtime_.probe_from_outside(sandbox)) outcomes.push_back(std::move(outcome));
  SAW_TRY(judge(entry.probed, outcomes));
  Proof proof{.occasion = entry.probed.first ? Proof::Occasion::start : Proof::Occasion::again,
              .node = config_.node_id,
              .workspace = record.workspace,
              .session = record.session,
              .sandbox = record.sandbox,
              .depth = record.depth,
              .plan_digest = record.proof.plan_digest,
              .time = SystemClock().now()};
  fill_probes(proof, entry.probed, outcomes);
  entry.record.proof.sealed = seal(proof, config_.proof_key);
  proven_.add(record.proof.plan_digest);
  return state_.write(record);
}

// ---- commands
// ---------------------------------------------------------------------------------------------------------------------

void SandboxSet::start_exec(const StartExec& message, Ticket ticket) {
  Entry* entry = find_running(message.sandbox);
  if (entry == nullptr || !entry->sandbox->is_ready())
    return outbox_.fail(ticket, {"node.unknown", "no such sandbox is running"});
  if (entry->sandbox->execs().size() >= RunningSandbox::kMaxExecs)
    return outbox_.fail(ticket, {"node.full", "the sandbox runs too many commands"});
  PendingExec pending{.ticket = ticket};
  std::vector<Fd> theirs;
  auto prepared = [&]() -> Result<> {
    SAW_TRY(check_exec(message.spec));
    if (message.spec.terminal) return {};
    for (int stream = STDIN_FILENO; stream <= STDERR_FILENO; ++stream) {
      Pipe pipe = SAW_TRY(Pipe::create());
      Fd &inside = stream == STDIN_FILENO ? pipe.read : pipe.write,
         &outside = stream == STDIN_FILENO ? pipe.write : pipe.read;
      // A pipe made by root could not be reopened by the agent as /dev/stdout.
      if (::fchown(inside.get(), entry->record.uid, entry->record.uid) != 0)
        return Error::system("node.pipe", "giving a pipe away");
      theirs.push_back(std::move(inside));
      pending.ours.push_back(std::move(outside));
    }
    return {};
  }();
  if (!prepared) return outbox_.fail(ticket, prepared.error());
  const uint64_t exec = next_exec_++;
  entry->pending.emplace(exec, std::move(pending));
  entry->counted[exec] = met_since(*entry, {});
  entry->sandbox->start_exec(exec, message.spec, std::move(theirs));
}

void SandboxSet::on_exec_started(Entry& entry, uint64_t exec, int32_t inner_pid, Fd terminal) {
  auto node = entry.pending.extract(exec);
  if (node.empty()) return;
  std::vector<Fd> fds = std::move(node.mapped().ours);
  if (terminal) fds.push_back(std::move(terminal));
  outbox_.answer(node.mapped().ticket,
                 ExecStarted{.exec = exec, .host_pid = host_pid(entry.record.init_pid, inner_pid)},
                 std::move(fds));
}

void SandboxSet::on_exec_ended(Entry& entry, uint64_t exec, const CommandEnded& ended) {
  if (auto node = entry.pending.extract(exec); !node.empty()) {  // could not be started at all
    if (node.mapped().ours.empty())
      return outbox_.fail(node.mapped().ticket,
                          Error::from_errno("node.not_started", ended.wait_status, "starting the command"));
    outbox_.answer(node.mapped().ticket, ExecStarted{.exec = exec}, std::move(node.mapped().ours));
  }
  ExecExited event{.sandbox = entry.record.sandbox, .exec = exec};
  if (!ended.started) {
    event.end = ExecEnd::not_started;
    event.status = ended.wait_status;
  } else if (WIFSIGNALED(ended.wait_status)) {
    event.end = ExecEnd::signalled;
    event.status = WTERMSIG(ended.wait_status);
    const uint64_t kills =
        event.status == SIGKILL ? runtime_.oom_kills(entry.record.cgroup) : entry.oom_kills;
    if (kills > entry.oom_kills) event.end = ExecEnd::out_of_memory;
    entry.oom_kills = kills;
    if (event.status == SIGXFSZ && entry.record.proof.limits.file_size_bytes > 0)
      event.end = ExecEnd::file_too_large;
  } else {
    event.status = WEXITSTATUS(ended.wait_status);
  }
  const auto before = entry.counted.extract(exec);
  if (!before.empty() && (event.end != ExecEnd::exited || event.status != 0))
    event.met = met_since(entry, before.mapped());
  outbox_.event(event);
}

LimitsMet SandboxSet::met_since(const Entry& entry, const LimitsMet& before) const {
  return {.memory_kills = runtime_.oom_kills(entry.record.cgroup) - before.memory_kills,
          .forks_refused = runtime_.forks_refused(entry.record.cgroup) - before.forks_refused};
}

void SandboxSet::signal_exec(const SignalExec& message) {
  constexpr int kLastSignal = 64;
  Entry* entry = find_running(message.sandbox);
  if (entry != nullptr && message.signal >= 1 && message.signal <= kLastSignal)
    entry->sandbox->signal_exec(message.exec, message.signal);
}

void SandboxSet::resize_exec(const ResizeExec& message) {
  if (Entry* entry = find_running(message.sandbox))
    entry->sandbox->resize_exec(message.exec, message.rows, message.columns);
}

// ---- ending
// -----------------------------------------------------------------------------------------------------------------------

void SandboxSet::stop(const std::string& sandbox, Ticket ticket) {
  const auto found = entries_.find(sandbox);
  if (found == entries_.end()) return outbox_.answer(ticket, Done{});
  Entry& entry = *found->second;
  entry.ending = true;
  entry.stopping.push_back(ticket);
  if (entry.sandbox) entry.sandbox->kill("stopped");
}

bool SandboxSet::runs_something(const std::string& sandbox) const {
  const Entry* entry = find_running(sandbox);
  return entry != nullptr && (!entry->sandbox->execs().empty() || has_children(entry->record.init_pid));
}

void SandboxSet::stop_each(Which which) {
  for (auto& [id, entry] : entries_) {
    if (which == Which::calls && entry->record.depth != Depth::call) continue;
    entry->ending = true;
    if (entry->sandbox) entry->sandbox->kill("stopped");
  }
}

void SandboxSet::end_proofs(const std::string& workspace, const std::string& session,
                            std::move_only_function<void()> done) {
  Entry* first = nullptr;
  for (auto& [id, entry] : entries_) {
    if (!entry->on_plan_proven || entry->record.workspace != workspace) continue;
    if (!session.empty() && entry->record.session != session) continue;
    if (entry->sandbox) entry->sandbox->kill("its storage is changed");
    first = entry.get();
  }
  if (!first) return done();
  first->waiting.emplace_back([this, workspace, session, done = std::move(done)]() mutable {
    end_proofs(workspace, session, std::move(done));
  });
}

void SandboxSet::when_empty(std::move_only_function<void()> done) {
  if (entries_.empty()) return done();
  when_empty_.push_back(std::move(done));
}

void SandboxSet::on_gone(Entry& entry, const std::string& reason) {
  entry.reason = reason;
  end_execs(entry);
  entry.sandbox.reset();
  entry.capture_listener.reset();
  entry.dns_socket.reset();
  clean(entry);
}

void SandboxSet::end_execs(Entry& entry) {
  for (auto& [exec, pending] : entry.pending)
    outbox_.fail(pending.ticket, {"node.sandbox_gone", "the sandbox ended: " + entry.reason});
  for (const auto& [exec, state] : entry.sandbox->execs())
    if (!entry.pending.contains(exec)) {
      // Of a group whose memory ran out the kernel may kill the first process, and then no command's own end
      // is ever told.
      const bool starved = runtime_.oom_kills(entry.record.cgroup) > entry.oom_kills;
      outbox_.event(ExecExited{.sandbox = entry.record.sandbox,
                               .exec = exec,
                               .end = starved ? ExecEnd::out_of_memory : ExecEnd::sandbox_gone,
                               .status = SIGKILL});
    }
  entry.pending.clear();
}

Result<> SandboxSet::remove_traces(const SandboxRecord& record) const {
  ::unlink(record.control_socket.c_str());
  SAW_TRY(runtime_.release_cgroup(record.cgroup));
  state_.remove(record.sandbox);
  return {};
}

void SandboxSet::clean(Entry& entry) {
  auto cleaned = remove_traces(entry.record);
  if (!cleaned && ++entry.clean_attempts < kCleanAttempts) {
    entry.clean_timer = loop_.after(kCleanRetryMs, [this, &entry] { clean(entry); });
    return;
  }
  finish(entry, cleaned);
}

void SandboxSet::finish(Entry& entry, const Result<>& cleaned) {
  // Out of the map first: whoever is told may start the same sandbox anew. Destroyed last: this may run in
  // its own timer.
  auto node = entries_.extract(entry.record.sandbox);
  if (!cleaned)
    log_error("sandbox '{}' left something behind: {}", entry.record.sandbox, cleaned.error().message);
  if (entry.starting)
    outbox_.fail(*entry.starting,
                 entry.unproven.value_or(
                     Error("node.sandbox_gone", "the sandbox ended before it was ready: " + entry.reason)));
  if (entry.on_plan_proven) {
    const Error failed = entry.unproven.value_or(Error("node.sandbox_gone", entry.reason));
    entry.on_plan_proven(entry.plan_proven ? Result<>() : Result<>(std::unexpected(failed)));
  }
  if (entry.proving)
    outbox_.fail(*entry.proving, entry.unproven.value_or(Error("node.sandbox_gone", entry.reason)));
  if (!entry.starting && !entry.ending && !entry.on_plan_proven)
    outbox_.event(SandboxExited{.sandbox = entry.record.sandbox, .reason = entry.reason});
  for (const Ticket& ticket : entry.stopping) {
    if (cleaned)
      outbox_.answer(ticket, Done{});
    else
      outbox_.fail(ticket, cleaned.error());
  }
  for (auto& waiting : entry.waiting) waiting();
  loop_.post([dead = std::move(node)] {});
  if (entries_.empty())
    for (auto& done : std::exchange(when_empty_, {})) done();
}

// ---- finding again
// ----------------------------------------------------------------------------------------------------------------

Result<std::unique_ptr<SandboxSet::Entry>> SandboxSet::adopt_one(SandboxRecord record, os::Child init) {
  auto entry = std::make_unique<Entry>();
  entry->record = std::move(record);
  entry->oom_kills = runtime_.oom_kills(entry->record.cgroup);
  if (entry->record.network == Network::captured) {
    auto sockets = runtime_.reopen_sockets(entry->record.init_pid);
    if (!sockets) {
      init.kill(SIGKILL);
      init.wait_ended(kDeathTimeoutMs);
      return std::unexpected(std::move(sockets).error());
    }
    entry->capture_listener = std::move(sockets->capture_listener);
    entry->dns_socket = std::move(sockets->dns_socket);
  }
  SAW_TRY(attach(*entry, std::move(init), config_.first_exec, std::nullopt));
  return entry;
}

Result<> SandboxSet::adopt() {
  for (SandboxRecord& record : SAW_TRY(state_.load())) {
    const std::string id = record.sandbox;
    std::optional<os::Child> init = find_init(record, state_.boot());
    const bool was_ready = !record.proof.sealed.empty();  // else nothing of the agent's has run in it yet
    if (init && record.depth != Depth::call && was_ready) {
      auto entry = adopt_one(record, std::move(*init));
      if (entry) {
        log_info("sandbox '{}' goes on", id);
        entries_.emplace(id, std::move(*entry));
        continue;
      }
      log_warning("sandbox '{}' cannot be taken over: {}", id, entry.error().message);
    } else if (init) {
      init->kill(SIGKILL);
      init->wait_ended(kDeathTimeoutMs);
    }
    if (auto removed = remove_traces(record); !removed)
      log_error("cleaning after sandbox '{}': {}", id, removed.error().message);
  }
  remove_litter();
  return {};
}

void SandboxSet::remove_litter() const {
  std::set<std::string> cgroups;
  for (const auto& [id, entry] : entries_) cgroups.insert(entry->record.cgroup);
  for (const std::string& name : runtime_.existing_cgroups())
    if (!cgroups.contains(name))
      if (auto released = runtime_.release_cgroup(name); !released)
        log_warning("{}", released.error().message);
  constexpr std::string_view kSuffix = ".sock";
  std::error_code error;
  std::vector<std::filesystem::path> litter;
  for (const auto& item : std::filesystem::directory_iterator(config_.run_directory, error)) {
    const std::string name = item.path().filename().string();
    if (!name.ends_with(kSuffix) || !item.is_socket(error)) continue;
    const std::string id = name.substr(0, name.size() - kSuffix.size());
    if (is_sandbox_id(id) && !entries_.contains(id)) litter.push_back(item.path());
  }
  for (const auto& path : litter) std::filesystem::remove(path, error);
}

// ---- asking
// -----------------------------------------------------------------------------------------------------------------------

SandboxSet::Entry* SandboxSet::find_running(const std::string& sandbox) const {
  const auto found = entries_.find(sandbox);
  if (found == entries_.end() || found->second->ending || !found->second->sandbox) return nullptr;
  return found->second.get();
}

std::vector<SandboxInfo> SandboxSet::list() const {
  std::vector<SandboxInfo> out;
  for (const auto& [id, entry] : entries_)
    if (!entry->ending && entry->sandbox)
      out.push_back({.sandbox = id,
                     .workspace = entry->record.workspace,
                     .session = entry->record.session,
                     .depth = entry->record.depth});
  return out;
}

bool SandboxSet::writes_storage(const std::string& workspace, const std::string& session) const {
  const Depth depth = session.empty() ? Depth::workspace : Depth::session;
  for (const auto& [id, entry] : entries_)
    if (entry->record.workspace == workspace && entry->record.depth == depth &&
        entry->record.session == session)
      return true;
  return false;
}

bool SandboxSet::uses_storage(const std::string& workspace, const std::string& session) const {
  for (const auto& [id, entry] : entries_)
    if (entry->record.workspace == workspace && (session.empty() || entry->record.session == session))
      return true;
  return false;
}

}  // namespace saw::sandbox
