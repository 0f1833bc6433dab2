#include "control/keys.h"

#include <unistd.h>

#include "base/bytes.h"
#include "base/file.h"

namespace saw::control {
namespace {

constexpr size_t kSeed = 32, kMaxOrigin = 200;

// The content of `path`, which is made from `fresh` the first time.
Result<std::string> keep(const std::string& path, std::string fresh, unsigned mode, size_t limit) {
  if (::access(path.c_str(), F_OK) != 0) SAW_TRY(replace_file(path, fresh, mode, Durability::fsync));
  return read_file(path, limit);
}

}  // namespace

Result<Keys> Keys::open(const std::string& directory) {
  SAW_TRY(make_directories(directory, 0700), "making the directory of keys");
  std::string audit_seed =
      SAW_TRY(keep(directory + "/audit.key", random_bytes(kSeed), 0600, kSeed), "reading the audit key");
  SigningKey audit = SAW_TRY(SigningKey::from_seed(audit_seed), "reading the audit key");
  std::string origin = SAW_TRY(keep(directory + "/audit.origin", random_id("saw.local/"), 0644, kMaxOrigin),
                               "reading the audit origin");
  std::string recorded = SAW_TRY(keep(directory + "/audit.pub", to_hex(audit.public_key()), 0644, 2 * kSeed),
                                 "reading the audit key");
  if (recorded != to_hex(audit.public_key()))
    return Error::make("control.keys", "'{}/audit.pub' does not belong to audit.key", directory);
  std::string seed = SAW_TRY(keep(directory + "/credential.key", random_bytes(kSeed), 0600, kSeed),
                             "reading the credential key");
  return Keys{std::move(audit_seed), std::move(origin), audit.public_key(),
              SAW_TRY(SigningKey::from_seed(seed), "reading the credential key"),
              SAW_TRY(store::Sealer::open(directory + "/secrets.key"))};
}

}  // namespace saw::control
