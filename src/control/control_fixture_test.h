// A whole control plane on fakes at its seams: the other ends of the links to saw-node, saw-egress and
// saw-perimeter live in the test process and speak the real protocols; the audit log is memory with a switch;
// the store is a real SQLite file, so that a crash can be rebuilt from.
#pragma once

#include <filesystem>
#include <map>
#include <set>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <sys/socket.h>

#include "base/crypto.h"
#include "control/control.h"
#include "sandbox/proof.h"
#include "store/sqlite_store.h"

namespace saw::control {

class FakeClock final : public Clock {
 public:
  Nanos now() const override { return time; }
  Nanos monotonic() const override { return time; }
  Nanos time = 1'790'000'000 * kSecond;
};

// A disk that can be full, or slow.
struct AuditDisk {
  std::vector<std::string> lines;
  bool full = false;
  bool stalled = false;  // takes no decision about what it is given until it is given more time
  std::vector<std::move_only_function<void()>> waiting;
};
class FakeSink final : public AuditSink {
 public:
  explicit FakeSink(AuditDisk& disk) : disk_(disk) {}
  void append(std::vector<std::string> lines, Reply<> done) override {
    if (!disk_.stalled) return done(write(std::move(lines)));
    disk_.waiting.push_back([this, lines = std::move(lines), done = std::move(done)]() mutable {
      done(write(std::move(lines)));
    });
  }
  void publish(Reply<> done) override { done({}); }
  void on_published(std::move_only_function<void(Result<>)> callback) override {
    on_published_ = std::move(callback);
  }
  uint64_t published() const override { return disk_.lines.size(); }

 private:
  Result<> write(std::vector<std::string> lines) {
    if (disk_.full) return Error::make("audit.full", "no space left on device");
    size_t bytes = 0;
    for (const std::string& line : lines) bytes += line.size() + 2;
    if (bytes > audit::Log::kMaxBatchBytes) return Error::make("audit.line", "too many bytes in one append");
    std::ranges::move(lines, std::back_inserter(disk_.lines));
    if (on_published_) on_published_({});
    return {};
  }

  AuditDisk& disk_;
  std::move_only_function<void(Result<>)> on_published_;
};

// What exists on the host: it outlives every sawd.
struct World {
  SigningKey proof_key = SigningKey::generate();
  std::set<std::string> storage;  // "ws-1", "ws-1/ss-1"
  std::map<std::string, sandbox::SandboxPlan> sandboxes;
  std::map<std::string, int> starts;                          // by sandbox id: more than one is a duplicate
  std::map<std::string, sandbox::QuarantineItem> quarantine;  // by item id; of the one workspace
  std::vector<std::string> released;                          // places, in order
  std::map<std::string, std::vector<sandbox::SnapshotInfo>> snapshots;  // by workspace
  std::vector<std::string> rebuilt;                                     // from which snapshot
};

class FakeEgress {
 public:
  FakeEgress(os::Loop& loop, os::Channel control, os::Channel audit) {
    control_ =
        os::Link::open(loop, std::move(control),
                       {.on_message = [this](std::string p, std::vector<Fd> fds) { take(p, std::move(fds)); },
                        .on_close = [](std::string) {}});
    audit_ = os::Link::open(
        loop, std::move(audit),
        {.on_message =
             [this](std::string p, std::vector<Fd>) {
               acked = std::get<egress::AuditAck>(*wire::decode<egress::AuditMessage>(p)).sequence;
             },
         .on_close = [this](std::string) { audit_closed = true; }});
  }
  void send(egress::FromEgress message) { control_->send(wire::encode(message)); }
  void record(uint64_t sequence, std::string event) {
    audit_->send(wire::encode(egress::AuditMessage(egress::AuditRecord{sequence, std::move(event)})));
  }

