#include "api/json.h"

#include "base/clock.h"

namespace saw::api {

using namespace control;

Result<Json> parse_object(std::string_view text) {
  std::vector<std::set<std::string>> keys;
  std::string problem;
  auto check = [&](int depth, Json::parse_event_t event, Json& parsed) {
    if (depth > kMaxDepth) problem = fmt::format("nested deeper than {}", kMaxDepth);
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end) keys.pop_back();
    if (event == Json::parse_event_t::key && !keys.back().insert(parsed.get_ref<const std::string&>()).second)
      problem = fmt::format("member '{}' comes twice", parsed.get_ref<const std::string&>());
    return problem.empty();
  };
  // The library takes NUL for the end of the text; what stands behind it would go unread.
  if (text.contains('\0')) return Error::make("request.json", "malformed JSON: a NUL byte");
  Json json = Json::parse(text, check, /*allow_exceptions=*/false);
  if (!problem.empty()) return Error::make("request.json", "malformed JSON: {}", problem);
  if (json.is_discarded() || !json.is_object())
    return Error::make("request.json", "the body is not one JSON object");
  return json;
}

const Json* Members::take(const char* name, Need need) {
  known_.insert(name);
  auto found = object_.find(name);
  if (found != object_.end()) return &*found;
  if (need == Need::required) fail(fmt::format("member '{}' is missing", name));
  return nullptr;
}

void Members::fail(std::string message) {
  if (error_.empty()) error_ = std::move(message);
}

void Members::text(const char* name, std::string& out, Need need) {
  const Json* value = take(name, need);
  if (!value) return;
  if (!value->is_string()) return fail(fmt::format("member '{}' is not a string", name));
  out = value->get<std::string>();
}

void Members::texts(const char* name, std::vector<std::string>& out, Need need) {
  const Json* value = take(name, need);
  if (!value) return;
  if (!value->is_array()) return fail(fmt::format("member '{}' is not a list", name));
  for (const Json& item : *value) {
    if (!item.is_string()) return fail(fmt::format("member '{}' is not a list of strings", name));
    out.push_back(item.get<std::string>());
  }
}

void Members::text_map(const char* name, std::map<std::string, std::string>& out) {
  const Json* value = take(name, Need::optional);
  if (!value) return;
  if (!value->is_object()) return fail(fmt::format("member '{}' is not an object", name));
  for (const auto& [key, item] : value->items()) {
    if (!item.is_string()) return fail(fmt::format("member '{}.{}' is not a string", name, key));
    out[key] = item.get<std::string>();
  }
}

void Members::flag(const char* name, bool& out) {
  const Json* value = take(name, Need::optional);
  if (!value) return;
  if (!value->is_boolean()) return fail(fmt::format("member '{}' is not true or false", name));
  out = value->get<bool>();
}

void Members::number(const char* name, uint64_t& out, uint64_t most) {
  const Json* value = take(name, Need::optional);
  if (!value) return;
  if (!value->is_number_unsigned() || value->get<uint64_t>() > most)
    return fail(fmt::format("member '{}' is not a whole number up to {}", name, most));
  out = value->get<uint64_t>();
}

const Json* Members::value(const char* name) {
  return take(name, Need::optional);
}

Result<> Members::finish() {
  for (const auto& [key, item] : object_.items())
    if (!known_.contains(key)) fail(fmt::format("member '{}' is unknown", key));
  if (!error_.empty()) return Error::make("request.member", "{}", error_);
  return {};
}

// ---- out
// --------------------------------------------------------------------------------------------------------------------------

std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

namespace {
void put_proof(Json& out, const std::optional<ProofView>& proof) {
  if (!proof) return;
  out["proof"] = {{"time", rfc3339(proof->time)}, {"occasion", proof->occasion},
                  {"node", proof->node},          {"plan_digest", proof->plan_digest},
                  {"probes", proof->probes},      {"not_applicable", proof->not_applicable},
                  {"envelope", proof->envelope}};
}
}  // namespace

Json to_json(const WorkspaceView& v) {
  Json mounts = Json::array(), credentials = Json::array();
  for (const MountSpec& m : v.mounts)
    mounts.push_back({{"source", m.source}, {"target", m.target}, {"access", m.writable ? "write" : "read"}});
  for (const CredentialView& c : v.credentials) credentials.push_back({{"name", c.name}, {"env", c.env}});
  Json out = {{"id", v.id},
              {"name", v.name},
              {"owner", v.owner},
              {"profile", v.profile},
              {"policy", {{"name", v.policy_name}, {"digest", v.policy_digest}}},
              {"isolation", v.isolation},
              {"state", name(v.state)},
              {"created", rfc3339(v.created)},
              {"image", v.image},
              {"mounts", mounts},
              {"credentials", credentials},
              {"degraded", v.degraded},
              {"warm", v.warm}};
  if (!v.sandbox.empty()) out["sandbox"] = v.sandbox;
  if (!v.error.empty()) out["error"] = v.error;
  if (!v.channel.empty()) out["channel"] = v.channel, out["outdated"] = v.outdated;
  if (!v.shut.empty()) out["shut"] = v.shut;
  put_proof(out, v.proof);
  return out;
}

