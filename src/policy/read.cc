#include "policy/read.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/bytes.h"

namespace saw::policy {
namespace {

using yaml::Node;

constexpr int64_t kMaxCredentialTtlMs = 3'600'000;
constexpr int64_t kMaxHoldMs = 600'000;
constexpr double kMaxCpus = 1024;
constexpr uint64_t kMaxPids = 4'194'304, kMaxOpenFiles = 1'048'576;

bool lower_hex(std::string_view s, size_t size) {
  return s.size() == size &&
         std::ranges::all_of(s, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

// Absolute, and spelled the one way the kernel would print it.
std::optional<std::string> read_path(const Node& node, Reader& r, std::string_view what) {
  auto path = r.text(node, what);
  if (!path) return {};
  const std::string rooted = *path == "/" ? *path : *path + "/";
  const bool canonical = path->starts_with('/') && (*path == "/" || !path->ends_with('/')) &&
                         rooted.find("//") == std::string::npos && rooted.find("/./") == std::string::npos &&
                         rooted.find("/../") == std::string::npos;
  if (canonical && path->find_first_of("*?[") == std::string::npos) return path;
  r.error(place_of(node), "policy.bad_path",
          fmt::format("{} '{}' must be absolute, without '.', '..', '//', a trailing '/' or a wildcard", what,
                      printable(*path)));
  return {};
}

std::vector<std::string> read_paths(const Node& parent, Reader& r, std::string_view key) {
  std::vector<std::string> out;
  const Node* node = parent.find(key);
  const std::vector<Node>* items = node ? r.list(*node, fmt::format("filesystem.{}", key)) : nullptr;
  if (!items) return out;
  for (const Node& item : *items) {
    auto path = read_path(item, r, fmt::format("a path of filesystem.{}", key));
    if (!path) continue;
    if (std::ranges::find(out, *path) != out.end())
      r.error(place_of(item), "policy.duplicate",
              fmt::format("'{}' is listed twice in filesystem.{}", *path, key));
    out.push_back(std::move(*path));
  }
  return out;
}

// R81: no policy makes the system's own files writable.
void check_write_paths(const Node& filesystem, Reader& r) {
  constexpr std::string_view kProtected[] = {"/usr", "/bin",  "/sbin", "/lib", "/lib32", "/lib64",
                                             "/etc", "/boot", "/proc", "/sys", "/dev"};
  const Node* write = filesystem.find("write");
  if (!write) return;
  for (const Node& item : write->items) {
    const std::string path = item.scalar + "/";
    const bool is_protected =
        path == "//" || std::ranges::any_of(kProtected, [&](std::string_view p) {
          return path.starts_with(std::string(p) + "/") && !path.starts_with("/dev/shm/");
        });
    if (is_protected)
      r.error(place_of(item), "policy.protected_path",
              fmt::format("'{}' belongs to the system and is never writable", printable(item.scalar)));
  }
}

void read_file_labels(const Node& node, Reader& r, Document& out) {
  const auto* items = r.list(node, "filesystem.labels");
  if (!items) return;
  for (const Node& item : *items) {
    if (!r.fields(item, "a file label", {"path", "add"})) continue;
    const Node *path = item.find("path"), *add = item.find("add");
    if (!path || !add) {
      r.error(place_of(item), "policy.missing_field", "a file label needs 'path' and 'add'");
      continue;
    }
    auto where = read_path(*path, r, "the path of a file label");
    auto label = r.one_of<Labels>(*add, "a label", {{"private", kPrivate}, {"untrusted", kUntrusted}});
    if (where && label) out.filesystem.labels.push_back({std::move(*where), *label});
  }
  r.not_available(place_of(node), "filesystem.labels (labels that follow process trees)");
}

void read_filesystem(const Node& node, Reader& r, Document& out) {
  if (!r.fields(node, "filesystem", {"read", "write", "deny", "labels", "runLater"})) return;
  out.filesystem_place = place_of(node);
  out.filesystem.read = read_paths(node, r, "read");
  out.filesystem.write = read_paths(node, r, "write");
  out.filesystem.deny = read_paths(node, r, "deny");
  check_write_paths(node, r);
  if (const Node* labels = node.find("labels")) read_file_labels(*labels, r, out);
  const Node* run_later = node.find("runLater");
  if (!run_later) return;
  auto mode = r.one_of<RunLater>(*run_later, "filesystem.runLater",
                                 {{"quarantine", RunLater::quarantine}, {"deny", RunLater::deny}});
  if (mode) out.filesystem.run_later = *mode;
}

void read_limits(const Node& node, Reader& r, ProcessLimits& out) {
  if (!r.fields(node, "process.limits", {"memory", "pids", "cpus", "openFiles", "fileSize", "wallClock"}))
    return;
  if (const Node* n = node.find("memory")) out.memory_bytes = r.size(*n, "memory").value_or(0);
  if (const Node* n = node.find("pids")) out.pids = r.number(*n, "pids", 1, kMaxPids).value_or(0);
  if (const Node* n = node.find("cpus")) out.cpus = r.decimal(*n, "cpus", kMaxCpus).value_or(0);
  if (const Node* n = node.find("openFiles"))
    out.open_files = r.number(*n, "openFiles", 1, kMaxOpenFiles).value_or(0);
  if (const Node* n = node.find("fileSize")) out.file_size_bytes = r.size(*n, "fileSize").value_or(0);
  if (const Node* n = node.find("wallClock"))
    out.wall_clock_ms = static_cast<uint64_t>(r.duration_ms(*n, "wallClock").value_or(0));
}

void read_process(const Node& node, Reader& r, Document& out) {
  if (!r.fields(node, "process", {"limits"})) return;
  if (const Node* limits = node.find("limits")) read_limits(*limits, r, out.limits);
}

void read_metadata(const Node& node, Reader& r, Document& out) {
  if (!r.fields(node, "metadata", {"name", "description"})) return;
  if (const Node* name = node.find("name"))
    out.name = read_name(*name, r, "metadata.name").value_or("");
  else
    r.error(place_of(node), "policy.missing_field", "metadata needs 'name'");
  if (const Node* text = node.find("description"))
    out.description = r.text(*text, "metadata.description").value_or("");
}

// Validated and covered by the policy's digest; where agents run unattended, control demands its presence
// (R79).
void read_classification(const Node& node, Reader& r) {
  if (!r.fields(node, "dataClassification", {"name", "version", "sha256"})) return;
  for (std::string_view key : {"name", "version", "sha256"})
    if (!node.find(key))
      r.error(place_of(node), "policy.missing_field", fmt::format("dataClassification needs '{}'", key));
  if (const Node* n = node.find("name")) read_name(*n, r, "dataClassification.name");
  if (const Node* n = node.find("version")) r.number(*n, "dataClassification.version", 1, UINT32_MAX);
  if (const Node* n = node.find("sha256")) {
    auto digest = r.text(*n, "dataClassification.sha256");
    if (digest && !lower_hex(*digest, 64))
      r.error(place_of(*n), "policy.bad_value",
              "dataClassification.sha256 must be 64 lower-case hexadecimal digits");
  }
}

bool valid_field_name(std::string_view name) {
  return !name.empty() && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
}

// Fields that frame or route a message are SAW's own to write.
bool framing_field(std::string_view name) {
  constexpr std::string_view kFields[] = {
      "host",    "connection", "content-length", "transfer-encoding", "upgrade", "te",
      "trailer", "keep-alive", "expect",         "content-encoding"};
  std::string lower(name);
  std::ranges::transform(lower, lower.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return lower.starts_with("proxy-") || std::ranges::find(kFields, lower) != std::end(kFields);
}

void read_injection(const Node& node, Reader& r, Credential& out) {
  if (!r.fields(node, "inject", {"header", "format"})) return;
  const Node *header = node.find("header"), *format = node.find("format");
  if (!header || !format)
    return r.error(place_of(node), "policy.missing_field", "inject needs 'header' and 'format'");
  out.header = r.text(*header, "inject.header").value_or("");
  if (!out.header.empty() && (!valid_field_name(out.header) || framing_field(out.header)))
    r.error(place_of(*header), "policy.bad_value",
            fmt::format("'{}' is not a header that a credential may be put into", printable(out.header)));
  out.format = r.text(*format, "inject.format").value_or("");
  constexpr std::string_view kHole = "{secret}";
  const size_t hole = out.format.find(kHole);
  const bool ascii = std::ranges::all_of(out.format, [](unsigned char c) { return c < 0x80; });
  if (!out.format.empty() &&
      (hole == std::string::npos || out.format.find(kHole, hole + 1) != std::string::npos || !ascii))
    r.error(place_of(*format), "policy.bad_value", "inject.format must be ASCII and contain {secret} once");
}

void read_credential(const Node& key, const Node& node, Reader& r, Document& out) {
  CredentialSource source{.place = place_of(key)};
  source.credential.name = read_name(key, r, "the name of a credential").value_or("");
  const std::string what = fmt::format("credential '{}'", printable(key.scalar, 60));
  if (!r.fields(node, what, {"secret", "inject", "only"})) return;
  for (std::string_view needed : {"secret", "inject", "only"})
    if (!node.find(needed))
      r.error(place_of(node), "policy.missing_field", fmt::format("{} needs '{}'", what, needed));
  if (const Node* n = node.find("secret"))
    source.credential.secret = read_name(*n, r, "the name of a secret").value_or("");
  if (const Node* n = node.find("inject")) read_injection(*n, r, source.credential);
  const Node* only = node.find("only");
  const auto* items = only ? r.list(*only, what + ".only") : nullptr;
  if (items)
    for (const Node& item : *items)
      if (auto entry = r.text(item, "an entry name in 'only'"))
        source.credential.only.push_back(std::move(*entry));
  out.credentials.push_back(std::move(source));
}

void read_credentials(const Node& node, Reader& r, Document& out) {
  if (node.kind != Node::Kind::mapping)
    return r.error(place_of(node), "policy.wrong_type", "credentials must be a mapping of names");
  for (const auto& [key, value] : node.members) read_credential(key, value, r, out);
}

void read_review(const Node& node, Reader& r, Document& out) {
  if (!r.fields(node, "review", {"hold", "expires", "approvers"})) return;
  out.review_place = place_of(node);
  if (const Node* n = node.find("hold")) {
    out.review.hold_ms = r.duration_ms(*n, "review.hold").value_or(out.review.hold_ms);
    if (out.review.hold_ms > kMaxHoldMs)
      r.error(place_of(*n), "policy.bad_value", "review.hold must be at most 10m");
  }
  if (const Node* n = node.find("expires"))
    out.review.expires_ms = r.duration_ms(*n, "review.expires").value_or(out.review.expires_ms);
  if (const Node* n = node.find("approvers"))
    out.review.other_than_requester =
        r.one_of<bool>(*n, "review.approvers", {{"other-than-requester", true}}).value_or(false);
}

void read_trifecta(const Node& node, Reader& r, Document& out) {
  if (!r.fields(node, "trifecta", {"privateAndUntrusted"})) return;
  out.trifecta_place = place_of(node);
  if (const Node* n = node.find("privateAndUntrusted"))
    out.trifecta = r.one_of<Effect>(*n, "trifecta.privateAndUntrusted",
                                    {{"review", Effect::review}, {"deny", Effect::deny}})
                       .value_or(Effect::deny);
}

void read_runtime_credential(const Node& node, Reader& r, Document& out) {
  if (!r.fields(node, "runtimeCredential", {"ttl"})) return;
  const Node* n = node.find("ttl");
  if (!n) return;
  out.credential_ttl_ms = r.duration_ms(*n, "runtimeCredential.ttl").value_or(out.credential_ttl_ms);
  if (out.credential_ttl_ms < 1000 || out.credential_ttl_ms > kMaxCredentialTtlMs)
    r.error(place_of(*n), "policy.bad_value", "runtimeCredential.ttl must be between 1s and 1h");
}

void read_inference(const Node& node, Reader& r) {
  const auto* items = r.list(node, "inference");
  if (!items) return;
  for (const Node& item : *items) {
    if (!r.fields(item, "an inference rule", {"model", "via", "data"})) continue;
    if (!item.find("model") || !item.find("via"))
      r.error(place_of(item), "policy.missing_field", "an inference rule needs 'model' and 'via'");
    if (const Node* n = item.find("model")) {
      auto text = r.text(*n, "a model");
      auto glob = text ? Glob::create(*text, Glob::Kind::value) : std::unexpected(std::string());
      if (text && !glob)
        r.error(place_of(*n), "policy.bad_glob", fmt::format("'{}': {}", printable(*text), glob.error()));
    }
    if (const Node* n = item.find("via")) r.text(*n, "via");
    const Node* data = item.find("data");
    const auto* classes = data ? r.list(*data, "data") : nullptr;
    if (classes)
      for (const Node& c : *classes)
        r.one_of<DataClass>(c, "data",
                            {{"public", DataClass::public_data},
                             {"internal", DataClass::internal},
                             {"private", DataClass::private_data}});
  }
  r.not_available(place_of(node), "inference (routed models)");
}

void read_budget(const Node& node, Reader& r) {
  if (r.fields(node, "budget", {"perDay"})) {
    const Node* day = node.find("perDay");
    if (day && r.fields(*day, "budget.perDay", {"calls", "uploadBytes", "tokens"})) {
      if (const Node* n = day->find("calls")) r.number(*n, "calls", 1, INT64_MAX);
      if (const Node* n = day->find("uploadBytes")) r.size(*n, "uploadBytes");
      if (const Node* n = day->find("tokens")) r.number(*n, "tokens", 1, INT64_MAX);
    }
  }
  r.not_available(place_of(node), "budget");
}

void read_head(const Node& root, Reader& r, Document& out) {
  for (std::string_view key : {"apiVersion", "kind", "metadata", "profile"})
    if (!root.find(key))
      r.error(place_of(root), "policy.missing_field", fmt::format("a policy needs '{}'", key));
  if (const Node* n = root.find("apiVersion")) r.one_of<int>(*n, "apiVersion", {{"saw/v1", 1}});
  if (const Node* n = root.find("kind")) r.one_of<int>(*n, "kind", {{"Policy", 1}});
  if (const Node* n = root.find("metadata")) read_metadata(*n, r, out);
  if (const Node* n = root.find("profile")) {
    out.profile_place = place_of(*n);
    out.profile = r.one_of<Profile>(*n, "profile",
                                    {{"public", Profile::public_data},
                                     {"corporate", Profile::corporate},
                                     {"regulated", Profile::regulated},
                                     {"local", Profile::local}})
                      .value_or(Profile::regulated);
  }
  // Absent: a machine of one's own may use namespaces, everything else is for virtual machines (R2).
  out.isolation = out.profile == Profile::local ? Isolation::namespaces : Isolation::vm;
  if (const Node* n = root.find("isolation")) {
    out.isolation_place = place_of(*n);
    out.isolation =
        r.one_of<Isolation>(*n, "isolation", {{"vm", Isolation::vm}, {"namespace", Isolation::namespaces}})
            .value_or(Isolation::vm);
  }
  if (const Node* n = root.find("strict")) out.strict = r.boolean(*n, "strict").value_or(true);
}

}  // namespace

std::optional<std::string> read_name(const Node& node, Reader& r, std::string_view what) {
  constexpr size_t kMaxName = 63;
  auto name = r.text(node, what);
  if (!name) return {};
  const bool valid = name->size() <= kMaxName && name->front() != '-' && name->front() != '.' &&
                     std::ranges::all_of(*name, [](char c) {
                       return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                              c == '-' || c == '_' || c == '.';
                     });
  if (valid) return name;
  r.error(
      place_of(node), "policy.bad_name",
      fmt::format(
          "{} '{}' must be at most {} letters, digits, '-', '_', '.', and start with a letter, digit or '_'",
          what, printable(*name), kMaxName));
  return {};
}

Document read_document(const Node& root, Reader& r) {
  Document out;
  if (!r.fields(root, "a policy",
                {"apiVersion", "kind", "metadata", "profile", "isolation", "strict", "dataClassification",
                 "filesystem", "process", "network", "credentials", "trifecta", "review", "runtimeCredential",
                 "inference", "budget"}))
    return out;
  read_head(root, r, out);
  if (const Node* n = root.find("dataClassification")) read_classification(*n, r);
  if (const Node* n = root.find("filesystem")) read_filesystem(*n, r, out);
  if (const Node* n = root.find("process")) read_process(*n, r, out);
  if (const Node* n = root.find("network")) read_network(*n, r, out);
  if (const Node* n = root.find("credentials")) read_credentials(*n, r, out);
  if (const Node* n = root.find("trifecta")) read_trifecta(*n, r, out);
  if (const Node* n = root.find("review")) read_review(*n, r, out);
  if (const Node* n = root.find("runtimeCredential")) read_runtime_credential(*n, r, out);
  if (const Node* n = root.find("inference")) read_inference(*n, r);
  if (const Node* n = root.find("budget")) read_budget(*n, r);
  return out;
}

}  // namespace saw::policy
