// Reading a checkpoint, a bundle, a journal and an entry's keys is total; a checkpoint that parses says the same when it is
// written again, and no bytes pass as signed by a key that signed nothing.
#include <cstdint>

#include "audit/checkpoint.h"
#include "audit/index.h"
#include "audit/journal.h"
#include "audit/tile.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace saw::audit;
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  static const std::string nobody = saw::SigningKey::from_seed(std::string(32, 'n'))->public_key();

  if (auto cp = parse_checkpoint(bytes)) {
    SAW_CHECK(bytes.starts_with(checkpoint_body({cp->origin, cp->size, cp->root, {}})));
    auto again = parse_checkpoint(checkpoint_note(*cp, nobody, std::string(64, '\0')));
    SAW_CHECK(again && *again == *cp);
    SAW_CHECK(!open_checkpoint(bytes, cp->origin, nobody));
  }

  SAW_CHECK(entry_keys(bytes).size() <= kMaxKeysPerEntry);

  BundleReader reader(bytes);
  std::string bundle;
  while (auto entry = reader.next()) append_entry(bundle, *entry);
  SAW_CHECK(bundle + std::string(reader.rest()) == bytes);

  if (auto journal = parse_journal(bytes)) {
    std::string again = encode_journal(journal->header);
    for (const JournalFrame& frame : journal->frames) again += encode_frame(frame);
    SAW_CHECK(again == bytes.substr(0, journal->good_bytes));
  }
  return 0;
}
