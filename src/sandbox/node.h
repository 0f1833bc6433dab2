// saw-node's main loop: sawd's requests in, answers and events out, over the sandboxes, the storage and the
// other programs of this host.
//
//   Node node(loop, std::move(config), std::move(parts));
//   SAW_TRY(node.start());
//   loop.run();                          // until Shutdown from sawd, or node.shutdown()
//
// One thread. It parses no policy, no HTTP and no TLS, and every request is checked (node_check.h) before it
// is carried out; a sawd that sends something malformed is replaced by a new one. Sandboxes outlive both sawd
// and saw-node; the other programs outlive neither.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "os/background.h"
#include "os/userns.h"
#include "sandbox/node_calls.h"
#include "sandbox/node_sandboxes.h"
#include "sandbox/supervisor.h"

namespace saw::sandbox {

class Node {
 public:
  // Before the first ControlReady, so many deaths of sawd in a row end the start.
  static constexpr int kMaxStartFailures = 6;
  static constexpr size_t kTrashSlice = 250;  // everybody else waits that long
  static constexpr size_t kMaxJobs = 8;
  static constexpr int64_t kJobMs = 10LL * 60 * 1000;

  struct Config {
    std::string version, node_id;
    os::DaemonView view;
    std::vector<HostFeature> features;
    SandboxSet::Config sandboxes;
    Supervisor::Config programs;
  };
  struct Parts {
    Runtime& runtime;
    Storage& storage;
    StateDirectory state;
    Supervisor::Spawn spawn;
    std::move_only_function<void()> on_ready;                           // sawd serves its API; at most once
    std::move_only_function<void(const std::string&)> on_start_failed;  // it never will; shutdown follows
  };

  Node(os::Loop& loop, Config config, Parts parts);
  ~Node();

  Result<> start();
  // Stops every sandbox and every program, then the loop.
  void shutdown();

 private:
  void on_control(os::Channel channel);
  void on_control_lost(const std::string& why, int failures);
  void on_message(const std::string& payload, const std::vector<Fd>& fds);

  void handle(const CreateStorage& message);
  void handle(const RemoveStorage& message);
  void handle(const StartSandbox& message);
  void handle(const StopSandbox& message);
  void handle(const GetSockets& message);
  void handle(const StartExec& message);
  void handle(const SignalExec& message);
  void handle(const ResizeExec& message);
  void handle(const ListChanges& message);
  void handle(const CommitSession& message);
  void handle(const DiscardSession& message);
  void handle(const ListQuarantine& message);
  void handle(const ReleaseQuarantine& message);
  void handle(const ListSandboxes& message);
  void handle(const StartEgress& message);
  void handle(const StopEgress& message);
  void handle(const ControlReady& message);
  void handle(const Shutdown& message);
  void handle(const PrepareCalls& message);
  void handle(const ForgetCalls& message);
  void handle(const RunCall& message);
  void handle(const ProveSandbox& message);
  // Reading and committing trees takes long and handles hostile names: each in a process of its own.
  struct Job {
    std::string workspace, session;
    bool writes = false;  // nothing else may use the session meanwhile, nor commit to the workspace
    std::unique_ptr<os::Background> process;
  };
  void start_job(const Ticket& ticket, Job job, const std::function<Result<FromNode>()>& work);
  void end_job(std::list<Job>::iterator job, const Ticket& ticket, Result<std::string> answer);
  bool has_job(const std::string& workspace, const std::string& session) const;
  // Calls `change` when nothing uses the session any more; it was refused, and answered, otherwise.
  void when_changeable(const Ticket& ticket, const std::string& workspace, const std::string& session,
                       std::move_only_function<void()> change);
  // Likewise, and the workspace's layer may be written to.
  void when_committable(const Ticket& ticket, const std::string& workspace, const std::string& session,
                        std::move_only_function<void()> commit);
  Result<Committed> commit_session(const CommitSession& message);  // in its process
  void handle(const ForkStorage& message);
  void handle(const TakeSnapshot& message);
  void handle(const RemoveSnapshot& message);
  void handle(const ListSnapshots& message);
  void handle(const RebuildStorage& message);
  bool is_written(const Ticket& ticket, const std::string& workspace, const std::string& session);
  void remove_storage(const RemoveStorage& message, const Ticket& ticket);
  void conclude_when_removed(const Ticket& ticket, const Result<>& result);
  void conclude(const Ticket& ticket, const Result<>& result);
  void empty_trash();
  void empty_trash_aside();
  void trash_is_empty(const Result<>& emptied);

  os::Loop& loop_;
  std::string version_, node_id_;
  os::DaemonView view_;
  std::vector<HostFeature> features_;
  Storage& storage_;
  std::move_only_function<void()> on_ready_;
  std::move_only_function<void(const std::string&)> on_start_failed_;
  Outbox outbox_;
  CallPool calls_;
  SandboxSet sandboxes_;
  Supervisor supervisor_;
  std::unique_ptr<os::Link> control_;
  std::vector<Ticket> waiting_for_trash_;
  std::list<Job> jobs_;
  std::unique_ptr<os::Background> trash_process_;
  bool emptying_ = false, ready_ = false, shutting_down_ = false;
};

}  // namespace saw::sandbox
