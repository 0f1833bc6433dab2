#include "audit/proof.h"

#include <bit>
#include <map>

#include <nlohmann/json.hpp>

#include "audit/checkpoint.h"
#include "audit/index.h"
#include "audit/log.h"
#include "audit/tile.h"
#include "base/bytes.h"
#include "base/file.h"

namespace saw::audit {
namespace {

using nlohmann::json;

constexpr std::string_view kFormat = "saw-audit-proof-v1";
constexpr int kAttempts = 16;  // a partial tile may be superseded while it is read

// Hashes of the tree as one checkpoint has it, from the tiles on disk.
class TileTree {
 public:
  TileTree(const std::string& directory, uint64_t size) : directory_(directory), size_(size) {}

  // RFC 6962 §2.1: MTH(D[first:end]).
  Result<Digest> root(uint64_t first, uint64_t end) {
    const uint64_t count = end - first;
    if (count == 0) return sha256("");
    if (std::has_single_bit(count)) return perfect(first, count);
    const uint64_t middle = first + split_of(count);
    const Digest left = SAW_TRY(root(first, middle)), right = SAW_TRY(root(middle, end));
    return node_hash(view(left), view(right));
  }

  // §2.1.1: PATH(index, D[0:size]), nearest sibling first.
  Result<std::vector<Digest>> path(uint64_t index) {
    std::vector<Digest> out;
    for (uint64_t first = 0, end = size_; end - first > 1;) {
      const uint64_t middle = first + split_of(end - first);
      const bool left = index < middle;
      out.push_back(left ? SAW_TRY(root(middle, end)) : SAW_TRY(root(first, middle)));
      (left ? end : first) = middle;
    }
    return std::vector<Digest>(out.rbegin(), out.rend());
  }

  // §2.1.2: PROOF(earlier, D[0:size]), for 0 < earlier < size.
  Result<std::vector<Digest>> consistency(uint64_t earlier) {
    std::vector<Digest> out;
    uint64_t first = 0, end = size_;
    bool whole = true;  // the earlier tree is the left part of what is looked at
    while (earlier != end) {
      const uint64_t middle = first + split_of(end - first);
      const bool left = earlier <= middle;
      out.push_back(left ? SAW_TRY(root(middle, end)) : SAW_TRY(root(first, middle)));
      if (!left) whole = false;
      (left ? end : first) = middle;
    }
    if (!whole) out.push_back(SAW_TRY(root(first, end)));
    return std::vector<Digest>(out.rbegin(), out.rend());
  }

 private:
  // `count`, a power of two, leaves from `first`, a multiple of it: inside one tile.
  Result<Digest> perfect(uint64_t first, uint64_t count) {
    const auto height = static_cast<size_t>(std::countr_zero(count));
    const size_t level = height / 8;
    const uint64_t at = first >> (8 * level), width = count >> (8 * level);
    const std::string& hashes = *SAW_TRY(tile(level, at / kTileWidth));
    std::vector<Digest> nodes(width);
    for (uint64_t i = 0; i < width; ++i) {
      const size_t offset = (at % kTileWidth + i) * kHashSize;
      if (offset + kHashSize > hashes.size())
        return Error::make("audit.damaged", "'{}' is too short", tile_path(level, at / kTileWidth));
      hashes.copy(reinterpret_cast<char*>(nodes[i].data()), kHashSize, offset);
    }
    return merkle_root(nodes, 0, nodes.size());
  }

  Result<const std::string*> tile(size_t level, uint64_t index) {
    auto [place, fresh] = tiles_.try_emplace({level, index});
    if (!fresh) return &place->second;
    const uint64_t all = size_ >> (8 * level),
                   width = std::min<uint64_t>(kTileWidth, all - index * kTileWidth);
    const std::string path = tile_path(level, index);
    auto bytes = read_file(directory_ + "/" + path + (width < kTileWidth ? partial_suffix(width) : ""),
                           kTileWidth * kHashSize);
    // A partial tile that became full meanwhile begins with what it was.
    if (!bytes && width < kTileWidth) bytes = read_file(directory_ + "/" + path, kTileWidth * kHashSize);
    place->second = SAW_TRY(std::move(bytes), "reading a hash tile of the audit log");
    return &place->second;
  }

