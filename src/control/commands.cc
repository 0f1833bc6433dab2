#include "control/commands.h"

#include <algorithm>
#include <csignal>

#include "base/bytes.h"
#include "base/crypto.h"
#include "base/log.h"
#include "control/workspace_spec.h"
#include "identity/identity.h"

namespace saw::control {
namespace {

constexpr size_t kStreams = 3;

ExitKind kind_of(sandbox::ExecEnd end) {
  switch (end) {
    case sandbox::ExecEnd::exited:
      return ExitKind::exited;
    case sandbox::ExecEnd::signalled:
      return ExitKind::signalled;
    case sandbox::ExecEnd::not_started:
      return ExitKind::not_started;
    case sandbox::ExecEnd::sandbox_gone:
      return ExitKind::sandbox_gone;
    case sandbox::ExecEnd::out_of_memory:
      return ExitKind::out_of_memory;
    case sandbox::ExecEnd::file_too_large:
      return ExitKind::file_too_large;
  }
  return ExitKind::sandbox_gone;
}

Exit to_exit(const sandbox::ExecExited& exited) {
  return {kind_of(exited.end), exited.status, exited.met.memory_kills, exited.met.forks_refused};
}

}  // namespace

// ---- the handle
// -------------------------------------------------------------------------------------------------------------------

void Commands::handle_on_exit(const std::string& key, std::move_only_function<void(Exit)> callback) {
  Command* command = find(key);
  if (!command) return callback({ExitKind::sandbox_gone, 0});
  command->on_exit = std::move(callback);
}

void Commands::handle_signal(const std::string& key, int number) {
  Command* command = find(key);
  if (command && command->stage == Stage::running)
    plane_.node.send(sandbox::SignalExec{command->sandbox, command->exec, number});
}

void Commands::handle_resize(const std::string& key, uint16_t rows, uint16_t columns) {
  Command* command = find(key);
  if (command && command->stage == Stage::running)
    plane_.node.send(sandbox::ResizeExec{command->sandbox, command->exec, rows, columns});
}

// The client went away.
void Commands::handle_dropped(const std::string& key) {
  Command* command = find(key);
  if (!command) return;
  command->on_exit = {};
  if (command->stage == Stage::ending) return;
  command->abandoned = true;
  if (command->cell) return finish(*command, {ExitKind::signalled, SIGKILL});
  plane_.node.send(sandbox::SignalExec{command->sandbox, command->exec, SIGHUP});
}

// ---- start
// ------------------------------------------------------------------------------------------------------------------------

Commands::Command* Commands::find(const std::string& key) {
  auto found = running_.find(key);
  return found == running_.end() ? nullptr : found->second.get();
}

void Commands::start(Workspace& workspace, ExecRequest request, Reply<std::unique_ptr<CommandHandle>> reply) {
  auto admitted = admit(workspace, std::move(request));
  if (!admitted) return reply(std::unexpected(std::move(admitted).error()));
  Command& command = *(running_[(*admitted)->key] = std::move(*admitted));
  command.reply = std::move(reply);
  auto go = alive_.guard([this, key = command.key, &workspace](Result<> recorded) {
    begin(key, workspace, std::move(recorded));
  });
  if (policy::recording(workspace.policy().profile()) == policy::Recording::before) {
    record_process(command, audit::ProcessActivity::Activity::launch, std::move(go));
  } else {
    record_process(command, audit::ProcessActivity::Activity::launch, {});
    plane_.loop.post([go = std::move(go)]() mutable { go(Result<>()); });
  }
}

// Once the admission is recorded as far as the profile asks for. The workspace lives: stopping it waits for
// this command.
void Commands::begin(const std::string& key, Workspace& workspace, Result<> recorded) {
  Command* command = find(key);
  if (!command) return;
  if (!recorded) return fail(*command, std::move(recorded).error());
  if (command->exit)
    return fail(*command, Error{"workspace.conflict", "the workspace or session is being stopped", 0});
  if (!still_authorized(*command)) return;
  if (command->request.kind != ExecKind::call) return execute(key);
  if (command->request.terminal || command->request.keep) return build(*command, workspace);
  run_call(key, workspace);
}

// Authority that was taken away while a step was under way: after the acknowledgement nothing starts.
bool Commands::still_authorized(Command& command) {
  auto may_act = agents_.check(command.who.agent);
  if (may_act) may_act = resolver_.check_again(*command.authority, plane_.clock.now());
  if (may_act) return true;
  record_authority(command, 0, &may_act.error());
  fail(command, std::move(may_act).error());
  return false;
}

void Commands::build(Command& command, Workspace& workspace) {
  command.stage = Stage::building;
  const bool keep = command.request.keep;
  if (keep) {
    if (auto kept = workspace.keep_call(command.who.session, command.key); !kept)
      return fail(command, std::move(kept).error());
    command.forget_kept = [&workspace, id = command.who.session] {
      workspace.end_session(id, [](Result<> ended) {
        if (!ended) log_warning("forgetting a call that never ran: {}", ended.error().message);
      });
    };
  }
  auto plan = workspace.plan(keep ? sandbox::Depth::session : sandbox::Depth::call, command.who.session,
                             command.sandbox);
  if (!plan) return fail(command, std::move(plan).error());
  make_cell(command, workspace);
  command.cell->start(std::move(*plan), alive_.guard([this, key = command.key](Result<> started) {
    Command* built = find(key);
    if (!built) return;
    if (!started) return fail(*built, std::move(started).error());
    if (built->exit)
      return fail(*built, Error{"workspace.conflict", "the call was ended before it started", 0});
    if (!still_authorized(*built)) return;
    execute(key);
  }));
}

// saw-egress does not ask delegations yet: a call under one has no way out at all, rather than the policy's
// whole reach.
void Commands::make_cell(Command& command, Workspace& workspace) {
  command.cell = std::make_unique<Cell>(plane_, workspace.egress(), command.sandbox, command.who);
  if (command.authority->chain) command.cell->keep_closed();
}

// The usual way of a call: one message, and most often a sandbox that waits for it.
void Commands::run_call(const std::string& key, Workspace& workspace) {
  Command& command = *find(key);
  command.stage = Stage::building;
  make_cell(command, workspace);
  workspace.call_plans().get(
      command.who.session, alive_.guard([this, key, &workspace](Result<std::string> plan) {
        Command* prepared = find(key);
        if (!prepared) return;
        if (!plan) return fail(*prepared, std::move(plan).error());
        if (prepared->exit)
          return fail(*prepared, Error{"workspace.conflict", "the call was ended before it started", 0});
        if (!still_authorized(*prepared)) return;
        prepared->stage = Stage::starting;
        prepared->plan = *plan;
        plane_.node.request(sandbox::RunCall{.plan = *plan,
                                             .sandbox = prepared->sandbox,
                                             .spec = {.argv = prepared->request.argv,
                                                      .environment = prepared->environment,
                                                      .directory = prepared->request.directory}},
                            alive_.guard([this, key, &workspace](Result<NodeClient::Answer> answer) {
                              on_call_started(key, workspace, std::move(answer));
                            }));
      }));
}

void Commands::on_call_started(const std::string& key, Workspace& workspace,
                               Result<NodeClient::Answer> answer) {
  Command* command = find(key);
  if (!command) return;
  if (!answer && answer.error().code == "node.unknown_plan" && !std::exchange(command->retried, true)) {
    workspace.call_plans().drop(command->plan);
    return run_call(key, workspace);
  }
  if (!answer) return fail(*command, std::move(answer).error());
  auto* started = std::get_if<sandbox::CallStarted>(&answer->message);
  if (!started || answer->fds.size() < kStreams)
    return fail(*command, Error{"node.malformed", "saw-node answered a RunCall with something else", 0});
  command->exec = started->exec;
  command->pid = started->host_pid;
  std::vector<Fd> sockets;
  for (size_t i = kStreams; i < answer->fds.size(); ++i) sockets.push_back(std::move(answer->fds[i]));
  answer->fds.resize(kStreams);
  if (!still_authorized(*command)) return;  // its sandbox goes, without ever having had a network
  command->cell->came_up(started->degraded, std::move(sockets));
  on_running(*command, std::move(answer->fds));
}

void Commands::execute(const std::string& key) {
  Command& command = *find(key);
  command.stage = Stage::starting;
  const ExecRequest& request = command.request;
  sandbox::ExecSpec spec{.argv = request.argv,
                         .environment = command.environment,
                         .directory = request.directory,
                         .terminal = request.terminal,
                         .rows = request.rows,
                         .columns = request.columns};
  plane_.node.request(
      sandbox::StartExec{.sandbox = command.sandbox, .spec = std::move(spec)},
      alive_.guard([this, key](Result<NodeClient::Answer> answer) { on_started(key, std::move(answer)); }));
}

void Commands::on_started(const std::string& key, Result<NodeClient::Answer> answer) {
  Command* command = find(key);
  if (!command) return;
  if (!answer) return fail(*command, std::move(answer).error());
  auto* started = std::get_if<sandbox::ExecStarted>(&answer->message);
  const size_t wanted = command->request.terminal ? 1 : kStreams;
  if (!started || answer->fds.size() != wanted)
    return fail(*command, Error{"node.malformed", "saw-node answered a StartExec with something else", 0});
  command->exec = started->exec;
  command->pid = started->host_pid;
  if (!still_authorized(*command)) {
    plane_.node.send(sandbox::SignalExec{command->sandbox, started->exec, SIGKILL});
    return;
  }
  on_running(*command, std::move(answer->fds));
}

// `streams`: stdin, stdout, stderr, or a terminal.
void Commands::on_running(Command& command, std::vector<Fd> streams) {
  const std::string key = command.key;
  command.stage = Stage::running;
  auto handle = std::make_unique<CommandHandle>(static_cast<HandleOwner&>(*this), alive_.watch(), key);
  handle->call = key;
  handle->credential = command.who.credential_id;
  handle->trace = command.who.trace;
  handle->input = std::move(streams[0]);
  if (streams.size() == kStreams)
    handle->output = std::move(streams[1]), handle->error = std::move(streams[2]);
  if (command.request.timeout_ms > 0)
    command.timer = plane_.loop.after(command.request.timeout_ms, [this, key] { time_out(key); });
  if (command.exit)
    finish(command, *std::exchange(command.exit, std::nullopt));  // somebody ended it meanwhile
  if (Command* still = find(key)) std::exchange(still->reply, {})(std::move(handle));
}

// Before it ran: the client gets the error, and a call's sandbox goes.
void Commands::fail(Command& command, Error error) {
  command.timer.cancel();
  auto reply = std::exchange(command.reply, {});
  command.exit = Exit{ExitKind::not_started, 0};
  command.stage = Stage::ending;
  auto end = alive_.guard(
      [this, key = command.key, reply = std::move(reply), error = std::move(error)](const Result<>&) mutable {
        if (reply) reply(std::unexpected(std::move(error)));
        std::move_only_function<void()> forget;
        if (Command* ended = find(key)) {
          record_process(*ended, audit::ProcessActivity::Activity::terminate, {});
          forget = std::move(ended->forget_kept);
        }
        running_.erase(key);
        if (forget) forget();
        check_drains();
      });
  if (command.cell)
    command.cell->stop(std::move(end));
  else
    plane_.loop.post([end = std::move(end)]() mutable { end(Result<>()); });
}

// ---- end
// --------------------------------------------------------------------------------------------------------------------------

void Commands::on_exec_exited(const sandbox::ExecExited& exited) {
  for (auto& [key, command] : running_)
    if (command->stage == Stage::running && command->sandbox == exited.sandbox &&
        command->exec == exited.exec)
      return finish(*command, to_exit(exited));
}

void Commands::finish(Command& command, Exit exit) {
  if (command.stage == Stage::ending) return;
  if (command.stage != Stage::running) {  // the step under way looks at `exit` when it ends
    if (!command.exit) command.exit = exit;
    return;
  }
  command.stage = Stage::ending;
  command.timer.cancel();
  command.exit = command.timed_out ? Exit{ExitKind::timed_out, SIGKILL} : exit;
  if (!command.cell) return complete(command.key);
  command.cell->stop(alive_.guard([this, key = command.key](Result<> stopped) {
    if (!stopped) log_error("call {}: its sandbox was not destroyed: {}", key, stopped.error().message);
    complete(key);
  }));
}

void Commands::complete(const std::string& name) {
  plane_.loop.post(alive_.guard([this, key = name] {  // `name` may belong to the command
    auto node = running_.extract(key);
    if (node.empty()) return;
    Command& command = *node.mapped();
    record_process(command, audit::ProcessActivity::Activity::terminate, {});
    if (command.on_exit) command.on_exit(*command.exit);
    check_drains();
  }));
}

void Commands::time_out(const std::string& key) {
  Command* command = find(key);
  if (!command || command->stage != Stage::running) return;
  command->timed_out = true;
  if (command->cell) return finish(*command, {ExitKind::timed_out, SIGKILL});
  plane_.node.send(sandbox::SignalExec{command->sandbox, command->exec, SIGKILL});
}

void Commands::sandbox_lost(const std::string& sandbox) {
  std::vector<Command*> lost;
  for (auto& [key, command] : running_)
    if (command->sandbox == sandbox) lost.push_back(command.get());
  for (Command* command : lost) finish(*command, {ExitKind::sandbox_gone, 0});
}

void Commands::kill(Command& command) {
  if (command.cell)
    finish(command, {ExitKind::signalled, SIGKILL});
  else if (command.stage == Stage::running)  // its sandbox is others', too; its end is told by saw-node
    plane_.node.send(sandbox::SignalExec{command.sandbox, command.exec, SIGKILL});
}

void Commands::kill_agent(const std::string& agent) {
  std::vector<Command*> its;
  for (auto& [key, command] : running_)
    if (identity::registered_agent(command->who.agent) == agent) its.push_back(command.get());
  for (Command* command : its) kill(*command);
}

void Commands::end_unauthorized() {
  std::vector<std::pair<Command*, Error>> ending;
  for (auto& [key, command] : running_) {
    if (!is_live(key)) continue;
    if (auto may_act = resolver_.check_again(*command->authority, plane_.clock.now()); !may_act)
      ending.emplace_back(command.get(), std::move(may_act).error());
  }
  for (auto& [command, why] : ending) {
    record_authority(*command, 0, &why);
    kill(*command);
  }
}

bool Commands::is_live(std::string_view call) const {
  if (call == admitting_ && !call.empty()) return true;
  const auto found = running_.find(std::string(call));
  return found != running_.end() && found->second->stage != Stage::ending;
}

std::vector<Cell*> Commands::call_cells(const std::string& workspace) {
  std::vector<Cell*> out;
  for (auto& [key, command] : running_)
    if (command->cell && command->who.workspace == workspace) out.push_back(command->cell.get());
  return out;
}

bool Commands::has_commands(const std::string& workspace, const std::string& session) const {
  return std::ranges::any_of(running_, [&](const auto& entry) {
    return entry.second->who.workspace == workspace && entry.second->who.session == session;
  });
}

void Commands::end_commands(const std::string& workspace, const std::string& session, Reply<> reply) {
  std::vector<Command*> ending;
  for (auto& [key, command] : running_)
    if (command->who.workspace == workspace && (session.empty() || command->who.session == session))
      ending.push_back(command.get());
  drains_.push_back({workspace, session, std::move(reply)});
  for (Command* command : ending) finish(*command, {ExitKind::sandbox_gone, 0});
  check_drains();
}

void Commands::check_drains() {
  std::vector<Reply<>> done;
  std::erase_if(drains_, [&](Drain& drain) {
    const bool busy = std::ranges::any_of(running_, [&](const auto& entry) {
      const Command& command = *entry.second;
      return command.who.workspace == drain.workspace &&
             (drain.session.empty() || command.who.session == drain.session);
    });
    if (!busy) done.push_back(std::move(drain.reply));
    return !busy;
  });
  for (Reply<>& reply : done) reply({});
}

}  // namespace saw::control