  egress::Configure configuration;
  int configured = 0, perimeters = 0;
  std::string refuse;  // what Configured answers
  bool mute = false;   // it answers nothing
  std::map<std::string, egress::ChannelIdentity> channels;
  std::vector<egress::ReviewVerdict> verdicts;
  int ledgers = 0;
  uint64_t acked = 0;
  bool audit_closed = false;

 private:
  void take(const std::string& payload, std::vector<Fd> fds) {
    auto message = wire::decode<egress::ToEgress>(payload).value();
    if (auto* c = std::get_if<egress::Configure>(&message)) {
      configuration = *c, ++configured;
      if (mute) return;
      send(egress::Configured{
          .epoch = c->epoch, .policy_digest = digest_text(sha256(c->policy_yaml)), .error = refuse});
    } else if (auto* b = std::get_if<egress::BindChannel>(&message)) {
      EXPECT_EQ(fds.size(), 2u);
      channels[b->channel] = b->identity;
    } else if (auto* u = std::get_if<egress::UnbindChannel>(&message)) {
      channels.erase(u->channel);
    } else if (auto* v = std::get_if<egress::ReviewVerdict>(&message)) {
      verdicts.push_back(*v);
    } else if (std::holds_alternative<egress::UseLedger>(message)) {
      EXPECT_EQ(fds.size(), 1u);
      EXPECT_EQ(configured, 0) << "before anything is counted in it";
      ++ledgers;
    } else {
      EXPECT_EQ(fds.size(), 1u);
      ++perimeters;
    }
  }
  std::unique_ptr<os::Link> control_, audit_;
};

class FakeNode {
 public:
  FakeNode(os::Loop& loop, World& world, os::Channel channel) : loop_(loop), world_(world) {
    link_ = os::Link::open(
        loop, std::move(channel),
        {.on_message = [this](std::string p, std::vector<Fd>) { take(p); }, .on_close = [](std::string) {}});
    send(sandbox::NodeHello{.version = "1",
                            .node = "node-1",
                            .rootless = rootless,
                            .api_uid_zero = 1000,
                            .proof_key = world_.proof_key.public_key()});
    start_perimeter();
  }
  void start_perimeter() {
    auto [control, theirs] = std::move(*os::Channel::pair());
    auto [audit, their_audit] = std::move(*os::Channel::pair());
    perimeter_ =
        os::Link::open(loop_, std::move(control),
                       {.on_message = [this](std::string, std::vector<Fd> fds) { clients += fds.size(); },
                        .on_close = [](std::string) {}});
    perimeter_audit_ =
        os::Link::open(loop_, std::move(audit),
                       {.on_message = [](std::string, std::vector<Fd>) {}, .on_close = [](std::string) {}});
    send(sandbox::PerimeterStarted{}, fds_of(std::move(theirs).take(), std::move(their_audit).take()));
  }
  void send(sandbox::FromNode message, std::vector<Fd> fds = {}) {
    link_->send(wire::encode(message), std::move(fds));
  }
  void exit(const std::string& sandbox, uint64_t exec, int status) {
    pipes.erase(exec);
    send(sandbox::ExecExited{.sandbox = sandbox, .exec = exec, .status = status});
  }

