#include "api/http.h"

#include <nlohmann/json.hpp>

namespace saw::api {
namespace {

// First match wins; a pattern that ends in '.' is a prefix, one that begins with '.' a suffix.
constexpr std::pair<std::string_view, unsigned> kStatus[] = {
    {"not_available_yet", 501},
    {"audit.unavailable", 503},
    {"control.not_ready", 503},
    {"store.full", 503},
    {"egress.not_ready", 503},
    {"request.", 400},
    {"policy.not_projected", 403},
    {"policy.altered", 500},
    {"policy.", 400},
    {"release.no_channel", 404},
    {"release.", 403},
    {"plan.", 400},
    {"access.", 403},
    {"identity.", 403},
    {"review.same_person", 403},
    {"review.not_a_person", 403},
    {".not_found", 404},
    {".conflict", 409},
    {"commit.run_later", 403},
    {"commit.", 409},
    {"session.busy", 409},
    {"review.", 409},
    {"secret.missing", 409},
    {"exec.busy", 503},
    {"terminal.busy", 503},
    {"route.method", 405},
};

// How to go on from a refusal, for those codes where there is a way.
constexpr std::pair<std::string_view, std::string_view> kAsk[] = {
    {"access.denied", "ask the workspace's owner, or an operator, to do it"},
    {"access.operator_only", "ask an operator (root, or the user that runs SAW)"},
    {"identity.agent_unknown", "register it: saw agent register NAME --purpose …"},
    {"identity.agent_suspended", "ask the agent's sponsor: saw agent resume NAME"},
    {"identity.agent_revoked", "register another agent: saw agent register NAME --purpose …"},
    {"identity.agent_expired", "ask the agent's sponsor to register it again"},
    {"identity.not_delegated", "ask the sponsor for a delegation that permits it: saw delegate create"},
    {"identity.delegation_widens", "ask for less, or ask the sponsor: only a new root can hold more"},
    {"identity.delegation_expired", "ask the sponsor for a new one: saw delegate create"},
    {"identity.delegation_revoked", "ask the sponsor for a new one: saw delegate create"},
    {"identity.delegation_used_up", "ask the sponsor for a new one: saw delegate create"},
    {"commit.conflict", "merge by hand: copy what is needed out of the session, then saw session discard S"},
    {"commit.run_later", "undo it in the session, or ask for a policy with filesystem.runLater: quarantine"},
    {"commit.root", "look again: saw session diff S"},
    {"session.busy", "wait for the command, or give --stop"},
    {"secret.missing", "store it: saw secret put NAME, value on standard input"},
    {"audit.unavailable", "an operator must make room for, or repair, the audit log's disk"},
    {"store.full", "an operator must make room on the disk of SAW's state directory"},
    {"review.same_person", "ask somebody else to review it"},
    {"release.no_channel", "an operator says in channels.yaml which channels this host follows"},
    {"release.expired", "publish a release that is valid now: saw policy publish"},
    {"release.revoked_release", "publish another release: saw policy publish"},
    {"policy.invalid", "correct the policy; saw policy lint FILE shows the same errors"},
};

bool matches(std::string_view pattern, std::string_view code) {
  if (pattern.ends_with('.')) return code.starts_with(pattern);
  if (pattern.starts_with('.')) return code.ends_with(pattern);
  return code == pattern;
}

int hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

unsigned status_of(std::string_view code) {
  for (const auto& [pattern, status] : kStatus)
    if (matches(pattern, code)) return status;
  return 500;
}

HttpResponse to_response(const Error& error) {
  std::string_view ask;
  for (const auto& [code, text] : kAsk)
    if (code == error.code) ask = text;
  const bool by_policy =
      error.code == "commit.run_later";  // a rule of the policy refused, not the control plane
  nlohmann::json body = {{"error",
                          {{"code", error.code},
                           {"reason", error.message},
                           {"layer", by_policy ? "filesystem" : "governance"},
                           {"rule", by_policy ? "filesystem.runLater" : ""},
                           {"ask", ask}}}};
  return {.status = status_of(error.code),
          .body = body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)};
}

Result<std::string> percent_decode(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out.push_back(text[i]);
      continue;
    }
    const int high = i + 2 < text.size() ? hex(text[i + 1]) : -1, low = high >= 0 ? hex(text[i + 2]) : -1;
    if (low < 0) return Error::make("request.target", "a bad percent escape");
    out.push_back(static_cast<char>(high * 16 + low));
    i += 2;
  }
  if (out.find('\0') != out.npos) return Error::make("request.target", "an escaped NUL");
  return out;
}

Result<Target> parse_target(std::string_view target) {
  if (!target.starts_with('/') || target.find('#') != target.npos)
    return Error::make("request.target", "a target is a path, optionally with a query");
  size_t mark = target.find('?');
  Target out{.path = std::string(target.substr(0, mark))};
  std::string_view rest = mark == target.npos ? "" : target.substr(mark + 1);
  while (!rest.empty()) {
    std::string_view pair = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
    size_t equals = std::min(pair.find('='), pair.size());
    std::string name = SAW_TRY(percent_decode(pair.substr(0, equals)));
    std::string value = SAW_TRY(percent_decode(pair.substr(std::min(pair.size(), equals + 1))));
    if (!out.query.emplace(name, std::move(value)).second)
      return Error::make("request.target", "query member '{}' comes twice", name);
  }
  return out;
}

}  // namespace saw::api
