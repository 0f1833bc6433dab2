#include <array>
#include <initializer_list>
#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "audit/event.h"
#include "audit/tile.h"
#include "base/bytes.h"

namespace saw::audit {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxField = 300;

const Json* find(const Json& j, std::initializer_list<const char*> path) {
  const Json* at = &j;
  for (const char* key : path) {
    if (!at->is_object()) return nullptr;
    auto it = at->find(key);
    if (it == at->end()) return nullptr;
    at = &*it;
  }
  return at;
}

std::string text(const Json& j, std::initializer_list<const char*> path) {
  const Json* value = find(j, path);
  return value && value->is_string() ? printable(value->get_ref<const std::string&>(), kMaxField) : "";
}

std::optional<int64_t> number(const Json& j, std::initializer_list<const char*> path) {
  const Json* value = find(j, path);
  if (!value || !value->is_number_integer()) return {};
  return value->get<int64_t>();
}

std::string clock_time(const Json& j) {
  constexpr int64_t kDay = 86'400'000, kLatest = 253'402'300'799'999;  // the last millisecond of year 9999
  auto ms = number(j, {"time"});
  if (!ms || *ms < 0 || *ms > kLatest) return "--:--:--.---";
  const int64_t t = *ms % kDay;
  return fmt::format("{:02}:{:02}:{:02}.{:03}", t / 3'600'000, t / 60'000 % 60, t / 1000 % 60, t % 1000);
}

std::string in_brackets(const std::string& text) {
  return text.empty() ? "" : " (" + text + ")";
}

std::string in_square_brackets(const std::string& text) {
  return text.empty() ? "" : " [" + text + "]";
}

std::string http(const Json& j) {
  std::string out =
      text(j, {"http_request", "http_method"}) + " " + text(j, {"http_request", "url", "url_string"});
  out += in_square_brackets(text(j, {"unmapped", "saw", "operation"}));
  if (auto code = number(j, {"http_response", "code"})) out += fmt::format(" {}", *code);
  if (auto used = text(j, {"unmapped", "saw", "credential_used"}); !used.empty()) out += " with " + used;
  return out;
}

std::string network(const Json& j) {
  std::string host = text(j, {"dst_endpoint", "hostname"}), address = text(j, {"dst_endpoint", "ip"});
  std::string out = text(j, {"connection_info", "protocol_name"}) + " to " + (host.empty() ? address : host);
  if (auto port = number(j, {"dst_endpoint", "port"})) out += fmt::format(":{}", *port);
  return host.empty() || address.empty() ? out : out + " at " + address;
}

std::string dns(const Json& j) {
  std::string out =
      "name " + text(j, {"query", "hostname"}) + " " + text(j, {"query", "type"}) + " " + text(j, {"rcode"});
  if (auto count = number(j, {"count"})) out += fmt::format(", {} times", *count);
  return out;
}

std::string process(const Json& j) {
  if (number(j, {"activity_id"}) == 1) return "started " + text(j, {"process", "cmd_line"});
  auto status = number(j, {"exit_code"});
  return fmt::format("ended with status {} {}", status.value_or(0), text(j, {"process", "cmd_line"}));
}

std::string lifecycle_text(const Json& j) {
  if (auto message = text(j, {"message"}); !message.empty()) return message;
  std::string out = text(j, {"activity_name"});
  if (!out.empty() && out[0] >= 'A' && out[0] <= 'Z') out[0] |= 0x20;
  const std::string parts[] = {text(j, {"unmapped", "saw", "object_kind"}), text(j, {"app", "name"}),
                               text(j, {"app", "uid"})};
  for (const std::string& part : parts)
    if (!part.empty()) out += " " + part;
  return out;
}

std::string api(const Json& j) {
  std::string out = text(j, {"api", "operation"});
  const Json* resources = find(j, {"resources"});
  if (resources && resources->is_array() && !resources->empty()) {
    const Json& r = resources->front();
    for (const char* key : {"type", "name", "uid"})
      if (auto part = text(r, {key}); !part.empty()) out += " " + part;
  }
  return out;
}

std::string authentication_text(const Json& j) {
  return "credential " + text(j, {"authentication_token", "uid"});
}
std::string finding_text(const Json& j) {
  return "FINDING " + text(j, {"finding_info", "title"});
}

struct Describe {
  int64_t class_uid;
  std::string (*words)(const Json&);
};
constexpr std::array<Describe, 10> kClasses = {{{1007, process},
                                                {2003, lifecycle_text},
                                                {2004, finding_text},
                                                {3002, authentication_text},
                                                {4001, network},
                                                {4002, http},
                                                {4003, dns},
                                                {5019, lifecycle_text},
                                                {6002, lifecycle_text},
                                                {6003, api}}};

// What happened, in the event's own words where the class is not one of ours.
std::string what(const Json& j) {
  const auto uid = number(j, {"class_uid"});
  for (const Describe& d : kClasses)
    if (uid == d.class_uid) return d.words(j);
  return text(j, {"message"});
}

struct Look {
  std::string_view verdict, word, colour;
};
constexpr std::array<Look, 3> kLooks = {{{"allowed", "ALLOWED", "\x1b[32m"},
                                         {"denied", "DENIED", "\x1b[31m"},
                                         {"reviewing", "REVIEW", "\x1b[33m"}}};
constexpr std::string_view kFindingColour = "\x1b[1;31m", kPlain = "\x1b[0m";

std::string verdict(const Json& j, Colour colour) {
  const std::string found = text(j, {"unmapped", "saw", "verdict"});
  for (const Look& look : kLooks) {
    if (found != look.verdict) continue;
    if (colour == Colour::no) return std::string(look.word) + "  ";
    return fmt::format("{}{}{}  ", look.colour, look.word, kPlain);
  }
  return "";
}

std::string compose(const Json& j, Colour colour) {
  std::string out = clock_time(j) + "  ";
  std::string workspace = text(j, {"unmapped", "saw", "workspace_name"});
  if (workspace.empty()) workspace = text(j, {"unmapped", "saw", "workspace"});
  out += (workspace.empty() ? "-" : workspace) + "  ";
  if (auto call = text(j, {"unmapped", "saw", "call"}); !call.empty()) out += "call " + call + "  ";
  std::string agent = text(j, {"unmapped", "saw", "agent_name"});
  if (agent.empty()) agent = text(j, {"unmapped", "saw", "agent"});
  if (!agent.empty())
    out += "agent " + agent + "  ";
  else if (auto sponsor = text(j, {"unmapped", "saw", "sponsor"}); !sponsor.empty())
    out += "by " + sponsor + "  ";
  out += verdict(j, colour);
  const bool alarming = colour == Colour::yes && number(j, {"class_uid"}) == 2004;
  out += alarming ? fmt::format("{}{}{}", kFindingColour, what(j), kPlain) : what(j);
  const std::string rule = text(j, {"unmapped", "saw", "rule"}),
                    reason = text(j, {"unmapped", "saw", "reason"});
  const bool denied = text(j, {"unmapped", "saw", "verdict"}) != "allowed";
  return out + in_brackets(rule) + (denied && !reason.empty() && reason != rule ? ": " + reason : "");
}

}  // namespace

std::string sentence(std::string_view event_json, Colour colour) {
  if (event_json.size() <= kMaxEntry) {
    const Json j = Json::parse(event_json, nullptr, false);
    if (j.is_object()) return compose(j, colour);
  }
  return "--:--:--.---  -  not an event: " + printable(event_json, kMaxField);
}

}  // namespace saw::audit
