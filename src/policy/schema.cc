#include "policy/schema.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "policy/vocabulary.h"

namespace saw::policy {
namespace {

using Json = nlohmann::ordered_json;

// Every object of the language and what the reference calls it. Rules of the protocols follow.
struct Part {
  std::string_view title;
  const Object* object;
};
constexpr Part kParts[] = {
    {"A policy", &kPolicy},
    {"metadata", &kMetadata},
    {"dataClassification", &kClassification},
    {"filesystem", &kFilesystem},
    {"filesystem.labels[]", &kFileLabel},
    {"process", &kProcess},
    {"process.limits", &kProcessLimits},
    {"network[]", &kEntry},
    {"network[].to", &kTo},
    {"network[].limits", &kEntryLimits},
    {"when (any rule)", &kWhen},
    {"when.labels", &kWhenLabels},
    {"credentials.NAME", &kCredential},
    {"credentials.NAME.inject", &kInject},
    {"trifecta", &kTrifectaObject},
    {"review", &kReview},
    {"runtimeCredential", &kRuntimeCredential},
    {"inference[]", &kInference},
    {"budget", &kBudget},
    {"budget.perDay", &kPerDay},
};

Json object_schema(const Object& object);

Json text_schema(std::string_view pattern = {}) {
  Json out = {{"type", "string"}, {"minLength", 1}};
  if (!pattern.empty()) out["pattern"] = pattern;
  return out;
}

// A size may be a bare number of bytes; a duration has a unit.
Json bytes_schema() {
  return {
      {"anyOf", {{{"type", "integer"}, {"minimum", 1}}, text_schema("^[1-9][0-9]*(B|KiB|MiB|GiB|TiB)?$")}}};
}

Json rules_schema(Protocol protocol, bool may_be_all) {
  const Object& object = rule_object(protocol);
  Json rule = object_schema(object);
  rule["minProperties"] = 1;
  Json list = {{"type", "array"}, {"minItems", 1}, {"items", rule}};
  if (!may_be_all) return list;
  return {{"anyOf", {{{"const", "all"}}, list}}};
}

Json value_schema(const Field& field) {
  switch (field.shape) {
    case Shape::text:
    case Shape::host:
    case Shape::glob:
      return text_schema();
    case Shape::name:
      return text_schema("^[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}$");
    case Shape::boolean:
      return {{"type", "boolean"}};
    case Shape::number:
      return {{"type", "integer"}, {"minimum", field.least}, {"maximum", field.most}};
    case Shape::decimal:
      return {{"type", "number"}, {"exclusiveMinimum", 0}, {"maximum", field.most}};
    case Shape::bytes:
      return bytes_schema();
    case Shape::duration:
      return text_schema("^[1-9][0-9]*(ms|s|m|h|d)$");
    case Shape::path:
      return text_schema("^/[^*?\\[]*$");
    case Shape::range:
      return text_schema("^[0-9a-fA-F.:]+/[0-9]{1,3}$");
    case Shape::value:
      return {{"type", {"string", "number", "boolean", "null"}}};
    case Shape::method:
      return text_schema("^[A-Z0-9_-]+$");
    case Shape::sha256:
      return text_schema("^[0-9a-f]{64}$");
    case Shape::word:
      return {{"enum", field.words}};
    case Shape::object:
      return object_schema(*field.object);
    case Shape::values:
      return {{"type", "object"},
              {"minProperties", 1},
              {"additionalProperties", {{"type", {"string", "number", "boolean", "null"}}}}};
    case Shape::objects:
      return {{"type", "object"}, {"additionalProperties", object_schema(*field.object)}};
    case Shape::rules:
      return {{"anyOf", {{{"const", "all"}}, {{"type", "array"}, {"minItems", 1}}}}};
  }
  return Json::object();
}

Json field_schema(const Field& field) {
  Json out = value_schema(field);
  if (field.many == Many::list) out = {{"type", "array"}, {"minItems", 1}, {"items", std::move(out)}};
  out["description"] = field.doc;
  return out;
}

// "if protocol is P then the rules are P's": absent means http.
Json by_protocol() {
  Json out = Json::array();
  for (const Word<Protocol>& word : kProtocols) {
    Json condition = {{"properties", {{"protocol", {{"const", word.text}}}}}};
    if (word.value != Protocol::http) condition["required"] = {"protocol"};
    Json then = {{"properties",
                  {{"allow", rules_schema(word.value, true)},
                   {"review", rules_schema(word.value, false)},
                   {"deny", rules_schema(word.value, false)}}}};
    out.push_back({{"if", std::move(condition)}, {"then", std::move(then)}});
  }
  return out;
}

Json object_schema(const Object& object) {
  Json properties = Json::object(), required = Json::array();
  for (const Field& field : object.fields) {
    properties[std::string(field.key)] = field_schema(field);
    if (field.presence == Presence::required) required.push_back(field.key);
  }
  Json out = {{"type", "object"}, {"additionalProperties", false}, {"properties", std::move(properties)}};
  if (!required.empty()) out["required"] = std::move(required);
  if (&object == &kEntry) out["allOf"] = by_protocol();
  return out;
}

std::string type_text(const Field& field) {
  constexpr std::string_view kNames[] = {"text",
                                         "name",
                                         "true or false",
                                         "number",
                                         "number",
                                         "size",
                                         "duration",
                                         "absolute path",
                                         "host",
                                         "address range",
                                         "glob",
                                         "value glob",
                                         "method",
                                         "SHA-256",
                                         "word",
                                         "mapping",
                                         "mapping of names to value globs",
                                         "mapping of names",
                                         "rules"};
  std::string out(kNames[static_cast<size_t>(field.shape)]);
  if (field.shape == Shape::word) out = fmt::format("`{}`", fmt::join(field.words, "`, `"));
  if (field.shape == Shape::number) out = fmt::format("number, {} to {}", field.least, field.most);
  return field.many == Many::list ? "list of " + out : out;
}

void table(std::string& out, std::string_view title, const Object& object) {
  out += fmt::format("### `{}`\n\n| Field | Value | |\n|---|---|---|\n", title);
  for (const Field& field : object.fields)
    out +=
        fmt::format("| `{}`{} | {} | {} |\n", field.key,
                    field.presence == Presence::required ? " (required)" : "", type_text(field), field.doc);
  out += '\n';
}

}  // namespace

std::string json_schema() {
  Json out = {{"$schema", "https://json-schema.org/draft/2020-12/schema"},
              {"title", "SAW policy, saw/v1"},
              {"description",
               "Default deny; deny > review > allow. `saw policy lint FILE` checks what a schema cannot."}};
  out.update(object_schema(kPolicy));
  return out.dump(2) + "\n";
}

std::string reference_markdown() {
  std::string out;
  for (const Part& part : kParts) table(out, part.title, *part.object);
  for (const Word<Protocol>& word : kProtocols)
    table(out, fmt::format("a rule with protocol: {}", word.text), rule_object(word.value));
  return out;
}

}  // namespace saw::policy
