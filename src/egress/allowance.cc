#include "egress/allowance.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include <fmt/format.h>

#include "base/crypto.h"

namespace saw::egress {
namespace {

constexpr uint64_t kMagic = 0x3165676465'6c7761;  // "awledge1": a layout of its own for each version
constexpr Nanos kHour = 60 * kMinute, kDay = 24 * kHour;

Excess no_ledger() {
  return {.code = "limit.no_ledger",
          .rule = {},
          .reason = "nothing can be counted here, so what has a limit is refused",
          .retry_after_s = 0};
}

}  // namespace

struct Allowance::Header {
  uint64_t magic;
  uint64_t time;          // allowance time, in nanoseconds since the first use
  Nanos monotonic, wall;  // the clocks at `time`
  uint64_t unused[12];
};

struct Allowance::Row {
  std::array<unsigned char, 16> key;  // of the counter's text; zeros: free
  uint64_t period;
  uint64_t step;  // of counts[step % kSteps], the newest
  uint64_t counts[kSteps];
};

bool is_destructive(std::string_view method) {
  constexpr std::array<std::string_view, 4> kDestructive = {"DELETE", "MOVE", "PURGE", "UNBIND"};
  return std::ranges::find(kDestructive, method) != kDestructive.end();
}

Nanos Allowance::step_of(Period period) {
  const Nanos window = period == Period::minute ? kMinute : period == Period::hour ? kHour : kDay;
  return window / static_cast<Nanos>(kSteps - 1);
}

Allowance::Header& Allowance::header() const {
  return *reinterpret_cast<Header*>(ledger_.data());
}

std::span<Allowance::Row> Allowance::rows() const {
  static_assert(sizeof(Header) == 128 && sizeof(Row) == 128);
  return {reinterpret_cast<Row*>(ledger_.data() + sizeof(Header)), kRows};
}

Result<> Allowance::use(std::span<std::byte> ledger) {
  if (ledger.size() < kLedgerBytes || reinterpret_cast<uintptr_t>(ledger.data()) % alignof(Row) != 0)
    return Error::make("egress.allowance", "a ledger has {} bytes, not {}", kLedgerBytes, ledger.size());
  ledger_ = ledger.first(kLedgerBytes);
  found_.clear();
  if (header().magic != kMagic) {
    std::ranges::fill(ledger_, std::byte{0});
    header() = {.magic = kMagic,
                .time = static_cast<uint64_t>(kDay) * kSteps,  // no step is before the first
                .monotonic = clock_.monotonic(),
                .wall = clock_.now(),
                .unused = {}};
  }
  return {};
}

// A clock that started over says that the machine did: then the wall clock tells how long it was away.
uint64_t Allowance::now() {
  Header& h = header();
  const Nanos monotonic = clock_.monotonic(), wall = clock_.now();
  // Unsigned: what stands in a ledger may be anything.
  const auto passed = [](Nanos from, Nanos to) {
    return static_cast<uint64_t>(to) - static_cast<uint64_t>(from);
  };
  if (monotonic >= h.monotonic)
    h.time += passed(h.monotonic, monotonic);
  else if (wall > h.wall)
    h.time += std::min(passed(h.wall, wall), static_cast<uint64_t>(kDay));
  h.monotonic = monotonic;
  h.wall = wall;
  return h.time;
}

Allowance::Row* Allowance::row_of(const Counter& counter, uint64_t now) {
  const std::string text = fmt::format("{}\n{}\n{}", counter.what, counter.agent, counter.entry);
  auto known = found_.find(text);
  Row* row = known == found_.end() ? nullptr : &rows()[known->second];
  const Digest digest = sha256(text);
  std::array<unsigned char, 16> key{};
  std::copy_n(digest.begin(), key.size(), key.begin());
  if (!row || row->key != key) {
    auto free = rows().end();
    auto at = rows().begin();
    for (; at != rows().end() && at->key != key; ++at) {
      const auto period = std::clamp(at->period, uint64_t{1}, uint64_t{3});
      const uint64_t step = now / static_cast<uint64_t>(step_of(static_cast<Period>(period)));
      if (free == rows().end() && (at->period == 0 || step - at->step >= kSteps)) free = at;
    }
    if (at == rows().end()) {
      if (free == rows().end()) return nullptr;
      at = free;
      *at = {.key = key, .period = static_cast<uint64_t>(counter.period), .step = 0, .counts = {}};
    }
    row = &*at;
    found_.insert_or_assign(text, static_cast<size_t>(at - rows().begin()));
  }
  // What has left the window is forgotten.
  row->period = static_cast<uint64_t>(counter.period);
  const uint64_t step = now / static_cast<uint64_t>(step_of(counter.period));
  if (row->step > step) row->step = step;  // not written by us: it is brought into order
  for (uint64_t i = row->step + 1; i <= step && i <= row->step + kSteps; ++i) row->counts[i % kSteps] = 0;
  row->step = step;
  return row;
}

// Why not, or nothing: `wanted` more fit into the window.
std::optional<Excess> Allowance::room(const Counter& counter, Row& row, uint64_t now) const {
  uint64_t used = 0;
  for (uint64_t c : row.counts) used = used > UINT64_MAX - c ? UINT64_MAX : used + c;
  const uint64_t limit = counter.limit, wanted = counter.wanted;
  if (used <= limit && wanted <= limit - used) return std::nullopt;
  const std::string_view each = counter.period == Period::minute ? "a minute"
                                : counter.period == Period::hour ? "an hour"
                                                                 : "a day";
  Excess out{.code = std::string(counter.code),
             .rule = std::string(counter.setting),
             .reason = fmt::format("{} {} {} are used, {} more are too many: the limit is {}", used,
                                   counter.what, each, wanted, limit),
             .retry_after_s = 0};
  if (wanted > limit) return out;
  // When enough of the oldest steps will have left.
  const auto length = static_cast<uint64_t>(step_of(counter.period));
  for (uint64_t i = row.step - (kSteps - 1); i <= row.step; ++i) {
    used -= row.counts[i % kSteps];
    if (used > limit || wanted > limit - used) continue;
    const uint64_t free_at = (i + kSteps) * length;
    out.retry_after_s = static_cast<int64_t>((free_at - now) / kSecond + 1);
    break;
  }
  return out;
}

// All or none.
std::optional<Excess> Allowance::count(std::span<const Counter> counters) {
  if (counters.empty()) return std::nullopt;
  if (ledger_.empty()) return no_ledger();
  const uint64_t at = now();
  std::vector<Row*> touched;
  for (const Counter& counter : counters) {
    Row* row = row_of(counter, at);
    if (!row)
      return Excess{.code = "limit.too_many",
                    .rule = std::string(counter.setting),
                    .reason = fmt::format("{} counters are in use already", kRows),
                    .retry_after_s = step_of(counter.period) / kSecond + 1};
    if (auto excess = room(counter, *row, at)) return excess;
    touched.push_back(row);
  }
  for (size_t i = 0; i < counters.size(); ++i)
    touched[i]->counts[touched[i]->step % kSteps] += counters[i].wanted;
  return std::nullopt;
}

std::expected<Allowance::Place, Excess> Allowance::admit(const Subject& s, Kind kind) {
  const policy::Limits& limits = s.limits;
  const std::string prefix = fmt::format("network.{}.limits.", s.entry);
  std::string key = fmt::format("{}\n{}", s.agent, s.entry);
  auto live = at_once_.find(key);
  if (limits.concurrent != 0 && live != at_once_.end() && live->second >= limits.concurrent)
    return std::unexpected(Excess{.code = "limit.concurrent",
                                  .rule = prefix + "concurrent",
                                  .reason = fmt::format("{} requests are under way here: the limit is {}",
                                                        live->second, limits.concurrent),
                                  .retry_after_s = 1});
  std::vector<Counter> counters;
  const std::string rate = prefix + "requestsPerMinute";
  if (limits.requests_per_minute != 0) {
    counters.push_back({"requests", s.agent, s.entry, Period::minute, limits.requests_per_minute, 1,
                        "limit.requests_per_minute", rate});
    if (kind == Kind::destructive)
      counters.push_back({"destructive requests", s.agent, s.entry, Period::minute,
                          std::max<uint64_t>(1, limits.requests_per_minute / kDestructiveShare), 1,
                          "limit.requests_per_minute", rate});
  }
  if (s.budget.calls != 0)
    counters.push_back(
        {"calls", {}, {}, Period::day, s.budget.calls, 1, "budget.calls", "budget.perDay.calls"});
  if (auto excess = count(counters)) return std::unexpected(std::move(*excess));
  ++at_once_[key];
  return Place(this, std::move(key));
}

std::optional<Excess> Allowance::spend_upload(const Subject& s, uint64_t bytes) {
  if (s.limits.upload_bytes_per_hour == 0 && s.budget.upload_bytes == 0) return std::nullopt;
  std::vector<Counter> counters;
  const std::string setting = fmt::format("network.{}.limits.uploadBytesPerHour", s.entry);
  if (s.limits.upload_bytes_per_hour != 0)
    counters.push_back({"bytes sent", s.agent, s.entry, Period::hour, s.limits.upload_bytes_per_hour, bytes,
                        "limit.upload_bytes_per_hour", setting});
  if (s.budget.upload_bytes != 0)
    counters.push_back({"bytes sent",
                        {},
                        {},
                        Period::day,
                        s.budget.upload_bytes,
                        bytes,
                        "budget.upload_bytes",
                        "budget.perDay.uploadBytes"});
  return count(counters);
}

std::optional<Excess> Allowance::tokens_left(const policy::Budget& budget) {
  if (budget.tokens == 0) return std::nullopt;
  if (ledger_.empty()) return no_ledger();
  const Counter counter{
      "tokens", {}, {}, Period::day, budget.tokens, 1, "budget.tokens", "budget.perDay.tokens"};
  const uint64_t at = now();
  Row* row = row_of(counter, at);
  if (!row) return no_ledger();
  return room(counter, *row, at);
}

void Allowance::spend_tokens(uint64_t tokens) {
  if (ledger_.empty()) return;
  constexpr uint64_t kMost = UINT64_MAX / kSteps;  // an answer that claims more is as good as this
  const Counter counter{"tokens", {}, {}, Period::day, 0, tokens, {}, {}};
  Row* row = row_of(counter, now());
  if (!row) return;
  uint64_t& newest = row->counts[row->step % kSteps];
  newest = std::min(kMost, newest + std::min(tokens, kMost));
}

void Allowance::leave(const std::string& key) {
  auto live = at_once_.find(key);
  if (live != at_once_.end() && --live->second == 0) at_once_.erase(live);
}

}  // namespace saw::egress
