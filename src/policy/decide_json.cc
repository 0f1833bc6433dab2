#include "policy/decide_json.h"

#include <algorithm>
#include <charconv>
#include <set>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "policy/host.h"

namespace saw::policy {
namespace {

using nlohmann::json;

// The members of a request, owned.
struct Members {
  std::string id, host, protocol = "http", sni, method, target, ip, agent, tool;
  std::optional<std::string> body, message;
  std::optional<Nanos> published;
  bool binary = false;
  std::optional<uint16_t> port;
  std::optional<bool> tls;
  std::vector<std::pair<std::string, std::string>> headers;
  Labels labels = 0;
  Nanos time = 0;
};

// Reads exactly the shape of a request: one object of scalars, "headers" an object of texts, "labels" a list
// of texts. The parser is nlohmann's, which would take the last of duplicate members; this refuses them.
class RequestReader final : public nlohmann::json_sax<json> {
 public:
  Members members;
  std::string reason = "malformed:json";

  bool null() override { return fail("malformed:type"); }
  bool boolean(bool value) override {
    if (depth_ != 1 || (key_ != "tls" && key_ != "binary")) return fail("malformed:type");
    if (key_ == "tls")
      members.tls = value;
    else
      members.binary = value;
    return true;
  }
  bool number_integer(number_integer_t) override { return fail("malformed:type"); }
  bool number_float(number_float_t, const string_t&) override { return fail("malformed:type"); }
  bool number_unsigned(number_unsigned_t value) override {
    if (depth_ != 1 || key_ != "port") return fail("malformed:type");
    if (value == 0 || value > 65535) return fail("malformed:port");
    members.port = static_cast<uint16_t>(value);
    return true;
  }
  bool string(string_t& value) override;
  bool binary(binary_t&) override { return fail("malformed:type"); }
  bool start_object(std::size_t) override {
    if (depth_ == 1 && key_ != "headers") return fail("malformed:type");
    if (depth_ > 1 || in_labels_) return fail("malformed:type");
    ++depth_;
    return true;
  }
  bool end_object() override {
    --depth_;
    header_names_.clear();
    return true;
  }
  bool start_array(std::size_t) override {
    if (depth_ != 1 || key_ != "labels" || in_labels_) return fail("malformed:type");
    in_labels_ = true;
    return true;
  }
  bool end_array() override {
    in_labels_ = false;
    return true;
  }
  bool key(string_t& name) override {
    auto& seen = depth_ == 1 ? names_ : header_names_;
    if (!seen.insert(name).second) return fail("malformed:duplicate-member");
    (depth_ == 1 ? key_ : header_) = name;
    return true;
  }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override {
    return false;
  }

 private:
  bool fail(std::string why) {
    reason = std::move(why);
    return false;
  }
  bool member(std::string& value);

