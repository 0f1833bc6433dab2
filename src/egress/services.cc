#include "egress/services.h"

#include <algorithm>

#include <openssl/crypto.h>

namespace saw::egress {
namespace {

void wipe(std::string& secret) {
  OPENSSL_cleanse(secret.data(), secret.size());
}

}  // namespace

Result<std::shared_ptr<Config>> Config::create(Configure message, const Clock& clock) {
  auto policy = policy::Policy::compile(message.policy_yaml, message.policy_name);
  if (!policy) {
    const auto& diagnostics = policy.error();
    return Error::make(
        "egress.policy", "{}",
        diagnostics.empty() ? std::string("the policy does not compile") : diagnostics.front().text());
  }
  UpstreamTls upstream = SAW_TRY(UpstreamTls::create(message.upstream_trust_pem));
  auto leaves = LeafIssuer::create(message.ca_certificate_pem, message.ca_key_pem, clock);
  wipe(message.ca_key_pem);
  if (!leaves) return std::unexpected(std::move(leaves).error());
  auto config =
      std::make_shared<Config>(message.epoch, std::move(*policy), std::move(upstream), std::move(*leaves));
  config->secrets = std::move(message.secrets);
  config->placeholders = std::move(message.placeholders);
  return config;
}

Config::~Config() {
  for (auto& [name, value] : secrets) wipe(value);
}

const policy::Credential* Config::credential(std::string_view name, std::string_view entry) const {
  for (const policy::Credential& c : policy.credentials()) {
    if (c.name != name) continue;
    return c.only.empty() || std::ranges::find(c.only, entry) != c.only.end() ? &c : nullptr;
  }
  return nullptr;
}

}  // namespace saw::egress
