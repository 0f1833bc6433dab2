#include <algorithm>
#include <array>
#include <deque>
#include <future>

#include <poll.h>
#include <unistd.h>

#include "audit/checkpoint.h"
#include "audit/index.h"
#include "audit/journal.h"
#include "audit/log.h"
#include "audit/tile.h"
#include "audit/tree.h"
#include "base/bytes.h"
#include "base/file.h"

namespace saw::audit {
namespace {

constexpr size_t kMaxBundle = kTileWidth * (kMaxEntry + 2);
constexpr int kSnapshotAttempts = 50, kSnapshotPauseMs = 2;
constexpr int kReadAttempts = 16;
constexpr size_t kAhead = 4;  // bundles that are read and hashed while the walk is at an earlier one

// A file of the log, nothing when it cannot be read.
std::optional<std::string> load(const std::string& directory, const std::string& path, size_t limit) {
  auto bytes = read_file(directory + "/" + path, limit);
  if (!bytes) return {};
  return std::move(*bytes);
}

uint64_t width_at(uint64_t size, size_t level) {
  return (size >> (8 * level)) % kTileWidth;
}
uint64_t tile_at(uint64_t size, size_t level) {
  return (size >> (8 * level)) / kTileWidth;
}

// What changes while a daemon appends, read so that it belongs to one checkpoint. Full tiles never change.
struct Snapshot {
  std::string note;
  std::optional<std::string> bundle;                          // partial
  std::array<std::optional<std::string>, kMaxLevels> hashes;  // partial
  std::optional<std::string> journal;
};

Snapshot snapshot_once(const std::string& directory) {
  Snapshot s;
  s.note = load(directory, "checkpoint", kMaxCheckpoint).value_or("");
  const auto cp = parse_checkpoint(s.note);
  const uint64_t size = cp ? cp->size : 0;
  if (uint64_t width = width_at(size, 0))
    s.bundle = load(directory, bundle_path(tile_at(size, 0)) + partial_suffix(width), kMaxBundle);
  for (size_t l = 0; l < kMaxLevels; ++l)
    if (uint64_t width = width_at(size, l))
      s.hashes[l] =
          load(directory, tile_path(l, tile_at(size, l)) + partial_suffix(width), kTileWidth * kHashSize);
  s.journal = load(directory, "journal", kMaxJournal);
  return s;
}

// Between the flush of the journal and the new checkpoint, the journal is ahead for a moment; a writer that
// is alive catches up.
bool settled(const Snapshot& s, const std::string& directory) {
  if (load(directory, "checkpoint", kMaxCheckpoint).value_or("") != s.note) return false;
  const auto cp = parse_checkpoint(s.note);
  if (!cp || !s.journal) return true;
  const auto journal = parse_journal(*s.journal);
  return !journal || journal->end() <= cp->size;
}

Snapshot take_snapshot(const std::string& directory) {
  for (int attempt = 1;; ++attempt) {
    Snapshot s = snapshot_once(directory);
    if (settled(s, directory) || attempt == kSnapshotAttempts) return s;
    ::poll(nullptr, 0, kSnapshotPauseMs);
  }
}

// A bundle with what can be worked out from it alone, on another thread than the walk's.
struct Prepared {
  std::optional<std::string> bytes, stored;  // its entries; the tile in which their hashes should be
  std::vector<Digest> leaves;
  std::vector<std::vector<Digest>> keys;
  size_t rest_bytes = 0;  // behind the entries
};

Prepared prepare(std::optional<std::string> bytes, std::optional<std::string> stored, uint64_t count) {
  Prepared out{.bytes = std::move(bytes), .stored = std::move(stored)};
  BundleReader reader(out.bytes ? std::string_view(*out.bytes) : std::string_view());
  while (out.leaves.size() < count) {
    const auto entry = reader.next();
    if (!entry) break;
    out.leaves.push_back(leaf_hash(*entry));
    out.keys.push_back(entry_keys(*entry));
  }
  out.rest_bytes = reader.rest().size();
  return out;
}

// Walks the entries, rebuilds the tree, and remembers the first disagreement of each kind.
class Walk {
 public:
  Walk(const std::string& directory, const Checkpoint& cp, const Snapshot& snapshot)
      : directory_(directory), cp_(cp), snapshot_(snapshot) {}

