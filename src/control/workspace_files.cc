// What a session wrote, brought into the workspace or forgotten; and calls whose files are kept.
#include <algorithm>

#include "base/bytes.h"
#include "base/crypto.h"
#include "base/log.h"
#include "control/workspace.h"
#include "control/workspace_spec.h"

namespace saw::control {

using store::Desired;

namespace {

std::vector<std::string> printable_all(const std::vector<std::string>& paths) {
  constexpr size_t kMaxShownPath = 8192;
  std::vector<std::string> out;
  for (const std::string& path : paths) out.push_back(printable(path, kMaxShownPath));
  return out;
}

CommitView to_view(const sandbox::Committed& c) {
  return {.root = c.root,
          .applied = c.applied,
          .conflicting = c.conflicting,
          .held_back = c.held_back,
          .left = c.left,
          .conflicts = printable_all(c.conflicts),
          .withheld = printable_all(c.withheld),
          .failed = printable_all(c.failed),
          .quarantine_problem = printable(c.quarantine_problem, 1000)};
}

std::string outcome_of(const CommitView& c) {
  if (c.conflicting > 0) return fmt::format("refused, {} paths conflict; nothing was applied", c.conflicting);
  return fmt::format("{} changes applied, {} quarantined, {} left to the session", c.applied, c.held_back,
                     c.left);
}

}  // namespace

template <class Request>
void Workspace::request_at_rest(Request request, WhatRuns what, Reply<NodeClient::Answer> reply) {
  auto asked = [this, request, what, reply = std::move(reply)](Result<NodeClient::Answer> answer) mutable {
    if (answer || answer.error().code != sandbox::kWorkspaceRuns) return reply(std::move(answer));
    // What saw-node said counts, also if the workspace does not come up again.
    auto said = std::make_shared<std::optional<Result<NodeClient::Answer>>>();
    at_rest(
        what,
        [this, request, said](Reply<> worked) {
          around_.plane.node.request(
              request, [said, worked = std::move(worked)](Result<NodeClient::Answer> second) mutable {
                *said = std::move(second);
                worked({});
              });
        },
        [said, reply = std::move(reply)](Result<> rested) mutable {
          if (!*said) return reply(std::unexpected(std::move(rested).error()));
          if (!rested) log_warning("a workspace did not start again: {}", rested.error().message);
          reply(std::move(**said));
        });
  };
  around_.plane.node.request(request, alive_.guard(std::move(asked)));
}

void Workspace::release_quarantine(const sandbox::ReleaseQuarantine& request,
                                   Reply<NodeClient::Answer> reply) {
  request_at_rest(request, WhatRuns::stays, std::move(reply));
}

void Workspace::file_event(std::string_view operation, audit::Verdict verdict, const Session& session,
                           const std::string& by, const std::string& message, const std::string& root,
                           Reply<> durable) {
  auto e = event<audit::ApiActivity>(around_.plane, who(session.cell->identity()), verdict, message);
  e.who.sponsor = by;
  e.who.session = session.record.id;
  e.policy_digest = record_.policy_digest;
  e.activity = audit::ApiActivity::Activity::update;
  e.operation = operation;
  e.reason = root;
  e.object_kind = "session";
  e.object_id = session.record.id;
  e.object_name = session.record.name;
  if (durable)
    around_.plane.audit.record_before(audit::api_activity(e), std::move(durable));
  else
    around_.plane.audit.record(audit::api_activity(e));
}

Result<Workspace::Session*> Workspace::changeable_session(const std::string& id, const FileChange& change) {
  Session* session = find_session(id);
  if (!session)
    return Error::make("session.not_found", "workspace '{}' has no session '{}'", record_.name,
                       printable(id, 80));
  const Cell::State state = session->cell->state();
  if (session->changing || session->record.desired == Desired::gone || state == Cell::State::starting ||
      state == Cell::State::stopping || converging_)
    return Error::make("session.conflict",
                       "session '{}' or its workspace is starting, stopping or being changed",
                       session->record.name);
  if (change.running == Running::refuse && around_.commands.has_commands(record_.id, session->record.id))
    return Error::make("session.busy",
                       "a command runs in session '{}': wait for it, or say that it may be ended (--stop)",
                       session->record.name);
  if (!around_.plane.audit.available())
    return Error::make("audit.unavailable", "the audit log cannot be written: no files are changed");
  return session;
}

// Nothing runs in the session while its files change: a layer cannot be taken from below a mounted overlay.
void Workspace::quiesce(const std::string& id, Reply<> reply) {
  auto stop = [this, id, reply = std::move(reply)](Result<> ended) mutable {
    Session* session = find_session(id);
    if (!ended || !session) return reply(std::move(ended));
    if (session->cell->state() == Cell::State::down) return reply({});
    session->cell->stop(alive_.guard(std::move(reply)));
  };
  around_.commands.end_commands(record_.id, id, alive_.guard(std::move(stop)));
}

// The session goes on, in a new sandbox, if its workspace does.
void Workspace::resume(const std::string& id, Reply<> reply) {
  Session* session = find_session(id);
  if (!session) return reply({});
  session->changing = false;
  const bool runs =
      state_ == WorkspaceState::running && !converging_ && session->record.desired == Desired::running;
  if (!runs || session->cell->state() != Cell::State::down) return reply({});
  session->record.sandbox = random_id("sb-");
  if (auto stored = around_.plane.store.put(session->record); !stored) return reply(std::move(stored));
  session->cell->rename(session->record.sandbox);
  session->problem.clear();
  start_session_cell(*session, std::move(reply));
}

void Workspace::commit_session(const std::string& given, const FileChange& change, Reply<CommitView> reply) {
  auto found = changeable_session(given, change);
  if (!found) return reply(std::unexpected(std::move(found).error()));
  Session& session = **found;
  session.changing = true;
  const std::string id = session.record.id, by = change.by;
  auto end = [this, id, by, reply = std::move(reply)](Result<CommitView> done) mutable {
    if (Session* known = find_session(id)) {
      const bool applied = done && done->conflicting == 0;
      file_event("session.commit", applied ? audit::Verdict::allowed : audit::Verdict::denied, *known, by,
                 fmt::format("commit of session '{}' into workspace '{}': {}", known->record.name,
                             record_.name, done ? outcome_of(*done) : done.error().message),
                 done ? done->root : "");
      // A kept call has nothing to go on with once everything is in the workspace.
      if (applied && done->held_back + done->left == 0 && known->record.desired == Desired::stopped) {
        known->changing = false;
        return end_session(id, [reply = std::move(reply), done = std::move(done)](Result<> ended) mutable {
          if (!ended) log_warning("ending a kept call: {}", ended.error().message);
          reply(std::move(done));
        });
      }
    }
    resume(id, [reply = std::move(reply), done = std::move(done)](Result<> resumed) mutable {
      if (!resumed) log_warning("a session did not start again: {}", resumed.error().message);
      reply(std::move(done));
    });
  };
  auto finish = [end = std::move(end)](Result<NodeClient::Answer> answer) mutable {
    if (!answer) return end(std::unexpected(std::move(answer).error()));
    auto* committed = std::get_if<sandbox::Committed>(&answer->message);
    if (!committed)
      return end(Error::make("node.malformed", "saw-node answered a commit with something else"));
    end(to_view(*committed));
  };
  auto ask = [this, id, change, finish = std::move(finish)](Result<> quiet) mutable {
    if (!quiet) return finish(std::unexpected(std::move(quiet).error()));
    const bool deny = policy_.get().filesystem().run_later == policy::RunLater::deny;
    request_at_rest(
        sandbox::CommitSession{.workspace = record_.id,
                               .session = id,
                               .root = change.root,
                               .run_later = deny ? sandbox::RunLater::deny : sandbox::RunLater::quarantine},
        change.running == Running::stop ? WhatRuns::ends : WhatRuns::stays, alive_.guard(std::move(finish)));
  };
  auto recorded = [this, id, ask = std::move(ask)](Result<> durable) mutable {
    if (!durable) return ask(std::move(durable));
    quiesce(id, std::move(ask));
  };
  file_event(
      "session.commit-begin", audit::Verdict::allowed, session, by,
      fmt::format("{} commits session '{}' into workspace '{}'", by, session.record.name, record_.name),
      change.root, alive_.guard(std::move(recorded)));
}

void Workspace::discard_session(const std::string& given, const FileChange& change, Reply<> reply) {
  auto found = changeable_session(given, change);
  if (!found) return reply(std::unexpected(std::move(found).error()));
  Session& session = **found;
  const std::string id = session.record.id, by = change.by;
  if (session.record.desired == Desired::stopped) return end_session(id, std::move(reply));  // a kept call
  session.changing = true;
  auto finish = [this, id, by, reply = std::move(reply)](Result<NodeClient::Answer> answer) mutable {
    Session* known = find_session(id);
    if (known)
      file_event("session.discard", answer ? audit::Verdict::allowed : audit::Verdict::denied, *known, by,
                 fmt::format("{} discarded what session '{}' of workspace '{}' wrote{}", by,
                             known->record.name, record_.name, answer ? "" : ": it failed"),
                 "");
    Result<> done;
    if (!answer) done = std::unexpected(answer.error());
    resume(id, [done = std::move(done), reply = std::move(reply)](Result<> resumed) mutable {
      reply(done ? std::move(resumed) : std::move(done));
    });
  };
  quiesce(id, [this, id, finish = std::move(finish)](Result<> quiet) mutable {
    if (!quiet) return finish(std::unexpected(std::move(quiet).error()));
    around_.plane.node.request(sandbox::DiscardSession{.workspace = record_.id, .session = id},
                               alive_.guard(std::move(finish)));
  });
}

Result<> Workspace::keep_call(const std::string& id, const std::string& name) {
  const auto kept = std::ranges::count_if(
      sessions_, [](const auto& entry) { return entry.second->record.desired == Desired::stopped; });
  if (static_cast<size_t>(kept) >= kMaxKeptCalls || sessions_.size() >= kMaxSessions)
    return Error::make(
        "session.conflict",
        "workspace '{}' keeps the files of {} calls already: commit or discard some (saw session list)",
        record_.name, kept);
  store::Session record{.id = id,
                        .workspace = record_.id,
                        .name = name,
                        .desired = Desired::stopped,
                        .sandbox = random_id("sb-"),
                        .created = around_.plane.clock.now()};
  SAW_TRY(around_.plane.store.put(record));
  restore_session(std::move(record));
  return {};
}

}  // namespace saw::control
