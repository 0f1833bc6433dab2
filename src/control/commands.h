// Commands in sandboxes: admission, start, and the end. Every tool call passes here, and only here.
//
//   commands.start(workspace, caller, request, [](Result<std::unique_ptr<CommandHandle>> r) {
//     (*r)->on_exit([](Exit exit) { … });                  // streams: (*r)->input, output, error
//   });
//
// Admission (R23): agent → registration → sponsor → workspace are resolved from a freshly minted runtime
// credential that is bound to the sandbox. Where the profile asks for it (policy::recording) the admission is
// durable in the audit log before anything starts; in every profile nothing is admitted once the log has failed
// (R100). A call gets a sandbox of its own, destroyed before its exit is told (R15). Destroying the handle is
// "the client went away": a call is killed, another command gets SIGHUP.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "control/delegations.h"
#include "control/workspace.h"

namespace saw::control {

// Who a handle speaks to, by the key that it was made with; unknown keys are ignored. Commands, or Terminals
// for each of those who are attached to one (terminals.h).
class HandleOwner {
 public:
  virtual ~HandleOwner() = default;
  virtual void handle_on_exit(const std::string& key, std::move_only_function<void(Exit)> callback) = 0;
  virtual void handle_signal(const std::string& key, int number) = 0;
  virtual void handle_resize(const std::string& key, uint16_t rows, uint16_t columns) = 0;
  virtual void handle_dropped(const std::string& key) = 0;
};

class CommandHandle {
 public:
  CommandHandle(HandleOwner& owner, std::weak_ptr<const char> alive, std::string key)
      : owner_(owner), alive_(std::move(alive)), key_(std::move(key)) {}
  ~CommandHandle() {
    if (!alive_.expired()) owner_.handle_dropped(key_);
  }
  CommandHandle(const CommandHandle&) = delete;
  CommandHandle& operator=(const CommandHandle&) = delete;

  // With a terminal only `input` is there: the pty (or a stream socket), both ways.
  Fd input, output, error;
  std::string call, credential, trace;
  std::optional<TerminalView> terminal;  // of one that is attached to

  // To be called before the function that was given the handle returns.
  void on_exit(std::move_only_function<void(Exit)> callback) {
    if (alive_.expired()) return callback({ExitKind::sandbox_gone, 0});
    owner_.handle_on_exit(key_, std::move(callback));
  }
  void signal(int number) {
    if (!alive_.expired()) owner_.handle_signal(key_, number);
  }
  void resize(uint16_t rows, uint16_t columns) {
    if (!alive_.expired()) owner_.handle_resize(key_, rows, columns);
  }

 private:
  HandleOwner& owner_;
  std::weak_ptr<const char> alive_;
  const std::string key_;
};

class Commands final : public RunningCommands, private HandleOwner {
 public:
  static constexpr size_t kMaxRunning = 1024, kMaxRunningPerSponsor = 512;
  static constexpr size_t kMaxArguments = 4096, kMaxBytes = 1u << 20;  // argv and environment together

  Commands(Plane& plane, Agents& agents, Delegations& delegations, identity::Resolver& resolver,
           const std::string& issuer)
      : plane_(plane), agents_(agents), delegations_(delegations), resolver_(resolver), issuer_(issuer) {}

  void start(Workspace& workspace, ExecRequest request, Reply<std::unique_ptr<CommandHandle>> reply);

  void on_exec_exited(const sandbox::ExecExited& exited);
  void end_commands(const std::string& workspace, const std::string& session, Reply<> reply) override;
  std::vector<Cell*> call_cells(const std::string& workspace) override;
  void sandbox_lost(const std::string& sandbox) override;
  bool has_commands(const std::string& workspace, const std::string& session) const override;
  void kill_agent(const std::string& agent);  // revoked: its commands end, and those of its sub-agents
  void end_unauthorized();                    // something was revoked: what it carried ends
  bool is_live(std::string_view call) const;  // under way: from its admission to the end of its command

 private:
  enum class Stage : uint8_t { admitting, building, starting, running, ending };
  struct Command {
    std::string key;  // the call id
    Stage stage = Stage::admitting;
    ExecRequest request;
    egress::ChannelIdentity who;
    std::string sandbox, policy_digest;
    std::vector<std::string> environment;
    std::optional<identity::Authority> authority;
    std::unique_ptr<Cell> cell;  // of a call
    uint64_t exec = 0;
    int32_t pid = 0;
    std::string plan;  // of a call: the digest
    bool timed_out = false, abandoned = false, retried = false;
    std::move_only_function<void()> forget_kept;  // what a call that never ran would leave
    std::optional<Exit> exit;                     // decided; told once the sandbox is gone
    std::move_only_function<void(Exit)> on_exit;
    Reply<std::unique_ptr<CommandHandle>> reply;
    os::Loop::Timer timer;
  };
  struct Drain {
    std::string workspace, session;
    Reply<> reply;
  };

  Result<std::unique_ptr<Command>> admit(Workspace& workspace, ExecRequest request);
  Result<> find_agent(Command& command, Workspace& workspace, std::string_view asked);
  Result<> resolve_authority(Command& command, Workspace& workspace);
  Result<> check_delegated(Command& command, const std::string& token, Nanos now);
  void kill(Command& command);
  void make_cell(Command& command, Workspace& workspace);
  void record_authority(const Command& command, Nanos expires, const Error* refusal);
  void record_process(const Command& command, audit::ProcessActivity::Activity activity, Reply<> durable);
  void begin(const std::string& key, Workspace& workspace, Result<> recorded);
  bool still_authorized(Command& command);  // else it has failed
  void build(Command& command, Workspace& workspace);
  void run_call(const std::string& key, Workspace& workspace);
  void on_call_started(const std::string& key, Workspace& workspace, Result<NodeClient::Answer> answer);
  void on_running(Command& command, std::vector<Fd> streams);
  void execute(const std::string& key);
  void on_started(const std::string& key, Result<NodeClient::Answer> answer);
  void fail(Command& command, Error error);
  void finish(Command& command, Exit exit);
  void complete(const std::string& key);
  void time_out(const std::string& key);
  void handle_on_exit(const std::string& key, std::move_only_function<void(Exit)> callback) override;
  void handle_signal(const std::string& key, int number) override;
  void handle_resize(const std::string& key, uint16_t rows, uint16_t columns) override;
  void handle_dropped(const std::string& key) override;
  Command* find(const std::string& key);
  void check_drains();
  bool draining(const Command& command) const;

  Plane& plane_;
  Agents& agents_;
  Delegations& delegations_;
  identity::Resolver& resolver_;
  const std::string& issuer_;
  std::string admitting_;                                    // the call whose authority is being resolved
  std::map<std::string, std::unique_ptr<Command>> running_;  // by call id
  std::vector<Drain> drains_;
  Alive alive_;
};

// argv as one line for people and the audit log.
std::string command_line(const std::vector<std::string>& argv);

}  // namespace saw::control