  VerifyReport run(JournalNeed need);

 private:
  std::future<Prepared> begin_bundle(uint64_t index) const;
  bool walk_bundle(uint64_t index, const Prepared& bundle);
  void entry(uint64_t index, const Digest& leaf, const std::optional<std::string>& stored);
  void completed_tile(const HashTile& tile);
  void partial_tiles();
  void compare(size_t level, uint64_t index, std::string_view computed,
               const std::optional<std::string>& stored, const std::string& path);
  void journal(JournalNeed need);
  std::optional<uint64_t> differs_from_journal() const;
  std::optional<std::string> load_bundle(uint64_t index) const;
  VerifyReport conclude() const;
  VerifyReport bad(std::optional<uint64_t> entry, std::string problem) const {
    return {false, cp_.size, digest_text(cp_.root), entry, std::move(problem)};
  }

  const std::string& directory_;
  const Checkpoint& cp_;
  const Snapshot& snapshot_;
  Tree tree_;
  LogIndex index_;
  std::optional<uint64_t> lost_;  // the entry at which the walk had to stop
  std::string lost_problem_;
  std::optional<uint64_t> mismatch_;    // the first entry whose hash is not the stored one
  size_t mismatch_level_ = kMaxLevels;  // … found at this level: 0 names the entry, L names a run of 256^L
  std::string tile_problem_, extra_problem_, journal_problem_;
  std::optional<uint64_t> extra_;
};

// `stored`: the tile of leaf hashes in which this entry's hash should be.
void Walk::entry(uint64_t index, const Digest& leaf, const std::optional<std::string>& stored) {
  std::vector<HashTile> completed;
  if (stored && mismatch_level_ > 0) {
    const size_t at = std::min<size_t>(index % kTileWidth * kHashSize, stored->size());
    if (std::string_view(*stored).substr(at, kHashSize) != view(leaf)) mismatch_ = index, mismatch_level_ = 0;
  }
  tree_.add(leaf, completed);
  for (const HashTile& tile : completed) completed_tile(tile);
}

void Walk::compare(size_t level, uint64_t index, std::string_view computed,
                   const std::optional<std::string>& stored, const std::string& path) {
  if (stored && *stored == computed) return;
  if (tile_problem_.empty())
    tile_problem_ =
        fmt::format("the hash tile '{}' {}", path, stored ? "does not match the entries" : "is missing");
  if (!stored || level == 0 || mismatch_level_ <= level) return;
  for (size_t i = 0; i < kTileWidth; ++i) {
    std::string_view ours = computed.substr(std::min(i * kHashSize, computed.size()), kHashSize);
    if (std::string_view(*stored).substr(std::min(i * kHashSize, stored->size()), kHashSize) == ours)
      continue;
    mismatch_level_ = level;
    mismatch_ = (index * kTileWidth + i) << (8 * level);
    return;
  }
}

void Walk::completed_tile(const HashTile& tile) {
  const std::string path = tile_path(tile.level, tile.index);
  compare(tile.level, tile.index, tile.hashes, load(directory_, path, kTileWidth * kHashSize), path);
}

void Walk::partial_tiles() {
  for (size_t l = 0; l < kMaxLevels; ++l) {
    if (tree_.level(l).empty()) continue;
    const uint64_t index = tile_at(cp_.size, l);
    compare(l, index, tree_.level(l), snapshot_.hashes[l],
            tile_path(l, index) + partial_suffix(width_at(cp_.size, l)));
  }
}

std::future<Prepared> Walk::begin_bundle(uint64_t index) const {
  // Without a thread to be had, the walk does it itself.
  return std::async(std::launch::async | std::launch::deferred, [this, index] {
    const uint64_t count = std::min<uint64_t>(kTileWidth, cp_.size - index * kTileWidth);
    return prepare(load_bundle(index),
                   count < kTileWidth ? snapshot_.hashes[0]
                                      : load(directory_, tile_path(0, index), kTileWidth * kHashSize),
                   count);
  });
}

// False when the walk cannot go on.
bool Walk::walk_bundle(uint64_t index, const Prepared& bundle) {
  const uint64_t first = index * kTileWidth, count = std::min<uint64_t>(kTileWidth, cp_.size - first);
  const std::string path = bundle_path(index) + (count < kTileWidth ? partial_suffix(count) : "");
  if (!bundle.bytes) {
    lost_ = first,
    lost_problem_ = fmt::format("'{}' with entries {} to {} is missing", path, first, first + count - 1);
    return false;
  }
  for (size_t i = 0; i < bundle.leaves.size(); ++i) {
    entry(first + i, bundle.leaves[i], bundle.stored);
    if (cp_.index) index_.add_keys(bundle.keys[i]);
  }
  if (bundle.leaves.size() < count) {
    lost_ = first + bundle.leaves.size();
    lost_problem_ = fmt::format("'{}' ends before entry {}", path, *lost_);
    return false;
  }
  if (bundle.rest_bytes > 0 && !extra_)
    extra_ = first + count,
    extra_problem_ = fmt::format("'{}' goes on after entry {}", path, first + count - 1);
  return true;
}

// A journal that knows fewer entries than the checkpoint, or more, or others.
void Walk::journal(JournalNeed need) {
  if (!snapshot_.journal) {
    // Where there is a writer's lock, this is the writer's directory and no copy.
    if (need == JournalNeed::required || ::access((directory_ + "/lock").c_str(), F_OK) == 0)
      journal_problem_ = "the journal is missing: what was recorded last may have been removed";
    return;
  }
  auto journal = parse_journal(*snapshot_.journal);
  if (!journal) {
    journal_problem_ = journal.error().message;
  } else if (journal->end() < cp_.size) {
    journal_problem_ = fmt::format("the journal ends before entry {}, the checkpoint says {} entries",
                                   journal->end(), cp_.size);
  } else if (journal->end() > cp_.size) {
    journal_problem_ = fmt::format(
        "the checkpoint says {} entries, the journal {}: an old checkpoint was put back, or the daemon died "
        "while publishing and has not been started since",
        cp_.size, journal->end());
  }
}

// When entries and tiles were rewritten alike, a journal that still leads to the signed root knows which
// recent entry was changed.
std::optional<uint64_t> Walk::differs_from_journal() const {
  if (!snapshot_.journal) return {};
  auto journal = parse_journal(*snapshot_.journal);
  if (!journal || journal->end() != cp_.size) return {};
  auto tree = Tree::restore(journal->header.start, journal->header.levels);
  if (!tree) return {};
  std::optional<uint64_t> differs;
  std::optional<std::string> bundle;
  std::vector<HashTile> completed;
  BundleReader found("");
  for (const JournalFrame& frame : journal->frames) {
    BundleReader reader(frame.entries);
    while (auto recorded = reader.next()) {
      if (tree->size() % kTileWidth == 0) {
        bundle = load_bundle(tree->size() / kTileWidth);
        found = BundleReader(bundle ? std::string_view(*bundle) : std::string_view());
      }
      if (found.next() != recorded && !differs) differs = tree->size();
      tree->add(leaf_hash(*recorded), completed);
    }
  }
  return tree->root() == cp_.root ? differs : std::nullopt;
}

std::optional<std::string> Walk::load_bundle(uint64_t index) const {
  return index == tile_at(cp_.size, 0) ? snapshot_.bundle : load(directory_, bundle_path(index), kMaxBundle);
}

VerifyReport Walk::conclude() const {
  const bool same = !lost_ && tree_.root() == cp_.root;
  if (auto index = same || mismatch_level_ == 0 ? std::nullopt : differs_from_journal())
    return bad(index,
               fmt::format("entry {} is not what was signed, and its hash was rewritten or removed", *index));
  if (!same && mismatch_ && (!lost_ || *mismatch_ <= *lost_)) {
    const std::string where = mismatch_level_ == 0
                                  ? fmt::format("entry {}", *mismatch_)
                                  : fmt::format("an entry between {} and {}", *mismatch_,
                                                *mismatch_ + (uint64_t{1} << (8 * mismatch_level_)) - 1);
    return bad(mismatch_, fmt::format("{} is not what was signed", where));
  }
  if (lost_) return bad(lost_, lost_problem_);
  if (!same)
    return bad({},
               "the entries are not those that the checkpoint signs, and all hash tiles were rewritten to "
               "match them");
  if (extra_) return bad(extra_, extra_problem_);
  if (cp_.index && *cp_.index != index_.root())
    return bad({},
               "the index that the checkpoint signs is not that of the entries: absence cannot be proved");
  if (!tile_problem_.empty()) return bad({}, tile_problem_);
  if (!journal_problem_.empty()) return bad({}, journal_problem_);
  return {true, cp_.size, digest_text(cp_.root), {}, ""};
}

VerifyReport Walk::run(JournalNeed need) {
  std::deque<std::future<Prepared>> ahead;
  const uint64_t bundles = (cp_.size + kTileWidth - 1) / kTileWidth;
  for (uint64_t index = 0; index < bundles; ++index) {
    while (ahead.size() < kAhead && index + ahead.size() < bundles)
      ahead.push_back(begin_bundle(index + ahead.size()));
    const Prepared bundle = ahead.front().get();
    ahead.pop_front();
    if (!walk_bundle(index, bundle)) return conclude();
  }
  partial_tiles();
  journal(need);
  return conclude();
}

}  // namespace

VerifyReport verify(const std::string& directory, std::string_view origin, std::string_view public_key,
                    JournalNeed need) {
  Snapshot snapshot = take_snapshot(directory);
  if (snapshot.note.empty()) {
    auto why = read_file(directory + "/checkpoint", kMaxCheckpoint);
    return {.problem = why ? "the checkpoint is empty" : why.error().message};
  }
  auto cp = open_checkpoint(snapshot.note, origin, public_key);
  if (!cp) return {.problem = cp.error().message};
  return Walk(directory, *cp, snapshot).run(need);
}

Result<uint64_t> checkpoint_size(const std::string& directory) {
  std::string note =
      SAW_TRY(read_file(directory + "/checkpoint", kMaxCheckpoint), "reading the audit log's checkpoint");
  return SAW_TRY(parse_checkpoint(note)).size;
}

namespace {

// Appends entries [first, end) of one bundle to `out`; false when the bundle has been superseded meanwhile.
Result<bool> read_bundle(const std::string& directory, uint64_t size, uint64_t first, uint64_t end,
                         std::vector<std::string>& out) {
  const uint64_t index = first / kTileWidth,
                 width = std::min<uint64_t>(kTileWidth, size - index * kTileWidth);
  std::string path = bundle_path(index) + (width < kTileWidth ? partial_suffix(width) : "");
  auto bytes = read_file(directory + "/" + path, kMaxBundle);
  if (!bytes && bytes.error().os_errno == ENOENT && width < kTileWidth) return false;
  if (!bytes)
    return std::unexpected(std::move(bytes).error().within(fmt::format("reading audit entry {}", first)));
  BundleReader reader(*bytes);
  for (uint64_t i = index * kTileWidth; i < end; ++i) {
    auto entry = reader.next();
    if (!entry) return Error::make("audit.damaged", "'{}' ends before entry {}", path, i);
    if (i >= first) out.emplace_back(*entry);
  }
  return true;
}

}  // namespace

Result<std::vector<std::string>> read_entries(const std::string& directory, uint64_t first, uint64_t count) {
  std::vector<std::string> out;
  uint64_t size = SAW_TRY(checkpoint_size(directory));
  const uint64_t end = first >= size ? first : first + std::min(count, size - first);
  for (int attempts = 0; first < end;) {
    const uint64_t stop = std::min(end, (first / kTileWidth + 1) * kTileWidth);
    if (SAW_TRY(read_bundle(directory, size, first, stop, out))) {
      first = stop;
    } else {
      if (++attempts == kReadAttempts)
        return Error::make("audit.damaged", "the bundle of entry {} is missing", first);
      size = SAW_TRY(checkpoint_size(directory));
    }
  }
  return out;
}

}  // namespace saw::audit
