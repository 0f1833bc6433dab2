// The journal: the file that makes an append durable before anything else is written. It holds the log's
// whole state at a bundle boundary (index, hashes of the incomplete tiles above level 0) and, one frame per
// append, every entry since; each frame carries the log's signature of the checkpoint it leads to, so that
// nobody without the key can add to it while the daemon is down.
//
//   file  = magic, frame(Header), frame(Frame)…          frame = length u32 ‖ payload ‖ SHA-256(length ‖
//   payload)
//
// Private to SAW: readers of the log need only tiles and the checkpoint. Parsing is total.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace saw::audit {

constexpr size_t kMaxJournal = 64u << 20;

struct JournalHeader {
  uint64_t start = 0;               // a multiple of kTileWidth
  std::vector<std::string> levels;  // Tree::levels() at `start`
  std::string signature;  // of the checkpoint at `start`; empty when the first frame was written together
                          // with the header
  template <class Archive> void members(Archive& a) { a(start, levels, signature); }
};

struct JournalFrame {
  uint64_t first = 0;
  uint32_t count = 0;
  std::string entries;    // as in a bundle
  std::string signature;  // of the checkpoint at first + count
  template <class Archive> void members(Archive& a) { a(first, count, entries, signature); }
};

struct Journal {
  JournalHeader header;
  std::vector<JournalFrame> frames;
  size_t good_bytes = 0;  // what follows them is a torn write, or nothing
  uint64_t end() const { return frames.empty() ? header.start : frames.back().first + frames.back().count; }
  const std::string& signature() const { return frames.empty() ? header.signature : frames.back().signature; }
};

std::string encode_journal(const JournalHeader& header);
std::string encode_frame(const JournalFrame& frame);

// "audit.damaged" when the header is not whole or the frames, though whole, do not follow one another. A
// frame that is not whole ends the journal: whether that is a torn write or damage is for the caller to judge
// by the checkpoint.
Result<Journal> parse_journal(std::string_view bytes);

}  // namespace saw::audit
