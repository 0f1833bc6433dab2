// Judging one request by the compiled policy: what decide.cc hands a checked and canonical Subject to. Internal to src/policy.
//
// http() finds out which protocol the destination's entries speak and asks the part that understands it: decide_git.cc, decide_calls.cc
// (GraphQL, JSON-RPC, MCP, inference), decide_registry.cc. Where a request carries several operations (refs of a push, members of a batch,
// root fields), each must be covered by a rule, and the strictest effect is the request's.
#pragma once

#include <algorithm>

#include "policy/compiled.h"
#include "policy/request_head.h"

namespace saw::policy {

struct GitRequest;
struct GraphqlOperation;
struct RegistryRequest;
struct RpcCall;

// The strictest rule seen so far; among equals the first of the text.
struct Best {
  const Rule* rule = nullptr;
  uint32_t entry = 0;
  bool gap = false;  // some operation of the request has no rule at all

  void offer(const Rule& candidate, uint32_t from) {
    if (rule != nullptr) {
      if (candidate.effect < rule->effect) return;
      if (candidate.effect == rule->effect && (from > entry || (from == entry && &candidate >= rule))) return;
    }
    rule = &candidate;
    entry = from;
  }
  // What was found for one of several operations of the request.
  void join(const Best& operation) {
    gap = gap || operation.gap || operation.rule == nullptr;
    if (operation.rule != nullptr) offer(*operation.rule, operation.entry);
  }
};

// How the path that is judged was come by: it is what will be sent, or what a server may also take that for. There a rule can only
// make the judgement stricter, so an operation without one says nothing.
enum class Reading : uint8_t { sent, other };
// Whether a review rule holds the request up already, or only what the request prepares.
enum class Held : uint8_t { now, later };

inline bool any_matches(const std::vector<Glob>& globs, std::string_view text) {
  return globs.empty() || std::ranges::any_of(globs, [&](const Glob& g) { return g.matches(text); });
}

class Judge {
 public:
  Judge(const Policy::Impl& impl, const Subject& subject, Reading reading = Reading::sent)
      : impl_(impl), subject_(subject), reading_(reading), reason_("default-deny") {}

  Decision http();
  Decision websocket();
  Decision tcp();
  Decision dns();
  bool offers_tool(std::string_view tool);

 private:
  const Entry& entry(uint32_t e) const { return impl_.document.network[e]; }
  bool holds_here(const Rule& rule) const { return rule.when.holds(subject_.request.labels); }
  // Calls visit(entry number) for the entries whose `to` matches and that may carry this request; remembers why others may not.
  template <class Visit> void each_entry(Visit visit);
  // Calls visit(rule, entry number) for the rules of these entries that hold for the labels and may be about the key (RuleIndex); a rule
  // may come more than once.
  template <class Visit> void each_rule(Protocol protocol, std::string_view key, Visit visit);
  template <class Visit> void each_rule(Protocol protocol, Visit visit);  // whatever they are about
  Reason unfit(const Entry& candidate) const;
  Reason unfit_tls(const Entry& candidate) const;
  Decision outcome(const Best& best, Reason action, Held held = Held::now) const;
  static Decision refuse(Reason reason) { return {.effect = Effect::deny, .reason = reason}; }

  Decision by_protocol(Protocol protocol);
  Decision connection();

  Decision git();
  Best git_rule(const GitRequest& request, std::string_view ref);

  Decision graphql();
  Decision graphql_post();
  Decision graphql_get();
  Best graphql_rule(const GraphqlOperation& operation);
  Decision calls(Protocol protocol);
  Best call_rule(Protocol protocol, const RpcCall& call);
  Decision mcp_stream();
  Decision inference(uint32_t entry, Decision decision) const;

  Decision registry();
  template <class Visit> void each_registry_rule(uint32_t e, Reason& unknown, Visit visit);
  bool registry_rule_holds(const Rule& rule, const RegistryRequest& request);
  Reason too_young(const Rule& rule) const;

  const Policy::Impl& impl_;
  const Subject& subject_;
  Reading reading_;
  Reason reason_;          // of the denial when no rule matches
  bool external_ = false;  // some matching entry is an outward communication
};

template <class Visit> void Judge::each_entry(Visit visit) {
  impl_.hosts.at(subject_.host, subject_.request.port, [&](uint32_t e) {
    const Entry& candidate = entry(e);
    if (!candidate.paths.empty() && !any_matches(candidate.paths, subject_.path)) return true;
    if (Reason why = unfit(candidate); !why.empty()) {
      reason_ = why;
      return true;
    }
    external_ = external_ || candidate.reach == Reach::external;
    visit(e);
    return true;
  });
}

template <class Visit> void Judge::each_rule(Protocol protocol, std::string_view key, Visit visit) {
  each_entry([&](uint32_t e) {
    if (entry(e).protocol != protocol) return;
    impl_.rules[e].at(key, [&](uint32_t r) {
      if (const Rule& rule = entry(e).rules[r]; holds_here(rule)) visit(rule, e);
    });
  });
}

template <class Visit> void Judge::each_rule(Protocol protocol, Visit visit) {
  each_entry([&](uint32_t e) {
    if (entry(e).protocol != protocol) return;
    for (const Rule& rule : entry(e).rules)
      if (holds_here(rule)) visit(rule, e);
  });
}

}  // namespace saw::policy
