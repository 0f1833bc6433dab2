#include "policy/within.h"

#include <algorithm>
#include <array>

#include "base/path.h"
#include "policy/address.h"
#include "policy/host.h"

namespace saw::policy {
namespace {

// 0 stands for no limit.
bool looser(uint64_t candidate, uint64_t ceiling) {
  return ceiling != 0 && (candidate == 0 || candidate > ceiling);
}

// `public` promises something else than the others, so it stays within itself.
bool profile_within(Profile candidate, Profile ceiling) {
  return candidate == ceiling || ceiling == Profile::local ||
         (ceiling == Profile::corporate && candidate == Profile::regulated);
}

std::string weaker_setting(const Document& c, const Document& l) {
  constexpr double kThousandth = 1000;
  const std::pair<std::string_view, bool> settings[] = {
      {"profile", !profile_within(c.profile, l.profile)},
      {"isolation", l.isolation == Isolation::vm && c.isolation != Isolation::vm},
      {"strict", l.strict && !c.strict},
      {"filesystem.runLater",
       l.filesystem.run_later == RunLater::deny && c.filesystem.run_later != RunLater::deny},
      {"process.limits.memory", looser(c.limits.memory_bytes, l.limits.memory_bytes)},
      {"process.limits.pids", looser(c.limits.pids, l.limits.pids)},
      {"process.limits.cpus", looser(static_cast<uint64_t>(c.limits.cpus * kThousandth),
                                     static_cast<uint64_t>(l.limits.cpus * kThousandth))},
      {"process.limits.openFiles", looser(c.limits.open_files, l.limits.open_files)},
      {"process.limits.fileSize", looser(c.limits.file_size_bytes, l.limits.file_size_bytes)},
      {"process.limits.wallClock", looser(c.limits.wall_clock_ms, l.limits.wall_clock_ms)},
      {"review.approvers", l.review.other_than_requester && !c.review.other_than_requester},
      {"review.expires", c.review.expires_ms > l.review.expires_ms},
      {"runtimeCredential.ttl", c.credential_ttl_ms > l.credential_ttl_ms},
  };
  for (const auto& [name, weaker] : settings)
    if (weaker) return std::string(name);
  return {};
}

// Between two listed paths nothing changes, so the listed ones stand for all.
std::vector<std::string> listed_paths(const Document& a, const Document& b) {
  std::vector<std::string> out;
  for (const Document* d : {&a, &b}) {
    for (const auto* list : {&d->filesystem.read, &d->filesystem.write, &d->filesystem.deny})
      out.insert(out.end(), list->begin(), list->end());
    for (const FileLabel& label : d->filesystem.labels) out.push_back(label.path);
  }
  std::ranges::sort(out);
  return out;
}

std::optional<Weakening> weaker_file(const Filesystem& c, const Filesystem& l, const std::string& path) {
  using Matter = Weakening::Matter;
  if (may_write(c, path) && !may_write(l, path)) return Weakening{Matter::file, path, "write", {}};
  if (!may_read(c, path)) return {};
  if (!may_read(l, path)) return Weakening{Matter::file, path, "read", {}};
  const auto missing = static_cast<Labels>(labels_at(l, path) & ~labels_at(c, path));
  if (missing == 0) return {};
  return Weakening{Matter::label, path, (missing & kPrivate) != 0 ? "private" : "untrusted", {}};
}

bool lists_host(const Entry& entry, const HostName& host) {
  return std::ranges::any_of(entry.hosts, [&](const HostPattern& pattern) {
    if (pattern.address || host.address()) return pattern.glob.text() == host.text();
    return pattern.glob.matches(host.text());
  });
}

bool lists_address(const Entry& entry, std::string_view ip) {
  const auto address = parse_address(ip);
  if (!address || classify(*address) != AddressClass::private_use) return true;
  return std::ranges::any_of(entry.addresses, [&](const AddressRange& r) { return contains(r, *address); });
}

}  // namespace

bool may_write(const Filesystem& files, std::string_view path) {
  return is_within_any(path, files.write) && !is_within_any(path, files.deny);
}
bool may_read(const Filesystem& files, std::string_view path) {
  return (is_within_any(path, files.read) || is_within_any(path, files.write)) &&
         !is_within_any(path, files.deny);
}
Labels labels_at(const Filesystem& files, std::string_view path) {
  Labels out = 0;
  for (const FileLabel& label : files.labels)
    if (is_within(path, label.path)) out |= label.add;
  return out;
}

std::optional<Weakening> find_weakening(const Document& candidate, const Document& ceiling) {
  if (std::string setting = weaker_setting(candidate, ceiling); !setting.empty())
    return Weakening{Weakening::Matter::setting, {}, {}, std::move(setting)};
  for (const std::string& path : listed_paths(candidate, ceiling))
    if (auto weak = weaker_file(candidate.filesystem, ceiling.filesystem, path)) return weak;
  return {};
}

Carriage carriage_of(const Document& document, const Request& request, std::string_view path) {
  Carriage out;
  const auto host = HostName::parse(request.host);
  if (!host) return out;
  const std::string_view ip = host->address() ? host->text() : request.ip;
  for (const Entry& entry : document.network) {
    const bool carries = lists_host(entry, *host) && std::ranges::binary_search(entry.ports, request.port) &&
                         request.tls == (entry.tls != TlsMode::none) && lists_address(entry, ip) &&
                         (entry.paths.empty() || std::ranges::any_of(entry.paths, [&](const Glob& glob) {
                            return glob.matches(path);
                          }));
    if (!carries) continue;
    out.carried = true;
    out.untrusted = out.untrusted || entry.content == Trust::untrusted;
    out.data = std::max(out.data, entry.data);
  }
  return out;
}

}  // namespace saw::policy
