#include "policy/policy.h"

#include <algorithm>

#include <fmt/format.h>

#include "policy/check.h"
#include "policy/compiled.h"
#include "policy/read.h"
#include "policy/show.h"
#include "policy/vocabulary.h"

namespace saw::policy {

std::string_view name(Effect effect) {
  return name_of(kEffects, effect);
}
Recording recording(Profile profile) {
  return profile == Profile::local ? Recording::alongside : Recording::before;
}

std::string_view name(Profile profile) {
  return name_of(kProfiles, profile);
}
std::string_view name(Protocol protocol) {
  return name_of(kProtocols, protocol);
}
std::string_view name(TlsMode tls) {
  return name_of(kTlsModes, tls);
}

std::string Diagnostic::text() const {
  return fmt::format("{}:{}:{}: {}: {} [{}]", file, line, column,
                     severity == Severity::error ? "error" : "warning", message, code);
}

std::expected<Policy, Diagnostics> Policy::compile(std::string_view yaml, std::string_view file) {
  auto root = yaml::parse(yaml, file);
  if (!root) return std::unexpected(std::move(root.error()));
  Reader reader(file);
  auto impl = std::make_unique<Impl>();
  impl->document = read_document(*root, reader);
  if (!reader.failed()) {
    check_document(impl->document, reader);
    check_profile(impl->document, reader);
  }
  if (reader.failed()) return std::unexpected(reader.take());
  impl->warnings = reader.take();
  impl->digest = sha256(yaml);
  impl->file = file;
  build_indexes(*impl);
  return Policy(std::move(impl));
}

Policy::Policy(std::unique_ptr<const Impl> impl) : impl_(std::move(impl)) {}
Policy::Policy(Policy&&) noexcept = default;
Policy& Policy::operator=(Policy&&) noexcept = default;
Policy::~Policy() = default;

const Digest& Policy::digest() const {
  return impl_->digest;
}
const std::string& Policy::file() const {
  return impl_->file;
}
const std::string& Policy::name() const {
  return impl_->document.name;
}
Profile Policy::profile() const {
  return impl_->document.profile;
}
Isolation Policy::isolation() const {
  return impl_->document.isolation;
}
bool Policy::strict() const {
  return impl_->document.strict;
}
const Filesystem& Policy::filesystem() const {
  return impl_->document.filesystem;
}
const ProcessLimits& Policy::limits() const {
  return impl_->document.limits;
}
const ReviewRules& Policy::review() const {
  return impl_->document.review;
}
int64_t Policy::credential_ttl_ms() const {
  return impl_->document.credential_ttl_ms;
}
const std::vector<Credential>& Policy::credentials() const {
  return impl_->credentials;
}
const Budget& Policy::budget() const {
  return impl_->document.budget;
}
const std::optional<DataClassification>& Policy::data_classification() const {
  return impl_->document.classification;
}
const Document& Policy::document() const {
  return impl_->document;
}
const Diagnostics& Policy::warnings() const {
  return impl_->warnings;
}
std::string Policy::canonical() const {
  return show(impl_->document);
}

bool Policy::may_resolve(std::string_view host) const {
  auto canonical = HostName::parse(host);
  if (!canonical || canonical->address()) return false;
  bool found = false;
  impl_->hosts.anywhere(*canonical,
                        [&](uint32_t e) { return !(found = admits(impl_->document.network[e])); });
  return found;
}

namespace {

bool same_addresses(std::span<const AddressRange> a, std::span<const AddressRange> b) {
  return std::ranges::equal(a, b, [](const AddressRange& x, const AddressRange& y) {
    return x.base == y.base && x.prefix == y.prefix;
  });
}

// Whether what a request does stands in its body.
bool judged_by_body(const Policy::Impl& impl, uint32_t e) {
  const Entry& entry = impl.document.network[e];
  if (entry.tls == TlsMode::passthrough) return false;
  switch (entry.protocol) {
    case Protocol::git:
      return std::ranges::any_of(entry.rules, [](const Rule& rule) {
        return rule.effect != Effect::deny && (rule.everything || rule.op == GitOp::push);
      });
    case Protocol::graphql:
    case Protocol::jsonrpc:
    case Protocol::mcp:
      return true;
    case Protocol::http:
      return !impl.models[e].empty();
    case Protocol::websocket:
    case Protocol::registry:
    case Protocol::tcp:
      break;
  }
  return false;
}

Endpoint describe(const Policy::Impl& impl, uint32_t e) {
  const Entry& entry = impl.document.network[e];
  return {.entry = entry.name,
          .protocol = entry.protocol,
          .tls = entry.tls,
          .credential = entry.credential,
          .addresses = entry.addresses,
          .limits = entry.limits,
          .body = judged_by_body(impl, e) ? BodyNeed::whole : BodyNeed::none};
}

// Two entries for one destination: agreed values stay, and where they differ the one that grants less.
void narrow(Endpoint& endpoint, const Endpoint& other) {
  if (endpoint.credential != other.credential) endpoint.credential = {};
  if (!same_addresses(endpoint.addresses, other.addresses)) endpoint.addresses = {};
  if (endpoint.protocol != other.protocol) endpoint.protocol = Protocol::http;
  endpoint.limits.request_bytes = std::min(endpoint.limits.request_bytes, other.limits.request_bytes);
  endpoint.body = std::max(endpoint.body, other.body);
}

}  // namespace

std::optional<Endpoint> Policy::endpoint(std::string_view host, uint16_t port,
                                         std::string_view canonical_target) const {
  auto canonical = HostName::parse(host);
  if (!canonical) return {};
  const std::string_view path = canonical_target.substr(0, canonical_target.find('?'));
  std::optional<Endpoint> out;
  impl_->hosts.at(*canonical, port, [&](uint32_t e) {
    const Entry& entry = impl_->document.network[e];
    const bool here = path.empty() || entry.paths.empty() ||
                      std::ranges::any_of(entry.paths, [&](const Glob& g) { return g.matches(path); });
    if (!here) return true;
    if (out)
      narrow(*out, describe(*impl_, e));
    else
      out = describe(*impl_, e);
    return true;
  });
  return out;
}

}  // namespace saw::policy
