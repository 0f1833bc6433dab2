// The control plane's own keys, one file each below <control>/keys, made at the first start, mode 0600, never
// replaced.
//
//   audit.key       Ed25519 seed: signs checkpoints          audit.pub, audit.origin: what a verifier needs
//   (mode 0644) credential.key  Ed25519 seed: signs runtime credentials secrets.key     seals the secret
//   store and the workspaces' CA keys
#pragma once

#include <string>

#include "base/crypto.h"
#include "store/seal.h"

namespace saw::control {

struct Keys {
  std::string audit_seed, audit_origin, audit_public;  // public: raw 32 bytes
  SigningKey credential;
  store::Sealer sealer;

  static Result<Keys> open(const std::string& directory);
};

}  // namespace saw::control
