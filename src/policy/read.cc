#include "policy/read.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/bytes.h"

namespace saw::policy {
namespace {

using yaml::Node;

constexpr int64_t kMaxCredentialTtlMs = 3'600'000;
constexpr int64_t kMaxHoldMs = 600'000;

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
  out.labels_place = place_of(node);
  for (const Node& item : *items) {
    if (!r.fields(item, kFileLabel)) continue;
    const Node *path = item.find("path"), *add = item.find("add");
    if (!path || !add) continue;
    auto where = read_path(*path, r, "the path of a file label");
    auto label = r.one_of(*add, "a label", kLabels);
    if (where && label) out.filesystem.labels.push_back({std::move(*where), *label});
  }
}

void read_filesystem(const Node& node, Reader& r, Document& out) {
  if (!r.fields(node, kFilesystem)) return;
  out.filesystem_place = place_of(node);
  out.filesystem.read = read_paths(node, r, "read");
  out.filesystem.write = read_paths(node, r, "write");
  out.filesystem.deny = read_paths(node, r, "deny");
  check_write_paths(node, r);
  if (const Node* labels = node.find("labels")) read_file_labels(*labels, r, out);
  const Node* run_later = node.find("runLater");
  if (!run_later) return;
  auto mode = r.one_of(*run_later, "filesystem.runLater", kRunLater);
  if (mode) out.filesystem.run_later = *mode;
}

uint64_t read_count(const Node& parent, Reader& r, const Object& object, std::string_view key) {
  const Node* node = parent.find(key);
  return node ? r.number(*node, key, bounds_of(object, key)).value_or(0) : 0;
}
uint64_t read_size(const Node& parent, Reader& r, std::string_view key) {
  const Node* node = parent.find(key);
  return node ? r.size(*node, key).value_or(0) : 0;
}

void read_limits(const Node& node, Reader& r, ProcessLimits& out) {
  if (!r.fields(node, kProcessLimits)) return;
  out.memory_bytes = read_size(node, r, "memory");
  out.pids = read_count(node, r, kProcessLimits, "pids");
  if (const Node* n = node.find("cpus"))
    out.cpus = r.decimal(*n, "cpus", static_cast<double>(bounds_of(kProcessLimits, "cpus").most)).value_or(0);
  out.open_files = read_count(node, r, kProcessLimits, "openFiles");
  out.file_size_bytes = read_size(node, r, "fileSize");
  if (const Node* n = node.find("wallClock"))
    out.wall_clock_ms = static_cast<uint64_t>(r.duration_ms(*n, "wallClock").value_or(0));
}

void read_process(const Node& node, Reader& r, Document& out) {
  if (!r.fields(node, kProcess)) return;
  if (const Node* limits = node.find("limits")) read_limits(*limits, r, out.limits);
}

void read_metadata(const Node& node, Reader& r, Document& out) {
  if (!r.fields(node, kMetadata)) return;
  if (const Node* name = node.find("name")) out.name = read_name(*name, r, "metadata.name").value_or("");
  if (const Node* text = node.find("description"))
    out.description = r.text(*text, "metadata.description").value_or("");
}

// Covered by the policy's digest; where agents run unattended, control demands its presence (R79).
void read_classification(const Node& node, Reader& r, Document& out) {
  if (!r.fields(node, kClassification)) return;
  DataClassification& c = out.classification.emplace();
  if (const Node* n = node.find("name")) c.name = read_name(*n, r, "dataClassification.name").value_or("");
  c.version = static_cast<uint32_t>(read_count(node, r, kClassification, "version"));
  const Node* n = node.find("sha256");
  if (!n) return;
  c.sha256 = r.text(*n, "dataClassification.sha256").value_or("");
  if (!c.sha256.empty() && !lower_hex(c.sha256, 64))
    r.error(place_of(*n), "policy.bad_value",
            fmt::format("dataClassification.sha256 must be 64 lower-case hexadecimal digits, not '{}'",
                        printable(c.sha256, 80)));
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
  if (!r.fields(node, kInject)) return;
  const Node *header = node.find("header"), *format = node.find("format");
  if (!header || !format) return;
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
    r.error(place_of(*format), "policy.bad_value",
            fmt::format("inject.format must be ASCII and contain {{secret}} once, not '{}'",
                        printable(out.format, 80)));
}

void read_credential(const Node& key, const Node& node, Reader& r, Document& out) {
  CredentialSource source{.place = place_of(key)};
  source.credential.name = read_name(key, r, "the name of a credential").value_or("");
  const std::string what = fmt::format("credential '{}'", printable(key.scalar, 60));
  if (!r.fields(node, kCredential, what)) return;
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
  if (!r.fields(node, kReview)) return;
  out.review_place = place_of(node);
  if (const Node* n = node.find("hold")) {
    out.review.hold_ms = r.duration_ms(*n, "review.hold").value_or(out.review.hold_ms);
    if (out.review.hold_ms > kMaxHoldMs)
      r.error(place_of(*n), "policy.bad_value",
              fmt::format("review.hold must be at most 10m, not '{}'", printable(n->scalar, 60)));
  }
  if (const Node* n = node.find("expires"))
    out.review.expires_ms = r.duration_ms(*n, "review.expires").value_or(out.review.expires_ms);
  if (const Node* n = node.find("approvers"))
    out.review.other_than_requester = r.one_of(*n, "review.approvers", kApprovers).value_or(false);
}

void read_trifecta(const Node& node, Reader& r, Document& out) {
  if (!r.fields(node, kTrifectaObject)) return;
  out.trifecta_place = place_of(node);
  if (const Node* n = node.find("privateAndUntrusted"))
    out.trifecta = r.one_of(*n, "trifecta.privateAndUntrusted", kTrifecta).value_or(Effect::deny);
}

void read_runtime_credential(const Node& node, Reader& r, Document& out) {
  if (!r.fields(node, kRuntimeCredential)) return;
  const Node* n = node.find("ttl");
  if (!n) return;
  out.credential_ttl_ms = r.duration_ms(*n, "runtimeCredential.ttl").value_or(out.credential_ttl_ms);
  if (out.credential_ttl_ms < 1000 || out.credential_ttl_ms > kMaxCredentialTtlMs)
    r.error(
        place_of(*n), "policy.bad_value",
        fmt::format("runtimeCredential.ttl must be between 1s and 1h, not '{}'", printable(n->scalar, 60)));
}

void read_inference_rule(const Node& node, Reader& r, Document& out) {
  if (!r.fields(node, kInference)) return;
  const Node *model = node.find("model"), *via = node.find("via"), *data = node.find("data");
  auto text = model ? r.text(*model, "a model") : std::nullopt;
  auto entry = via ? r.text(*via, "via") : std::nullopt;
  auto classes =
      data ? r.each_of(*data, "inference.data", kDataClasses) : std::vector{DataClass::public_data};
  if (!text || !entry) return;
  auto glob = Glob::create(*text, Glob::Kind::value);
  if (glob)
    out.inference.push_back({std::move(*glob), std::move(*entry), std::move(classes), place_of(node)});
  else
    r.error(place_of(*model), "policy.bad_glob", fmt::format("'{}': {}", printable(*text), glob.error()));
}

void read_inference(const Node& node, Reader& r, Document& out) {
  if (const auto* items = r.list(node, "inference"))
    for (const Node& item : *items) read_inference_rule(item, r, out);
}

void read_budget(const Node& node, Reader& r, Document& out) {
  if (!r.fields(node, kBudget)) return;
  out.budget_place = place_of(node);
  const Node* day = node.find("perDay");
  if (!day || !r.fields(*day, kPerDay)) return;
  out.budget = {.calls = read_count(*day, r, kPerDay, "calls"),
                .upload_bytes = read_size(*day, r, "uploadBytes"),
                .tokens = read_count(*day, r, kPerDay, "tokens")};
}

void read_head(const Node& root, Reader& r, Document& out) {
  if (const Node* n = root.find("apiVersion")) r.one_of(*n, "apiVersion", kApiVersions);
  if (const Node* n = root.find("kind")) r.one_of(*n, "kind", kKinds);
  if (const Node* n = root.find("metadata")) read_metadata(*n, r, out);
  if (const Node* n = root.find("profile")) {
    out.profile_place = place_of(*n);
    out.profile = r.one_of(*n, "profile", kProfiles).value_or(Profile::regulated);
  }
  // Absent: a machine of one's own may use namespaces, everything else is for virtual machines (R2).
  out.isolation = out.profile == Profile::local ? Isolation::namespaces : Isolation::vm;
  if (const Node* n = root.find("isolation")) {
    out.isolation_place = place_of(*n);
    out.isolation = r.one_of(*n, "isolation", kIsolations).value_or(Isolation::vm);
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
  if (!r.fields(root, kPolicy)) return out;
  read_head(root, r, out);
  if (const Node* n = root.find("dataClassification")) read_classification(*n, r, out);
  if (const Node* n = root.find("filesystem")) read_filesystem(*n, r, out);
  if (const Node* n = root.find("process")) read_process(*n, r, out);
  if (const Node* n = root.find("network")) read_network(*n, r, out);
  if (const Node* n = root.find("credentials")) read_credentials(*n, r, out);
  if (const Node* n = root.find("trifecta")) read_trifecta(*n, r, out);
  if (const Node* n = root.find("review")) read_review(*n, r, out);
  if (const Node* n = root.find("runtimeCredential")) read_runtime_credential(*n, r, out);
  if (const Node* n = root.find("inference")) read_inference(*n, r, out);
  if (const Node* n = root.find("budget")) read_budget(*n, r, out);
  return out;
}

}  // namespace saw::policy
