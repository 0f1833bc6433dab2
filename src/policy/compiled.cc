#include "policy/compiled.h"

#include <algorithm>

#include <fmt/format.h>

namespace saw::policy {

void HostIndex::add(const HostPattern& host, uint16_t port, uint32_t entry) {
  const Slot slot{port, entry, &host.glob};
  if (host.glob.literal())
    exact_[host.glob.text()].push_back(slot);
  else
    by_tail_[std::string(host.glob.literal_suffix())].push_back(slot);
}

void HostIndex::finish() {
  for (TextMap<Bucket>* map : {&exact_, &by_tail_})
    for (auto& [name, bucket] : *map)
      std::ranges::sort(bucket, {}, [](const Slot& s) { return std::pair(s.port, s.entry); });
}

void RuleIndex::add(const std::vector<Glob>& globs, uint32_t number) {
  if (globs.empty()) any_key_.push_back(number);
  for (const Glob& glob : globs) {
    if (glob.literal()) {
      exact_[glob.text()].push_back(number);
      continue;
    }
    const std::string_view head = glob.literal_prefix();
    by_head_[std::string(head)].push_back({number, &glob});
    // A path's first '/' opens its first segment; a repository's parts its first two.
    const auto separators = head.empty() ? 0 : std::ranges::count(head.substr(1), '/') + 1;
    deepest_ = std::max(deepest_, static_cast<size_t>(separators));
  }
}

namespace {

const std::vector<Glob>& key_of(const Rule& rule, Protocol protocol) {
  switch (protocol) {
    case Protocol::git:
      return rule.repos;
    case Protocol::graphql:
      return rule.fields;
    case Protocol::jsonrpc:
      return rule.calls;
    case Protocol::mcp:
      return rule.tools;
    case Protocol::registry:
      return rule.packages;
    case Protocol::http:
    case Protocol::websocket:
    case Protocol::tcp:
      break;
  }
  return rule.paths;
}

}  // namespace

bool admits(const Entry& entry) {
  return std::ranges::any_of(entry.rules, [](const Rule& rule) { return rule.effect != Effect::deny; });
}

void build_indexes(Policy::Impl& impl) {
  const std::vector<Entry>& network = impl.document.network;
  impl.rules.resize(network.size());
  impl.models.resize(network.size());
  impl.ecosystems.resize(network.size());
  for (uint32_t e = 0; e < network.size(); ++e) {
    const Entry& entry = network[e];
    for (const HostPattern& host : entry.hosts)
      for (uint16_t port : entry.ports) impl.hosts.add(host, port, e);
    for (uint32_t r = 0; r < entry.rules.size(); ++r) {
      const Rule& rule = entry.rules[r];
      impl.rules[e].add(key_of(rule, entry.protocol), r);
      std::vector<Ecosystem>& about = impl.ecosystems[e];
      if (entry.protocol == Protocol::registry && !rule.everything &&
          std::ranges::find(about, rule.ecosystem) == about.end())
        about.push_back(rule.ecosystem);
    }
    impl.to_ids.push_back(fmt::format("network.{}.to", entry.name));
  }
  for (uint32_t i = 0; i < impl.document.inference.size(); ++i)
    for (uint32_t e = 0; e < network.size(); ++e)
      if (network[e].name == impl.document.inference[i].via) impl.models[e].push_back(i);
  impl.hosts.finish();
  for (const CredentialSource& source : impl.document.credentials)
    impl.credentials.push_back(source.credential);
}

}  // namespace saw::policy
