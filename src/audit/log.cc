#include "audit/log.h"

#include <algorithm>
#include <set>

#include <fcntl.h>
#include <unistd.h>

#include "audit/checkpoint.h"
#include "audit/disk.h"
#include "audit/index.h"
#include "audit/journal.h"
#include "audit/tile.h"
#include "audit/tree.h"

namespace saw::audit {
namespace {

struct Bundle {
  uint64_t index = 0;
  std::string entries;
};

constexpr size_t kMaxIndexFile = 256u << 20;
enum class Segments : uint8_t { stored, recomputed };

// What became full and is not published yet.
struct Grown {
  std::vector<Bundle> bundles;
  std::vector<HashTile> tiles;
};

Result<> check_lines(std::span<const std::string> lines) {
  size_t total = 0;
  for (const std::string& line : lines) {
    if (line.size() > kMaxEntry)
      return Error::make("audit.line", "an audit event of {} bytes is longer than {}", line.size(),
                         kMaxEntry);
    if (line.find('\n') != line.npos) return Error::make("audit.line", "an audit event contains a line feed");
    total += line.size() + 2;
  }
  if (total > Log::kMaxBatchBytes)
    return Error::make("audit.line", "{} bytes of audit events in one append are too many", total);
  return {};
}

}  // namespace

struct Log::State {
  std::string directory, origin;
  SigningKey key;
  std::unique_ptr<Disk> disk;
  Limits limits;
  Fd lock, journal;
  uint64_t journal_size = 0;
  Tree tree;
  LogIndex keys;                   // by which absence is proved
  size_t stored_segments = 0;      // of the index, on disk
  std::string bundle;              // entries of the incomplete bundle
  std::set<std::string> partials;  // published partial tiles, by path below `directory`
  uint64_t journal_start = 0;
  std::vector<std::string> unflushed;  // full tiles since journal_start
  Checkpoint durable;                  // what record() has returned for
  std::string signature;               // of it
  Grown grown;
  uint64_t published = 0;
  bool failed = false;

  std::string at(std::string_view path) const { return fmt::format("{}/{}", directory, path); }
  Checkpoint checkpoint() const { return {origin, tree.size(), tree.root(), {}}; }

