// Proofs about the log, as files that anybody checks without SAW (tools/verify_proof.py): that an entry is in
// it, that a later checkpoint only added to an earlier one, and that a session or call never had to do with a
// destination.
//
//   std::string file = SAW_TRY(prove_inclusion(directory, signer, 4711));
//   std::string file = SAW_TRY(prove_consistency(directory, signer, earlier_note));
//   std::string file = SAW_TRY(prove_absence(directory, signer, {"session", "ss-1", "evil.example"}));
//
// Each is JSON with the checkpoint that it leads to; the format is in docs/audit.md. What is issued has been
// checked here against that checkpoint. Inclusion and consistency read a few tiles; absence reads every entry.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/crypto.h"
#include "base/result.h"

namespace saw::audit {

struct LogSigner {
  std::string origin, public_key;  // 32 bytes
};

struct Absence {
  std::string scope, id, destination;  // scope: "session" or "call"; plain text, as a person writes it
};

// "audit.no_entry": the log is shorter.
Result<std::string> prove_inclusion(const std::string& directory, const LogSigner& signer, uint64_t entry);
// "audit.forked": the earlier checkpoint is not one of this log's past.
Result<std::string> prove_consistency(const std::string& directory, const LogSigner& signer,
                                      std::string_view earlier_note);
// "audit.present": it is there; the message names the first segment. "audit.no_index": an old checkpoint.
Result<std::string> prove_absence(const std::string& directory, const LogSigner& signer,
                                  const Absence& absence);

// The root to which a leaf and its audit path lead (RFC 6962 §2.1.1); nullopt when the path has another length
// than a tree of `size` gives it.
std::optional<Digest> root_from_path(const Digest& leaf, uint64_t index, uint64_t size,
                                     const std::vector<Digest>& path);

}  // namespace saw::audit
