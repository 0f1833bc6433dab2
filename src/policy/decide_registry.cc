#include "policy/judge.h"
#include "policy/registry.h"

namespace saw::policy {
namespace {

// The part of the path below the registry's root: the literal head of the `to.paths` that admitted it.
std::string_view below_root(const Entry& entry, std::string_view path) {
  for (const Glob& glob : entry.paths)
    if (glob.matches(path)) return path.substr(std::min(glob.literal_prefix().size(), path.size()));
  return path;
}

}  // namespace

// Why a version may not be had yet, by a rule that would otherwise admit it.
Reason Judge::too_young(const Rule& rule) const {
  const Request& request = subject_.request;
  if (rule.min_age_days == 0) return {};
  if (!request.published || request.time == 0) return "registry-age-unknown";
  constexpr Nanos kDay = 24 * 60 * kMinute;
  return request.time - *request.published < rule.min_age_days * kDay ? "registry-too-young" : Reason();
}

bool Judge::registry_rule_holds(const Rule& rule, const RegistryRequest& request) {
  if (rule.registry_op != request.op) return false;
  if (!rule.packages.empty()) {
    // A catalogue is no package. What package it is cannot always be told from the path: then no allow holds.
    const bool index = request.what == RegistryRequest::What::index;
    const bool unknown = !index && request.package.empty();
    const bool matches = index     ? rule.effect != Effect::deny
                         : unknown ? rule.effect != Effect::allow
                                   : any_matches(rule.packages, request.package);
    if (!matches) return false;
  }
  if (request.what != RegistryRequest::What::version || request.op != RegistryOp::read) return true;
  const Reason young = too_young(rule);
  if (!young.empty()) reason_ = young;
  return young.empty();
}

// Calls visit(rule, request) for the rules of an entry that may hold for what its registry would be asked.
template <class Visit> void Judge::each_registry_rule(uint32_t e, Reason& unknown, Visit visit) {
  const std::string_view below = below_root(entry(e), subject_.path);
  for (const Ecosystem ecosystem : impl_.ecosystems[e]) {
    auto request = registry_request(ecosystem, subject_.request.method, below, subject_.query);
    if (!request) {
      unknown = request.error();
      continue;
    }
    auto offer = [&](const Rule& rule) {
      if (!rule.everything && rule.ecosystem == ecosystem && holds_here(rule)) visit(rule, *request);
    };
    if (!request->package.empty())
      impl_.rules[e].at(request->package, [&](uint32_t r) { offer(entry(e).rules[r]); });
    else
      std::ranges::for_each(entry(e).rules, offer);
  }
}

Decision Judge::registry() {
  Best best;
  std::optional<uint16_t> least_age;  // of the rules that have the best effect
  Reason action = "read", unknown = {};
  bool listing = false;
  each_entry([&](uint32_t e) {
    if (entry(e).protocol != Protocol::registry) return;
    impl_.rules[e].any_key([&](uint32_t r) {
      if (const Rule& rule = entry(e).rules[r]; rule.everything && holds_here(rule)) best.offer(rule, e);
    });
    each_registry_rule(e, unknown, [&](const Rule& rule, const RegistryRequest& request) {
      if (!registry_rule_holds(rule, request)) return;
      if (best.rule == nullptr || rule.effect > best.rule->effect) least_age.reset();
      best.offer(rule, e);
      if (rule.effect == best.rule->effect)
        least_age = std::min(least_age.value_or(rule.min_age_days), rule.min_age_days);
      if (request.op == RegistryOp::publish) action = "publish";
      listing = request.what != RegistryRequest::What::version;
    });
  });
  if (best.rule == nullptr && reason_ == "default-deny" && !unknown.empty()) reason_ = unknown;
  Decision out = outcome(best, action);
  if (listing && out.effect != Effect::deny) out.min_age_days = least_age.value_or(0);
  return out;
}

}  // namespace saw::policy
