// The words and fields of the language saw/v1, in one place. The reader refuses what is not here; `saw policy schema` and
// the reference in docs/policy.md print what is here.
//
//   for (const Field& field : kEntry.fields) print(field.key, field.doc);
//   name_of(kTlsModes, TlsMode::inspect)        // "inspect"
//   rule_object(Protocol::git)                  // the fields of a rule of an entry with protocol: git
//
// A table says what a document may contain; what values mean together (ambiguity, profiles) is in check.h.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "policy/document.h"

namespace saw::policy {

// ---- words

template <class E> struct Word {
  std::string_view text;
  E value;
};

inline constexpr Word<Effect> kEffects[] = {
    {"allow", Effect::allow}, {"review", Effect::review}, {"deny", Effect::deny}};
inline constexpr Word<Profile> kProfiles[] = {{"public", Profile::public_data},
                                              {"corporate", Profile::corporate},
                                              {"regulated", Profile::regulated},
                                              {"local", Profile::local}};
inline constexpr Word<Isolation> kIsolations[] = {{"vm", Isolation::vm},
                                                  {"namespace", Isolation::namespaces}};
inline constexpr Word<Protocol> kProtocols[] = {
    {"http", Protocol::http},         {"git", Protocol::git}, {"graphql", Protocol::graphql},
    {"jsonrpc", Protocol::jsonrpc},   {"mcp", Protocol::mcp}, {"websocket", Protocol::websocket},
    {"registry", Protocol::registry}, {"tcp", Protocol::tcp}};
inline constexpr Word<TlsMode> kTlsModes[] = {
    {"inspect", TlsMode::inspect}, {"passthrough", TlsMode::passthrough}, {"none", TlsMode::none}};
inline constexpr Word<RunLater> kRunLater[] = {{"quarantine", RunLater::quarantine},
                                               {"deny", RunLater::deny}};
inline constexpr Word<Labels> kLabels[] = {{"private", kPrivate}, {"untrusted", kUntrusted}};
inline constexpr Word<Trust> kTrust[] = {{"trusted", Trust::trusted}, {"untrusted", Trust::untrusted}};
inline constexpr Word<DataClass> kDataClasses[] = {{"public", DataClass::public_data},
                                                   {"internal", DataClass::internal},
                                                   {"private", DataClass::private_data}};
inline constexpr Word<Reach> kReaches[] = {{"internal", Reach::internal}, {"external", Reach::external}};
inline constexpr Word<GitOp> kGitOps[] = {{"fetch", GitOp::fetch}, {"push", GitOp::push}};
inline constexpr Word<OperationType> kOperationTypes[] = {{"query", OperationType::query},
                                                          {"mutation", OperationType::mutation},
                                                          {"subscription", OperationType::subscription}};
inline constexpr Word<Binary> kBinary[] = {{"deny", Binary::deny}, {"allow", Binary::allow}};
inline constexpr Word<Ecosystem> kEcosystems[] = {
    {"npm", Ecosystem::npm}, {"pypi", Ecosystem::pypi},    {"cargo", Ecosystem::cargo},
    {"go", Ecosystem::go},   {"maven", Ecosystem::maven},  {"rubygems", Ecosystem::rubygems},
    {"oci", Ecosystem::oci}, {"debian", Ecosystem::debian}};
inline constexpr Word<RegistryOp> kRegistryOps[] = {{"read", RegistryOp::read},
                                                    {"publish", RegistryOp::publish}};
inline constexpr Word<Effect> kTrifecta[] = {{"review", Effect::review}, {"deny", Effect::deny}};
inline constexpr Word<bool> kApprovers[] = {{"other-than-requester", true}};
inline constexpr Word<int> kApiVersions[] = {{"saw/v1", 1}};
inline constexpr Word<int> kKinds[] = {{"Policy", 1}};

template <class E, size_t N> constexpr std::string_view name_of(const Word<E> (&words)[N], E value) {
  for (const Word<E>& word : words)
    if (word.value == value) return word.text;
  return "?";
}

// The texts alone.
template <const auto& kWords>
inline constexpr auto kTexts = [] {
  std::array<std::string_view, std::size(kWords)> out{};
  for (size_t i = 0; i < out.size(); ++i) out[i] = kWords[i].text;
  return out;
}();

// ---- fields

enum class Shape : uint8_t {
  text,  // one line
  name,  // letters, digits, '-', '_', '.'
  boolean,
  number,    // from least to most
  decimal,   // above 0, at most `most`
  bytes,     // 512MiB
  duration,  // 30s
  path,      // absolute, no wildcard
  host,      // a name of A-labels, a glob of such, or an address
  range,     // 10.20.0.0/16
  glob,      // of paths, refs or names
  value,     // a glob over the whole value; also plain numbers and words
  method,    // an upper-case token
  sha256,
  word,  // one of `words`
  object,
  values,   // a mapping of names to value globs
  objects,  // a mapping of names to `object`
  rules,    // a list of rules, whose fields depend on the entry's protocol
};
enum class Many : uint8_t { one, list };
enum class Presence : uint8_t { optional, required };

struct Object;

struct Field {
  std::string_view key;
  Shape shape = Shape::text;
  std::string_view doc;  // one line for the reference and for editors; its default last
  Presence presence = Presence::optional;
  Many many = Many::one;
  std::span<const std::string_view> words = {};
  const Object* object = nullptr;
  uint64_t least = 0, most = 0;
};

struct Object {
  std::string_view what;  // as diagnostics call it: "a network entry"
  std::span<const Field> fields;
};

extern const Object kPolicy, kMetadata, kClassification, kFilesystem, kFileLabel, kProcess, kProcessLimits,
    kEntry, kTo, kEntryLimits, kWhen, kWhenLabels, kCredential, kInject, kTrifectaObject, kReview,
    kRuntimeCredential, kInference, kBudget, kPerDay;

const Object& rule_object(Protocol protocol);

// The bounds of a number field.
struct Bounds {
  uint64_t least = 0, most = 0;
};
Bounds bounds_of(const Object& object, std::string_view key);

}  // namespace saw::policy
