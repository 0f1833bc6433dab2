// A policy of the language saw/v1, compiled: immutable, shareable between threads, and able to decide.
//
//   auto compiled = Policy::compile(yaml_text, "corp.yaml");
//   if (!compiled) for (const Diagnostic& d : compiled.error()) print(d.text());     // corp.yaml:12:9: unknown field 'hots' …
//   Decision d = compiled->decide(Request{.host = "api.example.com", .port = 443, .tls = true, .method = "GET", .target = "/a"});
//
// Meaning of the language: docs/policy.md. Default deny; deny > review > allow. Deciding is total on any bytes, takes no lock, does
// no I/O and reads no clock. Nothing here opens a file.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/crypto.h"

namespace saw::policy {

enum class Effect : uint8_t { allow, review, deny };
enum class Profile : uint8_t { public_data, corporate, regulated, local };  // "public" is a C++ keyword
enum class Isolation : uint8_t { namespaces, vm };
enum class Protocol : uint8_t { http, git, graphql, jsonrpc, mcp, websocket, registry, tcp };
enum class TlsMode : uint8_t { inspect, passthrough, none };
enum class RunLater : uint8_t { quarantine, deny };
std::string_view name(Effect);
std::string_view name(Profile);
// Whether a governed action waits until its record is durable (R100). `alongside` still means that nothing is
// admitted once the audit log has failed.
enum class Recording : uint8_t { before, alongside };
Recording recording(Profile);
std::string_view name(Protocol);
std::string_view name(TlsMode);

// Labels of a process tree, as bits.
using Labels = uint8_t;
constexpr Labels kPrivate = 1, kUntrusted = 2;

// One error or warning, with its place. Lines and columns count from 1.
struct Diagnostic {
  enum class Severity : uint8_t { error, warning } severity = Severity::error;
  std::string file;
  int line = 0, column = 0;
  std::string code;          // "policy.unknown_field"
  std::string message;       // what is wrong, what was expected, "did you mean …"
  std::string text() const;  // "file:line:column: error: message [code]"
};
using Diagnostics = std::vector<Diagnostic>;

struct Header {
  std::string_view name, value;
};  // names as they came; compared without case

// What is judged. Every view is borrowed for the length of the call.
struct Request {
  enum class Kind : uint8_t { http, websocket, tcp, dns } kind = Kind::http;
  std::string_view host;  // the destination's name as the agent meant it: DNS name or address literal
  uint16_t port = 443;
  bool tls = true;       // the agent speaks TLS to this destination
  std::string_view sni;  // with tls; empty: none was sent
  std::string_view method, target;
  std::span<const Header> headers;
  std::optional<std::string_view> body;  // where the endpoint's protocol needs it (Endpoint::body)
  // websocket: one message of the client; neither is the upgrade itself.
  std::optional<std::string_view> message;
  enum class Frame : uint8_t {
    text,
    binary
  } frame = Frame::text;           // binary: the message's bytes are not looked at
  std::optional<Nanos> published;  // registry: when the version asked for was published, if known
  std::string_view ip;             // the address that would be dialled, when known
  Labels labels = 0;
  Nanos time = 0;
  std::string_view agent, tool;
};

// The only answer of deciding. `rule` and `reason` of a Policy's decision point into that Policy or to static text.
struct Decision {
  Effect effect = Effect::deny;
  std::string_view rule;    // "network.github.review[0]"; empty when nothing matched
  std::string_view reason;  // "default-deny", "malformed:encoded-slash", "write", …: stable codes
  std::string_view entry;   // name of the network entry that decided, empty when nothing matched
  std::string
      canonical_target;  // what must be sent upstream instead of the target that came (http only; empty when refused early)
  // registry: an answer that lists versions is admitted without those younger than this; 0: no such duty.
  uint16_t min_age_days = 0;
};

// How the runtime must treat a destination before it sees a request.
enum class BodyNeed : uint8_t { none, whole };
struct Limits {
  uint64_t request_bytes = 1u << 20;
  uint32_t requests_per_minute = 0, concurrent = 0;
  uint64_t upload_bytes_per_hour = 0;
};  // 0: none
struct AddressRange {
  std::array<uint8_t, 16> base{};
  uint8_t prefix = 0;
};  // IPv4 as v4-mapped, prefix counts 128 bits
struct Endpoint {
  std::string_view entry;
  Protocol protocol = Protocol::http;
  TlsMode tls = TlsMode::inspect;
  std::string_view credential;              // empty: none
  std::span<const AddressRange> addresses;  // private ranges this entry may reach
  Limits limits;
  BodyNeed body = BodyNeed::none;  // whether decide() needs Request::body (up to limits.request_bytes)
};

// Whether what goes there is passed on as it is, unread.
inline bool passes_unread(const Endpoint& endpoint) {
  return endpoint.protocol == Protocol::tcp || endpoint.tls == TlsMode::passthrough;
}

// What a workspace may use up in a day; 0: no limit.
struct Budget {
  uint64_t calls = 0, upload_bytes = 0, tokens = 0;
};
// The data classification that the policy was written against (R79).
struct DataClassification {
  std::string name, sha256;
  uint32_t version = 0;
};

struct Credential {
  std::string name, secret;       // secret: its name in the secret store
  std::string header, format;     // inject: "Authorization", "Bearer {secret}"
  std::vector<std::string> only;  // entries
};
struct FileLabel {
  std::string path;
  Labels add = 0;
};
struct Filesystem {
  std::vector<std::string> read, write, deny;  // absolute, canonical
  std::vector<FileLabel> labels;
  RunLater run_later = RunLater::quarantine;
};
struct ProcessLimits {  // 0: no limit
  uint64_t memory_bytes = 0, pids = 0, open_files = 0, file_size_bytes = 0, wall_clock_ms = 0;
  double cpus = 0;
};
struct ReviewRules {
  int64_t hold_ms = 30'000, expires_ms = 86'400'000;
  bool other_than_requester = false;
};

struct Document;  // document.h

class Policy {
 public:
  // `file` is only for messages. Fails with at least one error; warnings of a policy that compiles are in warnings().
  static std::expected<Policy, Diagnostics> compile(std::string_view yaml, std::string_view file);