  static constexpr bool rootless = true;
  std::map<std::string, std::unique_ptr<FakeEgress>> egresses;  // by workspace
  std::map<uint64_t, sandbox::StartExec> execs;                 // of calls too
  std::map<std::string, sandbox::SandboxPlan> calls;            // prepared, by digest
  std::map<uint64_t, std::vector<Fd>> pipes;                    // the command's ends
  std::vector<sandbox::SignalExec> signals;
  std::vector<sandbox::ResizeExec> resizes;
  std::vector<std::string> log;                                 // names of requests, in order
  sandbox::Committed committed;                                 // what a commit ends as
  std::vector<sandbox::QuarantineItem> holds_back;              // and puts into quarantine
  sandbox::RunLater run_later = sandbox::RunLater::quarantine;  // as it was asked for
  size_t clients = 0;
  bool ready = false, shut_down = false;
  bool prove_long = false;     // the next plan to be prepared is answered for when another one comes
  uint64_t being_proven = 0;   // its request
  std::set<std::string> busy;  // sandboxes in which something runs
  bool stacked = false;        // the workspaces stand on frozen layers
  std::string refuse_forks;    // an error code for ForkStorage
  bool hold_forks = false;     // they are answered by finish_forks()
  std::vector<uint64_t> held_forks;
  void finish_forks() {
    for (uint64_t request : std::exchange(held_forks, {})) answer(sandbox::Done{request});
  }
  std::string refuse_sandboxes;  // an error code for StartSandbox
  bool withhold_proofs = false, forge_proofs = false;
  SigningKey forger = SigningKey::generate();
  std::function<void(sandbox::Proof&)> change_proof;
  // Called for each request; `dead` afterwards: it is not carried out, or carried out and not answered.
  enum class Fate { live, lost_before, lost_after };
  std::function<Fate(size_t number)> fate = [](size_t) { return Fate::live; };

