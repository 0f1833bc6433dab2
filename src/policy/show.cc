#include "policy/show.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/bytes.h"
#include "policy/address.h"

namespace saw::policy {
namespace {

std::string_view name_of(Reach reach) {
  return reach == Reach::internal ? "internal" : "external";
}
std::string_view name_of(Trust trust) {
  return trust == Trust::trusted ? "trusted" : "untrusted";
}
std::string_view name_of(DataClass data) {
  return data == DataClass::public_data ? "public" : data == DataClass::internal ? "internal" : "private";
}
std::string_view name_of(TlsMode tls) {
  return tls == TlsMode::inspect ? "inspect" : tls == TlsMode::passthrough ? "passthrough" : "none";
}
std::string_view name_of(GitOp op) {
  return op == GitOp::fetch ? "fetch" : "push";
}

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

void show_rule(std::string& out, const Rule& rule) {
  out += fmt::format("    {:<6} {}:", name(rule.effect), rule.id);
  if (rule.everything) out += " everything";
  if (rule.op) out += fmt::format(" op={}", name_of(*rule.op));
  if (!rule.methods.empty()) out += fmt::format(" methods={}", fmt::join(rule.methods, ","));
  if (!rule.paths.empty()) out += fmt::format(" paths=[{}]", list(rule.paths));
  show_values(out, "query", rule.query);
  show_values(out, "headers", rule.headers);
  if (!rule.repos.empty()) out += fmt::format(" repos=[{}]", list(rule.repos));
  if (!rule.refs.empty()) out += fmt::format(" refs=[{}]", list(rule.refs));
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
  out += fmt::format(
      "    as     protocol={} tls={} content={} data={} reach={} credential={} requestBytes={}\n",
      name(entry.protocol), name_of(entry.tls), name_of(entry.content), name_of(entry.data),
      name_of(entry.reach), entry.credential.empty() ? "none" : entry.credential, entry.limits.request_bytes);
  for (const Rule& rule : entry.rules) show_rule(out, rule);
  out += "    deny   everything else\n";
}

void show_static(std::string& out, const Document& d) {
  out += fmt::format("policy {}\nprofile {}\nisolation {}\nstrict {}\n", d.name, name(d.profile),
                     d.isolation == Isolation::vm ? "vm" : "namespace", d.strict);
  out += fmt::format("filesystem\n  read  [{}]\n  write [{}]\n  deny  [{}]\n  runLater {}\n",
                     fmt::join(d.filesystem.read, " "), fmt::join(d.filesystem.write, " "),
                     fmt::join(d.filesystem.deny, " "),
                     d.filesystem.run_later == RunLater::deny ? "deny" : "quarantine");
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
  return out;
}

}  // namespace saw::policy
