#include "policy/blueprint.h"

#include <algorithm>

#include <fmt/format.h>

#include "policy/check.h"
#include "policy/read.h"

namespace saw::policy {
namespace {

using yaml::Node;

constexpr Word<int> kBlueprintKinds[] = {{"Blueprint", 1}};
constexpr Word<WritePermission> kWritePermissions[] = {{"none", WritePermission::none},
                                                       {"reviewed", WritePermission::reviewed},
                                                       {"named", WritePermission::named},
                                                       {"any", WritePermission::any}};
constexpr Presence kRequired = Presence::required;
constexpr Field kFields[] = {
    {"apiVersion", Shape::word, "saw/v1", kRequired},
    {"kind", Shape::word, "Blueprint", kRequired},
    {"metadata", Shape::object, "what the blueprint is called", kRequired},
    {"policy", Shape::text, "metadata.name of its policy", kRequired},
    {"goal", Shape::text, "what the agent is for", kRequired},
    {"tools", Shape::text, "programs and tools it is given", kRequired, Many::list},
    {"services", Shape::name, "network entries of its policy", kRequired, Many::list},
    {"dataScope", Shape::word, "classes of data it may see", kRequired, Many::list},
    {"writePermission", Shape::word, "none, reviewed, named or any", kRequired},
    {"reviewGate", Shape::text, "who looks at what before it leaves", kRequired},
    {"logging", Shape::text, "what is recorded, and for how long", kRequired},
    {"owner", Shape::text, "who answers for it", kRequired},
    {"cadence", Shape::text, "how often it is looked at again", kRequired},
    {"contact", Shape::text, "where to write when it misbehaves", kRequired},
    {"deprecation", Shape::text, "how it ends", kRequired},
};
constexpr Object kBlueprint = {"a blueprint", kFields};

std::string text_of(const Node& root, Reader& r, std::string_view key) {
  const Node* node = root.find(key);
  return node ? r.text(*node, key).value_or("") : std::string();
}

std::vector<std::string> texts_of(const Node& root, Reader& r, std::string_view key) {
  std::vector<std::string> out;
  const Node* node = root.find(key);
  const auto* items = node ? r.list(*node, key) : nullptr;
  if (items == nullptr) return out;
  for (const Node& item : *items)
    if (auto text = r.text(item, fmt::format("an item of {}", key))) out.push_back(std::move(*text));
  return out;
}

Place place_of_field(const Node& root, std::string_view key) {
  const Node* node = root.find(key);
  return node ? place_of(*node) : Place();
}

void read_metadata(const Node& root, Reader& r, Blueprint& out) {
  const Node* node = root.find("metadata");
  if (!node || !r.fields(*node, kMetadata)) return;
  if (const Node* name = node->find("name")) out.name = read_name(*name, r, "metadata.name").value_or("");
  out.description = text_of(*node, r, "description");
}

void read_fields(const Node& root, Reader& r, Blueprint& out) {
  if (!r.fields(root, kBlueprint)) return;
  if (const Node* n = root.find("apiVersion")) r.one_of(*n, "apiVersion", kApiVersions);
  if (const Node* n = root.find("kind")) r.one_of(*n, "kind", kBlueprintKinds);
  read_metadata(root, r, out);
  if (const Node* n = root.find("policy")) out.policy = read_name(*n, r, "policy").value_or("");
  out.goal = text_of(root, r, "goal");
  out.tools = texts_of(root, r, "tools");
  out.services = texts_of(root, r, "services");
  if (const Node* n = root.find("dataScope")) out.data_scope = r.each_of(*n, "dataScope", kDataClasses);
  if (const Node* n = root.find("writePermission"))
    out.write_permission = r.one_of(*n, "writePermission", kWritePermissions).value_or(WritePermission::none);
  out.review_gate = text_of(root, r, "reviewGate");
  out.logging = text_of(root, r, "logging");
  out.owner = text_of(root, r, "owner");
  out.cadence = text_of(root, r, "cadence");
  out.contact = text_of(root, r, "contact");
  out.deprecation = text_of(root, r, "deprecation");
  out.services_place = place_of_field(root, "services");
  out.data_scope_place = place_of_field(root, "dataScope");
  out.write_permission_place = place_of_field(root, "writePermission");
}

bool admits_anything(const Entry& entry) {
  return std::ranges::any_of(entry.rules, [](const Rule& rule) { return rule.effect != Effect::deny; });
}

bool writes_beyond(WritePermission permission, const Entry& entry, const Rule& rule) {
  if (rule.effect == Effect::deny) return false;
  switch (permission) {
    case WritePermission::none:
      return may_write(entry, rule);
    case WritePermission::reviewed:
      return rule.effect == Effect::allow && may_write(entry, rule);
    case WritePermission::named:
      return rule.effect == Effect::allow && entry.reach == Reach::external && writes_freely(entry, rule);
    case WritePermission::any:
      break;
  }
  return false;
}

}  // namespace

std::expected<Blueprint, Diagnostics> Blueprint::read(std::string_view yaml, std::string_view file) {
  auto tree = yaml::parse(yaml, file);
  if (!tree) return std::unexpected(std::move(tree.error()));
  Reader r(file);
  Blueprint out;
  out.file = file;
  read_fields(*tree, r, out);
  if (r.failed()) return std::unexpected(r.take());
  return out;
}

Diagnostics Blueprint::differs_from(const Policy& with) const {
  const Document& d = with.document();
  Diagnostics out;
  auto differs = [&](Place place, std::string message) {
    out.push_back({Diagnostic::Severity::error, file, place.line, place.column, "policy.blueprint",
                   std::move(message)});
  };
  if (with.name() != policy) differs({}, fmt::format("its policy is '{}', not '{}'", policy, with.name()));
  auto in_scope = [&](DataClass data) { return std::ranges::find(data_scope, data) != data_scope.end(); };
  for (const std::string& service : services)
    if (std::ranges::none_of(d.network, [&](const Entry& e) { return e.name == service; }))
      differs(services_place, fmt::format("service '{}' is no network entry of {}", service, policy));
  for (const Entry& entry : d.network) {
    if (!admits_anything(entry)) continue;
    if (std::ranges::find(services, entry.name) == services.end())
      differs(services_place, fmt::format("{} also reaches '{}', which is not listed", policy, entry.name));
    if (!in_scope(entry.data))
      differs(data_scope_place, fmt::format("answers of '{}' are {} data, outside the scope", entry.name,
                                            name_of(kDataClasses, entry.data)));
    for (const Rule& rule : entry.rules)
      if (writes_beyond(write_permission, entry, rule))
        differs(write_permission_place, fmt::format("{} admits writes beyond writePermission: {}", rule.id,
                                                    name_of(kWritePermissions, write_permission)));
  }
  if (!in_scope(DataClass::private_data) &&
      std::ranges::any_of(d.filesystem.labels, [](const FileLabel& f) { return f.add == kPrivate; }))
    differs(data_scope_place, "files are labelled private, outside the scope");
  return out;
}

bool is_blueprint(std::string_view yaml) {
  const auto tree = yaml::parse(yaml, "");
  const Node* kind = tree && tree->kind == Node::Kind::mapping ? tree->find("kind") : nullptr;
  return kind != nullptr && kind->kind == Node::Kind::scalar && kind->scalar == "Blueprint";
}

}  // namespace saw::policy