  const std::string& directory_;
  uint64_t size_;
  std::map<std::pair<size_t, uint64_t>, std::string> tiles_;
};

json texts(const std::vector<Digest>& path) {
  json out = json::array();
  for (const Digest& digest : path) out.push_back(to_base64(view(digest)));
  return out;
}

struct Signed {
  std::string note;
  Checkpoint checkpoint;
};
Result<Signed> read_signed(const std::string& directory, const LogSigner& signer) {
  std::string note = SAW_TRY(read_file(directory + "/checkpoint", kMaxCheckpoint), "reading the checkpoint");
  Checkpoint checkpoint = SAW_TRY(open_checkpoint(note, signer.origin, signer.public_key));
  return Signed{std::move(note), std::move(checkpoint)};
}

// The proof by `make`, which is tried again when the writer has moved on under it.
template <class Make>
Result<std::string> prove(const std::string& directory, const LogSigner& signer, Make make) {
  for (int attempt = 1;; ++attempt) {
    const Signed now = SAW_TRY(read_signed(directory, signer));
    Result<json> proof = make(now.checkpoint);
    if (proof) {
      (*proof)["format"] = kFormat;
      (*proof)["checkpoint"] = now.note;
      return proof->dump(1, ' ', true, json::error_handler_t::replace) + "\n";
    }
    const bool moved = SAW_TRY(read_signed(directory, signer)).checkpoint.size != now.checkpoint.size;
    if (!moved || attempt == kAttempts) return std::unexpected(std::move(proof).error());
  }
}

Result<json> inclusion(const std::string& directory, const Checkpoint& checkpoint, uint64_t entry) {
  if (entry >= checkpoint.size)
    return Error::make("audit.no_entry", "there is no entry {}: the log has {} entries, counted from 0",
                       entry, checkpoint.size);
  const std::vector<std::string> text = SAW_TRY(read_entries(directory, entry, 1));
  if (text.size() != 1) return Error::make("audit.damaged", "entry {} cannot be read", entry);
  const std::vector<Digest> path = SAW_TRY(TileTree(directory, checkpoint.size).path(entry));
  if (root_from_path(leaf_hash(text[0]), entry, checkpoint.size, path) != checkpoint.root)
    return Error::make(
        "audit.damaged",
        "entry {} and the hash tiles do not lead to the root that was signed: saw audit verify "
        "says where the log was changed",
        entry);
  return json{{"kind", "inclusion"}, {"entry", entry}, {"leaf", to_base64(text[0])}, {"path", texts(path)}};
}

Result<json> consistency(const std::string& directory, const Checkpoint& checkpoint,
                         const Checkpoint& earlier, std::string_view earlier_note) {
  if (earlier.size > checkpoint.size)
    return Error::make(
        "audit.forked",
        "the earlier checkpoint has {} entries, the log {}: an older copy of the log was put back",
        earlier.size, checkpoint.size);
  TileTree tree(directory, checkpoint.size);
  const Digest then = SAW_TRY(tree.root(0, earlier.size)), now = SAW_TRY(tree.root(0, checkpoint.size));
  if (now != checkpoint.root)
    return Error::make("audit.damaged", "the hash tiles do not lead to the root that was signed");
  if (then != earlier.root)
    return Error::make("audit.forked",
                       "the first {} entries are not those that the earlier checkpoint signs: the log was "
                       "rewritten, or forked",
                       earlier.size);
  std::vector<Digest> path;
  if (earlier.size > 0 && earlier.size < checkpoint.size) path = SAW_TRY(tree.consistency(earlier.size));
  return json{{"kind", "consistency"}, {"earlier", earlier_note}, {"path", texts(path)}};
}

// As JSON writes it between quotation marks: what an entry's bytes have.
std::string quoted(const std::string& text) {
  const std::string whole = json(text).dump(-1, ' ', true, json::error_handler_t::replace);
  return whole.substr(1, whole.size() - 2);
}

json gap_document(const IndexGap& gap) {
  return {{"keys", gap.keys},
          {"at", gap.at},
          {"left", to_base64(view(gap.left))},
          {"right", to_base64(view(gap.right))},
          {"left_path", texts(gap.left_path)},
          {"right_path", texts(gap.right_path)}};
}

Result<json> absence_proof(const std::string& directory, const Checkpoint& checkpoint, const Absence& what) {
  if (!checkpoint.index)
    return Error::make("audit.no_index", "the checkpoint has no index: absence cannot be proved");
  const Digest key = index_key(what.scope, quoted(what.id), quoted(what.destination));
  json segments = json::array();
  std::vector<Digest> commitments;
  for (uint64_t first = 0; first < checkpoint.size; first += kSegmentEntries) {
    const uint64_t count = std::min(kSegmentEntries, checkpoint.size - first);
    IndexSegment segment;
    const std::vector<std::string> entries = SAW_TRY(read_entries(directory, first, count));
    if (entries.size() != count) return Error::make("audit.damaged", "entry {} cannot be read", first);
    for (const std::string& entry : entries) segment.add(entry);
    const auto gap = segment.gap(key);
    if (!gap)
      return Error::make("audit.present", "{} {} had to do with {}, somewhere in entries {} to {}",
                         what.scope, printable(what.id, 80), printable(what.destination, 200), first,
                         first + count - 1);
    segments.push_back(gap_document(*gap));
    commitments.push_back(leaf_hash(view(segment.commitment())));
  }
  if (merkle_root(commitments, 0, commitments.size()) != *checkpoint.index)
    return Error::make("audit.damaged", "the index that was signed is not that of the entries");
  return json{{"kind", "absence"},
              {"scope", what.scope},
              {"id", what.id},
              {"destination", what.destination},
              {"segments", std::move(segments)}};
}

}  // namespace

std::optional<Digest> root_from_path(const Digest& leaf, uint64_t index, uint64_t size,
                                     const std::vector<Digest>& path) {
  if (index >= size) return {};
  std::vector<bool> left;  // whether the node is its parent's left child, from the root down
  for (uint64_t first = 0, end = size; end - first > 1;) {
    const uint64_t middle = first + split_of(end - first);
    left.push_back(index < middle);
    (left.back() ? end : first) = middle;
  }
  if (left.size() != path.size()) return {};
  Digest node = leaf;
  for (size_t i = 0; i < path.size(); ++i)
    node = left[left.size() - 1 - i] ? node_hash(view(node), view(path[i]))
                                     : node_hash(view(path[i]), view(node));
  return node;
}

Result<std::string> prove_inclusion(const std::string& directory, const LogSigner& signer, uint64_t entry) {
  return prove(directory, signer, [&](const Checkpoint& now) { return inclusion(directory, now, entry); });
}

Result<std::string> prove_consistency(const std::string& directory, const LogSigner& signer,
                                      std::string_view earlier_note) {
  const Checkpoint earlier =
      SAW_TRY(open_checkpoint(earlier_note, signer.origin, signer.public_key), "the earlier checkpoint");
  return prove(directory, signer,
               [&](const Checkpoint& now) { return consistency(directory, now, earlier, earlier_note); });
}

Result<std::string> prove_absence(const std::string& directory, const LogSigner& signer,
                                  const Absence& absence) {
  return prove(directory, signer,
               [&](const Checkpoint& now) { return absence_proof(directory, now, absence); });
}

}  // namespace saw::audit