  int depth_ = 0;
  bool in_labels_ = false;
  std::string key_, header_;
  std::set<std::string> names_, header_names_;
};

bool RequestReader::string(string_t& value) {
  if (depth_ == 0) return fail("malformed:type");
  if (depth_ == 2) {
    members.headers.emplace_back(header_, std::move(value));
    return true;
  }
  if (in_labels_) {
    if (value == "private")
      members.labels |= kPrivate;
    else if (value == "untrusted")
      members.labels |= kUntrusted;
    else
      return fail("malformed:label");
    return true;
  }
  return member(value);
}

bool RequestReader::member(std::string& value) {
  static constexpr std::pair<std::string_view, std::string Members::*> kTexts[] = {
      {"id", &Members::id},   {"host", &Members::host},     {"protocol", &Members::protocol},
      {"sni", &Members::sni}, {"method", &Members::method}, {"target", &Members::target},
      {"ip", &Members::ip},   {"agent", &Members::agent},   {"tool", &Members::tool}};
  for (const auto& [name, place] : kTexts)
    if (key_ == name) {
      members.*place = std::move(value);
      return true;
    }
  if (key_ == "body" || key_ == "message") {
    (key_ == "body" ? members.body : members.message) = std::move(value);
    return true;
  }
  if (key_ == "time" || key_ == "published") {
    auto time = parse_rfc3339(value);
    if (!time) return fail("malformed:time");
    if (key_ == "time")
      members.time = *time;
    else
      members.published = time;
    return true;
  }
  const bool known =
      key_ == "port" || key_ == "tls" || key_ == "headers" || key_ == "labels" || key_ == "binary";
  return fail(known ? "malformed:type" : "malformed:unknown-member");
}

std::optional<Request::Kind> kind_of(std::string_view protocol) {
  if (protocol == "http") return Request::Kind::http;
  if (protocol == "websocket") return Request::Kind::websocket;
  if (protocol == "tcp") return Request::Kind::tcp;
  if (protocol == "dns") return Request::Kind::dns;
  return {};
}

std::string answer(const std::string& id, const Decision& d, std::string_view digest) {
  nlohmann::ordered_json out;
  if (!id.empty()) out["id"] = id;
  out["effect"] = name(d.effect);
  out["rule"] = d.rule;
  out["reason"] = d.reason;
  out["canonical_target"] = d.canonical_target;
  out["digest"] = digest;
  return out.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string malformed(const std::string& id, std::string_view reason, std::string_view line) {
  return answer(id, {.effect = Effect::deny, .reason = reason}, digest_text(sha256(line)));
}

std::string decide_members(const Policy& policy, const Members& m, std::string_view line) {
  auto kind = kind_of(m.protocol);
  if (!kind) return malformed(m.id, "malformed:protocol", line);
  const bool http = *kind == Request::Kind::http, websocket = *kind == Request::Kind::websocket;
  const bool complete = !m.host.empty() && (!http || !m.method.empty()) &&
                        (!(http || websocket) || !m.target.empty()) &&
                        (*kind != Request::Kind::tcp || m.port);
  if (!complete) return malformed(m.id, "malformed:missing-member", line);
  std::vector<Header> headers;
  for (const auto& [name, value] : m.headers) headers.push_back({name, value});
  const uint16_t port = m.port.value_or(m.tls.value_or(true) ? 443 : 80);
  const Request request{.kind = *kind,
                        .host = m.host,
                        .port = port,
                        .tls = m.tls.value_or(port != 80),
                        .sni = m.sni,
                        .method = websocket && m.method.empty() ? std::string_view("GET") : m.method,
                        .target = m.target,
                        .headers = headers,
                        .body = m.body ? std::optional<std::string_view>(*m.body) : std::nullopt,
                        .message = m.message ? std::optional<std::string_view>(*m.message) : std::nullopt,
                        .frame = m.binary ? Request::Frame::binary : Request::Frame::text,
                        .published = m.published,
                        .ip = m.ip,
                        .labels = m.labels,
                        .time = m.time,
                        .agent = m.agent,
                        .tool = m.tool};
  const Decision decision = policy.decide(request);
  return answer(m.id, decision, digest_text(request_digest(request, decision.canonical_target)));
}

}  // namespace

Digest request_digest(const Request& request, std::string_view canonical_target) {
  const bool http = request.kind == Request::Kind::http || request.kind == Request::Kind::websocket;
  std::string host(request.host);
  if (auto canonical = HostName::parse(request.host)) host = canonical->text();
  const std::string_view scheme = request.kind == Request::Kind::dns ? "dns"
                                  : !http                            ? "tcp"
                                  : request.tls                      ? "https"
                                                                     : "http";
  const std::string_view target = canonical_target.empty() ? request.target : canonical_target;
  const std::string head = fmt::format("{}\n{}\n{}:{}\n{}\n\n", http ? request.method : "", scheme, host,
                                       request.port, http ? target : "");
  return sha256({head, request.body.value_or(""), request.message.value_or("")});
}

std::string decide_line(const Policy& policy, std::string_view line) {
  if (line.size() > kMaxDecideLine) return malformed({}, "malformed:too-long", line);
  // To nlohmann a NUL is the end of the text, and whatever follows it is not looked at.
  if (line.find('\0') != std::string_view::npos) return malformed({}, "malformed:json", line);
  RequestReader reader;
  bool read = false;
  try {
    read = json::sax_parse(line, &reader);
  } catch (const std::exception&) {  // nlohmann's own limits
    read = false;
  }
  if (!read) return malformed(reader.members.id, reader.reason, line);
  return decide_members(policy, reader.members, line);
}

}  // namespace saw::policy
