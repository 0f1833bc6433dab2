#include "control/call_plans.h"

namespace saw::control {

void CallPlans::get(const std::string& session, Reply<std::string> reply) {
  auto found = plans_.find(session);
  if (found != plans_.end() && !found->second.digest.empty()) return reply(found->second.digest);
  if (found != plans_.end()) return found->second.waiting.push_back(std::move(reply));
  auto request = source_.make(session);
  if (!request) return reply(std::unexpected(std::move(request).error()));
  Plan& plan = plans_[session];
  plan.number = ++last_number_;
  plan.waiting.push_back(std::move(reply));
  plane_.node.request(std::move(*request),
                      alive_.guard([this, session, number = plan.number](Result<NodeClient::Answer> answer) {
                        on_prepared(session, number, std::move(answer));
                      }));
}

void CallPlans::on_prepared(const std::string& session, uint64_t number, Result<NodeClient::Answer> answer) {
  auto found = plans_.find(session);
  // Forgotten meanwhile, and whoever waited was told; the next one's answer is still to come.
  if (found == plans_.end() || found->second.number != number) return;
  std::vector<Reply<std::string>> waiting = std::exchange(found->second.waiting, {});
  const auto* prepared = answer ? std::get_if<sandbox::CallsPrepared>(&answer->message) : nullptr;
  Result<std::string> digest = prepared ? Result<std::string>(prepared->plan)
                               : answer
                                   ? Error::make("node.malformed", "saw-node answered with something else")
                                   : Result<std::string>(std::unexpected(answer.error()));
  if (digest)
    found->second.digest = *digest;
  else
    plans_.erase(found);
  for (Reply<std::string>& reply : waiting) reply(digest);
}

void CallPlans::drop(const std::string& digest) {
  std::erase_if(plans_, [&](const auto& entry) { return entry.second.digest == digest; });
}

void CallPlans::forget(const std::string& session, Reply<> reply) {
  std::vector<Reply<std::string>> waiting;
  for (auto entry = plans_.begin(); entry != plans_.end();) {
    if (!session.empty() && entry->first != session) {
      ++entry;
      continue;
    }
    for (Reply<std::string>& each : entry->second.waiting) waiting.push_back(std::move(each));
    entry = plans_.erase(entry);
  }
  for (Reply<std::string>& each : waiting)
    each(Error::make("workspace.conflict", "the workspace or session is being stopped"));
  plane_.node.request(sandbox::ForgetCalls{.workspace = workspace_, .session = session},
                      alive_.guard([reply = std::move(reply)](Result<NodeClient::Answer> answer) mutable {
                        if (!answer) return reply(std::unexpected(std::move(answer).error()));
                        reply({});
                      }));
}

}  // namespace saw::control
