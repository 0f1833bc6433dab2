#include "policy/git.h"
#include "policy/judge.h"

namespace saw::policy {
namespace {

// An empty ref stands for the discovery of refs before a push, which every push to the repository begins
// with.
bool git_rule_holds(const Rule& rule, const GitRequest& request, std::string_view ref) {
  if (rule.everything) return true;
  const GitOp op = request.kind == GitRequest::Kind::fetch ? GitOp::fetch : GitOp::push;
  if (rule.op != op || !any_matches(rule.repos, request.repository)) return false;
  if (op == GitOp::fetch) return true;
  if (ref.empty()) return rule.effect != Effect::deny || rule.refs.empty();
  return any_matches(rule.refs, ref);
}

}  // namespace

Best Judge::git_rule(const GitRequest& request, std::string_view ref) {
  Best best;
  each_rule(Protocol::git, request.repository, [&](const Rule& rule, uint32_t e) {
    if (git_rule_holds(rule, request, ref)) best.offer(rule, e);
  });
  return best;
}

Decision Judge::git() {
  auto request = GitRequest::classify(subject_.request.method, subject_.path, subject_.query);
  if (!request) return refuse(request.error());
  // Looking at the refs is not yet a write: what needs review is the push itself.
  auto discovery = [&] { return outcome(git_rule(*request, {}), "push-discovery", Held::later); };
  if (request->kind == GitRequest::Kind::fetch) return outcome(git_rule(*request, {}), "fetch");
  if (request->kind == GitRequest::Kind::push_discovery) return discovery();
  if (is_encoded(subject_.request.headers)) return refuse("malformed:git-compressed");
  if (!subject_.request.body) return refuse("malformed:body-missing");
  PushCommands commands(*subject_.request.body);
  Best worst;
  while (auto command = commands.next()) {
    if (!*command) return refuse(command->error());
    worst.join(git_rule(*request, (*command)->ref));
  }
  return commands.probe() ? discovery() : outcome(worst, "push");
}

}  // namespace saw::policy