Json to_json(const ChannelView& v) {
  Json out = {{"name", v.name}, {"tree", v.tree}, {"epoch", v.epoch}};
  if (!v.published_version.empty())
    out["published"] = {{"version", v.published_version}, {"digest", v.published_digest}};
  if (!v.refusal_code.empty()) out["refused"] = {{"code", v.refusal_code}, {"reason", v.refusal}};
  if (!v.version.empty())
    out["active"] = {{"version", v.version},
                     {"digest", v.digest},
                     {"revision", v.revision},
                     {"policy", {{"name", v.policy_name}, {"digest", v.policy_digest}}},
                     {"author", v.author},
                     {"signers", v.signers},
                     {"expires_at", rfc3339(v.expires)},
                     {"activated", rfc3339(v.activated)},
                     {"expired", v.expired}};
  if (!v.shut_code.empty()) out["shut"] = {{"code", v.shut_code}, {"reason", v.shut}};
  Json workspaces = Json::array();
  for (const WorkspaceView& w : v.workspaces) {
    Json one = {{"id", w.id},
                {"name", w.name},
                {"state", name(w.state)},
                {"policy_digest", w.policy_digest},
                {"drift", !w.shut.empty() || w.policy_digest != v.policy_digest || !w.outdated.empty()},
                {"outdated", w.outdated}};
    if (!w.shut.empty()) one["shut"] = w.shut;
    workspaces.push_back(std::move(one));
  }
  out["workspaces"] = std::move(workspaces);
  return out;
}

Json to_json(const SnapshotView& v) {
  return {{"name", v.name}, {"created", rfc3339(v.created)}};
}

Json to_json(const SessionView& v) {
  Json out = {{"id", v.id},
              {"name", v.name},
              {"workspace", v.workspace},
              {"state", v.state},
              {"created", rfc3339(v.created)}};
  if (!v.sandbox.empty()) out["sandbox"] = v.sandbox;
  put_proof(out, v.proof);
  return out;
}

Json to_json(const Exit& exit) {
  Json out = {{"end", name(exit.kind)}, {"status", exit.status}};
  if (!limit(exit.kind).empty()) out["limit"] = limit(exit.kind);
  if (exit.memory_kills > 0) out["limits_met"]["memory"] = exit.memory_kills;
  if (exit.forks_refused > 0) out["limits_met"]["pids"] = exit.forks_refused;
  return out;
}

Json to_json(const TerminalView& v) {
  Json out = {{"id", v.id},
              {"name", v.name},
              {"agent", v.agent},
              {"call", v.call},
              {"state", v.state},
              {"created", rfc3339(v.created)},
              {"attached", v.attached},
              {"command", v.command}};
  if (!v.session.empty()) out["session"] = v.session;
  if (v.state == "ended") out["exit"] = to_json(v.exit);
  return out;
}

static Json to_json(const FileSideView& v) {
  Json out = {{"type", v.type}, {"mode", v.mode}, {"size", v.size}};
  if (!v.target.empty()) out["target"] = v.target;
  return out;
}
Json to_json(const DiffView& v) {
  Json changes = Json::array();
  for (const ChangeView& c : v.changes) {
    const FileSideView shown = c.after ? *c.after : c.before.value_or(FileSideView{});
    Json change = {
        {"kind", c.kind}, {"type", shown.type}, {"path", c.path}, {"size", c.after ? shown.size : 0}};
    if (c.before) change["before"] = to_json(*c.before);
    if (c.after) change["after"] = to_json(*c.after);
    if (c.content) change["content_changed"] = true;
    if (c.attributes) change["attributes_changed"] = true;
    if (c.binary) change["binary"] = true;
    if (!c.renamed_from.empty()) change["renamed_from"] = c.renamed_from;
    if (!c.lines.empty()) change["lines"] = c.lines;
    changes.push_back(std::move(change));
  }
  Json out = {{"changes", std::move(changes)}, {"complete", v.complete}};
  if (!v.limit.empty()) out["limit"] = v.limit;
  if (!v.root.empty()) out["root"] = v.root;
  return out;
}

