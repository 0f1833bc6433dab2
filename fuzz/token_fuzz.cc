// Resolving a credential is total, and nothing but a minted token resolves. The input is tried as a token,
// and as header and as claims under a good signature, which reaches the parsers behind it.
#include <cstdint>

#include "base/bytes.h"
#include "identity/identity.h"

namespace {

using namespace saw;
using namespace saw::identity;

constexpr Nanos kNow = 1'795'489'200 * kSecond;

// Knows every agent, sponsor and workspace, so that only the credential decides.
struct Generous final : Registry {
  std::optional<Registration> agent(std::string_view id) const override {
    return Registration{.id = std::string(id), .name = "a", .sponsor = "s", .state = AgentState::active};
  }
  std::optional<Sponsor> sponsor(std::string_view id) const override {
    return Sponsor{.id = std::string(id)};
  }
  std::optional<WorkspaceRef> workspace(std::string_view id) const override {
    return WorkspaceRef{.id = std::string(id), .owner = "s"};
  }
  bool is_revoked(Revocable, std::string_view) const override { return false; }
  uint64_t epoch() const override { return 0; }
  bool is_live(std::string_view) const override { return true; }
};
struct None final : DelegationSource {
  std::vector<std::string> records(std::string_view) const override { return {}; }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  static const SigningKey key = std::move(*SigningKey::from_seed(std::string(32, 's')));
  const Generous registry;
  const None none;
  Resolver resolver(key.public_key(), registry, none);
  SAW_CHECK(!resolver.resolve(bytes, "channel", kNow));

  const Minted good =
      mint(key, {.agent = "a", .sponsor = "s", .workspace = "w", .call = "c", .channel = "channel"}, kNow,
           kMinute);
  const std::string header = good.token.substr(0, good.token.find('.'));
  const std::string claims = good.token.substr(header.size() + 1, good.token.rfind('.') - header.size() - 1);
  for (const std::string& part : {header + "." + to_base64url(bytes), to_base64url(bytes) + "." + claims}) {
    auto authority = resolver.resolve(part + "." + to_base64url(key.sign(part)), "channel", kNow);
    if (authority)
      SAW_CHECK(authority->sponsor == "s" && authority->expires > kNow &&
                authority->expires <= kNow + kMaxCredentialTtl);
  }
  return 0;
}