 private:
  template <class... F> static std::vector<Fd> fds_of(F... fd) {
    std::vector<Fd> out;
    (out.push_back(std::move(fd)), ...);
    return out;
  }
  void take(const std::string& payload) {
    auto message = wire::decode<sandbox::ToNode>(payload).value();
    if (dead_) return;
    Fate what = fate(++count_);
    if (what == Fate::lost_before) return void(dead_ = true);
    if (what == Fate::lost_after) dead_ = true;
    std::visit([&](auto& body) { handle(body); }, message);
  }
  void answer(sandbox::FromNode message, std::vector<Fd> fds = {}) {
    if (!dead_) send(std::move(message), std::move(fds));
  }
  std::vector<Fd> sockets() {
    Pipe pipe = std::move(*Pipe::create());
    return fds_of(std::move(pipe.read), std::move(pipe.write));
  }
  sandbox::SandboxStarted started(uint64_t request, const sandbox::SandboxPlan& plan) {
    sandbox::Proof proof{.node = "node-1",
                         .workspace = plan.workspace,
                         .session = plan.session,
                         .sandbox = plan.id,
                         .depth = plan.depth,
                         .plan_digest = sandbox::plan_digest(plan),
                         .time = 1,
                         .probes = {{"files.create", "EROFS"}}};
    if (change_proof) change_proof(proof);
    const SigningKey& key = forge_proofs ? forger : world_.proof_key;
    return {.request = request,
            .sandbox = plan.id,
            .plan_digest = proof.plan_digest,
            .proof = withhold_proofs ? "" : sandbox::seal(proof, key)};
  }
  void handle(sandbox::ProveSandbox& m) {
    log.push_back("ProveSandbox");
    auto proof = started(m.request, world_.sandboxes[m.sandbox]);
    answer(sandbox::SandboxProven{.request = m.request, .sandbox = m.sandbox, .proof = proof.proof});
  }
  void handle(sandbox::CreateStorage& m) {
    log.push_back("CreateStorage"), world_.storage.insert(m.workspace), answer(sandbox::Done{m.request});
  }
  void handle(sandbox::RemoveStorage& m) {
    log.push_back("RemoveStorage");
    world_.quarantine.erase(m.session);
    const std::string name = m.session.empty() ? m.workspace : m.workspace + "/" + m.session;
    std::erase_if(world_.storage,
                  [&](const std::string& s) { return s == name || s.starts_with(name + "/"); });
    for (auto& [id, plan] : world_.sandboxes)
      EXPECT_FALSE(plan.workspace == m.workspace && (m.session.empty() || plan.session == m.session))
          << "storage removed under sandbox " << id;
    answer(sandbox::Done{m.request});
  }
  void handle(sandbox::StartSandbox& m) {
    log.push_back("StartSandbox");
    if (!refuse_sandboxes.empty())
      return answer(sandbox::Failed{m.request, refuse_sandboxes, "refused by the test"});
    EXPECT_TRUE(world_.storage.contains(m.plan.workspace));
    EXPECT_FALSE(world_.sandboxes.contains(m.plan.id)) << "a duplicate";
    ++world_.starts[m.plan.id];
    world_.sandboxes[m.plan.id] = m.plan;
    if (m.plan.depth == sandbox::Depth::session)
      world_.storage.insert(m.plan.workspace + "/" + m.plan.session);
    answer(started(m.request, m.plan), sockets());
  }
  void handle(sandbox::PrepareCalls& m) {
    log.push_back("PrepareCalls");
    if (!refuse_sandboxes.empty())
      return answer(sandbox::Failed{m.request, refuse_sandboxes, "refused by the test"});
    if (std::exchange(prove_long, false)) return void(being_proven = m.request);
    if (const uint64_t earlier = std::exchange(being_proven, 0))
      answer(sandbox::Failed{earlier, "node.forgotten", "forgotten while it was prepared"});
    const std::string digest = sandbox::plan_digest(m.plan);
    calls[digest] = m.plan;
    answer(sandbox::CallsPrepared{.request = m.request, .plan = digest});
  }
  void handle(sandbox::ForgetCalls& m) {
    log.push_back("ForgetCalls");
    std::erase_if(calls, [&](const auto& entry) {
      return entry.second.workspace == m.workspace &&
             (m.session.empty() || entry.second.session == m.session);
    });
    answer(sandbox::Done{m.request});
  }
  void handle(sandbox::RunCall& m) {
    log.push_back("RunCall");
    if (!calls.contains(m.plan)) return answer(sandbox::Failed{m.request, "node.unknown_plan", "forgotten"});
    EXPECT_FALSE(world_.sandboxes.contains(m.sandbox)) << "a duplicate";
    ++world_.starts[m.sandbox];
    world_.sandboxes[m.sandbox] = calls[m.plan];
    const uint64_t exec = ++last_exec_;
    execs[exec] = sandbox::StartExec{.sandbox = m.sandbox, .spec = m.spec};
    std::vector<Fd> fds = streams(exec);
    for (Fd& socket : sockets()) fds.push_back(std::move(socket));
    answer(sandbox::CallStarted{.request = m.request, .exec = exec, .host_pid = 4711}, std::move(fds));
  }
  void handle(sandbox::StopSandbox& m) {
    if (m.when == sandbox::StopWhen::idle && busy.contains(m.sandbox))
      return answer(sandbox::Failed{m.request, "sandbox.busy", "busy"});
    log.push_back("StopSandbox"), world_.sandboxes.erase(m.sandbox), answer(sandbox::Done{m.request});
  }
  void handle(sandbox::GetSockets& m) {
    log.push_back("GetSockets");
    if (!world_.sandboxes.contains(m.sandbox))
      return answer(sandbox::Failed{m.request, "sandbox.unknown", "no such sandbox"});
    answer(started(m.request, world_.sandboxes[m.sandbox]), sockets());
  }
  void handle(sandbox::StartExec& m) {
    log.push_back("StartExec");
    const uint64_t exec = ++last_exec_;
    execs[exec] = m;
    answer(sandbox::ExecStarted{.request = m.request, .exec = exec, .host_pid = 4242},
           m.spec.terminal ? terminal(exec) : streams(exec));
  }
  // A stream socket stands for the pty.
  std::vector<Fd> terminal(uint64_t exec) {
    int pair[2] = {-1, -1};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    pipes[exec] = fds_of(Fd(pair[0]));
    return fds_of(Fd(pair[1]));
  }
  // The client's ends.
  std::vector<Fd> streams(uint64_t exec) {
    Pipe in = std::move(*Pipe::create()), out = std::move(*Pipe::create()), err = std::move(*Pipe::create());
    pipes[exec] = fds_of(std::move(in.read), std::move(out.write), std::move(err.write));
    return fds_of(std::move(in.write), std::move(out.read), std::move(err.read));
  }
  void handle(sandbox::SignalExec& m) { signals.push_back(m); }
  void handle(sandbox::ResizeExec& m) { resizes.push_back(m); }
  void handle(sandbox::ListQuarantine& m) {
    sandbox::QuarantineList list{.request = m.request};
    for (const auto& [id, item] : world_.quarantine) list.items.push_back(item);
    answer(std::move(list));
  }
  void handle(sandbox::ReleaseQuarantine& m) {
    log.push_back("ReleaseQuarantine");
    if (refuses_while_it_runs(m.request, m.workspace)) return;
    auto found = world_.quarantine.find(m.item);
    if (found == world_.quarantine.end())
      return answer(sandbox::Failed{m.request, "storage.unknown", "no such item"});
    if (found->second.root != m.root)
      return answer(sandbox::Failed{m.request, "commit.root", "not what was shown"});
    world_.released.push_back(found->second.place);
    world_.quarantine.erase(found);
    answer(sandbox::Done{m.request});
  }
  void handle(sandbox::ListChanges& m) {
    if (auto found = world_.quarantine.find(m.session); found != world_.quarantine.end())
      return answer(sandbox::Changes{.request = m.request,
                                     .changes = {{.kind = sandbox::ChangeKind::added,
                                                  .path = found->second.place,
                                                  .after = sandbox::FileSide{.mode = 0644, .size = 3},
                                                  .lines = "+evil \x1b[2J\n"}},
                                     .root = found->second.root});
    answer(sandbox::Changes{.request = m.request,
                            .changes = {{.kind = sandbox::ChangeKind::deleted,
                                         .path = "/workspace/a\nb",
                                         .before = sandbox::FileSide{.mode = 0644, .size = 3}}}});
  }
  // As saw-node answers for a workspace that stands on frozen layers while its own sandbox is up.
  bool refuses_while_it_runs(uint64_t request, const std::string& workspace) {
    if (!stacked || std::ranges::none_of(world_.sandboxes, [&](const auto& each) {
          return each.second.workspace == workspace && each.second.depth == sandbox::Depth::workspace;
        }))
      return false;
    answer(sandbox::Failed{request, sandbox::kWorkspaceRuns, "it runs"});
    return true;
  }
  void handle(sandbox::CommitSession& m) {
    log.push_back("CommitSession " + m.root);
    if (refuses_while_it_runs(m.request, m.workspace)) return;
    run_later = m.run_later;
    for (sandbox::QuarantineItem& item : std::exchange(holds_back, {})) {
      item.session = m.session;
      world_.quarantine[item.id] = std::move(item);
    }
    sandbox::Committed done = committed;
    done.request = m.request;
    done.root = m.root;
    answer(std::move(done));
  }
  void handle(sandbox::DiscardSession& m) {
    log.push_back("DiscardSession");
    answer(sandbox::Done{m.request});
  }
  void handle(sandbox::ListSandboxes& m) {
    sandbox::SandboxList list{.request = m.request};
    for (auto& [id, plan] : world_.sandboxes)
      list.sandboxes.push_back({id, plan.workspace, plan.session, plan.depth});
    answer(std::move(list));
  }
  void handle(sandbox::StartEgress& m) {
    log.push_back("StartEgress");
    auto [control, theirs] = std::move(*os::Channel::pair());
    auto [audit, their_audit] = std::move(*os::Channel::pair());
    egresses[m.workspace] = std::make_unique<FakeEgress>(loop_, std::move(control), std::move(audit));
    answer(sandbox::EgressStarted{m.request, m.workspace},
           fds_of(std::move(theirs).take(), std::move(their_audit).take()));
  }
  void handle(sandbox::StopEgress& m) {
    log.push_back("StopEgress"), egresses.erase(m.workspace), answer(sandbox::Done{m.request});
  }
  // As saw-node: nothing is forked, kept or rebuilt below a sandbox that writes to it.
  bool is_written(const std::string& workspace, const std::string& session) const {
    return std::ranges::any_of(world_.sandboxes, [&](const auto& entry) {
      const sandbox::SandboxPlan& plan = entry.second;
      return plan.workspace == workspace && plan.session == session && plan.depth != sandbox::Depth::call;
    });
  }
  void handle(sandbox::ForkStorage& m) {
    log.push_back("ForkStorage");
    if (is_written(m.workspace, m.session) || !refuse_forks.empty())
      return answer(
          sandbox::Failed{m.request, refuse_forks.empty() ? "storage.busy" : refuse_forks, "refused"});
    world_.storage.insert(m.session.empty() ? m.fork : m.workspace + "/" + m.fork);
    if (hold_forks) return held_forks.push_back(m.request);
    answer(sandbox::Done{m.request});
  }
  void handle(sandbox::TakeSnapshot& m) {
    log.push_back("TakeSnapshot");
    if (is_written(m.workspace, "")) return answer(sandbox::Failed{m.request, "storage.busy", "busy"});
    world_.snapshots[m.workspace].push_back({m.snapshot, m.created});
    answer(sandbox::Done{m.request});
  }
  void handle(sandbox::RemoveSnapshot& m) {
    std::erase_if(world_.snapshots[m.workspace], [&](const auto& s) { return s.name == m.snapshot; });
    answer(sandbox::Done{m.request});
  }
  void handle(sandbox::ListSnapshots& m) {
    answer(sandbox::Snapshots{.request = m.request, .snapshots = world_.snapshots[m.workspace]});
  }
  void handle(sandbox::RebuildStorage& m) {
    log.push_back("RebuildStorage");
    for (auto& [id, plan] : world_.sandboxes)
      EXPECT_NE(plan.workspace, m.workspace) << "rebuilt below sandbox " << id;
    std::erase_if(world_.storage, [&](const std::string& s) { return s.starts_with(m.workspace + "/"); });
    world_.quarantine.clear();
    world_.rebuilt.push_back(m.snapshot);
    answer(sandbox::Done{m.request});
  }
  void handle(sandbox::ControlReady&) { ready = true; }
  void handle(sandbox::Shutdown&) { shut_down = true; }

