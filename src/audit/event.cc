#include "audit/event.h"

#include <array>
#include <utility>

#include <nlohmann/json.hpp>

namespace saw::audit {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kSchemaVersion = "1.9.0-dev";  // of OCSF
// An event must fit one log entry (64 KiB - 1), with every byte of every text escaped to six.
constexpr size_t kMaxId = 96, kMaxName = 256;

// Bounded, and cut between characters, not inside one. Bytes that are no UTF-8 are replaced when the JSON is
// written.
std::string bounded(std::string_view text, size_t limit) {
  if (text.size() <= limit) return std::string(text);
  while (limit > 0 && (static_cast<unsigned char>(text[limit]) & 0xc0) == 0x80) --limit;
  return std::string(text.substr(0, limit)) + "…";
}

void put(Json& object, const char* key, std::string_view text, size_t limit = kMaxText) {
  if (!text.empty()) object[key] = bounded(text, limit);
}

std::string_view name(Layer layer) {
  switch (layer) {
    case Layer::governance:
      return "governance";
    case Layer::runtime:
      return "runtime";
    case Layer::perimeter:
      return "perimeter";
  }
  return "unknown";
}

// How a verdict reads in OCSF: the status of the activity, and action and disposition of the security_control
// profile.
struct Outcome {
  int severity_id, status_id;
  const char* status;
  int action_id;
  const char* action;
  int disposition_id;
  const char* disposition;
};
Outcome outcome(Verdict verdict) {
  switch (verdict) {
    case Verdict::allowed:
      return {1, 1, "Success", 1, "Allowed", 1, "Allowed"};
    case Verdict::denied:
      return {3, 2, "Failure", 2, "Denied", 2, "Blocked"};
    case Verdict::reviewing:
      return {2, 99, "Held for review", 99, "Held for review", 14, "Delayed"};
    case Verdict::none:
      break;
  }
  return {1, 1, "Success", 0, "", 0, ""};
}
std::string_view name(Verdict verdict) {
  constexpr std::array<std::string_view, 4> kNames = {"none", "allowed", "denied", "reviewing"};
  return kNames[static_cast<size_t>(verdict)];
}

struct Class {
  uint32_t uid;
  const char* name;
  enum Profiles : uint8_t { kAgent = 1, kTrace = 2 } profiles;  // beyond host and security_control
};
constexpr auto kAgentAndTrace = static_cast<Class::Profiles>(Class::kAgent | Class::kTrace);
constexpr Class kProcess{1007, "Process Activity", Class::kAgent},
    kCompliance{2003, "Compliance Finding", {}}, kFinding{2004, "Detection Finding", {}},
    kAuthentication{3002, "Authentication", Class::kAgent}, kNetwork{4001, "Network Activity", Class::kAgent},
    kHttp{4002, "HTTP Activity", kAgentAndTrace}, kDns{4003, "DNS Activity", Class::kAgent},
    kConfigState{5019, "Device Config State Change", {}},
    kLifecycle{6002, "Application Lifecycle", Class::kAgent}, kApi{6003, "API Activity", kAgentAndTrace};

struct Activity {
  int id;
  std::string name;
};

Json metadata(const Class& c, const Base& e) {
  Json profiles = {"host", "security_control"};
  if (c.profiles & Class::kAgent) profiles.push_back("ai_operation");
  if (c.profiles & Class::kTrace) profiles.push_back("trace");
  Json m = {{"version", kSchemaVersion},
            {"product",
             {{"name", "SAW"},
              {"vendor_name", "SAW"},
              {"version", SAW_VERSION},
              {"feature", {{"name", name(e.layer)}}}}},
            {"profiles", std::move(profiles)}};
  put(m, "correlation_uid", e.who.trace, kMaxId);
  return m;
}

Json actor(const Who& who) {
  Json a = Json::object();
  if (!who.sponsor.empty())
    a["user"] = {{"uid", bounded(who.sponsor, kMaxId)}, {"type_id", 1}, {"type", "User"}};
  if (!who.session.empty()) a["session"] = {{"uid", bounded(who.session, kMaxId)}};
  if (a.empty()) a["app_name"] = "SAW";
  return a;
}

// The one place that SAW's own tools read: flat, every member a string.
Json own_fields(const Base& e) {
  Json saw = {{"layer", name(e.layer)}};
  if (e.verdict != Verdict::none) saw["verdict"] = name(e.verdict);
  const std::pair<const char*, const std::string&> ids[] = {{"sponsor", e.who.sponsor},
                                                            {"agent", e.who.agent},
                                                            {"agent_name", e.who.agent_name},
                                                            {"workspace", e.who.workspace},
                                                            {"workspace_name", e.who.workspace_name},
                                                            {"session", e.who.session},
                                                            {"call", e.who.call},
                                                            {"credential", e.who.credential},
                                                            {"trace", e.who.trace},
                                                            {"policy_digest", e.policy_digest}};
  for (const auto& [key, value] : ids) put(saw, key, value, kMaxId);
  put(saw, "rule", e.rule, kMaxName);
  put(saw, "reason", e.reason);
  return saw;
}

// All that every event has.
Json start(const Class& c, Activity activity, const Base& e) {
  const Outcome o = outcome(e.verdict);
  Json j = {{"time", e.time / kMillisecond},
            {"class_uid", c.uid},
            {"class_name", c.name},
            {"category_uid", c.uid / 1000},
            {"activity_id", activity.id},
            {"activity_name", std::move(activity.name)},
            {"type_uid", uint64_t{c.uid} * 100 + static_cast<uint64_t>(activity.id)},
            {"severity_id", o.severity_id},
            {"status_id", o.status_id},
            {"status", o.status}};
  put(j, "message", e.message);
  put(j, "status_detail", e.reason);
  j["metadata"] = metadata(c, e);
  j["actor"] = actor(e.who);
  if (!e.who.workspace.empty()) {
    j["device"] = {{"type_id", 6}, {"type", "Virtual"}, {"uid", bounded(e.who.workspace, kMaxId)}};
    put(j["device"], "name", e.who.workspace_name, kMaxId);
  }
  if ((c.profiles & Class::kAgent) && !e.who.agent.empty())
    j["ai_agent"] = {{"uid", bounded(e.who.agent, kMaxId)}};
  if ((c.profiles & Class::kTrace) && !e.who.trace.empty())
    j["trace"] = {{"uid", bounded(e.who.trace, kMaxId)}};
  if (e.verdict != Verdict::none) {
    j["action_id"] = o.action_id, j["action"] = o.action;
    j["disposition_id"] = o.disposition_id, j["disposition"] = o.disposition;
  }
  if (!e.policy_digest.empty()) j["policy"] = {{"uid", bounded(e.policy_digest, kMaxId)}, {"type", "saw/v1"}};
  if (!e.rule.empty()) j["firewall_rule"] = {{"uid", bounded(e.rule, kMaxName)}};
  j["unmapped"] = {{"saw", own_fields(e)}};
  return j;
}

// Pure ASCII, so that no terminal, pager or line splitter sees anything but this one line.
std::string render(const Json& j) {
  return j.dump(-1, ' ', true, Json::error_handler_t::replace);
}

Json endpoint(std::string_view host, std::string_view address, uint16_t port) {
  Json e = Json::object();
  put(e, "hostname", host, kMaxName);
  put(e, "ip", address, kMaxId);
  if (e.empty()) e["name"] = "unknown";
  if (port != 0) e["port"] = port;
  return e;
}

Activity http_method(const std::string& method) {
  struct Known {
    std::string_view method;
    int id;
    const char* caption;
  };
  constexpr Known kKnown[] = {{"CONNECT", 1, "Connect"}, {"DELETE", 2, "Delete"},   {"GET", 3, "Get"},
                              {"HEAD", 4, "Head"},       {"OPTIONS", 5, "Options"}, {"POST", 6, "Post"},
                              {"PUT", 7, "Put"},         {"TRACE", 8, "Trace"},     {"PATCH", 9, "Patch"},
                              {"SEARCH", 33, "Search"}};
  for (const Known& known : kKnown)
    if (known.method == method) return {known.id, known.caption};
  return {99, bounded(method.empty() ? "?" : method, kMaxId)};
}

Json url(const HttpActivity& e) {
  const bool standard =
      e.port == 0 || (e.scheme == "https" && e.port == 443) || (e.scheme == "http" && e.port == 80);
  std::string whole = e.scheme + "://" + bounded(e.host, kMaxName) +
                      (standard ? "" : ":" + std::to_string(e.port)) + e.target;
  Json u = Json::object();
  put(u, "url_string", whole);
  put(u, "scheme", e.scheme, kMaxId);
  put(u, "hostname", e.host, kMaxName);
  const size_t query = e.target.find('?');
  put(u, "path", std::string_view(e.target).substr(0, query));
  if (query != std::string::npos) put(u, "query_string", std::string_view(e.target).substr(query + 1));
  if (e.port != 0) u["port"] = e.port;
  return u;
}

}  // namespace

