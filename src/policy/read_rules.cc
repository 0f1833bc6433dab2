#include <algorithm>

#include <fmt/format.h>

#include "base/bytes.h"
#include "policy/json.h"
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

void read_when(const Node& node, Reader& r, LabelCondition& out) {
  if (!r.fields(node, kWhen)) return;
  const Node* labels = node.find("labels");
  if (!labels || !r.fields(*labels, kWhenLabels)) return;
  if (labels->members.empty())
    r.error(place_of(*labels), "policy.empty_rule", "when.labels that names no label");
  auto bits = [&](std::string_view key) {
    Labels set = 0;
    if (const Node* n = labels->find(key))
      for (Labels label : r.each_of(*n, fmt::format("when.labels.{}", key), kLabels)) set |= label;
    return set;
  };
  out = {.all = bits("all"), .any = bits("any"), .none = bits("none")};
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
  if (const Node* op = node.find("op")) out.op = r.one_of(*op, "op", kGitOps);
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

void read_graphql_rule(const Node& node, Reader& r, Rule& out) {
  if (const Node* n = node.find("types")) out.types = r.each_of(*n, "types", kOperationTypes);
  out.names = read_globs(node, r, "names", Glob::Kind::name);
  out.fields = read_globs(node, r, "fields", Glob::Kind::name);
}

// {"/pointer": glob, …}: RFC 6901 pointers, each to something inside.
std::vector<ValueRule> read_pointers(const Node& rule, Reader& r, std::string_view key) {
  std::vector<ValueRule> out = read_values(rule, r, key);
  const Node* node = rule.find(key);
  for (const ValueRule& value : out) {
    if (valid_pointer(value.key)) continue;
    r.error(place_of(*node), "policy.bad_value",
            fmt::format("'{}' in {} is not a JSON pointer such as /path or /files/0/name",
                        printable(value.key, 60), key));
  }
  return out;
}

void read_jsonrpc_rule(const Node& node, Reader& r, Rule& out) {
  out.calls = read_globs(node, r, "methods", Glob::Kind::ref);
  out.arguments = read_pointers(node, r, "params");
}

void read_mcp_rule(const Node& node, Reader& r, Rule& out) {
  out.calls = read_globs(node, r, "methods", Glob::Kind::ref);
  out.tools = read_globs(node, r, "tools", Glob::Kind::name);
  out.arguments = read_pointers(node, r, "arguments");
  const auto calls_tools = [](const Glob& g) { return g.matches("tools/call"); };
  if ((node.find("tools") || node.find("arguments")) && !out.calls.empty() &&
      std::ranges::none_of(out.calls, calls_tools))
    r.error(place_of(node), "policy.bad_value",
            "tools and arguments belong to tools/call, which this rule's methods do not admit");
}

void read_websocket_rule(const Node& node, Reader& r, Rule& out) {
  out.paths = read_globs(node, r, "paths", Glob::Kind::path);
  out.messages = read_globs(node, r, "messages", Glob::Kind::value);
  const Node* n = node.find("binary");
  if (!n) return;
  out.binary = r.one_of(*n, "binary", kBinary).value_or(Binary::deny);
  if (out.effect == Effect::deny)
    r.error(place_of(*n), "policy.bad_value",
            "binary belongs to allow and review rules; a deny rule forbids binary messages with the rest");
}

void read_registry_rule(const Node& node, Reader& r, Rule& out) {
  if (const Node* n = node.find("ecosystem"))
    out.ecosystem = r.one_of(*n, "ecosystem", kEcosystems).value_or(Ecosystem::npm);
  if (const Node* n = node.find("op"))
    out.registry_op = r.one_of(*n, "op", kRegistryOps).value_or(RegistryOp::publish);
  out.packages = read_globs(node, r, "packages", Glob::Kind::ref);
  const Node* n = node.find("minAgeDays");
  if (!n) return;
  const Object& object = rule_object(Protocol::registry);
  out.min_age_days =
      static_cast<uint16_t>(r.number(*n, "minAgeDays", bounds_of(object, "minAgeDays")).value_or(0));
  if (out.effect == Effect::deny || out.registry_op == RegistryOp::publish)
    r.error(place_of(*n), "policy.bad_value", "minAgeDays belongs to allow and review rules with op: read");
}

using RuleReader = void (*)(const Node&, Reader&, Rule&);
constexpr RuleReader kRuleReaders[] = {  // in the order of Protocol
    read_http_rule, read_git_rule,       read_graphql_rule,  read_jsonrpc_rule,
    read_mcp_rule,  read_websocket_rule, read_registry_rule, [](const Node&, Reader&, Rule&) {}};

void read_rule(const Node& node, Reader& r, Entry& entry, Rule out) {
  if (!r.fields(node, rule_object(entry.protocol))) return;
  if (node.members.empty()) {
    r.error(place_of(node), "policy.empty_rule",
            "a rule that names nothing; everything is spelled 'allow: all'");
    return;
  }
  kRuleReaders[static_cast<size_t>(entry.protocol)](node, r, out);
  if (const Node* when = node.find("when")) read_when(*when, r, out.when);
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
