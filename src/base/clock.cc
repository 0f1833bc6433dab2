#include "base/clock.h"

#include <charconv>
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

std::optional<Nanos> parse_rfc3339(std::string_view text) {
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
  auto field = [&](size_t at, size_t size, int& out) {
    const std::string_view digits = text.substr(at, size);
    return digits.size() == size &&
           std::from_chars(digits.data(), digits.data() + size, out).ptr == digits.data() + size &&
           digits[0] != '-';
  };
  if (text.size() < 20 || text.size() > 30 || text[4] != '-' || text[7] != '-' || text[10] != 'T' ||
      text[13] != ':' || text[16] != ':' || text.back() != 'Z')
    return {};
  if (!field(0, 4, year) || !field(5, 2, month) || !field(8, 2, day) || !field(11, 2, hour) ||
      !field(14, 2, minute) || !field(17, 2, second))
    return {};
  const std::string_view fraction = text.substr(19, text.size() - 20);
  const bool fraction_ok =
      fraction.empty() || (fraction.size() > 1 && fraction[0] == '.' &&
                           fraction.find_first_not_of("0123456789", 1) == std::string_view::npos);
  const std::chrono::year_month_day date{std::chrono::year(year),
                                         std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  constexpr int kFirstYear = 1970, kLastYear = 2199;  // what Nanos can hold, with room
  if (year < kFirstYear || year > kLastYear || !fraction_ok || !date.ok() || hour > 23 || minute > 59 ||
      second > 60)
    return {};
  Nanos nanos = 0;
  for (size_t i = 1; i < 10; ++i) nanos = nanos * 10 + (i < fraction.size() ? fraction[i] - '0' : 0);
  const auto days = std::chrono::sys_days(date).time_since_epoch().count();
  return ((days * 24 + hour) * 60 + minute) * kMinute + second * kSecond + nanos;
}

}  // namespace saw
