// The steps between what a workspace is and what it should be. Up: storage, saw-egress, sandbox, sessions.
// Down: commands, sessions, sandbox, saw-egress and, when it is to be gone, its storage and its record. Each
// step's answer leads to the next.
#include "base/log.h"
#include "control/workspace.h"

namespace saw::control {

using store::Desired;

Reply<NodeClient::Answer> Workspace::then(Step next) {
  return alive_.guard([this, next](Result<NodeClient::Answer> answer) {
    if (!answer) return settle(std::unexpected(std::move(answer).error()));
    (this->*next)();
  });
}

Reply<> Workspace::then_done(Step next) {
  return alive_.guard([this, next](Result<> done) {
    if (!done) return settle(std::unexpected(std::move(done).error()));
    (this->*next)();
  });
}

void Workspace::converge(Reply<> reply) {
  if (reply) waiters_.push_back(std::move(reply));
  if (!converging_) take_next_step();
}

void Workspace::take_next_step() {
  converging_ = true;
  target_ = record_.desired;
  problem_.clear();
  if (target_ == Desired::running) {
    if (state_ != WorkspaceState::running) state_ = WorkspaceState::starting;
    return make_storage();
  }
  state_ = WorkspaceState::stopping;
  end_commands();
}

void Workspace::settle(Result<> result) {
  converging_ = false;
  if (target_ != record_.desired) return take_next_step();
  if (!result) {
    problem_ = result.error().message;
    state_ = WorkspaceState::failed;
    log_error("workspace '{}': {}", record_.name, problem_);
    lifecycle_event(audit::Lifecycle::Activity::other, audit::Verdict::denied,
                    fmt::format("workspace '{}' failed: {}", record_.name, problem_));
  } else if (target_ == Desired::running) {
    state_ = WorkspaceState::running;
    call_plans_.get("", [name = record_.name](Result<std::string> prepared) {
      if (!prepared)
        log_warning("workspace '{}': calls will be slow to start: {}", name, prepared.error().message);
    });
    lifecycle_event(audit::Lifecycle::Activity::start, audit::Verdict::allowed,
                    fmt::format("workspace '{}' is running", record_.name));
  } else {
    state_ = WorkspaceState::stopped;
    lifecycle_event(
        target_ == Desired::gone ? audit::Lifecycle::Activity::remove : audit::Lifecycle::Activity::stop,
        audit::Verdict::allowed,
        fmt::format("workspace '{}' is {}", record_.name,
                    target_ == Desired::gone ? "decommissioned" : "stopped"));
  }
  for (Reply<>& waiter : std::exchange(waiters_, {})) waiter(result);
}

// ---- up
// ---------------------------------------------------------------------------------------------------------------------------

void Workspace::make_storage() {
  around_.plane.node.request(sandbox::CreateStorage{.workspace = record_.id}, then(&Workspace::start_egress));
}

void Workspace::start_egress() {
  egress_.start();
  egress_.when_ready(then_done(&Workspace::start_cell));
}

void Workspace::start_cell() {
  auto plan = this->plan(sandbox::Depth::workspace, "", cell_->sandbox());
  if (!plan) return settle(std::unexpected(std::move(plan).error()));
  cell_->use_channel(channel_use(*cell_));
  cell_->start(std::move(*plan), then_done(&Workspace::start_next_session));
}

// One after the other. A session that does not start is marked and does not stop the workspace.
void Workspace::start_next_session() {
  for (auto& [id, session] : sessions_) {
    const bool up = session->cell->state() == Cell::State::up;
    if (up || session->changing || session->record.desired != Desired::running || !session->problem.empty())
      continue;
    return start_session_cell(*session, alive_.guard([this](Result<>) { start_next_session(); }));
  }
  settle({});
}

void Workspace::start_session_cell(Session& session, Reply<> reply) {
  auto plan = this->plan(sandbox::Depth::session, session.record.id, session.cell->sandbox());
  if (!plan) {
    session.problem = plan.error().message;
    return reply(std::unexpected(std::move(plan).error()));
  }
  session.cell->use_channel(channel_use(*session.cell));
  session.cell->start(std::move(*plan), alive_.guard([this, id = session.record.id,
                                                      reply = std::move(reply)](Result<> started) mutable {
    if (auto found = sessions_.find(id); found != sessions_.end() && !started)
      found->second->problem = started.error().message;
    reply(std::move(started));
  }));
}

// ---- down
// -------------------------------------------------------------------------------------------------------------------------

void Workspace::end_commands() {
  around_.commands.end_commands(record_.id, "", then_done(&Workspace::forget_calls));
}

void Workspace::forget_calls() {
  call_plans_.forget("", then_done(&Workspace::stop_next_session));
}

void Workspace::stop_next_session() {
  for (auto& [id, session] : sessions_) {
    session->problem.clear();
    if (session->cell->state() != Cell::State::down)
      return session->cell->stop(then_done(&Workspace::stop_next_session));
  }
  stop_cell();
}

// Also when it is thought to be down: after a crash saw-node may know better, and stopping what is not there
// is no error.
void Workspace::stop_cell() {
  cell_->stop(then_done(&Workspace::stop_egress));
}

void Workspace::stop_egress() {
  egress_.stop(alive_.guard([this](Result<> stopped) {
    if (!stopped) return settle(std::move(stopped));
    if (target_ != Desired::gone) return settle({});
    remove_storage();
  }));
}

void Workspace::remove_storage() {
  around_.plane.node.request(sandbox::RemoveStorage{.workspace = record_.id},
                             alive_.guard([this](Result<NodeClient::Answer> answer) {
                               if (!answer) return settle(std::unexpected(std::move(answer).error()));
                               auto removed = around_.plane.store.remove_workspace(record_.id);
                               gone_ = removed.has_value();
                               settle(std::move(removed));
                             }));
}

// ---- sessions
// ---------------------------------------------------------------------------------------------------------------------

SessionView Workspace::view(const Session& session) {
  SessionView v{.id = session.record.id,
                .name = session.record.name,
                .workspace = session.record.workspace,
                .created = session.record.created,
                .proof = session.cell->proof()};
  switch (session.cell->state()) {
    case Cell::State::up:
      v.state = "running", v.sandbox = session.cell->sandbox();
      break;
    case Cell::State::found:
    case Cell::State::starting:
      v.state = "starting";
      break;
    case Cell::State::stopping:
      v.state = "stopping";
      break;
    case Cell::State::down:
      v.state = session.problem.empty() ? "stopped" : "failed";
      break;
  }
  if (session.record.desired == Desired::stopped) v.state = "kept";
  if (session.changing) v.state = "changing";
  if (session.record.desired == Desired::gone) v.state = "ending";
  return v;
}

std::vector<SessionView> Workspace::session_views() const {
  std::vector<SessionView> out;
  for (const auto& [id, session] : sessions_) out.push_back(view(*session));
  return out;
}

Workspace::Session* Workspace::find_session(std::string_view id_or_name) {
  for (auto& [id, session] : sessions_)
    if (id == id_or_name || session->record.name == id_or_name) return session.get();
  return nullptr;
}

void Workspace::restore_session(store::Session record) {
  egress::ChannelIdentity id = identity(record.id);
  auto cell = std::make_unique<Cell>(around_.plane, egress_, record.sandbox, std::move(id));
  std::string key = record.id;
  sessions_[key] = std::make_unique<Session>(Session{.record = std::move(record), .cell = std::move(cell)});
}

Result<store::Session> Workspace::new_session(const std::string& name) {
  if (sessions_.size() >= kMaxSessions)
    return Error::make("session.conflict", "workspace '{}' has {} sessions already", record_.name,
                       kMaxSessions);
  store::Session record{.id = random_id("ss-"),
                        .workspace = record_.id,
                        .desired = Desired::running,
                        .sandbox = random_id("sb-"),
                        .created = around_.plane.clock.now()};
  record.name = name.empty() ? record.id : name;
  SAW_TRY(check_name("session", record.name));
  if (find_session(record.name))
    return Error::make("session.conflict", "workspace '{}' has a session '{}'", record_.name, record.name);
  return record;
}

void Workspace::start_session(const std::string& name, Reply<SessionView> reply) {
  if (state_ != WorkspaceState::running || converging_)
    return reply(Error::make("workspace.conflict", "workspace '{}' is {}, not running", record_.name,
                             control::name(state_)));
  auto made = new_session(name);
  if (!made) return reply(std::unexpected(std::move(made).error()));
  store::Session& record = *made;
  if (auto stored = around_.plane.store.put(record); !stored)
    return reply(std::unexpected(std::move(stored).error()));
  restore_session(record);
  Session& session = *sessions_.at(record.id);
  lifecycle_event(audit::Lifecycle::Activity::start, audit::Verdict::allowed,
                  fmt::format("session '{}' started in workspace '{}'", record.name, record_.name), {},
                  &session.record);
  start_session_cell(
      session, alive_.guard([this, id = record.id, reply = std::move(reply)](Result<> started) mutable {
        auto found = sessions_.find(id);
        if (found == sessions_.end())
          return reply(Error::make("session.conflict", "session '{}' was ended meanwhile", id));
        if (started) return reply(view(*found->second));
        // It never ran: nothing of it is kept.
        end_session(id, [reply = std::move(reply), error = started.error()](Result<>) mutable {
          reply(std::unexpected(std::move(error)));
        });
      }));
}

void Workspace::end_session(const std::string& id, Reply<> reply) {
  Session* session = find_session(id);
  if (!session)
    return reply(Error::make("session.not_found", "workspace '{}' has no session '{}'", record_.name, id));
  if (session->cell->state() == Cell::State::starting || session->cell->state() == Cell::State::stopping ||
      session->changing)
    return reply(Error::make("session.conflict", "session '{}' is starting, stopping or being changed",
                             session->record.name));
  session->record.desired = Desired::gone;
  if (auto stored = around_.plane.store.put(session->record); !stored)
    return reply(std::unexpected(std::move(stored).error()));
  finish_session_end(*session, std::move(reply));
}

void Workspace::finish_session_end(Session& session, Reply<> reply) {
  const std::string id = session.record.id, name = session.record.name;
  auto drop = [this, id, name, reply = std::move(reply)](Result<NodeClient::Answer> removed) mutable {
    if (!removed) return reply(std::unexpected(std::move(removed).error()));
    if (auto stored = around_.plane.store.remove_session(id); !stored) return reply(std::move(stored));
    lifecycle_event(
        audit::Lifecycle::Activity::remove, audit::Verdict::allowed,
        fmt::format("session '{}' of workspace '{}' ended; what it wrote is gone", name, record_.name), {},
        &sessions_.at(id)->record);
    sessions_.erase(id);
    reply({});
  };
  auto remove = [this, id, drop = std::move(drop)](Result<> stopped) mutable {
    if (!stopped) return drop(std::unexpected(std::move(stopped).error()));
    call_plans_.forget(id, [](Result<> forgotten) {
      if (!forgotten) log_warning("ending a session: {}", forgotten.error().message);
    });
    around_.plane.node.request(sandbox::RemoveStorage{.workspace = record_.id, .session = id},
                               alive_.guard(std::move(drop)));
  };
  auto stop = [this, id, remove = std::move(remove)](Result<> ended) mutable {
    auto found = sessions_.find(id);
    if (!ended || found == sessions_.end()) return remove(std::move(ended));
    found->second->cell->stop(alive_.guard(std::move(remove)));
  };
  around_.commands.end_commands(record_.id, id, alive_.guard(std::move(stop)));
}

void Workspace::finish_ended_sessions() {
  std::vector<std::string> ended;
  for (const auto& [id, session] : sessions_)
    if (session->record.desired == Desired::gone) ended.push_back(id);
  for (const std::string& id : ended)
    finish_session_end(*sessions_.at(id), [](Result<> done) {
      if (!done) log_warning("ending a session: {}", done.error().message);
    });
}

}  // namespace saw::control
