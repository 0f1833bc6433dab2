#include <algorithm>

#include <fmt/format.h>

#include "policy/check.h"

namespace saw::policy {
namespace {

struct Finding {
  Place place;
  std::string message;
};
using Findings = std::vector<Finding>;

bool only_reads(const Rule& rule) {
  constexpr std::string_view kReads[] = {"GET", "HEAD", "OPTIONS"};
  return !rule.methods.empty() && std::ranges::all_of(rule.methods, [&](const std::string& m) {
    return std::ranges::find(kReads, m) != std::end(kReads);
  });
}

// One operation by name: no "**", and the last segment, which says what is done, spelled out.
bool names_exact_path(const Rule& rule) {
  return !rule.paths.empty() && std::ranges::all_of(rule.paths, [](const Glob& g) {
    return !g.any_depth() && g.last_segment_literal();
  });
}

bool all_literal(const std::vector<Glob>& globs) {
  return !globs.empty() && std::ranges::all_of(globs, &Glob::literal);
}

bool names_exact_push(const Rule& rule) {
  return all_literal(rule.repos) && !rule.refs.empty();
}

bool asks_only_queries(const Rule& rule) {
  return !rule.types.empty() && std::ranges::find(rule.types, OperationType::mutation) == rule.types.end();
}

bool begins_literally(const Glob& glob) {
  return glob.text().find_first_of("*?[") != 0;
}

// MCP's other methods look and announce.
bool calls_tools(const Rule& rule) {
  return !rule.tools.empty() || !rule.arguments.empty() || rule.calls.empty() ||
         std::ranges::any_of(rule.calls, [](const Glob& g) { return g.matches("tools/call"); });
}

// A rule that can call tools says which: a name, or at least how it begins ("search_*").
bool names_tools(const Rule& rule) {
  return !calls_tools(rule) || (!rule.tools.empty() && std::ranges::all_of(rule.tools, begins_literally));
}

void find_unreviewed_writes(const Entry& entry, Findings& out) {
  for (const Rule& rule : entry.rules) {
    if (rule.effect == Effect::allow && writes_freely(entry, rule))
      out.push_back({rule.place, fmt::format("{} lets writes leave for an external destination without "
                                             "review and without naming the exact path",
                                             rule.id)});
  }
}

void find_external(const Entry& entry, Findings& out) {
  for (const HostPattern& host : entry.hosts)
    if (!host.glob.literal())
      out.push_back({host.place, fmt::format("wildcard host '{}' with reach: external", host.glob.text())});
  if (entry.tls == TlsMode::passthrough)
    out.push_back(
        {entry.place,
         fmt::format("entry '{}' is not inspected (tls: passthrough) with reach: external", entry.name)});
  if (entry.protocol == Protocol::tcp)
    out.push_back({entry.place,
                   fmt::format("entry '{}' is raw TCP with reach: external, whose writes nobody can review",
                               entry.name)});
  else
    find_unreviewed_writes(entry, out);
}

Findings corporate(const Document& d) {
  Findings out;
  for (const Entry& entry : d.network) {
    for (const Rule& rule : entry.rules)
      if (rule.everything && entry.protocol == Protocol::http)
        out.push_back({rule.place, fmt::format("{}: 'allow: all' with protocol: http", rule.id)});
    if (entry.reach == Reach::external) find_external(entry, out);
  }
  return out;
}

Findings regulated(const Document& d) {
  Findings out = corporate(d);
  if (!d.review.other_than_requester)
    out.push_back({d.review_place.line != 0 ? d.review_place : d.profile_place,
                   "review.approvers must be other-than-requester"});
  return out;
}

Findings public_data(const Document& d) {
  Findings out;
  for (const Entry& entry : d.network) {
    if (entry.reach == Reach::internal)
      out.push_back({entry.place, fmt::format("entry '{}' has reach: internal", entry.name)});
    if (!entry.addresses.empty())
      out.push_back({entry.place, fmt::format("entry '{}' lists private addresses", entry.name)});
    if (entry.data != DataClass::public_data)
      out.push_back({entry.place, fmt::format("entry '{}' carries data that is not public", entry.name)});
    if (entry.reach == Reach::internal && !entry.credential.empty())
      out.push_back(
          {entry.credential_place, fmt::format("credential '{}' has an internal scope", entry.credential)});
  }
  for (const FileLabel& label : d.filesystem.labels)
    if (label.add == kPrivate)
      out.push_back({d.filesystem_place, fmt::format("'{}' is labelled private", label.path)});
  return out;
}

// Not forbidden by the text of any profile, but less than the profile is known for.
void warn_of_weakness(const Document& d, Reader& r) {
  if (d.isolation == Isolation::namespaces)
    r.warning(d.isolation_place.line != 0 ? d.isolation_place : d.profile_place, "policy.relaxed",
              "namespaces isolate, not a virtual machine: the host's kernel is shared");
  if (!d.strict)
    r.warning(d.profile_place, "policy.relaxed",
              "not strict: a missing kernel feature degrades the sandbox instead of stopping its start");
}

}  // namespace

bool writes_freely(const Entry& entry, const Rule& rule) {
  if (rule.everything || entry.tls == TlsMode::passthrough) return true;
  switch (entry.protocol) {
    case Protocol::http:
      return !only_reads(rule) && !names_exact_path(rule);
    case Protocol::git:
      return rule.op != GitOp::fetch && !names_exact_push(rule);
    case Protocol::graphql:
      return !asks_only_queries(rule) && !all_literal(rule.fields);
    case Protocol::jsonrpc:
      return !all_literal(rule.calls);
    case Protocol::mcp:
      return !names_tools(rule);
    case Protocol::websocket:
      return !all_literal(rule.messages) && !names_exact_path(rule);
    case Protocol::registry:
      return rule.registry_op != RegistryOp::read && !all_literal(rule.packages);
    case Protocol::tcp:
      return true;
  }
  return true;
}

bool may_write(const Entry& entry, const Rule& rule) {
  if (rule.everything || entry.tls == TlsMode::passthrough) return true;
  switch (entry.protocol) {
    case Protocol::http:
      return !only_reads(rule);
    case Protocol::git:
      return rule.op != GitOp::fetch;
    case Protocol::graphql:
      return !asks_only_queries(rule);
    case Protocol::mcp:
      return calls_tools(rule);
    case Protocol::registry:
      return rule.registry_op != RegistryOp::read;
    case Protocol::jsonrpc:
    case Protocol::websocket:
    case Protocol::tcp:
      break;
  }
  return true;
}

void check_profile(const Document& d, Reader& r) {
  warn_of_weakness(d, r);
  Findings findings;
  switch (d.profile) {
    case Profile::public_data:
      findings = public_data(d);
      break;
    case Profile::corporate:
      findings = corporate(d);
      break;
    case Profile::regulated:
      findings = regulated(d);
      break;
    case Profile::local:
      for (Finding& f : corporate(d))
        r.warning(f.place, "policy.relaxed", "profile local relaxes corporate: " + std::move(f.message));
      return;
  }
  for (Finding& f : findings)
    r.error(f.place, "policy.profile", fmt::format("profile {} forbids: {}", name(d.profile), f.message));
}

}  // namespace saw::policy
