// What a channel takes back: keys that no longer count and releases that must not run (R77). One signed list per
// channel; a list only grows, and its epoch with it.
//
//   Revocations known = …;                                          // what this host has seen
//   Revocations now = SAW_TRY(read_revocations(bytes, around, known));
//
// Taking back narrows, so one signature of a signer or revoker is enough: in an emergency there is no second person.
// A key that an earlier list revokes signs no later one.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "release/envelope.h"

namespace saw::release {

struct Revocations {
  static constexpr size_t kMaxBytes = 512u << 10, kMaxEntries = 1000;

  std::string channel;
  uint64_t epoch = 0;                           // 0: no list yet
  std::map<std::string, std::string> keys;      // id → why
  std::map<std::string, std::string> releases;  // digest → why

  static Result<Revocations> parse(std::string_view text);
  std::string text() const;
  bool operator==(const Revocations&) const = default;
};

// The list in `envelope_text`, verified. Besides the codes of Envelope::parse and check_signatures:
// "release.wrong_channel"; "release.revocations_older": a lower epoch, or the same with other content, than `known`;
// "release.revocations_shrink": something that `known` takes back is missing.
Result<Revocations> read_revocations(std::string_view envelope_text, const Trust& trust,
                                     std::string_view channel, const Revocations& known);

}  // namespace saw::release
