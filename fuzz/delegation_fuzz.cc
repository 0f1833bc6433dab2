// Reading a delegation is total, and what is read is what was written. The input is tried as a record, as the
// payload of a good signature, and as a glob in two scopes that are compared.
#include <cstdint>

#include "base/bytes.h"
#include "identity/chain.h"
#include "identity/jws.h"

namespace {

using namespace saw;
using namespace saw::identity;

constexpr JwsKind kKind = {.type = "saw-delegation+jws",
                           .prefix = "identity.delegation_",
                           .noun = "delegation",
                           .most = kMaxRecordBytes};

void compare_as_globs(std::string_view bytes) {
  constexpr size_t kMaxGlob = 40;
  if (bytes.size() > kMaxGlob) return;
  const Grant all{.actions = {ActionClass::read}, .tools = {"*"}, .resources = {"**"}, .labels = kAllLabels};
  Grant some = all;
  some.resources = {std::string(bytes)};
  auto outer = Scope::create({all}), inner = Scope::create({some});
  if (!inner) return;
  auto excess = inner->excess_over(*outer);
  if (excess) SAW_CHECK(!excess->has_value());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  static const SigningKey key = std::move(*SigningKey::from_seed(std::string(32, 's')));
  SAW_CHECK(!open_delegation(bytes, key.public_key()));
  if (auto read = open_delegation(seal_jws(kKind, key, bytes), key.public_key())) {
    auto again = open_delegation(seal(*read, key), key.public_key());
    SAW_CHECK(again && again->id == read->id && again->grants == read->grants &&
              again->expires == read->expires);
  }
  compare_as_globs(bytes);
  return 0;
}
