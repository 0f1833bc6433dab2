// The part of Node that reads, commits and discards what sessions wrote.
#include <algorithm>

#include "sandbox/change_message.h"
#include "sandbox/node.h"
#include "sandbox/quarantine.h"

namespace saw::sandbox {

bool Node::has_job(const std::string& workspace, const std::string& session) const {
  return std::ranges::any_of(jobs_, [&](const Job& job) {
    return job.writes && job.workspace == workspace && (session.empty() || job.session == session);
  });
}

void Node::when_changeable(const Ticket& ticket, const std::string& workspace, const std::string& session,
                           std::move_only_function<void()> change) {
  calls_.forget(workspace, session);  // parked sandboxes show its layers, too
  sandboxes_.end_proofs(
      workspace, session, [this, ticket, workspace, session, change = std::move(change)]() mutable {
        if (sandboxes_.uses_storage(workspace, session) || calls_.uses_storage(workspace, session))
          return outbox_.fail(ticket, {"session.busy", "a sandbox still uses this session"});
        if (has_job(workspace, ""))
          return outbox_.fail(ticket,
                              {"session.busy", "a session of this workspace is being committed; try again"});
        change();
      });
}

void Node::when_committable(const Ticket& ticket, const std::string& workspace, const std::string& session,
                            std::move_only_function<void()> commit) {
  when_changeable(
      ticket, workspace, session, [this, ticket, workspace, commit = std::move(commit)]() mutable {
        // An overlay goes on showing what it has once looked up, whatever is put into its layer behind its back.
        if (storage_.is_stacked(workspace) && sandboxes_.writes_storage(workspace, ""))
          return outbox_.fail(ticket, {kWorkspaceRuns, "the workspace's own sandbox must be stopped for it"});
        commit();
      });
}

void Node::start_job(const Ticket& ticket, Job job, const std::function<Result<FromNode>()>& work) {
  if (jobs_.size() >= kMaxJobs)
    return outbox_.fail(ticket, {"node.busy", "too many sessions are read or committed; try again"});
  const auto place = jobs_.insert(jobs_.end(), std::move(job));
  const auto run = [&]() -> std::string {
    auto answer = work();
    if (answer) return wire::encode(*answer);
    return wire::encode(FromNode{Failed{.code = answer.error().code, .message = answer.error().message}});
  };
  auto process = os::Background::start(
      loop_, {.keep = storage_.descriptors(), .limit_ms = kJobMs}, run,
      [this, place, ticket](Result<std::string> answer) { end_job(place, ticket, std::move(answer)); });
  if (!process) {
    jobs_.erase(place);
    return outbox_.fail(ticket, process.error());
  }
  place->process = std::move(*process);
}

void Node::end_job(std::list<Job>::iterator job, const Ticket& ticket, Result<std::string> answer) {
  const bool wrote = job->writes;
  const std::string workspace = job->workspace;
  jobs_.erase(job);
  if (wrote) {
    // A process that was ended in the middle, or met an error, may leave a journal: what was decided is done
    // before anybody looks.
    if (auto finished = storage_.settle(workspace); !finished)
      log_error("workspace '{}': {}", workspace, finished.error().message);
    if (storage_.is_stacked(workspace)) calls_.restack(workspace);
    empty_trash();
  }
  if (!answer) return outbox_.fail(ticket, answer.error());
  auto message = wire::decode<FromNode>(*answer);
  if (!message) return outbox_.fail(ticket, message.error());
  if (auto* failed = std::get_if<Failed>(&*message))
    return outbox_.fail(ticket, {failed->code, failed->message});
  if (auto* changes = std::get_if<Changes>(&*message)) return outbox_.answer(ticket, std::move(*changes));
  if (auto* committed = std::get_if<Committed>(&*message))
    return outbox_.answer(ticket, std::move(*committed));
  outbox_.answer(ticket, Done{});
}

void Node::handle(const ListChanges& message) {
  start_job(outbox_.ticket(message.request), {.workspace = message.workspace, .session = message.session},
            [&]() -> Result<FromNode> {
              const ChangeSources sources =
                  SAW_TRY(storage_.session_sources(message.workspace, message.session));
              return FromNode{SAW_TRY(answer_of(sources, message))};
            });
}

void Node::handle(const CommitSession& message) {
  const Ticket ticket = outbox_.ticket(message.request);
  if (is_quarantine_id(message.session))
    return outbox_.fail(ticket, {"storage.bad_id", "what is in quarantine is released, not committed"});
  when_committable(ticket, message.workspace, message.session, [this, message, ticket] {
    start_job(ticket, {.workspace = message.workspace, .session = message.session, .writes = true},
              [&]() -> Result<FromNode> { return FromNode{SAW_TRY(commit_session(message))}; });
  });
}

Result<Committed> Node::commit_session(const CommitSession& message) {
  if (message.run_later == RunLater::deny) {
    const ChangeSources sources = SAW_TRY(storage_.session_sources(message.workspace, message.session));
    SAW_TRY(refuse_run_later(sources));
  }
  const CommitRequest request{.root = message.root, .classify = classify_run_later};
  const CommitOutcome outcome = SAW_TRY(storage_.commit(message.workspace, message.session, request));
  Committed answer = to_message(outcome);
  if (outcome.withheld.empty() || !outcome.conflicts.empty()) return answer;
  // The commit stands, whatever becomes of this: what was withheld is with the session, and the next commit
  // tries again.
  if (auto kept = storage_.update_quarantine(message.workspace, message.session); !kept)
    answer.quarantine_problem = kept.error().message;
  return answer;
}

void Node::handle(const ListQuarantine& message) {
  const Ticket ticket = outbox_.ticket(message.request);
  auto items = storage_.quarantine(message.workspace);
  if (!items) return outbox_.fail(ticket, items.error());
  outbox_.answer(ticket, QuarantineList{.items = std::move(*items)});
}

void Node::handle(const ReleaseQuarantine& message) {
  const Ticket ticket = outbox_.ticket(message.request);
  when_committable(ticket, message.workspace, message.item, [this, message, ticket] {
    start_job(ticket, {.workspace = message.workspace, .session = message.item, .writes = true},
              [&]() -> Result<FromNode> {
                SAW_TRY(storage_.release_quarantine(message.workspace, message.item, message.root));
                return FromNode{Done{}};
              });
  });
}

void Node::handle(const DiscardSession& message) {
  const Ticket ticket = outbox_.ticket(message.request);
  when_changeable(ticket, message.workspace, message.session, [this, message, ticket] {
    auto done = storage_.discard(message.workspace, message.session);
    empty_trash();
    conclude(ticket, done);
  });
}

}  // namespace saw::sandbox