Json to_json(const CommitView& v) {
  return {{"root", v.root},
          {"applied", v.applied},
          {"conflicting", v.conflicting},
          {"quarantined", v.held_back},
          {"left", v.left},
          {"conflicts", v.conflicts},
          {"quarantined_paths", v.withheld},
          {"left_paths", v.failed},
          {"reviews", v.reviews},
          {"quarantine_problem", v.quarantine_problem}};
}

Json to_json(const AgentView& v) {
  Json out = {{"id", v.id},           {"name", v.name},       {"sponsor", v.sponsor},
              {"purpose", v.purpose}, {"version", v.version}, {"state", v.state}};
  if (v.expires) out["expires"] = rfc3339(v.expires);
  return out;
}

Json to_json(const DelegationView& v) {
  Json grants = Json::array(), chain = Json::array();
  for (const DelegationSpec::Grant& g : v.grants)
    grants.push_back(
        {{"actions", g.actions}, {"tools", g.tools}, {"resources", g.resources}, {"labels", g.labels}});
  for (const DelegationView& parent : v.chain) chain.push_back(to_json(parent));
  Json out = {{"id", v.id},
              {"issuer", v.issuer},
              {"user", v.user},
              {"sponsor", v.sponsor},
              {"workspace", v.workspace},
              {"agent", v.agent},
              {"task", v.task},
              {"grants", std::move(grants)},
              {"issued", rfc3339(v.issued)},
              {"not_before", rfc3339(v.not_before)},
              {"expires", rfc3339(v.expires)},
              {"calls", v.calls},
              {"calls_used", v.calls_used},
              {"depth", v.depth},
              {"approval", v.approval},
              {"audit", v.audit},
              {"state", v.state}};
  if (!v.parent.empty()) out["parent"] = v.parent;
  if (!v.reason.empty()) out["reason"] = v.reason;
  if (!v.digest.empty()) out["digest"] = v.digest;
  if (!v.record.empty()) out["record"] = v.record;
  if (!chain.empty()) out["chain"] = std::move(chain);
  return out;
}

Json to_json(const RevocationView& v) {
  return {{"kind", v.kind}, {"id", v.id}, {"by", v.by}, {"why", v.why}, {"time", rfc3339(v.time)}};
}

Json to_json(const WhoView& v) {
  return {{"sponsor", v.sponsor},
          {"role", v.role},
          {"node", v.node},
          {"how", "peer credentials of the local socket"},
          {"key_id", v.key_id},
          {"agents", v.agents},
          {"delegations", v.delegations},
          {"workspaces", v.workspaces}};
}

Json to_json(const SecretView& v) {
  return {{"name", v.name},
          {"created", rfc3339(v.created)},
          {"updated", rfc3339(v.updated)},
          {"version", v.version}};
}

Json to_json(const ReviewView& v) {
  Json out = {{"id", v.id},
              {"kind", v.kind},
              {"object", v.object},
              {"state", v.state},
              {"workspace", v.workspace},
              {"agent", v.agent},
              {"sponsor", v.sponsor},
              {"session", v.session},
              {"call", v.call},
              {"method", v.method},
              {"scheme", v.scheme},
              {"host", v.host},
              {"port", v.port},
              {"target", v.target},
              {"rule", v.rule},
              {"reason", v.reason},
              {"digest", v.digest},
              {"policy_digest", v.policy_digest},
              {"preview", v.preview},
              {"body_bytes", v.body_bytes},
              {"created", rfc3339(v.created)},
              {"expires", rfc3339(v.expires)}};
  if (!v.decided_by.empty()) out["decided_by"] = v.decided_by;
  if (!v.why.empty()) out["why"] = v.why;
  return out;
}

Json to_json(const StatusView& v) {
  Json programs = Json::array();
  for (const ProgramView& p : v.programs) {
    Json program = {{"name", p.name}, {"state", p.state}};
    if (!p.workspace.empty()) program["workspace"] = p.workspace;
    if (p.pid) program["pid"] = p.pid;
    programs.push_back(std::move(program));
  }
  return {{"version", v.version},
          {"node", v.node},
          {"state", v.state},
          {"rootless", v.rootless},
          {"audit", {{"entries", v.audit_entries}, {"ok", v.audit_ok}}},
          {"programs", programs},
          {"workspaces", v.workspaces},
          {"degraded", v.degraded}};
}

Json to_json(const AuditPage& page) {
  return {{"size", page.size}, {"first", page.first}, {"entries", page.entries}};
}

}  // namespace saw::api
