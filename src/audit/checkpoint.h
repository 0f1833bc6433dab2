// A checkpoint: the signed statement "this log has `size` entries, and this is the root of their Merkle tree"
// (c2sp.org/tlog-checkpoint, as a note of c2sp.org/signed-note with an Ed25519 signature).
//
//   std::string note = checkpoint_note(cp, key.public_key(), key.sign(checkpoint_body(cp)));
//   auto cp = open_checkpoint(note, "saw.example/audit", public_key);     // signature checked
//
// Parsing is total. Signature lines of others (witnesses) and extension lines that are not ours are allowed and
// ignored; at most kMaxExtensions of the latter.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/crypto.h"
#include "base/result.h"

namespace saw::audit {

constexpr size_t kMaxCheckpoint = 16'384, kMaxExtensions = 16;

struct Checkpoint {
  std::string origin;  // the log's name, also the name of its key
  uint64_t size = 0;
  Digest root{};
  std::optional<Digest> index;  // the root of the log's index (index.h), as an extension line
  bool operator==(const Checkpoint&) const = default;
};

// Non-empty printable ASCII without space and '+', as a key name of a signed note must be.
bool is_origin(std::string_view text);

std::string checkpoint_body(const Checkpoint&);  // what is signed
std::string checkpoint_note(const Checkpoint&, std::string_view public_key, std::string_view signature);

// Syntax only. "audit.checkpoint" when it is not a checkpoint.
Result<Checkpoint> parse_checkpoint(std::string_view note);
// As above, and of `origin`, signed by `public_key`: else "audit.origin", "audit.signature".
Result<Checkpoint> open_checkpoint(std::string_view note, std::string_view origin,
                                   std::string_view public_key);

}  // namespace saw::audit
