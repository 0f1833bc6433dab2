#include "base/clock.h"

#include <ctime>

#include <fmt/format.h>

namespace saw {
namespace {
Nanos read(clockid_t id) {
  timespec t{};
  clock_gettime(id, &t);
  return static_cast<Nanos>(t.tv_sec) * kSecond + t.tv_nsec;
}
}  // namespace

Nanos SystemClock::now() const {
  return read(CLOCK_REALTIME);
}
Nanos SystemClock::monotonic() const {
  return read(CLOCK_MONOTONIC);
}

std::string rfc3339(Nanos time) {
  time_t seconds = time / kSecond;
  Nanos rest = time % kSecond;
  if (rest < 0) rest += kSecond, --seconds;
  tm parts{};
  gmtime_r(&seconds, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:09}Z", parts.tm_year + 1900, parts.tm_mon + 1,
                     parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, rest);
}

}  // namespace saw
