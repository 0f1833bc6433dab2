// A signed proof, from whoever says that it is one: read or refused, and what is read is sealed to the same bytes again.
#include <cstdint>

#include "sandbox/proof.h"

using namespace saw;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // The key of 32 zero bytes: the corpus is signed with it.
  static const SigningKey key = SigningKey::from_seed(std::string(32, '\0')).value();
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  auto proof = sandbox::open_sealed(input, key.public_key());
  if (!proof) return 0;
  auto again = sandbox::open_sealed(sandbox::seal(*proof, key), key.public_key());
  SAW_CHECK(again.has_value() && again->probes == proof->probes && again->sandbox == proof->sandbox);
  return 0;
}