  os::Loop& loop_;
  World& world_;
  std::unique_ptr<os::Link> link_, perimeter_, perimeter_audit_;
  size_t count_ = 0;
  uint64_t last_exec_ = 0;
  bool dead_ = false;
};

inline constexpr std::string_view kPolicy = R"(apiVersion: saw/v1
kind: Policy
metadata: {name: test}
profile: local
isolation: namespace
strict: false
filesystem:
  read: [/usr, /lib, /bin]
  write: [/workspace, /tmp]
network:
  - name: api
    to: {hosts: [api.example.com], ports: [443]}
    reach: internal
    credential: github
    allow: [{methods: [GET], paths: ["/**"]}]
    review: [{methods: [POST], paths: ["/**"]}]
credentials:
  github: {secret: github-token, inject: {header: Authorization, format: "Bearer {secret}"}, only: [api]}
review: {hold: 2s}
)";

class ControlTest : public testing::Test {
 protected:
  ControlTest() : directory_(testing::TempDir() + random_id("control-")) {
    std::filesystem::create_directory(directory_);
    keys_ = std::make_unique<Keys>(std::move(*Keys::open(directory_ + "/keys")));
  }
  ~ControlTest() override {
    control_.reset();
    std::filesystem::remove_all(directory_);
  }

  // A new sawd on what is stored, with a new link to the same host.
  void boot(std::function<FakeNode::Fate(size_t)> fate = [](size_t) { return FakeNode::Fate::live; }) {
    control_.reset();
    node_.reset();
    store_.reset();
    store_ = std::move(*store::SqliteStore::open(directory_ + "/saw.db"));
    auto [ours, theirs] = std::move(*os::Channel::pair());
    auto control = Control::create({.loop = loop_,
                                    .clock = clock_,
                                    .store = *store_,
                                    .keys = *keys_,
                                    .open_audit = [this]() -> Result<std::unique_ptr<AuditSink>> {
                                      if (disk_.full)
                                        return Error::make("audit.full", "no space left on device");
                                      return std::unique_ptr<AuditSink>(std::make_unique<FakeSink>(disk_));
                                    },
                                    .audit_directory = directory_,
                                    .host = {.ledgers = directory_ + "/allowance"},
                                    .releases = releases_,
                                    .on_node_lost = [this](std::string why) { lost_ = std::move(why); }},
                                   std::move(ours));
    ASSERT_TRUE(control) << control.error().message;
    control_ = std::move(*control);
    node_ = std::make_unique<FakeNode>(loop_, world_, std::move(theirs));
    node_->fate = std::move(fate);
  }
  void boot_ready() {
    boot();
    ASSERT_TRUE(run_until([&] { return node_->ready; }));
  }

