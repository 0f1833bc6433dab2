#include <algorithm>

#include <fmt/format.h>

#include "base/bytes.h"
#include "policy/read.h"
#include "policy/target.h"

namespace saw::policy {
namespace {

using yaml::Node;

std::optional<Glob> read_glob(const Node& node, Reader& r, std::string_view what, Glob::Kind kind) {
  auto text = kind == Glob::Kind::value ? r.loose_text(node, what) : r.text(node, what);
  if (!text) return {};
  std::expected<std::string, std::string> canonical = *text;
  if (kind == Glob::Kind::path) canonical = canonical_path_glob(*text);
  auto glob = canonical ? Glob::create(*canonical, kind) : std::unexpected(canonical.error());
  if (glob) return std::move(*glob);
  r.error(place_of(node), "policy.bad_glob",
          fmt::format("{} '{}': {}", what, printable(*text), glob.error()));
  return {};
}

std::vector<Glob> read_globs(const Node& rule, Reader& r, std::string_view key, Glob::Kind kind) {
  std::vector<Glob> out;
  const Node* node = rule.find(key);
  const auto* items = node ? r.list(*node, key) : nullptr;
  if (!items) return out;
  for (const Node& item : *items)
    if (auto glob = read_glob(item, r, fmt::format("an item of {}", key), kind))
      out.push_back(std::move(*glob));
  return out;
}

// {key: glob, …}
std::vector<ValueRule> read_values(const Node& rule, Reader& r, std::string_view key) {
  std::vector<ValueRule> out;
  const Node* node = rule.find(key);
  if (!node) return out;
  if (node->kind != Node::Kind::mapping || node->members.empty()) {
    r.error(place_of(*node), "policy.wrong_type",
            fmt::format("{} must be a mapping of names to value globs", key));
    return out;
  }
  for (const auto& [name, value] : node->members) {
    if (auto glob = read_glob(value, r, fmt::format("the value of {}.{}", key, printable(name.scalar, 60)),
                              Glob::Kind::value))
      out.push_back({name.scalar, std::move(*glob)});
  }
  return out;
}

bool valid_method(std::string_view s) {
  return !s.empty() && std::ranges::all_of(s, [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
}

std::vector<std::string> read_methods(const Node& rule, Reader& r) {
  std::vector<std::string> out;
  const Node* node = rule.find("methods");
  const auto* items = node ? r.list(*node, "methods") : nullptr;
  if (!items) return out;
  for (const Node& item : *items) {
    auto method = r.text(item, "a method");
    if (!method) continue;
    if (!valid_method(*method))
      r.error(place_of(item), "policy.bad_value",
              fmt::format("'{}' is not a method: upper-case tokens such as GET", printable(*method)));
    out.push_back(std::move(*method));
  }
  return out;
}

void read_when(const Node& node, Reader& r) {
  if (!r.fields(node, "when", {"labels"})) return;
  const Node* labels = node.find("labels");
  if (!labels) return r.error(place_of(node), "policy.missing_field", "when needs 'labels'");
  if (!r.fields(*labels, "when.labels", {"all", "any", "none"})) return;
  for (const auto& [key, value] : labels->members) {
    const auto* items = r.list(value, fmt::format("when.labels.{}", key.scalar));
    if (!items) continue;
    for (const Node& item : *items)
      r.one_of<Labels>(item, "a label", {{"private", kPrivate}, {"untrusted", kUntrusted}});
  }
  r.not_available(place_of(node), "when.labels (labels that follow process trees)");
}

void read_http_rule(const Node& node, Reader& r, Rule& out) {
  out.methods = read_methods(node, r);
  out.paths = read_globs(node, r, "paths", Glob::Kind::path);
  out.query = read_values(node, r, "query");
  out.headers = read_values(node, r, "headers");
  for (ValueRule& header : out.headers)
    std::ranges::transform(header.key, header.key.begin(),
                           [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
}

void read_git_rule(const Node& node, Reader& r, Rule& out) {
  const Node* op = node.find("op");
  if (!op) return r.error(place_of(node), "policy.missing_field", "a git rule needs 'op': fetch or push");
  out.op = r.one_of<GitOp>(*op, "op", {{"fetch", GitOp::fetch}, {"push", GitOp::push}});
  // A repository is meant with and without its ".git".
  if (const Node* repos = node.find("repos"); repos && r.list(*repos, "repos")) {
    for (const Node& item : repos->items) {
      Node plain = item;
      if (plain.scalar.size() > 4 && plain.scalar.ends_with(".git"))
        plain.scalar.resize(plain.scalar.size() - 4);
      if (auto glob = read_glob(plain, r, "a repository", Glob::Kind::ref))
        out.repos.push_back(std::move(*glob));
    }
  }
  out.refs = read_globs(node, r, "refs", Glob::Kind::ref);
  if (out.op == GitOp::fetch && node.find("refs"))
    r.error(place_of(node), "policy.bad_value",
            "refs constrain a push only: what a fetch reads is not visible per ref");
}

void read_names(const Node& rule, Reader& r, std::string_view key) {
  read_globs(rule, r, key, Glob::Kind::value);
}

// Rules of protocols that are not available yet are still checked, so that a policy is right on the day they
// are.
void check_future_rule(const Node& node, Reader& r, Protocol protocol) {
  if (protocol == Protocol::websocket) read_globs(node, r, "paths", Glob::Kind::path);
  for (std::string_view key : {"names", "fields", "methods", "tools", "messages", "packages"})
    if (node.find(key)) read_names(node, r, key);
  for (std::string_view key : {"params", "arguments"})
    if (node.find(key)) read_values(node, r, key);
  if (const Node* n = node.find("types"); n && r.list(*n, "types"))
    for (const Node& item : n->items)
      r.one_of<int>(item, "a type", {{"query", 0}, {"mutation", 1}, {"subscription", 2}});
  if (const Node* n = node.find("binary")) r.one_of<int>(*n, "binary", {{"allow", 0}, {"deny", 1}});
  if (const Node* n = node.find("ecosystem"))
    r.one_of<int>(*n, "ecosystem",
                  {{"npm", 0},
                   {"pypi", 1},
                   {"cargo", 2},
                   {"go", 3},
                   {"maven", 4},
                   {"rubygems", 5},
                   {"oci", 6},
                   {"debian", 7}});
  if (const Node* n = node.find("op")) r.one_of<int>(*n, "op", {{"read", 0}, {"publish", 1}});
  if (const Node* n = node.find("minAgeDays")) r.number(*n, "minAgeDays", 1, 3650);
}

std::span<const std::string_view> rule_fields(Protocol protocol) {
  static constexpr std::string_view kHttp[] = {"methods", "paths", "query", "headers", "when"};
  static constexpr std::string_view kGit[] = {"op", "repos", "refs", "when"};
  static constexpr std::string_view kGraphql[] = {"types", "names", "fields", "when"};
  static constexpr std::string_view kJsonrpc[] = {"methods", "params", "when"};
  static constexpr std::string_view kMcp[] = {"methods", "tools", "arguments", "when"};
  static constexpr std::string_view kWebsocket[] = {"paths", "messages", "binary", "when"};
  static constexpr std::string_view kRegistry[] = {"ecosystem", "op", "packages", "minAgeDays", "when"};
  static constexpr std::string_view kTcp[] = {"when"};
  switch (protocol) {
    case Protocol::http:
      return kHttp;
    case Protocol::git:
      return kGit;
    case Protocol::graphql:
      return kGraphql;
    case Protocol::jsonrpc:
      return kJsonrpc;
    case Protocol::mcp:
      return kMcp;
    case Protocol::websocket:
      return kWebsocket;
    case Protocol::registry:
      return kRegistry;
    case Protocol::tcp:
      return kTcp;
  }
  return {};
}

void read_rule(const Node& node, Reader& r, Entry& entry, Rule out) {
  if (!r.fields(node, fmt::format("a rule of protocol {}", name(entry.protocol)),
                rule_fields(entry.protocol)))
    return;
  if (node.members.empty()) {
    r.error(place_of(node), "policy.empty_rule",
            "a rule that names nothing; everything is spelled 'allow: all'");
    return;
  }
  if (entry.protocol == Protocol::http)
    read_http_rule(node, r, out);
  else if (entry.protocol == Protocol::git)
    read_git_rule(node, r, out);
  else
    check_future_rule(node, r, entry.protocol);
  if (const Node* when = node.find("when")) read_when(*when, r);
  entry.rules.push_back(std::move(out));
}

void read_effect(const Node& node, Reader& r, std::string_view key, Effect effect, Entry& entry) {
  const bool all = node.kind == Node::Kind::scalar && node.scalar == "all";
  if (all && effect == Effect::allow) {
    entry.rules.push_back({.effect = effect,
                           .id = fmt::format("network.{}.allow", entry.name),
                           .place = place_of(node),
                           .everything = true});
    return;
  }
  if (all)
    return r.error(place_of(node), "policy.bad_value",
                   fmt::format("'all' is for allow only; list what to {}", key));
  const auto* items = r.list(node, key);
  if (!items) return;
  for (size_t i = 0; i < items->size(); ++i)
    read_rule((*items)[i], r, entry,
              {.effect = effect,
               .id = fmt::format("network.{}.{}[{}]", entry.name, key, i),
               .place = place_of((*items)[i])});
}

}  // namespace

void read_rules(const Node& entry, Reader& r, Entry& out) {
  if (const Node* n = entry.find("deny")) read_effect(*n, r, "deny", Effect::deny, out);
  if (const Node* n = entry.find("review")) read_effect(*n, r, "review", Effect::review, out);
  if (const Node* n = entry.find("allow")) read_effect(*n, r, "allow", Effect::allow, out);
}

}  // namespace saw::policy
