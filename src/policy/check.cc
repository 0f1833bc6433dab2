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

// ", did you mean 'x'?", where one of the names is close.
template <class Range, class Name>
std::string did_you_mean(std::string_view word, const Range& range, Name name) {
  std::vector<std::string_view> names;
  for (const auto& item : range) names.push_back(name(item));
  const auto near = closest(word, names);
  return near ? fmt::format(", did you mean '{}'?", *near) : std::string();
}

std::string_view entry_name(const Entry& entry) {
  return entry.name;
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
                   fmt::format("there is no credential '{}'{}", entry.credential,
                               did_you_mean(entry.credential, d.credentials, [](const CredentialSource& c) {
                                 return std::string_view(c.credential.name);
                               })));
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
                fmt::format("credential '{}' is for entry '{}', which does not exist{}", c.name, only,
                            did_you_mean(only, d.network, entry_name)));
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

// What SAW does not read it cannot judge: of such a connection only labels, name and port are known.
void check_unread(const Document& d, Reader& r) {
  for (const Entry& entry : d.network) {
    if (entry.tls != TlsMode::passthrough) continue;
    if (!entry.paths.empty())
      r.error(
          entry.tls_place, "policy.bad_value",
          fmt::format("entry '{}': tls: passthrough hides paths, so to.paths cannot be kept", entry.name));
    for (const Rule& rule : entry.rules)
      if (!says_only_labels(rule))
        r.error(rule.place, "policy.bad_value",
                fmt::format("{}: tls: passthrough hides what is asked; write 'allow: all' or a rule with "
                            "'when' alone",
                            rule.id));
  }
}

void check_inference(const Document& d, Reader& r) {
  for (const InferenceRule& rule : d.inference) {
    const Entry* entry = find_entry(d, rule.via);
    if (!entry)
      r.warning(rule.place, "policy.no_effect",
                fmt::format("there is no network entry '{}' to ask models through{}", rule.via,
                            did_you_mean(rule.via, d.network, entry_name)));
    else if (entry->protocol != Protocol::http || entry->tls == TlsMode::passthrough)
      r.error(
          rule.place, "policy.bad_value",
          fmt::format("models are asked through entries of protocol http that are inspected; '{}' is not one",
                      rule.via));
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
}

}  // namespace

bool says_only_labels(const Rule& rule) {
  const bool http = rule.methods.empty() && rule.paths.empty() && rule.query.empty() && rule.headers.empty();
  const bool git = !rule.op && rule.repos.empty() && rule.refs.empty();
  const bool graphql = rule.types.empty() && rule.names.empty() && rule.fields.empty();
  const bool calls = rule.calls.empty() && rule.tools.empty() && rule.arguments.empty();
  const bool others = rule.messages.empty() && rule.packages.empty() && rule.min_age_days == 0;
  return rule.everything || (http && git && graphql && calls && others && rule.when != LabelCondition());
}

void check_document(const Document& document, Reader& reader) {
  check_names(document, reader);
  Ambiguity(document, reader).check();
  check_credentials(document, reader);
  check_public_suffixes(document, reader);
  check_unread(document, reader);
  check_inference(document, reader);
  warn_of_no_effect(document, reader);
}

}  // namespace saw::policy
