// A signed order to go back to an earlier release (R70). It names both releases by digest and takes the next revision
// of its channel, so that it works once: afterwards neither the release that was left nor the order itself is newer.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"

namespace saw::release {

struct RollbackOrder {
  static constexpr size_t kMaxBytes = 16u << 10;

  std::string channel;
  uint64_t revision = 0;        // higher than that of `from`
  std::string from, to;         // digests of releases
  std::string to_version, why;  // to_version: for people and for finding the directory
  Nanos ordered_at = 0;

  static Result<RollbackOrder> parse(std::string_view text);
  std::string text() const;
  bool operator==(const RollbackOrder&) const = default;
};

}  // namespace saw::release
