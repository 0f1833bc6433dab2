#include "policy/claim.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "policy/decide_json.h"
#include "policy/vocabulary.h"
#include "policy/within.h"

namespace saw::policy {
namespace {

using nlohmann::json;

// A decision of `saw policy decide`; an unreadable one counts as a denial.
struct Judged {
  std::string line, canonical_path, canonical_target;
  Effect effect = Effect::deny;
};

Judged judge(const Policy& policy, const std::string& request) {
  Judged out{.line = decide_line(policy, request)};
  const json answer = json::parse(out.line, nullptr, false);
  if (!answer.is_object()) return out;
  const std::string effect = answer.value("effect", "deny");
  out.effect = effect == "allow" ? Effect::allow : effect == "review" ? Effect::review : Effect::deny;
  out.canonical_target = answer.value("canonical_target", "");
  out.canonical_path = out.canonical_target.substr(0, out.canonical_target.find('?'));
  return out;
}

// The destination of a request line, as far as the treatment of its answer depends on it.
struct Destination {
  std::string host, ip;
  uint16_t port = 443;
  bool tls = true;
};
Destination destination_of(const std::string& request) {
  const json line = json::parse(request, nullptr, false);
  if (!line.is_object()) return {};
  return {line.value("host", ""), line.value("ip", ""), line.value("port", uint16_t{443}),
          line.value("tls", true)};
}

// "github-token as Authorization", "none".
std::string injection(const Policy& policy, const Destination& to, const Judged& judged) {
  const auto endpoint = policy.endpoint(to.host, to.port, judged.canonical_target);
  if (!endpoint || endpoint->credential.empty()) return "none";
  const auto& all = policy.credentials();
  const auto it = std::ranges::find(all, endpoint->credential, &Credential::name);
  if (it == all.end()) return "none";
  return fmt::format("{} as {} \"{}\"", it->secret, it->header, it->format);
}

Carriage carriage(const Document& document, const Destination& to, const Judged& judged) {
  return carriage_of(document, {.host = to.host, .port = to.port, .tls = to.tls, .ip = to.ip},
                     judged.canonical_path);
}

Confirmation confirm_request(const Policy& c, const Policy& l, const Claim& claim) {
  const Judged mine = judge(c, claim.request), limit = judge(l, claim.request);
  const bool passes = mine.effect != Effect::deny;
  if (claim.matter == "effect" || claim.matter == "dns")
    return {mine.effect < limit.effect, mine.line, limit.line};
  const Destination to = destination_of(claim.request);
  if (claim.matter == "credential") {
    const std::string sent = injection(c, to, mine), other = injection(l, to, limit);
    return {passes && sent != "none" && sent != other, sent, other};
  }
  const Carriage answer = carriage(c.document(), to, mine), other = carriage(l.document(), to, limit);
  if (claim.matter == "content")
    return {passes && answer.carried && !answer.untrusted && other.untrusted,
            answer.untrusted ? "untrusted" : "trusted", other.untrusted ? "untrusted" : "trusted"};
  return {claim.matter == "data" && passes && answer.carried && answer.data < other.data,
          std::string(name_of(kDataClasses, answer.data)), std::string(name_of(kDataClasses, other.data))};
}

Confirmation confirm_file(const Policy& c, const Policy& l, const Claim& claim) {
  auto may = [&](const Policy& policy) {
    const Filesystem& files = policy.filesystem();
    return claim.access == "write" ? may_write(files, claim.path) : may_read(files, claim.path);
  };
  auto word = [](bool yes) { return yes ? "allowed" : "not allowed"; };
  return {may(c) && !may(l), word(may(c)), word(may(l))};
}

Confirmation confirm_label(const Policy& c, const Policy& l, const Claim& claim) {
  const Labels label = claim.access == "private" ? kPrivate : kUntrusted;
  auto has = [&](const Policy& policy) { return (labels_at(policy.filesystem(), claim.path) & label) != 0; };
  auto word = [](bool yes) { return yes ? "labelled" : "not labelled"; };
  return {may_read(c.filesystem(), claim.path) && !has(c) && has(l), word(has(c)), word(has(l))};
}

}  // namespace

Confirmation confirm(const Policy& candidate, const Policy& ceiling, const Claim& claim) {
  if (claim.matter == "file") return confirm_file(candidate, ceiling, claim);
  if (claim.matter == "label") return confirm_label(candidate, ceiling, claim);
  if (claim.matter != "setting") return confirm_request(candidate, ceiling, claim);
  const auto weak = find_weakening(candidate.document(), ceiling.document());
  return {weak && weak->setting == claim.setting && !claim.setting.empty(), "weaker", "stricter"};
}

}  // namespace saw::policy