  Policy(Policy&&) noexcept;
  Policy& operator=(Policy&&) noexcept;
  ~Policy();

  const Digest& digest() const;     // SHA-256 of the YAML text
  const std::string& file() const;  // as compile() was given it
  const std::string& name() const;
  Profile profile() const;
  Isolation isolation() const;
  bool strict() const;
  const Filesystem& filesystem() const;
  const ProcessLimits& limits() const;
  const ReviewRules& review() const;
  int64_t credential_ttl_ms() const;
  const std::vector<Credential>& credentials() const;
  const Budget& budget() const;
  const std::optional<DataClassification>& data_classification() const;
  const Diagnostics& warnings() const;
  // The policy as it was read: for what looks at policies (lint, proofs, reports), not for deciding.
  const Document& document() const;
  std::string canonical() const;  // the compiled form as text, stable: what `saw policy show` prints

  Decision decide(const Request& request) const;
  // The same for who decides often: the answer is the Scratch's, until the next decision. Allocates nothing once the Scratch has grown,
  // but for bodies that are read as JSON and for package names.
  struct Scratch;  // scratch.h
  const Decision& decide(const Request& request, Scratch& scratch) const;

  // Whether some call of this MCP tool could be allowed or reviewed, whatever its arguments: which tools an answer
  // to tools/list may show. The request names destination, target and labels.
  bool offers_tool(const Request& request, std::string_view tool) const;
  // Whether some rule could admit anything for this name (any port): what DNS answers depend on.
  bool may_resolve(std::string_view host) const;
  // The treatment of (host, port); nullopt: no entry matches, so every request there is denied. Entries that share a destination and
  // differ by `to.paths` may differ in protocol, credential and addresses: without a target the answer then has no credential and no
  // addresses; with a decision's canonical target it is exact.
  std::optional<Endpoint> endpoint(std::string_view host, uint16_t port,
                                   std::string_view canonical_target = {}) const;

  struct Impl;  // compiled.h

 private:
  explicit Policy(std::unique_ptr<const Impl> impl);
  std::unique_ptr<const Impl> impl_;
};

}  // namespace saw::policy
