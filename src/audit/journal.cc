#include "audit/journal.h"

#include <optional>

#include "audit/tile.h"
#include "audit/tree.h"
#include "base/wire.h"

namespace saw::audit {
namespace {

constexpr std::string_view kMagic = "SAW audit journal 1\n";
constexpr size_t kLengthSize = 4;

struct Length {
  uint32_t bytes = 0;
  template <class Archive> void members(Archive& a) { a(bytes); }
};

template <class T> std::string frame(const T& value) {
  std::string payload = wire::encode_struct(value);
  std::string out = wire::encode_struct(Length{static_cast<uint32_t>(payload.size())}) + payload;
  out += view(sha256(out));
  return out;
}

// Takes the payload of one whole frame off the front.
std::optional<std::string_view> take_frame(std::string_view& bytes) {
  if (bytes.size() < kLengthSize) return {};
  auto length = wire::decode_struct<Length>(bytes.substr(0, kLengthSize));
  const size_t covered = kLengthSize + length->bytes;
  if (bytes.size() < covered + kHashSize) return {};
  if (view(sha256(bytes.substr(0, covered))) != bytes.substr(covered, kHashSize)) return {};
  std::string_view payload = bytes.substr(kLengthSize, length->bytes);
  bytes.remove_prefix(covered + kHashSize);
  return payload;
}

bool holds(const JournalFrame& frame) {
  BundleReader reader(frame.entries);
  uint32_t n = 0;
  while (reader.next()) ++n;
  return reader.rest().empty() && n == frame.count && n > 0;
}

}  // namespace

std::string encode_journal(const JournalHeader& header) {
  return std::string(kMagic) + frame(header);
}
std::string encode_frame(const JournalFrame& f) {
  return frame(f);
}

Result<Journal> parse_journal(std::string_view bytes) {
  const size_t total = bytes.size();
  if (!bytes.starts_with(kMagic)) return Error::make("audit.damaged", "the journal is not a journal");
  bytes.remove_prefix(kMagic.size());
  auto head = take_frame(bytes);
  if (!head) return Error::make("audit.damaged", "the journal's header is not whole");
  Journal journal{.header = SAW_TRY(wire::decode_struct<JournalHeader>(*head), "the journal's header")};
  if (journal.header.start % kTileWidth != 0)
    return Error::make("audit.damaged", "the journal starts inside a bundle");
  journal.good_bytes = total - bytes.size();
  while (auto payload = take_frame(bytes)) {
    auto next = SAW_TRY(wire::decode_struct<JournalFrame>(*payload), "a frame of the journal");
    if (next.first != journal.end() || !holds(next))
      return Error::make("audit.damaged", "the journal has a hole at entry {}", journal.end());
    journal.frames.push_back(std::move(next));
    journal.good_bytes = total - bytes.size();
  }
  if (journal.signature().empty())
    return Error::make("audit.damaged", "the journal ends before its first frame");
  return journal;
}

}  // namespace saw::audit
