#include "egress/services.h"

#include <algorithm>

#include <openssl/crypto.h>
#include <sys/resource.h>

#include "policy/document.h"
#include "policy/projectable.h"

namespace saw::egress {
namespace {

void wipe(std::string& secret) {
  OPENSSL_cleanse(secret.data(), secret.size());
}

}  // namespace

Result<std::shared_ptr<Config>> Config::create(Configure message, const Clock& clock, const Config* before) {
  auto policy = policy::Policy::compile(message.policy_yaml, message.policy_name);
  if (!policy) {
    const auto& diagnostics = policy.error();
    return Error::make(
        "egress.policy", "{}",
        diagnostics.empty() ? std::string("the policy does not compile") : diagnostics.front().text());
  }
  // Whoever sent it should have refused it: what is not enforced here is not loaded here.
  if (const auto later = policy::unprojectable(*policy); !later.empty())
    return Error::make("egress.policy", "{}", policy::lines_of(later));
  const Digest source = sha256(message.upstream_trust_pem);
  std::shared_ptr<const UpstreamTls> upstream =
      before && before->upstream_source == source ? before->upstream : nullptr;
  if (!upstream)
    upstream = std::make_shared<const UpstreamTls>(SAW_TRY(UpstreamTls::create(message.upstream_trust_pem)));
  auto leaves = LeafIssuer::create(message.ca_certificate_pem, message.ca_key_pem, clock);
  wipe(message.ca_key_pem);
  if (!leaves) return std::unexpected(std::move(leaves).error());
  auto config = std::make_shared<Config>(message.epoch, std::move(*policy), std::move(*leaves));
  config->upstream = std::move(upstream);
  config->upstream_source = source;
  config->secrets = std::move(message.secrets);
  config->placeholders = std::move(message.placeholders);
  for (const policy::Credential& credential : config->policy.credentials()) {
    auto secret = config->secrets.find(credential.secret);
    if (secret == config->secrets.end()) continue;
    auto rendered = render_credential(credential.format, secret->second);
    if (!rendered) continue;  // its use is refused with the reason
    for (Needle& needle : config->needles_of(credential, *rendered))
      if (needle.secret.size() >= kMinNeedle) config->needles.push_back(std::move(needle));
  }
  return config;
}

Config::Config(uint64_t e, policy::Policy p, LeafIssuer l)
    : epoch(e), policy(std::move(p)), leaves(std::move(l)) {
  for (const policy::Entry& entry : policy.document().network) limits_[entry.name] = entry.limits;
}
Config::~Config() {
  for (auto& [name, value] : secrets) wipe(value);
  for (Needle& needle : needles) wipe(needle.secret);
}

std::vector<Needle> Config::needles_of(const policy::Credential& credential,
                                       const RenderedCredential& rendered) const {
  std::vector<Needle> out;
  out.reserve(rendered.sensitive.size());
  auto placeholder = placeholders.find(credential.secret);
  for (const std::string& form : rendered.sensitive)
    out.push_back({form, placeholder == placeholders.end() ? std::string() : placeholder->second});
  return out;
}

size_t affordable_connections() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  constexpr rlim_t kMost = 1u << 20;
  return static_cast<size_t>(std::min(limit.rlim_cur, kMost) * 3 / 8);
}

const policy::Credential* Config::credential(std::string_view name, std::string_view entry) const {
  for (const policy::Credential& c : policy.credentials()) {
    if (c.name != name) continue;
    return c.only.empty() || std::ranges::find(c.only, entry) != c.only.end() ? &c : nullptr;
  }
  return nullptr;
}

Allowance::Subject Config::subject(std::string_view agent, std::string_view entry) const {
  auto found = limits_.find(entry);
  return {.agent = agent,
          .entry = entry,
          .limits = found == limits_.end() ? policy::Limits() : found->second,
          .budget = policy.budget()};
}

}  // namespace saw::egress
