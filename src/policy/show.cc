#include "policy/show.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/bytes.h"
#include "policy/address.h"
#include "policy/vocabulary.h"

namespace saw::policy {
namespace {

constexpr size_t kMaxShown = 1u << 20;  // printable() cuts what is longer

std::string list(const std::vector<Glob>& globs) {
  std::vector<std::string_view> texts;
  for (const Glob& glob : globs) texts.push_back(glob.text());
  return fmt::format("{}", fmt::join(texts, " "));
}

std::string range_text(const AddressRange& range) {
  const bool v4 = range.prefix >= 96 && to_text(range.base).find(':') == std::string::npos;
  return fmt::format("{}/{}", to_text(range.base), v4 ? range.prefix - 96 : range.prefix);
}

void show_values(std::string& out, std::string_view what, const std::vector<ValueRule>& values) {
  for (const ValueRule& v : values)
    out += fmt::format(" {}.{}={}", what, printable(v.key), printable(v.value.text()));
}

// "{private untrusted}"
std::string labels_text(Labels labels) {
  std::vector<std::string_view> out;
  for (const Word<Labels>& word : kLabels)
    if ((labels & word.value) != 0) out.push_back(word.text);
  return fmt::format("[{}]", fmt::join(out, " "));
}

void show_when(std::string& out, const LabelCondition& when) {
  for (const auto& [what, labels] : {std::pair("all", when.all), {"any", when.any}, {"none", when.none}})
    if (labels != 0) out += fmt::format(" labels.{}={}", what, labels_text(labels));
}

void show_globs(std::string& out, std::string_view what, const std::vector<Glob>& globs) {
  if (!globs.empty()) out += fmt::format(" {}=[{}]", what, printable(list(globs), kMaxShown));
}

void show_operation(std::string& out, const Rule& rule, Protocol protocol) {
  std::vector<std::string_view> types;
  for (OperationType type : rule.types) types.push_back(name_of(kOperationTypes, type));
  if (!types.empty()) out += fmt::format(" types={}", fmt::join(types, ","));
  show_globs(out, "names", rule.names);
  show_globs(out, "fields", rule.fields);
  show_globs(out, "methods", rule.calls);
  show_globs(out, "tools", rule.tools);
  show_values(out, protocol == Protocol::mcp ? "arguments" : "params", rule.arguments);
  show_globs(out, "messages", rule.messages);
  if (rule.binary == Binary::allow) out += " binary=allow";
  if (protocol != Protocol::registry || rule.everything) return;
  out += fmt::format(" ecosystem={} op={}", name_of(kEcosystems, rule.ecosystem),
                     name_of(kRegistryOps, rule.registry_op));
  show_globs(out, "packages", rule.packages);
  if (rule.min_age_days != 0) out += fmt::format(" minAgeDays={}", rule.min_age_days);
}

void show_rule(std::string& out, const Rule& rule, Protocol protocol) {
  out += fmt::format("    {:<6} {}:", name(rule.effect), rule.id);
  if (rule.everything) out += " everything";
  if (rule.op) out += fmt::format(" op={}", name_of(kGitOps, *rule.op));
  if (!rule.methods.empty()) out += fmt::format(" methods={}", fmt::join(rule.methods, ","));
  show_globs(out, "paths", rule.paths);
  show_values(out, "query", rule.query);
  show_values(out, "headers", rule.headers);
  show_globs(out, "repos", rule.repos);
  show_globs(out, "refs", rule.refs);
  show_operation(out, rule, protocol);
  show_when(out, rule.when);
  out += '\n';
}

void show_limits(std::string& out, const Limits& limits) {
  if (limits.requests_per_minute != 0)
    out += fmt::format(" requestsPerMinute={}", limits.requests_per_minute);
  if (limits.concurrent != 0) out += fmt::format(" concurrent={}", limits.concurrent);
  if (limits.upload_bytes_per_hour != 0)
    out += fmt::format(" uploadBytesPerHour={}", limits.upload_bytes_per_hour);
  out += '\n';
}

void show_entry(std::string& out, const Entry& entry) {
  std::vector<std::string_view> hosts;
  for (const HostPattern& host : entry.hosts) hosts.push_back(host.glob.text());
  std::vector<std::string> ranges;
  for (const AddressRange& range : entry.addresses) ranges.push_back(range_text(range));
  out += fmt::format("  entry {}\n    to     hosts=[{}] ports=[{}] paths=[{}] addresses=[{}]\n", entry.name,
                     fmt::join(hosts, " "), fmt::join(entry.ports, " "),
                     entry.paths.empty() ? "/**" : list(entry.paths), fmt::join(ranges, " "));
  out +=
      fmt::format("    as     protocol={} tls={} content={} data={} reach={} credential={} requestBytes={}",
                  name(entry.protocol), name_of(kTlsModes, entry.tls), name_of(kTrust, entry.content),
                  name_of(kDataClasses, entry.data), name_of(kReaches, entry.reach),
                  entry.credential.empty() ? "none" : entry.credential, entry.limits.request_bytes);
  show_limits(out, entry.limits);
  for (const Rule& rule : entry.rules) show_rule(out, rule, entry.protocol);
  out += "    deny   everything else\n";
}

void show_dynamic(std::string& out, const Document& d) {
  for (const InferenceRule& rule : d.inference) {
    std::vector<std::string_view> data;
    for (DataClass c : rule.data) data.push_back(name_of(kDataClasses, c));
    out += fmt::format("inference model={} via={} data=[{}]\n", printable(rule.model.text()), rule.via,
                       fmt::join(data, " "));
  }
  if (d.budget_place.line != 0)
    out += fmt::format("budget perDay (0: no limit) calls {} uploadBytes {} tokens {}\n", d.budget.calls,
                       d.budget.upload_bytes, d.budget.tokens);
}

void show_static(std::string& out, const Document& d) {
  out += fmt::format("policy {}\nprofile {}\nisolation {}\nstrict {}\n", d.name, name(d.profile),
                     name_of(kIsolations, d.isolation), d.strict);
  if (d.classification)
    out += fmt::format("dataClassification {} version {} sha256:{}\n", d.classification->name,
                       d.classification->version, d.classification->sha256);
  out += fmt::format("filesystem\n  read  [{}]\n  write [{}]\n  deny  [{}]\n  runLater {}\n",
                     fmt::join(d.filesystem.read, " "), fmt::join(d.filesystem.write, " "),
                     fmt::join(d.filesystem.deny, " "), name_of(kRunLater, d.filesystem.run_later));
  for (const FileLabel& label : d.filesystem.labels)
    out += fmt::format("  label {} add {}\n", label.path, labels_text(label.add));
  out += fmt::format(
      "process (0: no limit)\n  memory {} pids {} cpus {} openFiles {} fileSize {} wallClock {}ms\n",
      d.limits.memory_bytes, d.limits.pids, d.limits.cpus, d.limits.open_files, d.limits.file_size_bytes,
      d.limits.wall_clock_ms);
}

}  // namespace

std::string show(const Document& d) {
  std::string out;
  show_static(out, d);
  out += "network\n";
  for (const Entry& entry : d.network) show_entry(out, entry);
  out += "  deny everything else\ncredentials\n";
  for (const CredentialSource& source : d.credentials) {
    const Credential& c = source.credential;
    out += fmt::format("  {} secret={} header={} format=\"{}\" only=[{}]\n", c.name, c.secret, c.header,
                       printable(c.format), fmt::join(c.only, " "));
  }
  out += fmt::format("trifecta privateAndUntrusted {}\n", name(d.trifecta));
  out += fmt::format("review hold {}ms expires {}ms approvers {}\n", d.review.hold_ms, d.review.expires_ms,
                     d.review.other_than_requester ? "other-than-requester" : "any");
  out += fmt::format("runtimeCredential ttl {}ms\n", d.credential_ttl_ms);
  show_dynamic(out, d);
  return out;
}

}  // namespace saw::policy
