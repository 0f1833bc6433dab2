#include "api/routes.h"

#include <charconv>

#include "api/exec_spec.h"
#include "api/json.h"
#include "base/bytes.h"

namespace saw::api {

using namespace control;

namespace {

using Segments = std::span<const std::string>;
constexpr uint64_t kMaxLimit = 1ULL << 62;

HttpResponse answer(const Json& json, unsigned status = 200) {
  return {.status = status, .body = dump(json)};
}

// A Result of a view (or of nothing) as an answer.
template <class T> void reply(Respond respond, Result<T> result, unsigned status = 200) {
  if (!result) return respond(to_response(result.error()));
  if constexpr (std::is_void_v<T>)
    respond(answer(Json::object(), status));
  else
    respond(answer(to_json(*result), status));
}

template <class T> void reply_list(Respond respond, const char* member, const Result<std::vector<T>>& list) {
  if (!list) return respond(to_response(list.error()));
  Json items = Json::array();
  for (const T& item : *list) {
    items.push_back(to_json(item));
    // Kilobytes of signed evidence for each: it is there when one is asked for.
    if (auto proof = items.back().find("proof"); proof != items.back().end()) proof->erase("envelope");
  }
  respond(answer({{member, std::move(items)}}));
}

template <class T> Reply<T> later(Respond respond, unsigned status = 200) {
  return [respond = std::move(respond), status](Result<T> result) mutable {
    reply<T>(std::move(respond), std::move(result), status);
  };
}

// The body as members; an absent body is an empty object.
Result<Json> body_of(const HttpRequest& request) {
  return parse_object(request.body.empty() ? "{}" : request.body);
}

Result<uint64_t> query_number(const HttpRequest& request, const char* name, uint64_t fallback) {
  auto found = request.query.find(name);
  if (found == request.query.end()) return fallback;
  uint64_t value = 0;
  auto [end, error] =
      std::from_chars(found->second.data(), found->second.data() + found->second.size(), value);
  if (error != std::errc() || end != found->second.data() + found->second.size() || value > kMaxLimit)
    return Error::make("request.query", "'{}' is not a number", name);
  return value;
}

// ---- daemon
// -----------------------------------------------------------------------------------------------------------------------

void get_status(Control& control, const HttpRequest& request, Segments, Respond respond) {
  respond(answer(to_json(control.status(request.caller))));
}
void post_down(Control& control, const HttpRequest& request, Segments, Respond respond) {
  reply<void>(std::move(respond), control.shut_down(request.caller));
}
void get_openapi(Control&, const HttpRequest&, Segments, Respond respond) {
  respond({.body = std::string(openapi_document()), .content_type = "application/yaml"});
}

// ---- workspaces
// -------------------------------------------------------------------------------------------------------------------

void read_mounts(Members& members, std::vector<MountSpec>& out) {
  const Json* list = members.value("mounts");
  if (!list) return;
  if (!list->is_array()) return members.fail("member 'mounts' is not a list");
  for (const Json& item : *list) {
    if (!item.is_object()) return members.fail("a mount is not an object");
    Members mount(item);
    MountSpec spec;
    std::string access = "read";
    mount.text("source", spec.source, Need::required);
    mount.text("target", spec.target, Need::required);
    mount.text("access", access);
    if (auto good = mount.finish(); !good) return members.fail("mounts: " + good.error().message);
    if (access != "read" && access != "write") return members.fail("a mount's access is 'read' or 'write'");
    spec.writable = access == "write";
    out.push_back(std::move(spec));
  }
}

Result<WorkspaceSpec> workspace_spec(const HttpRequest& request) {
  constexpr double kMaxCpus = 4096;
  Json body = SAW_TRY(body_of(request));
  Members members(body);
  WorkspaceSpec spec;
  members.text("name", spec.name, Need::required);
  members.text("profile", spec.profile);
  members.text("policy_yaml", spec.policy_yaml);
  members.text("channel", spec.channel);
  members.text("policy_file", spec.policy_file);
  members.text("image", spec.image);
  members.text("isolation", spec.isolation);
  members.number("memory", spec.memory_bytes, INT64_MAX);
  members.number("pids", spec.pids, INT32_MAX);
  read_mounts(members, spec.mounts);
  members.texts("warm", spec.warm);
  if (const Json* cpus = members.value("cpus")) {
    if (!cpus->is_number() || cpus->get<double>() < 0 || cpus->get<double>() > kMaxCpus)
      members.fail("member 'cpus' is not a number of processors");
    else
      spec.cpu_millis = static_cast<uint64_t>(cpus->get<double>() * 1000);
  }
  SAW_TRY(members.finish());
  if (spec.policy_file.empty()) spec.policy_file = "policy.yaml";
  return spec;
}

void get_channels(Control& control, const HttpRequest& request, Segments, Respond respond) {
  reply_list(std::move(respond), "channels", control.list_channels(request.caller));
}
void get_workspaces(Control& control, const HttpRequest& request, Segments, Respond respond) {
  reply_list(std::move(respond), "workspaces", control.list_workspaces(request.caller));
}
void post_workspaces(Control& control, const HttpRequest& request, Segments, Respond respond) {
  auto spec = workspace_spec(request);
  if (!spec) return respond(to_response(spec.error()));
  control.create_workspace(
      request.caller, *spec, [respond = std::move(respond)](Result<WorkspaceCreated> created) mutable {
        if (!created) return respond(to_response(created.error()));
        respond(answer(to_json(created->workspace), created->created == Created::now ? 201 : 200));
      });
}
void get_workspace(Control& control, const HttpRequest& request, Segments at, Respond respond) {
  reply(std::move(respond), control.show_workspace(request.caller, at[0]));
}
void post_workspace_start(Control& control, const HttpRequest& request, Segments at, Respond respond) {
  control.start_workspace(request.caller, at[0], later<WorkspaceView>(std::move(respond)));
}
void post_workspace_stop(Control& control, const HttpRequest& request, Segments at, Respond respond) {
  control.stop_workspace(request.caller, at[0], later<WorkspaceView>(std::move(respond)));
}
void delete_workspace(Control& control, const HttpRequest& request, Segments at, Respond respond) {
  control.decommission_workspace(request.caller, at[0],
                                 [respond = std::move(respond)](Result<WorkspaceView> gone) mutable {
                                   if (!gone) return respond(to_response(gone.error()));
                                   respond(answer(Json::object()));
                                 });
}
// {"name":…, "stop":true}: what is to be made, and whether what runs may be ended for it.
struct CopyRequest {
  std::string name;
  Control::WhatRuns what = Control::WhatRuns::stays;
};
Result<CopyRequest> copy_request(const HttpRequest& request, Need name) {
  Json body = SAW_TRY(body_of(request));
  Members members(body);
  CopyRequest out;
  bool stop = false;
  members.text("name", out.name, name);
  members.flag("stop", stop);
  SAW_TRY(members.finish());
  if (stop) out.what = Control::WhatRuns::ends;
  return out;
}
void post_workspace_fork(Control& control, const HttpRequest& request, Segments at, Respond respond) {
  auto asked = copy_request(request, Need::required);
  if (!asked) return respond(to_response(asked.error()));
  control.fork_workspace(request.caller, at[0], asked->name, asked->what,
                         later<WorkspaceView>(std::move(respond), 201));
}
void post_session_fork(Control& control, const HttpRequest& request, Segments at, Respond respond) {
  auto asked = copy_request(request, Need::required);
  if (!asked) return respond(to_response(asked.error()));
  control.fork_session(request.caller, at[0], at[1], asked->name, asked->what,
                       later<SessionView>(std::move(respond), 201));
}
void post_snapshots(Control& control, const HttpRequest& request, Segments at, Respond respond) {
  auto asked = copy_request(request, Need::optional);
  if (!asked) return respond(to_response(asked.error()));
  control.take_snapshot(request.caller, at[0], asked->name, asked->what,
                        later<SnapshotView>(std::move(respond), 201));
}
void get_snapshots(Control& control, const HttpRequest& request, Segments at, Respond respond) {
  control.list_snapshots(
      request.caller, at[0],
      [respond = std::move(respond)](const Result<std::vector<SnapshotView>>& list) mutable {
        reply_list(std::move(respond), "snapshots", list);
      });
}
void delete_snapshot(Control& control, const HttpRequest& request, Segments at, Respond respond) {
  control.remove_snapshot(request.caller, at[0], at[1], later<void>(std::move(respond)));
}
void post_rebuild(Control& control, const HttpRequest& request, Segments at, Respond respond) {
  auto body = body_of(request);
  if (!body) return respond(to_response(body.error()));
  Members members(*body);
  std::string snapshot;
  members.text("snapshot", snapshot);
  if (auto good = members.finish(); !good) return respond(to_response(good.error()));
  control.rebuild_workspace(request.caller, at[0], snapshot, later<WorkspaceView>(std::move(respond)));
}
// Only requests without an upgrade come here.
void get_streams(Control&, const HttpRequest&, Segments, Respond respond) {
  respond(to_response(
      Error{"request.upgrade", "exec and attach are WebSockets: the request must ask for an upgrade", 0}));
}

void get_terminals(Control& control, const HttpRequest& request, Segments at, Respond respond) {
  reply_list(std::move(respond), "terminals", control.list_terminals(request.caller, at[0]));
}
void delete_terminal(Control& control, const HttpRequest& request, Segments at, Respond respond) {
  auto session = request.query.find("session");
  control.end_terminal(request.caller, at[0], session == request.query.end() ? "" : session->second, at[1],
                       later<void>(std::move(respond)));
}

void post_calls(Control& control, const HttpRequest& request, Segments at, Respond respond) {
  auto spec = parse_call_spec(request.body);
  if (!spec) return respond(to_response(spec.error()));
  control.run_call(request.caller, at[0], std::move(spec->exec), std::move(spec->whole),
                   [respond = std::move(respond)](Result<WholeResult> result) mutable {
                     if (!result) return respond(to_response(result.error()));
                     respond({.body = call_result(*result)});
                   });
}

// ---- sessions
// ---------------------------------------------------------------------------------------------------------------------

void get_sessions(Control& control, const HttpRequest& request, Segments at, Respond respond) {
  reply_list(std::move(respond), "sessions", control.list_sessions(request.caller, at[0]));
}
void post_sessions(Control& control, const HttpRequest& request, Segments at, Respond respond) {
  auto body = body_of(request);
  if (!body) return respond(to_response(body.error()));
  Members members(*body);
  std::string name;
  members.text("name", name);
  if (auto good = members.finish(); !good) return respond(to_response(good.error()));
  control.start_session(request.caller, at[0], name, later<SessionView>(std::move(respond), 201));
}
Result<DiffQuery> diff_query(const HttpRequest& request) {
  DiffQuery query;
  if (auto lines = request.query.find("lines"); lines != request.query.end()) {
    if (lines->second != "0" && lines->second != "1")
      return Error::make("request.query", "'lines' is 0 or 1");
    query.lines = lines->second == "1";
  }
  if (auto paths = request.query.find("paths"); paths != request.query.end()) {
    const Json body = SAW_TRY(parse_object(R"({"paths":)" + paths->second + "}"), "reading 'paths'");
    Members members(body);
    members.texts("paths", query.paths, Need::required);
    SAW_TRY(members.finish());
  }
  return query;
}
void get_diff(Control& control, const HttpRequest& request, Segments at, Respond respond) {
  auto query = diff_query(request);
  if (!query) return respond(to_response(query.error()));
  control.diff_session(request.caller, at[0], at[1], *query, later<DiffView>(std::move(respond)));
}
Result<FileChange> file_change(const HttpRequest& request) {
  Json body = SAW_TRY(body_of(request));
  Members members(body);
  FileChange change;
  bool stop = false;
  members.text("root", change.root);
  members.flag("stop", stop);
  SAW_TRY(members.finish());
  change.running = stop ? Running::stop : Running::refuse;
  return change;
}
// A conflict is a refusal that lists its paths.
HttpResponse conflict(const CommitView& view) {
  constexpr size_t kMaxNamed = 100;
  std::string reason = fmt::format(
      "nothing was committed: {} {} changed in the workspace since the session began:", view.conflicting,
      view.conflicting == 1 ? "path was" : "paths were");
  for (size_t i = 0; i < std::min(view.conflicts.size(), kMaxNamed); ++i)
    reason += (i == 0 ? " '" : ", '") + view.conflicts[i] + "'";
  if (view.conflicting > kMaxNamed) reason += fmt::format(" and {} more", view.conflicting - kMaxNamed);
  HttpResponse response = to_response(Error{"commit.conflict", reason, 0});
  Json body = Json::parse(response.body);
  body["commit"] = to_json(view);
  response.body = dump(body);
  return response;
}
void post_commit(Control& control, const HttpRequest& request, Segments at, Respond respond) {
  auto change = file_change(request);
  if (!change) return respond(to_response(change.error()));
  control.commit_session(request.caller, at[0], at[1], std::move(*change),
                         [respond = std::move(respond)](Result<CommitView> done) mutable {
                           if (!done) return respond(to_response(done.error()));
                           respond(done->conflicting > 0 ? conflict(*done) : answer(to_json(*done)));
                         });
}
void post_discard(Control& control, const HttpRequest& request, Segments at, Respond respond) {
  auto change = file_change(request);
  if (!change) return respond(to_response(change.error()));
  control.discard_session(request.caller, at[0], at[1], std::move(*change), later<void>(std::move(respond)));
}
void delete_session(Control& control, const HttpRequest& request, Segments at, Respond respond) {
  control.end_session(request.caller, at[0], at[1], later<void>(std::move(respond)));
}

// ---- agents, secrets
// --------------------------------------------------------------------------------------------------------------

void get_agents(Control& control, const HttpRequest& request, Segments, Respond respond) {
  reply_list(std::move(respond), "agents", control.list_agents(request.caller));
}
void post_agents(Control& control, const HttpRequest& request, Segments, Respond respond) {
  auto body = body_of(request);
  if (!body) return respond(to_response(body.error()));
  Members members(*body);
  std::string name, purpose;
  members.text("name", name, Need::required);
  members.text("purpose", purpose, Need::required);
  if (auto good = members.finish(); !good) return respond(to_response(good.error()));
  reply(std::move(respond), control.register_agent(request.caller, name, purpose), 201);
}
void get_agent(Control& control, const HttpRequest& request, Segments at, Respond respond) {
  reply(std::move(respond), control.show_agent(request.caller, at[0]));
}
template <AgentVerb verb>
void post_agent_verb(Control& control, const HttpRequest& request, Segments at, Respond respond) {
  reply(std::move(respond), control.change_agent(request.caller, at[0], verb));
}

void read_grants(Members& members, std::vector<DelegationSpec::Grant>& out) {
  const Json* list = members.value("grants");
  if (!list) return;
  if (!list->is_array()) return members.fail("member 'grants' is not a list");
  for (const Json& item : *list) {
    if (!item.is_object()) return members.fail("a grant is not an object");
    Members grant(item);
    DelegationSpec::Grant& spec = out.emplace_back();
    grant.texts("actions", spec.actions, Need::required);
    grant.texts("tools", spec.tools, Need::required);
    grant.texts("resources", spec.resources, Need::required);
    grant.texts("labels", spec.labels);
    if (auto good = grant.finish(); !good) return members.fail("grants: " + good.error().message);
  }
}
void get_delegations(Control& control, const HttpRequest& request, Segments, Respond respond) {
  reply_list(std::move(respond), "delegations", control.list_delegations(request.caller));
}
void post_delegations(Control& control, const HttpRequest& request, Segments, Respond respond) {
  auto body = body_of(request);
  if (!body) return respond(to_response(body.error()));
  Members members(*body);
  DelegationSpec spec;
  std::string workspace;
  uint64_t lifetime = 0;
  members.text("workspace", workspace, Need::required);
  members.text("agent", spec.agent);
  members.text("sub_agent", spec.name);
  members.text("task", spec.task, Need::required);
  members.text("parent", spec.parent);
  members.text("approval", spec.approval);
  members.number("lifetime_ms", lifetime, INT64_MAX);
  members.number("calls", spec.calls);
  members.number("depth", spec.depth);
  read_grants(members, spec.grants);
  if (auto good = members.finish(); !good) return respond(to_response(good.error()));
  spec.lifetime_ms = static_cast<int64_t>(lifetime);
  reply(std::move(respond), control.create_delegation(request.caller, workspace, spec), 201);
}
void get_delegation(Control& control, const HttpRequest& request, Segments at, Respond respond) {
  reply(std::move(respond), control.show_delegation(request.caller, at[0]));
}
void get_revocations(Control& control, const HttpRequest& request, Segments, Respond respond) {
  reply_list(std::move(respond), "revocations", control.list_revocations(request.caller));
}
void post_revocations(Control& control, const HttpRequest& request, Segments, Respond respond) {
  auto body = body_of(request);
  if (!body) return respond(to_response(body.error()));
  Members members(*body);
  std::string kind, id, why;
  members.text("kind", kind, Need::required);
  members.text("id", id, Need::required);
  members.text("why", why);
  if (auto good = members.finish(); !good) return respond(to_response(good.error()));
  reply<void>(std::move(respond), control.revoke(request.caller, kind, id, why), 201);
}
void get_whoami(Control& control, const HttpRequest& request, Segments, Respond respond) {
  reply(std::move(respond), control.whoami(request.caller));
}
void get_jwks(Control& control, const HttpRequest&, Segments, Respond respond) {
  respond({.body = control.jwks(), .content_type = "application/jwk-set+json"});
}

void get_secrets(Control& control, const HttpRequest& request, Segments, Respond respond) {
  reply_list(std::move(respond), "secrets", control.list_secrets(request.caller));
}
void put_secret(Control& control, const HttpRequest& request, Segments at, Respond respond) {
  auto body = body_of(request);
  if (!body) return respond(to_response(body.error()));
  Members members(*body);
  std::string encoded;
  members.text("value_base64", encoded, Need::required);
  if (auto good = members.finish(); !good) return respond(to_response(good.error()));
  auto value = from_base64(encoded);
  if (!value) return respond(to_response(Error{"request.member", "member 'value_base64' is not base64", 0}));
  reply(std::move(respond), control.put_secret(request.caller, at[0], std::move(*value)));
}
void delete_secret(Control& control, const HttpRequest& request, Segments at, Respond respond) {
  reply<void>(std::move(respond), control.remove_secret(request.caller, at[0]));
}

// ---- reviews, audit
// ---------------------------------------------------------------------------------------------------------------

void get_reviews(Control& control, const HttpRequest& request, Segments, Respond respond) {
  auto state = request.query.find("state");
  const std::string which = state == request.query.end() ? "pending"
                            : state->second == "all"     ? ""
                                                         : state->second;
  reply_list(std::move(respond), "reviews", control.list_reviews(request.caller, which));
}
void get_review(Control& control, const HttpRequest& request, Segments at, Respond respond) {
  reply(std::move(respond), control.show_review(request.caller, at[0]));
}
void get_review_diff(Control& control, const HttpRequest& request, Segments at, Respond respond) {
  control.diff_review(request.caller, at[0], later<DiffView>(std::move(respond)));
}
void post_approve(Control& control, const HttpRequest& request, Segments at, Respond respond) {
  auto body = body_of(request);
  if (!body) return respond(to_response(body.error()));
  Members members(*body);
  std::string digest;
  members.text("digest", digest);
  if (auto good = members.finish(); !good) return respond(to_response(good.error()));
  control.approve(request.caller, at[0], digest.empty() ? std::nullopt : std::optional(digest),
                  later<ReviewView>(std::move(respond)));
}
void post_deny(Control& control, const HttpRequest& request, Segments at, Respond respond) {
  auto body = body_of(request);
  if (!body) return respond(to_response(body.error()));
  Members members(*body);
  std::string why;
  members.text("why", why);
  if (auto good = members.finish(); !good) return respond(to_response(good.error()));
  control.deny(request.caller, at[0], why, later<ReviewView>(std::move(respond)));
}

void get_audit_entries(Control& control, const HttpRequest& request, Segments, Respond respond) {
  auto from = query_number(request, "from", 0), limit = query_number(request, "limit", 100),
       wait = query_number(request, "wait_ms", 0);
  for (const auto* number : {&from, &limit, &wait})
    if (!*number) return respond(to_response(number->error()));
  control.audit_entries(request.caller, *from, *limit, static_cast<int64_t>(*wait),
                        later<AuditPage>(std::move(respond)));
}
void get_audit_key(Control& control, const HttpRequest&, Segments, Respond respond) {
  const AuditKeyView key = control.audit_key();
  respond(answer({{"origin", key.origin}, {"public_key", key.public_key}, {"directory", key.directory}}));
}

constexpr Route kRoutes[] = {
    {"GET", "/v1/status", get_status},
    {"GET", "/v1/channels", get_channels},
    {"POST", "/v1/down", post_down},
    {"GET", "/v1/openapi.yaml", get_openapi},
    {"GET", "/v1/workspaces", get_workspaces},
    {"POST", "/v1/workspaces", post_workspaces},
    {"GET", "/v1/workspaces/{w}", get_workspace},
    {"DELETE", "/v1/workspaces/{w}", delete_workspace},
    {"POST", "/v1/workspaces/{w}/start", post_workspace_start},
    {"POST", "/v1/workspaces/{w}/stop", post_workspace_stop},
    {"POST", "/v1/workspaces/{w}/fork", post_workspace_fork},
    {"GET", "/v1/workspaces/{w}/snapshots", get_snapshots},
    {"POST", "/v1/workspaces/{w}/snapshots", post_snapshots},
    {"DELETE", "/v1/workspaces/{w}/snapshots/{n}", delete_snapshot},
    {"POST", "/v1/workspaces/{w}/rebuild", post_rebuild},
    {"GET", "/v1/workspaces/{w}/exec", get_streams},
    {"GET", "/v1/workspaces/{w}/attach", get_streams},
    {"GET", "/v1/workspaces/{w}/terminals", get_terminals},
    {"DELETE", "/v1/workspaces/{w}/terminals/{t}", delete_terminal},
    {"POST", "/v1/workspaces/{w}/calls", post_calls},
    {"GET", "/v1/workspaces/{w}/sessions", get_sessions},
    {"POST", "/v1/workspaces/{w}/sessions", post_sessions},
    {"GET", "/v1/workspaces/{w}/sessions/{s}/diff", get_diff},
    {"POST", "/v1/workspaces/{w}/sessions/{s}/commit", post_commit},
    {"POST", "/v1/workspaces/{w}/sessions/{s}/discard", post_discard},
    {"POST", "/v1/workspaces/{w}/sessions/{s}/fork", post_session_fork},
    {"DELETE", "/v1/workspaces/{w}/sessions/{s}", delete_session},
    {"GET", "/v1/agents", get_agents},
    {"POST", "/v1/agents", post_agents},
    {"GET", "/v1/agents/{a}", get_agent},
    {"POST", "/v1/agents/{a}/suspend", post_agent_verb<AgentVerb::suspend>},
    {"POST", "/v1/agents/{a}/resume", post_agent_verb<AgentVerb::resume>},
    {"POST", "/v1/agents/{a}/revoke", post_agent_verb<AgentVerb::revoke>},
    {"GET", "/v1/delegations", get_delegations},
    {"POST", "/v1/delegations", post_delegations},
    {"GET", "/v1/delegations/{d}", get_delegation},
    {"GET", "/v1/revocations", get_revocations},
    {"POST", "/v1/revocations", post_revocations},
    {"GET", "/v1/whoami", get_whoami},
    {"GET", "/v1/jwks", get_jwks},
    {"GET", "/v1/secrets", get_secrets},
    {"PUT", "/v1/secrets/{name}", put_secret},
    {"DELETE", "/v1/secrets/{name}", delete_secret},
    {"GET", "/v1/reviews", get_reviews},
    {"GET", "/v1/reviews/{r}", get_review},
    {"GET", "/v1/reviews/{r}/diff", get_review_diff},
    {"POST", "/v1/reviews/{r}/approve", post_approve},
    {"POST", "/v1/reviews/{r}/deny", post_deny},
    {"GET", "/v1/audit/entries", get_audit_entries},
    {"GET", "/v1/audit/key", get_audit_key},
};

// Part of the contract, and not there yet: said so, and never "not found".
constexpr std::string_view kLater[] = {
    "/v1/workspaces/{w}/expose", "/v1/workspaces/{w}/kill", "/v1/kill", "/v1/channels/{c}", "/v1/metrics",
};

// The segments that {…} stood for, decoded; nullopt: no match.
std::optional<std::vector<std::string>> match(std::string_view pattern, std::string_view path) {
  std::vector<std::string> captured;
  while (!pattern.empty() && !path.empty()) {
    if (pattern.front() != '/' || path.front() != '/') return std::nullopt;
    pattern.remove_prefix(1);
    path.remove_prefix(1);
    std::string_view want = pattern.substr(0, pattern.find('/')), have = path.substr(0, path.find('/'));
    if (want.starts_with('{')) {
      auto decoded = percent_decode(have);
      if (!decoded || decoded->empty()) return std::nullopt;
      captured.push_back(std::move(*decoded));
    } else if (want != have) {
      return std::nullopt;
    }
    pattern.remove_prefix(want.size());
    path.remove_prefix(have.size());
  }
  if (!pattern.empty() || !path.empty()) return std::nullopt;
  return captured;
}

}  // namespace

std::span<const Route> routes() {
  return kRoutes;
}

void Router::handle(const HttpRequest& request, Respond respond) {
  bool path_known = false;
  for (const Route& route : kRoutes) {
    auto segments = match(route.pattern, request.path);
    if (!segments) continue;
    path_known = true;
    if (route.method == request.method) return route.handle(control_, request, *segments, std::move(respond));
  }
  if (path_known)
    return respond(to_response(
        Error{"route.method", "this path does not know method " + printable(request.method, 20), 0}));
  for (std::string_view pattern : kLater)
    if (match(pattern, request.path))
      return respond(to_response(
          Error{"not_available_yet", "'" + printable(request.path) + "' is not available yet", 0}));
  respond(to_response(Error{"route.not_found", "there is no '" + printable(request.path) + "'", 0}));
}

std::optional<Router::Streams> Router::streams(const HttpRequest& request) {
  if (request.method != "GET") return std::nullopt;
  if (auto exec = match("/v1/workspaces/{w}/exec", request.path))
    return Streams{Streams::Of::command, std::move(exec->front())};
  if (auto attach = match("/v1/workspaces/{w}/attach", request.path))
    return Streams{Streams::Of::terminal, std::move(attach->front())};
  return std::nullopt;
}

}  // namespace saw::api