std::string http_activity(const HttpActivity& e) {
  Json j = start(kHttp, http_method(e.method), e);
  j["http_request"] = {{"url", url(e)}};
  put(j["http_request"], "http_method", e.method, kMaxId);
  if (e.status != 0) j["http_response"] = {{"code", e.status}};
  j["dst_endpoint"] = endpoint(e.host, "", e.port);
  j["traffic"] = {{"bytes_in", e.bytes_in}, {"bytes_out", e.bytes_out}, {"bytes", e.bytes_in + e.bytes_out}};
  if (!e.review.empty() && e.verdict == Verdict::allowed)
    j["disposition_id"] = 8, j["disposition"] = "Approved";
  Json& saw = j["unmapped"]["saw"];
  put(saw, "request_digest", e.digest, kMaxId);
  put(saw, "review", e.review, kMaxId);
  put(saw, "credential_used", e.credential_used, kMaxId);
  put(saw, "operation", e.operation);
  return render(j);
}

std::string network_activity(const NetworkActivity& e) {
  Json j = start(kNetwork, e.verdict == Verdict::denied ? Activity{5, "Refuse"} : Activity{1, "Open"}, e);
  j["dst_endpoint"] = endpoint(e.host, e.address, e.port);
  j["connection_info"] = {
      {"direction_id", 2}, {"direction", "Outbound"}, {"protocol_name", bounded(e.protocol, kMaxId)}};
  return render(j);
}