  Result<> usable() const {
    if (!failed) return {};
    return Error::make("audit.failed",
                       "the audit log failed earlier and takes nothing until it is opened again");
  }
  void add(std::string_view entry);
  Result<> create();
  Result<> recover();
  Result<bool> replay(const Journal& journal, const std::optional<Checkpoint>& known, Segments from);
  Result<> restore_index(uint64_t start, Segments from);
  Result<std::optional<Checkpoint>> read_checkpoint() const;
  Result<> check_last_bundle(uint64_t start) const;
  Result<> commit(std::span<const std::string> lines);
  Result<> publish();
  Result<> publish_partials(std::set<std::string>& current);
  Result<> settle();
  Result<> sweep();
};

void Log::State::add(std::string_view entry) {
  append_entry(bundle, entry);
  keys.add(entry);
  tree.add(leaf_hash(entry), grown.tiles);
  if (tree.size() % kTileWidth == 0)
    grown.bundles.push_back({tree.size() / kTileWidth - 1, std::exchange(bundle, {})});
}

// The journal comes first: whatever else exists without it was not left by a crash.
Result<> Log::State::create() {
  if (::access(at("checkpoint").c_str(), F_OK) == 0 || ::access(at("tile").c_str(), F_OK) == 0)
    return Error::make("audit.damaged", "the audit log '{}' has lost its journal", directory);
  std::string header = encode_journal({.signature = key.sign(checkpoint_body(checkpoint()))});
  SAW_TRY(disk->replace(at("journal"), header, Durability::fsync));
  return disk->flush({directory}, directory.substr(0, directory.find_last_of('/') + 1));
}

// An empty file is what a power failure can leave of an unflushed rename; anything else that is no checkpoint
// of ours is not.
Result<std::optional<Checkpoint>> Log::State::read_checkpoint() const {
  auto note = read_file(at("checkpoint"), kMaxCheckpoint);
  if (!note && note.error().os_errno != ENOENT) return std::unexpected(std::move(note).error());
  if (!note || note->empty()) return std::optional<Checkpoint>();
  return std::optional(SAW_TRY(open_checkpoint(*note, origin, key.public_key())));
}

Result<> Log::State::recover() {
  std::string bytes = SAW_TRY(read_file(at("journal"), kMaxJournal));
  Journal parsed = SAW_TRY(parse_journal(bytes));
  auto known = SAW_TRY(read_checkpoint());
  if (known && known->size > parsed.end())
    return Error::make("audit.truncated", "the checkpoint says {} entries, but entry {} is not on disk",
                       known->size, parsed.end());
  if (known && known->size < parsed.header.start)
    return Error::make("audit.rollback", "the checkpoint says {} entries, the journal starts at {}",
                       known->size, parsed.header.start);
  SAW_TRY(check_last_bundle(parsed.header.start));
  if (!SAW_TRY(replay(parsed, known, Segments::stored)) &&
      !SAW_TRY(replay(parsed, known, Segments::recomputed)))
    return Error::make("audit.forked", "the checkpoint's index is not that of the entries on disk");
  journal = SAW_TRY(Fd::open(at("journal"), O_WRONLY));
  journal_size = parsed.good_bytes, journal_start = parsed.header.start;
  if (bytes.size() > parsed.good_bytes) SAW_TRY(disk->truncate(journal, journal_size));
  durable = checkpoint(), signature = parsed.signature();
  SAW_TRY(publish());
  return sweep();
}

// The index of the entries before the journal: its finished segments from the file where they are, and the
// entries after those. A file that was lost or changed shows in the index's root, and all is recomputed.
Result<> Log::State::restore_index(uint64_t start, Segments from) {
  std::vector<Digest> sealed;
  const auto bytes = from == Segments::stored ? read_file(at("index"), kMaxIndexFile) : std::string();
  const size_t known = bytes ? bytes->size() / kHashSize : 0;
  for (size_t i = 0; i < std::min<uint64_t>(known, start / kSegmentEntries); ++i) {
    Digest& commitment = sealed.emplace_back();
    bytes->copy(reinterpret_cast<char*>(commitment.data()), kHashSize, i * kHashSize);
  }
  keys = LogIndex::restore(std::move(sealed));
  stored_segments = keys.sealed().size();
  while (keys.size() < start) {
    const std::string path = bundle_path(keys.size() / kTileWidth);
    const std::string entries = SAW_TRY(read_file(at(path), kMaxJournal), "restoring the audit log's index");
    BundleReader reader(entries);
    const uint64_t before = keys.size();
    while (auto entry = reader.next()) keys.add(*entry);
    if (keys.size() - before != kTileWidth)
      return Error::make("audit.damaged", "'{}' does not hold {} entries", path, kTileWidth);
  }
  return {};
}

// False when the entries are right and the index is not that of the checkpoint.
Result<bool> Log::State::replay(const Journal& parsed, const std::optional<Checkpoint>& known,
                                Segments from) {
  bool agreed = true, indexed = true;
  auto compare = [&] {
    if (!known || known->size != tree.size()) return;
    agreed = known->root == tree.root();
    indexed = !known->index || *known->index == keys.root();
  };
  grown = {}, bundle.clear();
  SAW_TRY(restore_index(parsed.header.start, from));
  tree = SAW_TRY(Tree::restore(parsed.header.start, parsed.header.levels), "the journal's header");
  compare();
  for (const JournalFrame& frame : parsed.frames) {
    BundleReader reader(frame.entries);
    while (auto entry = reader.next()) {
      add(*entry);
      compare();
    }
  }
  if (!agreed)
    return Error::make("audit.forked", "the entries on disk are not those that the checkpoint signs");
  if (!verify_signature(key.public_key(), checkpoint_body(checkpoint()), parsed.signature()))
    return Error::make("audit.signature", "the journal is not signed by this log's key");
  // Without a checkpoint nothing vouches for the file.
  return indexed && (known || from == Segments::recomputed);
}

// The bundle before the journal must be there and be what the tree was made of: a cheap sign that tiles and
// journal belong together. The rest is verify()'s work.
Result<> Log::State::check_last_bundle(uint64_t start) const {
  if (start == 0) return {};
  const uint64_t index = start / kTileWidth - 1;
  auto bytes = read_file(at(bundle_path(index)), kMaxJournal);
  auto hashes = read_file(at(tile_path(0, index)), kTileWidth * kHashSize);
  if (!bytes || !hashes)
    return Error::make("audit.truncated",
                       "the journal starts at entry {}, but the tiles of entry {} are not on disk", start,
                       start - 1);
  BundleReader reader(*bytes);
  std::string found;
  while (auto entry = reader.next()) found += view(leaf_hash(*entry));
  if (!reader.rest().empty() || found != *hashes || found.size() != kTileWidth * kHashSize)
    return Error::make("audit.damaged", "entries {} to {} do not match their hashes", start - kTileWidth,
                       start - 1);
  return {};
}

Result<> Log::State::commit(std::span<const std::string> lines) {
  JournalFrame frame{.first = tree.size(), .count = static_cast<uint32_t>(lines.size())};
  for (const std::string& line : lines) {
    append_entry(frame.entries, line);
    add(line);
  }
  frame.signature = key.sign(checkpoint_body(checkpoint()));
  std::string bytes = encode_frame(frame);
  SAW_TRY(disk->append(journal, journal_size, bytes));
  journal_size += bytes.size();
  durable = checkpoint(), signature = std::move(frame.signature);
  return {};
}

// Tiles before the checkpoint that promises them; old partial tiles go last, so that a reader with the old
// checkpoint finds them as long as it is there. Nothing is flushed: the journal has it all, until it is
// settled.
Result<> Log::State::publish() {
  auto write = [&](const std::string& path, std::string_view content) -> Result<> {
    SAW_TRY(disk->replace(at(path), content, Durability::none));
    unflushed.push_back(at(path));
    return {};
  };
  for (const Bundle& b : grown.bundles) SAW_TRY(write(bundle_path(b.index), b.entries));
  for (const HashTile& t : grown.tiles) SAW_TRY(write(tile_path(t.level, t.index), t.hashes));
  if (keys.sealed().size() != stored_segments) {
    std::string commitments;
    for (const Digest& commitment : keys.sealed()) commitments += view(commitment);
    SAW_TRY(write("index", commitments));
    stored_segments = keys.sealed().size();
  }
  std::set<std::string> current;
  SAW_TRY(publish_partials(current));
  const bool full = tree.size() - journal_start >= limits.settle_entries ||
                    (journal_size >= limits.settle_bytes && !unflushed.empty());
  const Durability durability = full ? Durability::fsync : Durability::none;
  Checkpoint signed_now = durable;
  signed_now.index = keys.root();
  SAW_TRY(disk->replace(at("checkpoint"),
                        checkpoint_note(signed_now, key.public_key(), key.sign(checkpoint_body(signed_now))),
                        durability));
  if (full) SAW_TRY(settle());
  for (const std::string& old : partials)
    if (!current.contains(old)) SAW_TRY(disk->remove(at(old)));
  for (const Bundle& b : grown.bundles) SAW_TRY(disk->remove(at(bundle_path(b.index) + ".p")));
  for (const HashTile& t : grown.tiles) SAW_TRY(disk->remove(at(tile_path(t.level, t.index) + ".p")));
  partials = std::move(current);
  grown = {};
  published = durable.size;
  return {};
}

Result<> Log::State::publish_partials(std::set<std::string>& current) {
  auto write = [&](const std::string& path, std::string_view content) -> Result<> {
    if (!partials.contains(path)) SAW_TRY(disk->replace(at(path), content, Durability::none));
    current.insert(path);
    return {};
  };
  const uint64_t index = tree.size() / kTileWidth, width = tree.size() % kTileWidth;
  if (width > 0) SAW_TRY(write(bundle_path(index) + partial_suffix(width), bundle));
  for (size_t l = 0; l < tree.levels().size(); ++l) {
    std::string_view hashes = tree.level(l);
    const uint64_t tile = (tree.size() >> (8 * l)) / kTileWidth;
    if (!hashes.empty())
      SAW_TRY(write(tile_path(l, tile) + partial_suffix(hashes.size() / kHashSize), hashes));
  }
  return {};
}

// What the journal alone held is flushed before the journal forgets it: the new one starts at the last bundle
// boundary and holds the entries after it.
Result<> Log::State::settle() {
  SAW_TRY(disk->flush(unflushed, directory));
  unflushed.clear();
  const uint64_t width = tree.size() % kTileWidth, start = tree.size() - width;
  JournalHeader header{.start = start, .levels = tree.levels(), .signature = width == 0 ? signature : ""};
  if (!header.levels.empty()) header.levels[0].clear();
  std::string bytes = encode_journal(header);
  if (width > 0) bytes += encode_frame({start, static_cast<uint32_t>(width), bundle, signature});
  SAW_TRY(disk->replace(at("journal"), bytes, Durability::fsync));
  journal = SAW_TRY(Fd::open(at("journal"), O_WRONLY));
  journal_size = bytes.size(), journal_start = start;
  return {};
}

// Removes what a crash left: temporary files, and partial tiles of other widths than the current.
Result<> Log::State::sweep() {
  std::set<std::string> folders = {""};
  auto visit = [&](const std::string& tile) {
    folders.insert(tile.substr(0, tile.find_last_of('/') + 1));
    folders.insert(tile + ".p/");
  };
  visit(bundle_path(tree.size() / kTileWidth));
  for (size_t l = 0; l <= tree.levels().size(); ++l)
    visit(tile_path(l, (tree.size() >> (8 * l)) / kTileWidth));
  for (const std::string& folder : folders) {
    for (const std::string& name : list_directory(at(folder))) {
      const bool temporary = name.find(".new-") != name.npos;
      const bool outdated = folder.ends_with(".p/") && !partials.contains(folder + name);
      if (temporary || outdated) SAW_TRY(disk->remove(at(folder + name)));
    }
  }
  return {};
}

Result<Log> Log::open(const std::string& directory, std::string origin, SigningKey key) {
  return open(directory, std::move(origin), std::move(key), std::make_unique<PosixDisk>(), {});
}

Result<Log> Log::open(const std::string& given, std::string origin, SigningKey key,
                      std::unique_ptr<Disk> disk, Limits limits) {
  std::string directory = given.starts_with('/') ? given : "./" + given;  // so that it has a parent
  while (directory.ends_with('/')) directory.pop_back();
  if (!is_origin(origin)) return Error::make("audit.origin", "'{}' cannot be the origin of a log", origin);
  SAW_TRY(make_directories(directory));
  auto state = std::make_unique<State>(directory, std::move(origin), std::move(key), std::move(disk), limits);
  state->lock = SAW_TRY(lock_file(state->at("lock")));
  if (::access(state->at("journal").c_str(), F_OK) != 0) SAW_TRY(state->create(), "creating the audit log");
  SAW_TRY(state->recover(), fmt::format("opening the audit log '{}'", directory));
  return Log(std::move(state));
}

Log::Log(std::unique_ptr<State> state) : state_(std::move(state)) {}
Log::Log(Log&&) noexcept = default;
Log& Log::operator=(Log&&) noexcept = default;
Log::~Log() = default;

uint64_t Log::size() const {
  return state_->durable.size;
}
Digest Log::root() const {
  return state_->durable.root;
}

uint64_t Log::published() const {
  return state_->published;
}

Result<uint64_t> Log::record(std::span<const std::string> lines) {
  State& s = *state_;
  SAW_TRY(s.usable());
  SAW_TRY(check_lines(lines));
  const uint64_t first = s.tree.size();
  if (lines.empty()) return first;
  if (s.journal_size > kMaxUnpublishedBytes) SAW_TRY(publish());
  s.failed = true;  // until everything below has succeeded
  SAW_TRY(s.commit(lines), "recording audit events");
  s.failed = false;
  return first;
}

Result<> Log::publish() {
  State& s = *state_;
  SAW_TRY(s.usable());
  if (s.published == s.durable.size) return {};
  s.failed = true;
  SAW_TRY(s.publish(), "publishing audit events");
  s.failed = false;
  return {};
}

Result<uint64_t> Log::append(std::span<const std::string> lines) {
  const uint64_t first = SAW_TRY(record(lines));
  SAW_TRY(publish());
  return first;
}

}  // namespace saw::audit
