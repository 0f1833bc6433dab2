// Calls: single commands in sandboxes of their own, most of them taken from a pool.
//
//   CallPool calls(loop, {…}, runtime, storage, outbox);
//   uint64_t coming = calls.announce(message.plan);  // … while the plan is proven …
//   calls.prepare(message, coming, ticket);          // works the plan out, parks sandboxes
//   calls.run(message, ticket);            // → CallStarted, later ExecExited
//
// A parked sandbox is complete, confined and used once: in it a process waits that becomes the command, or a
// runtime that has started already. Nothing of an earlier call can be in it, since there was none. It serves
// only calls of the very plan (digest) that it was built for, and dies with saw-node, as every call does; so
// nothing about calls is written to disk. With nothing parked a call's sandbox is built while it waits.
// What is taken from the pool is replaced when saw-node has nothing else to do. A sandbox that was on its way
// when its plan was prepared anew or forgotten never serves; one that takes longer than kBuildDeadlineMs is
// given up, and its mould with it.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "os/channel.h"
#include "os/loop.h"
#include "os/spawn.h"
#include "sandbox/init_protocol.h"
#include "sandbox/node_check.h"
#include "sandbox/node_outbox.h"
#include "sandbox/node_runtime.h"
#include "sandbox/storage.h"

namespace saw::sandbox {

class CallPool {
 public:
  static constexpr size_t kMaxCalls = 1024, kMaxPlans = 4096;
  static constexpr int64_t kQuietMs = 2;  // without a call that begins: time to make what the next will take
  static constexpr int kMaxPostponed = 10;

  struct Config {
    PlanBounds bounds;
    Strictness least = Strictness::best_effort;
  };

  CallPool(os::Loop& loop, Config config, Runtime& runtime, Storage& storage, Outbox& outbox);
  ~CallPool();

  // Before prepare() and any waiting in between: a forget() that comes meanwhile counts. The name of the
  // announcement; prepare() or withdraw() ends it.
  uint64_t announce(const SandboxPlan& plan);
  void withdraw(uint64_t coming) { coming_.erase(coming); }
  void prepare(const PrepareCalls& message, uint64_t coming, Ticket ticket);
  void forget(const std::string& workspace, const std::string& session);
  // Its storage is other layers now: what is parked on the old ones goes. The next call fills the pool again.
  void restack(const std::string& workspace);
  void run(const RunCall& message, Ticket ticket);

  // Running, or being built for a call.
  bool owns(const std::string& sandbox) const;
  void signal(const SignalExec& message);
  void stop(const std::string& sandbox, Ticket ticket);
  void give_sockets(const std::string& sandbox, Ticket ticket);
  void stop_all();
  // Calls `done` once no call is left, at once if there is none.
  void when_empty(std::move_only_function<void()> done);
  // Calls, running or being built; parked sandboxes are ended by forget().
  bool uses_storage(const std::string& workspace, const std::string& session) const;
  std::vector<SandboxInfo> list() const;

 private:
  struct Box;
  struct Plan;
  struct Call;
  struct Building;
  static constexpr int kPlain = -1;  // no runtime: becomes whatever the call wants

  int runtime_for(const Plan& plan, const ExecSpec& spec) const;
  std::unique_ptr<Box> take_parked(Plan& plan, int runtime);
  void build(Plan& plan, int runtime, std::unique_ptr<Call> waiting);
  void on_build_progress(uint64_t building);
  void on_build_late(uint64_t building);
  void fail_build(std::unique_ptr<Call> call, const Error& error);
  Building* being_built(const std::string& sandbox) const;
  void park(Plan& plan, std::unique_ptr<Box> box);
  void refill(const std::string& digest);
  void when_quiet();
  void replace_taken(const Plan& plan);
  void begin_call(std::unique_ptr<Call> call, std::unique_ptr<Box> box, Warmth warmth);
  void on_control(Call& call);
  void on_gone(const std::string& sandbox);
  void tell_end(Call& call, ExecExited event);
  void discard(std::unique_ptr<Box> box);
  void clean(std::unique_ptr<Box> box, const std::vector<Ticket>& waiting);
  void check_empty();

  os::Loop& loop_;
  Config config_;
  Runtime& runtime_;
  Storage& storage_;
  Outbox& outbox_;
  std::map<std::string, std::unique_ptr<Plan>> plans_;  // by digest
  std::map<std::string, std::unique_ptr<Call>> calls_;  // by sandbox
  std::map<uint64_t, std::unique_ptr<Building>> building_;
  struct Coming {
    std::string workspace, session;
    bool forgotten = false;
  };
  std::map<uint64_t, Coming> coming_;
  std::map<uint64_t, std::unique_ptr<Box>> dying_;
  std::vector<std::move_only_function<void()>> when_empty_;
  os::Loop::Timer quiet_timer_;
  int postponed_ = 0;
  std::set<std::string> wanting_;  // digests
  uint64_t next_ = 1;
};

}  // namespace saw::sandbox
