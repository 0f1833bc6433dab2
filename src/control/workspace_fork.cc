// What needs a workspace's files at rest: forks, snapshots, rebuilding. An overlay that is mounted keeps its
// upper layer, so the one sandbox that writes there is stopped and started again; the others go on.
#include "base/log.h"
#include "control/workspace.h"

namespace saw::control {

using store::Desired;

namespace {

// A Done, or what went wrong.
Result<> done(const Result<NodeClient::Answer>& answer) {
  if (!answer) return std::unexpected(answer.error());
  return {};
}

Reply<NodeClient::Answer> as_done(Reply<> reply) {
  return
      [reply = std::move(reply)](const Result<NodeClient::Answer>& answer) mutable { reply(done(answer)); };
}

Error busy(std::string_view kind, std::string_view name) {
  return {"workspace.conflict",
          fmt::format("something runs in {} '{}'; wait for its end, or ask for it to be stopped (--stop)",
                      kind, name),
          0};
}

}  // namespace

void Workspace::record_asked(const std::string& who, const std::string& what) {
  lifecycle_event(audit::Lifecycle::Activity::other, audit::Verdict::allowed,
                  fmt::format("{}: {}", who, what), who);
}

sandbox::StopWhen Workspace::when(WhatRuns what) {
  return what == WhatRuns::ends ? sandbox::StopWhen::always : sandbox::StopWhen::idle;
}

// The workspace's own sandbox is down while `work` is done, and comes up again if it was. Other changes wait.
void Workspace::at_rest(WhatRuns what, Work work, Reply<> reply) {
  if (converging_ || record_.desired == Desired::gone)
    return reply(
        Error::make("workspace.conflict", "workspace '{}' is {}", record_.name, control::name(state_)));
  converging_ = true;
  auto resume = alive_.guard([this, reply = std::move(reply)](Result<> result) mutable {
    converging_ = false;
    if (record_.desired == Desired::stopped && state_ == WorkspaceState::stopped && waiters_.empty())
      return reply(std::move(result));
    if (record_.desired == Desired::running)
      if (auto stored = want(Desired::running); !stored) log_error("{}", stored.error().message);
    converge([result = std::move(result), reply = std::move(reply)](Result<> settled) mutable {
      reply(result ? std::move(settled) : std::move(result));
    });
  });
  if (cell_->state() != Cell::State::up) return work(std::move(resume));
  auto stopped = alive_.guard([work = std::move(work), resume = std::move(resume)](Result<> down) mutable {
    if (!down) return resume(std::move(down));
    work(std::move(resume));
  });
  state_ = WorkspaceState::starting;  // it will: commands wait
  around_.plane.node.request(
      sandbox::StopSandbox{.sandbox = cell_->sandbox(), .when = when(what)},
      alive_.guard([this, stopped = std::move(stopped)](const Result<NodeClient::Answer>& answer) mutable {
        if (answer) return cell_->stop(std::move(stopped));
        state_ = WorkspaceState::running;
        if (answer.error().code == "sandbox.busy")
          return stopped(std::unexpected(busy("workspace", record_.name)));
        stopped(done(answer));
      }));
}

void Workspace::fork_storage(const std::string& fork, WhatRuns what, Reply<> reply) {
  at_rest(
      what,
      [this, fork](Reply<> worked) {
        around_.plane.node.request(sandbox::ForkStorage{.workspace = record_.id, .fork = fork},
                                   as_done(std::move(worked)));
      },
      std::move(reply));
}  // NOLINT(clang-analyzer-cplusplus.NewDeleteLeaks): the function owns what it holds

void Workspace::take_snapshot(const std::string& name, WhatRuns what, Reply<> reply) {
  auto told = alive_.guard([this, name, reply = std::move(reply)](Result<> taken) mutable {
    if (taken)
      lifecycle_event(audit::Lifecycle::Activity::other, audit::Verdict::allowed,
                      fmt::format("snapshot '{}' of workspace '{}' was taken", name, record_.name));
    reply(std::move(taken));
  });
  at_rest(
      what,
      [this, name](Reply<> worked) {
        around_.plane.node.request(
            sandbox::TakeSnapshot{.workspace = record_.id,
                                  .snapshot = name,
                                  .created = static_cast<uint64_t>(around_.plane.clock.now())},
            as_done(std::move(worked)));
      },
      std::move(told));
}

// ---- rebuilding: everything down, sessions ended, a new tree, up again

void Workspace::rebuild(const std::string& snapshot, std::move_only_function<void()> emptied, Reply<> reply) {
  if (rebuilding_.reply)
    return reply(Error::make("workspace.conflict", "workspace '{}' is being rebuilt already", record_.name));
  if (converging_ || record_.desired == Desired::gone)
    return reply(
        Error::make("workspace.conflict", "workspace '{}' is {}", record_.name, control::name(state_)));
  rebuilding_ = {.snapshot = snapshot, .emptied = std::move(emptied), .reply = std::move(reply)};
  around_.commands.end_commands(record_.id, "",
                                alive_.guard([this](const Result<>&) { end_next_session(); }));
}

void Workspace::end_next_session() {
  if (!sessions_.empty())
    return end_session(sessions_.begin()->first, alive_.guard([this](Result<> ended) {
      if (ended) return end_next_session();
      if (auto reply = std::exchange(rebuilding_.reply, {})) reply(std::move(ended));
    }));
  at_rest(
      WhatRuns::ends,
      [this](Reply<> worked) {
        around_.plane.node.request(
            sandbox::RebuildStorage{.workspace = record_.id, .snapshot = rebuilding_.snapshot},
            alive_.guard(
                [this, worked = std::move(worked)](const Result<NodeClient::Answer>& answer) mutable {
                  if (answer) on_emptied();
                  worked(done(answer));
                }));
      },
      alive_.guard([this](Result<> rebuilt) {
        if (auto reply = std::exchange(rebuilding_.reply, {})) reply(std::move(rebuilt));
      }));
}

void Workspace::on_emptied() {
  lifecycle_event(
      audit::Lifecycle::Activity::other, audit::Verdict::allowed,
      fmt::format("workspace '{}' was rebuilt{}", record_.name,
                  rebuilding_.snapshot.empty() ? ": nothing that was written in it is left"
                                               : fmt::format(" from snapshot '{}'", rebuilding_.snapshot)));
  if (auto emptied = std::exchange(rebuilding_.emptied, {})) emptied();
}

// ---- a second session

void Workspace::fork_session(const std::string& id, const std::string& name, WhatRuns what,
                             Reply<SessionView> reply) {
  Session* session = find_session(id);
  if (state_ != WorkspaceState::running || converging_ || !session || session->changing ||
      session->cell->state() != Cell::State::up)
    return reply(Error::make("session.conflict",
                             "the session and its workspace must be running, and not be changed meanwhile"));
  auto record = new_session(name);
  if (!record) return reply(std::unexpected(std::move(record).error()));
  // Until its files are there it is stored as one to be removed: a crash leaves nothing of it.
  record->desired = Desired::gone;
  if (auto stored = around_.plane.store.put(*record); !stored)
    return reply(std::unexpected(std::move(stored).error()));
  restore_session(*record);
  session->changing = true;
  auto finished = alive_.guard([this, fork = record->id, reply = std::move(reply)](Result<> forked) mutable {
    begin_fork(fork, std::move(forked), std::move(reply));
  });
  around_.plane.node.request(
      sandbox::StopSandbox{.sandbox = session->cell->sandbox(), .when = when(what)},
      alive_.guard([this, id = session->record.id, fork = record->id,
                    finished = std::move(finished)](const Result<NodeClient::Answer>& answer) mutable {
        Session* source = find_session(id);
        if (!source) return finished(Error::make("session.conflict", "session '{}' was ended meanwhile", id));
        if (!answer) {
          source->changing = false;
          return finished(std::unexpected(
              answer.error().code == "sandbox.busy" ? busy("session", source->record.name) : answer.error()));
        }
        copy_stopped_session(*source, fork, std::move(finished));
      }));
}

void Workspace::copy_stopped_session(Session& source, const std::string& fork, Reply<> finished) {
  source.cell->stop(alive_.guard(
      [this, id = source.record.id, fork, finished = std::move(finished)](Result<> stopped) mutable {
        if (Session* known = find_session(id); !stopped && known) known->changing = false;
        if (!stopped) return finished(std::move(stopped));
        around_.plane.node.request(
            sandbox::ForkStorage{.workspace = record_.id, .session = id, .fork = fork},
            alive_.guard([this, id,
                          finished = std::move(finished)](const Result<NodeClient::Answer>& answer) mutable {
              resume(id, [finished = std::move(finished), result = done(answer)](Result<> resumed) mutable {
                finished(result ? std::move(resumed) : std::move(result));
              });
            }));
      }));
}

void Workspace::begin_fork(const std::string& fork, Result<> forked, Reply<SessionView> reply) {
  Session* session = find_session(fork);
  if (!session) return reply(Error::make("session.conflict", "the fork was ended meanwhile"));
  if (forked && (state_ != WorkspaceState::running || converging_))
    forked = Error::make("session.conflict", "workspace '{}' is {}, not running: its session is not forked",
                         record_.name, control::name(state_));
  if (forked) {
    store::Session record = session->record;
    record.desired = Desired::running;
    forked = around_.plane.store.put(record);
    if (forked) session->record = std::move(record);
  }
  auto failed = [this, fork](Error error, Reply<SessionView> told) {
    finish_session_end(*find_session(fork),
                       [told = std::move(told), error = std::move(error)](const Result<>&) mutable {
                         told(std::unexpected(std::move(error)));
                       });
  };
  if (!forked) return failed(std::move(forked).error(), std::move(reply));
  lifecycle_event(audit::Lifecycle::Activity::start, audit::Verdict::allowed,
                  fmt::format("session '{}' forked in workspace '{}'", session->record.name, record_.name),
                  {}, &session->record);
  start_session_cell(*session,
                     alive_.guard([this, fork, failed, reply = std::move(reply)](Result<> up) mutable {
                       Session* started = find_session(fork);
                       if (!started)
                         return reply(Error::make("session.conflict", "the fork was ended meanwhile"));
                       if (!up) return failed(std::move(up).error(), std::move(reply));
                       reply(view(*started));
                     }));
}

}  // namespace saw::control
