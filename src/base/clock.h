// Time arrives as an argument: whoever needs "now" is given a Clock, so that tests own the time.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace saw {

// Nanoseconds since 1970-01-01T00:00:00Z.
using Nanos = int64_t;

class Clock {
 public:
  virtual ~Clock() = default;
  virtual Nanos now() const = 0;        // wall clock
  virtual Nanos monotonic() const = 0;  // never goes back; only differences mean something
};

class SystemClock final : public Clock {
 public:
  Nanos now() const override;
  Nanos monotonic() const override;
};

// "2026-11-24T03:00:00.123456789Z" (RFC 3339, always UTC, always nine digits).
std::string rfc3339(Nanos time);
// "2026-11-24T03:00:00Z", fractions allowed, UTC only, years 1970 to 2199; nullopt otherwise.
std::optional<Nanos> parse_rfc3339(std::string_view text);

constexpr Nanos kMillisecond = 1'000'000, kSecond = 1'000 * kMillisecond, kMinute = 60 * kSecond;

}  // namespace saw
