#include "policy/check.h"

#include <algorithm>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include <fmt/format.h>

#include "policy/host.h"

namespace saw::policy {
namespace {

bool same_ranges(const Entry& a, const Entry& b) {
  return std::ranges::equal(a.addresses, b.addresses, [](const AddressRange& x, const AddressRange& y) {
    return x.base == y.base && x.prefix == y.prefix;
  });
}

bool share_port(const Entry& a, const Entry& b) {
  return std::ranges::any_of(a.ports,
                             [&](uint16_t port) { return std::ranges::binary_search(b.ports, port); });
}

bool share_path(const Entry& a, const Entry& b) {
  if (a.paths.empty() || b.paths.empty()) return true;
  return std::ranges::any_of(a.paths, [&](const Glob& p) {
    return std::ranges::any_of(b.paths, [&](const Glob& q) { return p.overlaps(q); });
  });
}

// What two entries for one destination disagree about, or nullptr. `tls` belongs to the connection, so paths
// cannot keep it apart.
const char* disagreement(const Entry& a, const Entry& b) {
  const bool all_same =
      a.tls == b.tls && a.protocol == b.protocol && a.credential == b.credential && same_ranges(a, b);
  if (all_same || !share_port(a, b)) return nullptr;
  if (a.tls != b.tls) return "tls";
  if (!share_path(a, b)) return nullptr;
  if (a.protocol != b.protocol) return "protocol";
  if (a.credential != b.credential) return "credential";
  return "addresses";
}

// Reports each pair of entries once, at the later one.
class Ambiguity {
 public:
  Ambiguity(const Document& document, Reader& reader) : document_(document), reader_(reader) {}

  void check() {
    for (size_t i = 0; i < document_.network.size(); ++i)
      for (const HostPattern& host : document_.network[i].hosts) visit(i, host);
  }

 private:
  struct Seen {
    size_t entry;
    const HostPattern* host;
  };

  void visit(size_t entry, const HostPattern& host) {
    if (host.glob.literal()) {
      auto& same = literal_[host.glob.text()];
      for (size_t other : same) compare(other, entry, host);
      if (!host.address)
        for (const Seen& wild : wild_)
          if (wild.host->glob.matches(host.glob.text())) compare(wild.entry, entry, host);
      same.push_back(entry);
      all_literal_.push_back({entry, &host});
      return;
    }
    for (const Seen& other : wild_)
      if (other.host->glob.overlaps(host.glob)) compare(other.entry, entry, host);
    for (const Seen& other : all_literal_)
      if (!other.host->address && host.glob.matches(other.host->glob.text()))
        compare(other.entry, entry, host);
    wild_.push_back({entry, &host});
  }

  void compare(size_t first, size_t second, const HostPattern& host) {
    if (first == second) return;
    const Entry &a = document_.network[first], &b = document_.network[second];
    const char* about = disagreement(a, b);
    if (about == nullptr || !reported_.insert({first, second}).second) return;
    reader_.error(
        host.place, "policy.ambiguous",
        fmt::format("entries '{}' and '{}' can match the same request (host '{}') and disagree on {}", a.name,
                    b.name, host.glob.text(), about));
  }

  const Document& document_;
  Reader& reader_;
  std::unordered_map<std::string, std::vector<size_t>> literal_;
  std::vector<Seen> all_literal_, wild_;
  std::set<std::pair<size_t, size_t>> reported_;
};

void check_names(const Document& d, Reader& r) {
  std::unordered_set<std::string_view> entries;
  for (const Entry& entry : d.network)
    if (!entries.insert(entry.name).second)
      r.error(entry.place, "policy.duplicate", fmt::format("two entries are called '{}'", entry.name));
}

const Entry* find_entry(const Document& d, std::string_view name) {
  auto it = std::ranges::find(d.network, name, &Entry::name);
  return it == d.network.end() ? nullptr : &*it;
}

void check_credential_use(const Document& d, const Entry& entry, Reader& r) {
  if (entry.credential.empty()) return;
  auto it = std::ranges::find(d.credentials, entry.credential,
                              [](const CredentialSource& c) { return std::string_view(c.credential.name); });
  if (it == d.credentials.end())
    return r.error(entry.credential_place, "policy.unknown_reference",
                   fmt::format("there is no credential '{}'", entry.credential));
  if (std::ranges::find(it->credential.only, entry.name) == it->credential.only.end())
    r.error(entry.credential_place, "policy.credential_scope",
            fmt::format("credential '{}' is not for entry '{}': its 'only' does not name it",
                        entry.credential, entry.name));
  if (entry.protocol == Protocol::tcp || entry.tls == TlsMode::passthrough)
    r.error(entry.credential_place, "policy.bad_value",
            "a credential can only be injected where SAW reads the requests");
  if (entry.tls == TlsMode::none && entry.protocol != Protocol::tcp)
    r.warning(entry.credential_place, "policy.plain_credential",
              fmt::format("credential '{}' travels without TLS to entry '{}'", entry.credential, entry.name));
}

void check_credentials(const Document& d, Reader& r) {
  for (const Entry& entry : d.network) check_credential_use(d, entry, r);
  for (const CredentialSource& source : d.credentials) {
    const Credential& c = source.credential;
    for (const std::string& only : c.only) {
      const Entry* entry = find_entry(d, only);
      if (!entry)
        r.error(source.place, "policy.unknown_reference",
                fmt::format("credential '{}' is for entry '{}', which does not exist", c.name, only));
      else if (entry->credential != c.name)
        r.warning(source.place, "policy.no_effect",
                  fmt::format("credential '{}' is for entry '{}', which does not use it", c.name, only));
    }
  }
}

// "*.com", "**", "foo*.co.uk": whoever registers a name there would be inside.
void check_public_suffixes(const Document& d, Reader& r) {
  for (const Entry& entry : d.network) {
    const bool wide = d.profile == Profile::public_data && entry.reach == Reach::external &&
                      std::ranges::any_of(entry.rules, [](const Rule& rule) { return rule.everything; });
    for (const HostPattern& host : entry.hosts) {
      if (host.glob.literal() || wide || !is_public_suffix(std::string(host.glob.literal_suffix()))) continue;
      r.error(host.place, "policy.public_suffix",
              fmt::format("'{}' reaches everything below a public suffix; only 'profile: public' may, with "
                          "'allow: all' and 'reach: external'",
                          host.glob.text()));
    }
  }
}

void warn_of_no_effect(const Document& d, Reader& r) {
  for (const Entry& entry : d.network) {
    const bool admits =
        std::ranges::any_of(entry.rules, [](const Rule& rule) { return rule.effect != Effect::deny; });
    const bool denies =
        std::ranges::any_of(entry.rules, [](const Rule& rule) { return rule.effect == Effect::deny; });
    if (!admits && !denies)
      r.warning(entry.place, "policy.no_effect",
                fmt::format("entry '{}' has neither allow nor review and allows nothing", entry.name));
  }
  r.warning(d.filesystem_place, "policy.run_later",
            "runLater guards what sessions and calls bring into the workspace; a command that runs in the "
            "workspace "
            "itself (saw exec) writes shell start-up files, git hooks, … directly");
  if (d.trifecta_place.line != 0)
    r.warning(d.trifecta_place, "policy.no_effect",
              "labels are not tracked yet, so trifecta applies only where labels are given to it");
}

}  // namespace

void check_document(const Document& document, Reader& reader) {
  check_names(document, reader);
  Ambiguity(document, reader).check();
  check_credentials(document, reader);
  check_public_suffixes(document, reader);
  warn_of_no_effect(document, reader);
}

}  // namespace saw::policy
