// The audit log: events as leaves of a Merkle tree (RFC 6962 hashing), on disk in the C2SP tlog-tiles layout
// with a checkpoint signed by Ed25519 (c2sp.org/tlog-checkpoint, signed note).
//
//   auto log = SAW_TRY(Log::open(directory, origin, key));  // creates it; recovers from a crash at any byte
//   uint64_t index = SAW_TRY(log.record(lines));            // durable when it returns: one flush for all lines
//   SAW_TRY(log.publish());                                 // readers see them: tiles and a signed checkpoint
//
// One writer (a lock on the directory sees to it), one thread at a time. record() writes the journal and
// flushes it; publish() writes what readers look at, once for any number of records. A record may publish
// first, when the journal would grow beyond its bound. Recovery gives a prefix of what was recorded that
// contains everything record() returned for, and publishes it. If the disk refuses, the call fails and
// everything after it fails until reopen ("audit.failed"): the caller must refuse governed actions (R100).
//
// open() refuses, and does not repair, what no crash explains: "audit.truncated" (fewer entries than the
// checkpoint or the tiles say), "audit.forked" (other entries than the checkpoint says), "audit.rollback" (an
// old checkpoint), "audit.damaged", "audit.signature".
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/crypto.h"
#include "base/result.h"

namespace saw::audit {

class Disk;

class Log {
 public:
  // When the journal is settled: what it holds beyond this is flushed as tiles, and a new one begun. Trades
  // flushes against the length of recovery.
  struct Limits {
    uint64_t settle_entries = 16'384, settle_bytes = 16u << 20;
  };
  static Result<Log> open(const std::string& directory, std::string origin, SigningKey key);
  static Result<Log> open(const std::string& directory, std::string origin, SigningKey key,
                          std::unique_ptr<Disk> disk, Limits limits);
  Log(Log&&) noexcept;
  Log& operator=(Log&&) noexcept;
  ~Log();

  static constexpr size_t kMaxBatchBytes = 16u << 20;
  static constexpr size_t kMaxUnpublishedBytes = 32u
                                                 << 20;  // of journal; a record beyond them publishes first

  // Index of the first of `lines`. Each line: no '\n', at most 64 KiB - 1; all together at most
  // kMaxBatchBytes. Lines that are not so are refused ("audit.line") without harm to the log.
  Result<uint64_t> record(std::span<const std::string> lines);
  Result<> publish();
  Result<uint64_t> append(std::span<const std::string> lines);  // record() and publish()
  uint64_t size() const;                                        // durable entries
  uint64_t published() const;                                   // entries that readers see
  Digest root() const;                                          // of the durable entries

 private:
  struct State;
  explicit Log(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// Reading needs no key and no running daemon.

struct VerifyReport {
  bool ok = false;
  uint64_t entries = 0;
  std::string root;                         // "sha256:…"
  std::optional<uint64_t> first_bad_entry;  // where the record stops being what was signed
  std::string problem;                      // a sentence: what is wrong and where
};
// A copy of a log may lack the journal. The directory in which a writer works may not, and one with a writer's
// lock in it is taken for such.
enum class JournalNeed : uint8_t { optional, required };
// Recomputes every hash from the entries, compares with tiles, index, checkpoint and signature (by `public_key`,
// 32 bytes), and the journal. Also while a daemon appends. Memory does not grow with the log, but for 32 bytes
// per kSegmentEntries (index.h).
VerifyReport verify(const std::string& directory, std::string_view origin, std::string_view public_key,
                    JournalNeed journal);

// Entries [first, first + count) as they are on disk, at most what the checkpoint covers. Errors name the
// entry.
Result<std::vector<std::string>> read_entries(const std::string& directory, uint64_t first, uint64_t count);
Result<uint64_t> checkpoint_size(const std::string& directory);

}  // namespace saw::audit
