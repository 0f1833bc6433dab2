// A request before any rule is looked at: its host, address and head, checked and canonical. What two readers could take for
// different requests has a reason "malformed:…" and goes nowhere.
//
//   Subject subject{.request = request, .host = *HostName::parse(request.host)};
//   if (Reason reason = judge_address(subject); !reason.empty()) return refuse(reason);
//   if (Reason reason = check_head(subject); !reason.empty()) return refuse(reason);
//   Target target;
//   if (Reason reason = read_target(subject, target); …            // then subject.path and .query point into it
#pragma once

#include <expected>
#include <optional>
#include <string_view>

#include "policy/host.h"
#include "policy/policy.h"
#include "policy/target.h"

namespace saw::policy {

using Reason = std::string_view;  // empty: fine

// What a request is judged by.
struct Subject {
  const Request& request;
  HostName host;
  std::string_view path, query;    // canonical; empty for tcp and dns
  std::optional<Address> address;  // the one that would be dialled, if known
};

// Sets subject.address. An unreadable one is malformed, one of the never-classes is refused whatever the rules say (R48).
Reason judge_address(Subject& subject);
// Method and header fields of an HTTP request or an upgrade.
Reason check_head(const Subject& subject);
// TLS to one name and a request for another.
Reason check_sni(const Subject& subject);
Reason read_target(const Subject& subject, Target& into);

bool same_letters(std::string_view a, std::string_view lower);
// Whether some server may take the field for that one: CGI and its heirs read '_' and '-' alike (RFC 3875 §4.1.18).
bool may_be_taken_for(std::string_view name, std::string_view lower);
// Whether the body came in a form that its reader would have to undo first.
bool is_encoded(std::span<const Header> headers);
// A body read as JSON must say so, if it says anything: UTF-8, and no other type that a server might prefer.
Reason check_json_type(std::span<const Header> headers);

}  // namespace saw::policy
