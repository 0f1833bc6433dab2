#include "policy/projectable.h"

#include <algorithm>
#include <tuple>

#include <fmt/format.h>

#include "policy/document.h"

namespace saw::policy {
namespace {

struct Use {
  Place place;
  std::string where;  // "network.tools", "" for the policy itself
};
using Uses = std::vector<Use>;

void add_entry(Uses& uses, const Entry& entry, Place place) {
  uses.push_back({place.line != 0 ? place : entry.place, "network." + entry.name});
}

template <Protocol kProtocol> void speaking(const Document& d, Uses& uses) {
  for (const Entry& entry : d.network)
    if (entry.protocol == kProtocol) add_entry(uses, entry, entry.protocol_place);
}
template <auto kLimit> void limited(const Document& d, Uses& uses) {
  for (const Entry& entry : d.network)
    if (entry.limits.*kLimit != 0) add_entry(uses, entry, entry.limits_place);
}
void passthrough(const Document& d, Uses& uses) {
  for (const Entry& entry : d.network)
    if (entry.tls == TlsMode::passthrough) add_entry(uses, entry, entry.tls_place);
}
void private_data(const Document& d, Uses& uses) {
  for (const Entry& entry : d.network)
    if (entry.data == DataClass::private_data) add_entry(uses, entry, entry.data_place);
}
void conditional(const Document& d, Uses& uses) {
  for (const Entry& entry : d.network)
    for (const Rule& rule : entry.rules)
      if (rule.when != LabelCondition()) uses.push_back({rule.place, rule.id});
}
void ages_elsewhere(const Document& d, Uses& uses) {
  for (const Entry& entry : d.network)
    for (const Rule& rule : entry.rules)
      if (rule.min_age_days != 0 && rule.ecosystem != Ecosystem::npm && rule.ecosystem != Ecosystem::pypi)
        uses.push_back({rule.place, rule.id});
}
void file_labels(const Document& d, Uses& uses) {
  if (!d.filesystem.labels.empty()) uses.push_back({d.labels_place, ""});
}
void budget(const Document& d, Uses& uses) {
  if (d.budget_place.line != 0) uses.push_back({d.budget_place, ""});
}

struct Line {
  std::string_view what;
  void (*find)(const Document&, Uses&);
};

// The programs of this version enforce everything in the language but this. Whoever builds the enforcement of one deletes its line.
constexpr Line kNotEnforced[] = {
    {"minAgeDays (of another ecosystem than npm and pypi)", ages_elsewhere},
    {"protocol: tcp", speaking<Protocol::tcp>},
    {"tls: passthrough", passthrough},
    {"limits.requestsPerMinute", limited<&Limits::requests_per_minute>},
    {"limits.concurrent", limited<&Limits::concurrent>},
    {"limits.uploadBytesPerHour", limited<&Limits::upload_bytes_per_hour>},
    {"when.labels (labels that follow process trees)", conditional},
    {"data: private (labels that follow process trees)", private_data},
    {"filesystem.labels (labels that follow process trees)", file_labels},
    {"budget", budget},
};

}  // namespace

namespace {

Diagnostics report(const Policy& policy, const Diagnostic& form) {
  Diagnostics out;
  for (const Line& line : kNotEnforced) {
    Uses uses;
    line.find(policy.document(), uses);
    for (const Use& use : uses)
      out.push_back({.severity = form.severity,
                     .file = policy.file(),
                     .line = use.place.line,
                     .column = use.place.column,
                     .code = form.code,
                     .message = fmt::format("{}{}{} {}", use.where, use.where.empty() ? "" : ": ", line.what,
                                            form.message)});
  }
  std::ranges::sort(out, {}, [](const Diagnostic& d) { return std::tie(d.line, d.column, d.message); });
  return out;
}

}  // namespace

Diagnostics unprojectable(const Policy& policy) {
  return report(policy, {.code = "policy.not_available_yet",
                         .message = "is not available yet, and a rule that cannot be enforced is refused"});
}

Diagnostics not_enforced(const Policy& policy) {
  return report(
      policy,
      {.severity = Diagnostic::Severity::warning,
       .code = "policy.not_enforced",
       .message = "is enforced by no program of this version, so no workspace can use this policy yet"});
}

std::string lines_of(const Diagnostics& diagnostics) {
  std::string out;
  for (const Diagnostic& d : diagnostics) out += (out.empty() ? "" : "\n") + d.text();
  return out;
}

}  // namespace saw::policy
