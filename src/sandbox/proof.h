// A proof of enforcement: that every probe of one sandbox went as it must, said by one saw-node and signed by it.
//
//   std::string sealed = seal(proof, key);                                    // saw-node
//   Proof proof = SAW_TRY(open_sealed(sealed, node_public_key));              // sawd, or anybody with the key
//
// The sealed form is a DSSE envelope (github.com/secure-systems-lab/dsse, v1): JSON with the base64 of a statement, which is JSON
// with sorted members and no spaces, and one Ed25519 signature over DSSE's pre-authentication encoding. It holds no path, and
// nothing that the sandbox's side wrote: only ids, names of probes and words from a fixed vocabulary.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/crypto.h"
#include "sandbox/plan.h"
#include "sandbox/probe_list.h"

namespace saw::sandbox {

constexpr size_t kMaxSealedProof = 48u << 10;  // an audit event holds it whole
constexpr std::string_view kProofType = "application/vnd.saw.proof+json";

struct Proof {
  enum class Occasion : uint8_t { start, again } occasion = Occasion::start;
  std::string node, workspace, session, sandbox;
  Depth depth = Depth::call;
  std::string plan_digest;
  Nanos time = 0;
  struct Entry {
    std::string probe, seen;
    bool operator==(const Entry&) const = default;
  };
  std::vector<Entry> probes;
  std::vector<std::string> not_applicable;  // probes that this sandbox or host has no use for
};

// Of outcomes that judge() accepted.
void fill_probes(Proof& proof, const ProbeSubject& subject, const std::vector<ProbeOutcome>& outcomes);

std::string seal(const Proof& proof, const SigningKey& key);
// Total on any bytes. Errors: "proof.malformed", "proof.signature".
Result<Proof> open_sealed(std::string_view sealed, std::string_view public_key);

}  // namespace saw::sandbox