  // Turns the loop until `done`, or until nothing happened for `quiet_ms`.
  bool run_until(const std::function<bool()>& done, int quiet_ms = 4000) {
    while (!done()) {
      pollfd poll{.fd = loop_.fd(), .events = POLLIN, .revents = 0};
      if (::poll(&poll, 1, quiet_ms) <= 0) return false;
      loop_.run_ready();
    }
    return true;
  }
  void run_quiet() {
    run_until([] { return false; }, 60);
  }

  // Calls `start(reply)` and turns the loop until it is answered.
  template <class T> Result<T> wait(const std::function<void(Reply<T>)>& start) {
    auto slot = std::make_shared<std::optional<Result<T>>>();
    start([slot](Result<T> result) { slot->emplace(std::move(result)); });
    if (!run_until([&] { return slot->has_value(); })) return Error::make("test.timeout", "no answer");
    return std::move(**slot);
  }

  static WorkspaceSpec spec(std::string name = "dev") {
    return {.name = std::move(name), .policy_yaml = std::string(kPolicy), .policy_file = "test.yaml"};
  }
  Result<WorkspaceCreated> create(const WorkspaceSpec& what = spec(), const Caller& by = kOwner) {
    return wait<WorkspaceCreated>(
        [&](auto reply) { control_->create_workspace(by, what, std::move(reply)); });
  }
  void put_secret(const Caller& by = kOwner) {
    ASSERT_TRUE(control_->put_secret(by, "github-token", "ghp_raw_secret"));
  }
  Result<std::unique_ptr<CommandHandle>> exec(ExecRequest request, const Caller& by = kOwner) {
    return wait<std::unique_ptr<CommandHandle>>(
        [&](auto reply) { control_->start_command(by, "dev", std::move(request), std::move(reply)); });
  }
  static ExecRequest call(std::string agent = "") {
    return {.kind = ExecKind::call, .agent = std::move(agent), .argv = {"true"}};
  }
  FakeEgress& egress() { return *node_->egresses.begin()->second; }
  size_t events(std::string_view text) const {
    return static_cast<size_t>(std::ranges::count_if(
        disk_.lines, [&](const std::string& line) { return line.find(text) != line.npos; }));
  }

  inline static const Caller kOwner{"uid:1001", Role::user}, kStranger{"uid:1002", Role::user},
      kOperator{"uid:1000", Role::operator_};
  std::string directory_, lost_;
  FakeClock clock_;
  os::Loop loop_ = std::move(*os::Loop::create());
  AuditDisk disk_;
  World world_;
  std::unique_ptr<Keys> keys_;
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<FakeNode> node_;
  std::unique_ptr<Control> control_;
  ReleaseSetup releases_;
};

}  // namespace saw::control