std::string dns_activity(const DnsActivity& e) {
  Json j = start(kDns, {6, "Traffic"}, e);
  j["query"] = {{"hostname", bounded(e.name, kMaxName)}};
  put(j["query"], "type", e.type, kMaxId);
  if (!e.answer.empty()) j["answers"] = Json::array({{{"rdata", bounded(e.answer, kMaxName)}}});
  j["rcode_id"] = e.answer.empty() ? 3 : 0;
  j["rcode"] = e.answer.empty() ? "NXDomain" : "NoError";
  j["dst_endpoint"] = {{"svc_name", "dns"}, {"port", 53}};
  if (e.repeats > 1) j["count"] = e.repeats;
  return render(j);
}

std::string process_activity(const ProcessActivity& e) {
  const bool launch = e.activity == ProcessActivity::Activity::launch;
  Json j = start(kProcess, launch ? Activity{1, "Launch"} : Activity{2, "Terminate"}, e);
  if (!j.contains("device")) j["device"] = {{"type_id", 0}, {"type", "Unknown"}, {"name", "unknown"}};
  Json process = {{"uid", bounded(e.sandbox.empty() ? e.who.call : e.sandbox, kMaxId)}};
  if (e.pid != 0) process["pid"] = e.pid;
  put(process, "cmd_line", e.command_line);
  put(process, "sandbox", e.sandbox, kMaxId);
  j["process"] = std::move(process);
  if (launch)
    j["launch_type_id"] = 3, j["launch_type"] = "Exec";
  else
    j["exit_code"] = e.exit_status;
  Json& saw = j["unmapped"]["saw"];
  put(saw, "limit", e.limit, kMaxId);
  if (e.memory_kills != 0) saw["memory_kills"] = e.memory_kills;
  if (e.forks_refused != 0) saw["forks_refused"] = e.forks_refused;
  return render(j);
}

namespace {
Json object_of(std::string_view kind, std::string_view id, std::string_view object_name) {
  Json o = {{"uid", bounded(id, kMaxId)}};
  put(o, "name", object_name, kMaxName);
  put(o, "type", kind, kMaxId);
  return o;
}
}  // namespace

