#include "policy/prove/prove.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "policy/compiled.h"
#include "policy/within.h"

namespace saw::policy::prove {

std::string_view name(Verdict verdict) {
  switch (verdict) {
    case Verdict::proved:
      return "proved";
    case Verdict::counterexample:
      return "counterexample";
    case Verdict::unknown:
      return "unknown";
  }
  return "unknown";
}

namespace {

// The language grows; what is added to it must be added to formula.cc before it can be proved. Naming every
// member makes a new one an error of compilation here.
bool known_whole(const Rule& rule) {
  [[maybe_unused]] const auto& [effect, id, place, everything, when, methods, paths, query, headers, op,
                                repos, refs, types, names, fields, calls, tools, arguments, messages, binary,
                                ecosystem, registry_op, packages, min_age_days] = rule;
  return true;
}
bool known_whole(const Entry& entry) {
  [[maybe_unused]] const auto& [name, place, hosts, ports, paths, addresses, protocol, tls, content, data,
                                reach, credential, credential_place, limits, p1, p2, p3, p4, rules] = entry;
  return std::ranges::all_of(rules, [](const Rule& rule) { return known_whole(rule); });
}
bool known_whole(const Document& document) {
  [[maybe_unused]] const auto& [name, description, classification, profile, isolation, strict, filesystem,
                                limits, network, credentials, inference, budget, trifecta, review,
                                credential_ttl_ms, p1, p2, p3, p4, p5, p6, p7] = document;
  return std::ranges::all_of(network, [](const Entry& entry) { return known_whole(entry); });
}

// What of an entry is not analysed; empty: nothing.
std::string not_analysed(const Entry& entry) {
  if (entry.protocol != Protocol::http && entry.protocol != Protocol::git)
    return "protocol " + std::string(name(entry.protocol)) + " is not analysed";
  if (entry.tls == TlsMode::passthrough) return "tls: passthrough is not analysed";
  if (entry.data == DataClass::private_data) return "data: private is not analysed";
  const Limits& limits = entry.limits;
  if (limits.requests_per_minute != 0 || limits.concurrent != 0 || limits.upload_bytes_per_hour != 0)
    return "limits other than requestBytes are not analysed";
  const bool conditional =
      std::ranges::any_of(entry.rules, [](const Rule& rule) { return rule.when != LabelCondition(); });
  return conditional ? "when.labels is not analysed" : "";
}

// The same of a policy.
std::string not_analysed(const Document& document) {
  if (!known_whole(document)) return "a part of the language that is not analysed";
  if (!document.inference.empty()) return "inference is not analysed";
  if (document.budget_place.line != 0) return "budget is not analysed";
  for (const Entry& entry : document.network)
    if (std::string what = not_analysed(entry); !what.empty()) return "entry '" + entry.name + "': " + what;
  return {};
}

Answer unknown(std::string reason) {
  return {.verdict = Verdict::unknown, .reason = std::move(reason)};
}

Answer from_weakening(Weakening weak) {
  using Matter = Weakening::Matter;
  return {.verdict = Verdict::counterexample,
          .claim = {.matter = weak.matter == Matter::file    ? "file"
                              : weak.matter == Matter::label ? "label"
                                                             : "setting",
                    .path = std::move(weak.path),
                    .access = std::move(weak.access),
                    .setting = std::move(weak.setting)}};
}

Answer from_witness(std::string_view matter, const Witness& witness) {
  auto line = to_line(witness);
  if (!line) return unknown("there may be a request that gets past, and JSON cannot carry it");
  return {.verdict = Verdict::counterexample,
          .claim = {.matter = std::string(matter), .request = std::move(*line)}};
}

// A name that the candidate resolves and the ceiling does not.
bool resolves_more(const HostPart& part, const Sides& sides) {
  return !part.address && std::ranges::none_of(part.entries[kCeiling], [&](uint32_t e) {
    return admits(sides[kCeiling]->network[e]);
  });
}

// nullopt: nothing gets past there.
std::optional<Answer> prove_part(const HostPart& part, const Sides& sides, Automata& automata,
                                 const Options& options) {
  const Space space = space_of(part, sides, automata, options.words);
  const Reply reply = ask(part, space, sides, options.ask);
  switch (reply.verdict) {
    case Reply::Verdict::found:
      return from_witness(name(reply.matter), *reply.witness);
    case Reply::Verdict::unknown:
      return unknown(reply.reason);
    case Reply::Verdict::none:
      break;
  }
  if (resolves_more(part, sides)) return from_witness("dns", {.kind = Request::Kind::dns, .host = part.host});
  return {};
}

}  // namespace

// A counterexample ends the search; an unknown part does not, for another may yet show one.
Answer prove_within(const Document& candidate, const Document& ceiling, const Options& options) {
  for (const Document* document : {&candidate, &ceiling})
    if (std::string what = not_analysed(*document); !what.empty()) return unknown(std::move(what));
  if (auto weak = find_weakening(candidate, ceiling)) return from_weakening(std::move(*weak));
  const Sides sides = {&candidate, &ceiling};
  Automata automata;
  const HostParts hosts = host_parts(sides, automata, options.words);
  std::optional<Answer> open;
  if (!hosts.complete) open = unknown("the host globs divide the names into too many parts");
  if (hosts.parts.size() > options.max_parts) return unknown("the hosts have too many parts");
  for (const HostPart& part : hosts.parts) {
    auto answer = prove_part(part, sides, automata, options);
    if (!answer) continue;
    if (answer->verdict == Verdict::counterexample) return *answer;
    if (!open) open = std::move(answer);
  }
  return open ? *open : Answer{.verdict = Verdict::proved};
}

std::string to_json(const Answer& a) {
  nlohmann::ordered_json out = {{"verdict", name(a.verdict)}};
  const std::pair<const char*, const std::string&> members[] = {
      {"matter", a.claim.matter}, {"request", a.claim.request}, {"path", a.claim.path},
      {"access", a.claim.access}, {"setting", a.claim.setting}, {"reason", a.reason}};
  for (const auto& [key, value] : members)
    if (!value.empty()) out[key] = value;
  return out.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace saw::policy::prove
