// All sandboxes of this host: starts, finds again after a restart, stops, and leaves nothing of them behind.
//
//   SandboxSet set(loop, {.run_directory = "/run/saw", …}, runtime, storage, std::move(state), outbox);
//   set.adopt();                        // once, before any request
//   set.start(message, outbox.ticket(message.request));
//
// A sandbox's life: launched (saw-init waits) → recorded → released → ready (answered) → ending → cleaned.
// Before it is ready every workspace and session has passed its probes (R117, node_probes.h), and every call whose plan had
// not been proven.
// Only after the last step is "stopped" answered, or SandboxExited told. Whoever started a call sandbox waits
// for it: without a sawd there are none.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sandbox/node_check.h"
#include "sandbox/node_outbox.h"
#include "sandbox/node_probes.h"
#include "sandbox/node_runtime.h"
#include "sandbox/node_sandbox.h"
#include "sandbox/node_state.h"
#include "sandbox/proof.h"
#include "sandbox/storage.h"

namespace saw::sandbox {

class SandboxSet {
 public:
  static constexpr size_t kMaxSandboxes = 4096;

  struct Config {
    std::string run_directory;  // holds <sandbox>.sock
    PlanBounds bounds;
    Strictness least = Strictness::best_effort;  // strict: every sandbox is
    uint64_t first_exec = 1;                     // greater than any exec of an earlier saw-node of this boot
    std::string node_id;
    SigningKey proof_key = SigningKey::generate();
  };

  SandboxSet(os::Loop& loop, Config config, Runtime& runtime, Storage& storage, StateDirectory state,
             Outbox& outbox);
  ~SandboxSet();

  // Finds what an earlier saw-node left: living workspaces and sessions that were proven are taken over;
  // calls, and what is dead, are cleaned away.
  Result<> adopt();

  void start(const StartSandbox& message, Ticket ticket);
  void stop(const std::string& sandbox, Ticket ticket);
  void give_sockets(const std::string& sandbox, Ticket ticket);
  void prove(const std::string& sandbox, Ticket ticket);
  // Proves a call's plan by a sandbox in which nothing but the probes ever runs; at once where it is proven already.
  void prove_plan(SandboxPlan plan, std::move_only_function<void(Result<>)> done);
  const std::string& proof_key() const { return config_.proof_key.public_key(); }
  const ProvenPlans& proven_plans() const { return proven_; }
  void start_exec(const StartExec& message, Ticket ticket);
  void signal_exec(const SignalExec& message);
  void resize_exec(const ResizeExec& message);
  std::vector<SandboxInfo> list() const;

  enum class Which : uint8_t { all, calls };
  void stop_each(Which which);
  // Any process but saw-init; true also where that cannot be told.
  bool runs_something(const std::string& sandbox) const;
  // Ends the sandboxes in which a plan of this workspace (session empty), or session, is only being proven, and
  // calls `done` when none is left, at once if there is none.
  void end_proofs(const std::string& workspace, const std::string& session,
                  std::move_only_function<void()> done);
  // Calls `done` once no sandbox is left, at once if there is none.
  void when_empty(std::move_only_function<void()> done);
  // session empty: any sandbox of the workspace.
  bool uses_storage(const std::string& workspace, const std::string& session) const;
  // The workspace's own sandbox (session empty), or that session's: the one that has its upper layer mounted.
  bool writes_storage(const std::string& workspace, const std::string& session) const;

 private:
  struct Entry;
  struct PendingExec;
  Result<> prepare(SandboxPlan& plan) const;
  Result<std::unique_ptr<Entry>> launch(const SandboxPlan& plan);
  Result<> attach(Entry& entry, os::Child init, uint64_t execs_below, std::optional<ProbeSubject> probes);
  Result<std::optional<ProbeSubject>> plan_probes(const SandboxPlan& plan, const Layers& layers,
                                                  Entry& entry);
  Result<> on_probed(Entry& entry, const ProbeReport& report);
  Result<> conclude_probes(Entry& entry, const ProbeReport& report);
  Result<std::unique_ptr<Entry>> adopt_one(SandboxRecord record, os::Child init);
  void remove_litter() const;
  void on_ready(Entry& entry);
  void on_exec_started(Entry& entry, uint64_t exec, int32_t inner_pid, Fd terminal);
  void on_exec_ended(Entry& entry, uint64_t exec, const CommandEnded& ended);
  LimitsMet met_since(const Entry& entry, const LimitsMet& before) const;
  void on_gone(Entry& entry, const std::string& reason);
  void end_execs(Entry& entry);
  void clean(Entry& entry);
  void finish(Entry& entry, const Result<>& cleaned);
  Result<> remove_traces(const SandboxRecord& record) const;
  Entry* find_running(const std::string& sandbox) const;

  os::Loop& loop_;
  Config config_;
  Runtime& runtime_;
  Storage& storage_;
  StateDirectory state_;
  Outbox& outbox_;
  uint64_t next_exec_;
  std::optional<AbstractWitness> witness_;
  ProvenPlans proven_;
  std::map<std::string, std::unique_ptr<Entry>> entries_;
  std::vector<std::move_only_function<void()>> when_empty_;
};

}  // namespace saw::sandbox