std::string lifecycle(const Lifecycle& e) {
  constexpr std::array<std::pair<int, const char*>, 6> kActivities = {
      {{1, "Install"}, {2, "Remove"}, {3, "Start"}, {4, "Stop"}, {5, "Restart"}, {99, "Other"}}};
  const auto& [id, caption] = kActivities[static_cast<size_t>(e.activity)];
  Json j = start(kLifecycle, {id, caption}, e);
  Json app = {{"name", bounded(e.object_name.empty() ? e.object_kind : e.object_name, kMaxName)},
              {"vendor_name", "SAW"}};
  put(app, "uid", e.object_id, kMaxId);
  j["app"] = std::move(app);
  put(j["unmapped"]["saw"], "object_kind", e.object_kind, kMaxId);
  return render(j);
}

std::string api_activity(const ApiActivity& e) {
  constexpr std::array<std::pair<int, const char*>, 5> kActivities = {
      {{1, "Create"}, {2, "Read"}, {3, "Update"}, {4, "Delete"}, {99, "Other"}}};
  const auto& [id, caption] = kActivities[static_cast<size_t>(e.activity)];
  Json j = start(kApi, {id, caption}, e);
  j["api"] = {{"operation", bounded(e.operation, kMaxName)}, {"service", {{"name", "SAW"}}}};
  j["src_endpoint"] = {{"svc_name", "saw"}};
  if (!e.object_kind.empty())
    j["resources"] = Json::array({object_of(e.object_kind, e.object_id, e.object_name)});
  return render(j);
}

std::string authentication(const Authentication& e) {
  Json j = start(kAuthentication, {1, "Logon"}, e);
  j["user"] = {{"uid", bounded(e.who.agent, kMaxId)}, {"type_id", 99}, {"type", "Agent"}};
  j["service"] = {{"name", "SAW"}};
  Json token = {{"type_id", 99}, {"type", "Runtime Credential"}};
  put(token, "uid", e.credential_id, kMaxId);
  if (e.expires != 0) token["expiration_time"] = e.expires / kMillisecond;
  j["authentication_token"] = std::move(token);
  return render(j);
}

std::string policy_release(const PolicyRelease& e) {
  Json j = start(kConfigState, {1, "Log"}, e);
  if (!j.contains("device")) j["device"] = {{"type_id", 1}, {"type", "Server"}, {"name", "sawd"}};
  Json& saw = j["unmapped"]["saw"];
  put(saw, "channel", e.channel, kMaxId);
  put(saw, "release_version", e.version, kMaxId);
  put(saw, "release", e.release, kMaxId);
  if (e.revision != 0) saw["revision"] = std::to_string(e.revision);
  return render(j);
}

std::string enforcement(const Enforcement& e) {
  const bool passed = e.verdict == Verdict::allowed;
  Json j = start(kCompliance, {1, "Create"}, e);
  j["severity_id"] = passed ? 1 : 4;
  j["status_id"] = 1, j["status"] = "New";
  j["finding_info"] = {{"uid", "enforcement:" + bounded(e.sandbox, kMaxId) + ":" + std::to_string(e.time)},
                       {"title", "Probes of the sandbox's confinement"},
                       {"created_time", e.time / kMillisecond}};
  Json compliance = {{"control", "Proof of enforcement"},
                     {"standards", Json::array({"SAW R117"})},
                     {"status_id", passed ? 1 : 3},
                     {"status", passed ? "Pass" : "Fail"}};
  put(compliance, "desc", e.summary);
  j["compliance"] = std::move(compliance);
  j["resources"] = Json::array({object_of("sandbox", e.sandbox, "")});
  Json& saw = j["unmapped"]["saw"];
  put(saw, "sandbox", e.sandbox, kMaxId);
  put(saw, "plan_digest", e.plan_digest, kMaxId);
  if (e.evidence.size() <= kMaxEvidence) put(saw, "evidence", e.evidence, kMaxEvidence);
  return render(j);
}

std::string finding(const Finding& e) {
  Json j = start(kFinding, {1, "Create"}, e);
  constexpr int kHigh = 4;
  j["severity_id"] = kHigh;
  j["status_id"] = 1, j["status"] = "New";
  j["is_alert"] = true;
  Json info = {{"uid", bounded(e.finding_kind, kMaxId) + ":" + std::to_string(e.time)},
               {"created_time", e.time / kMillisecond}};
  put(info, "title", e.title, kMaxName);
  if (!e.finding_kind.empty()) info["types"] = Json::array({bounded(e.finding_kind, kMaxId)});
  j["finding_info"] = std::move(info);
  return render(j);
}

}  // namespace saw::audit
