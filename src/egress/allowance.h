// How much an agent may ask of a destination, and a workspace of the world: requests a minute, at once, bytes an hour, and a day's budget.
//
//   Allowance allowance(clock);
//   SAW_TRY(allowance.use(std::move(ledger)));                           // memory that outlives this process
//   auto place = allowance.admit({.agent = id, .entry = "api", .limits = endpoint.limits, .budget = policy.budget()});
//   if (!place) refuse(place.error());                                    // 429 with Retry-After
//   …                                                                     // `place` counts as one at once until it goes
//   if (auto excess = allowance.spend_upload(subject, bytes)) cut_off();
//
//   // tokens (who reads the answers of models):
//   if (auto excess = allowance.tokens_left(policy.budget())) refuse(*excess);      // before the question goes out
//   allowance.spend_tokens(used);                                                    // when the answer has said how many
//
// "A minute" is any minute: windows slide, in steps of an eleventh, and a step counts until the window has wholly left it, so that no
// window of that length ever holds more than the limit. What is counted lies in the ledger, which sawd keeps: a restart of
// saw-egress, of sawd, or another policy forgives nothing. Only `concurrent` is this process's own, as the connections are.
// Time passes by the monotonic clock; over a restart of the machine by the wall clock, at most a day and never backwards.
// Limits are the policy's of the moment: they come with every question, the ledger holds counts alone. Bounded: kRows counters;
// when all are in use by others, what needs one more is refused ("limit.too_many").
#pragma once

#include <cstdint>
#include <expected>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "policy/policy.h"

namespace saw::egress {

// What was asked for beyond what is left.
struct Excess {
  std::string code;           // "limit.requests_per_minute", "budget.calls", …: stable
  std::string rule;           // "network.api.limits.requestsPerMinute", "budget.perDay.calls"
  std::string reason;         // for a reader
  int64_t retry_after_s = 0;  // 0: waiting does not help
};

class Allowance {
 public:
  static constexpr size_t kSteps = 12, kRows = 510, kLedgerBytes = 128 * (kRows + 1);
  static constexpr uint32_t kDestructiveShare =
      10;  // what destroys may be a tenth of what is asked, and once at least

  // Of an agent at a network entry, by the policy in force.
  struct Subject {
    std::string_view agent, entry;
    policy::Limits limits;
    policy::Budget budget;
  };
  enum class Kind : uint8_t { ordinary, destructive };

  // One request or tunnel under way.
  class Place {
   public:
    Place(Place&& other) noexcept : of_(std::exchange(other.of_, nullptr)), key_(std::move(other.key_)) {}
    Place& operator=(Place&& other) noexcept {
      std::swap(of_, other.of_);
      std::swap(key_, other.key_);
      return *this;
    }
    ~Place() {
      if (of_) of_->leave(key_);
    }

   private:
    friend class Allowance;
    Place(Allowance* of, std::string key) : of_(of), key_(std::move(key)) {}
    Allowance* of_;
    std::string key_;
  };

  explicit Allowance(const Clock& clock) : clock_(clock) {}
  Allowance(const Allowance&) = delete;

  // `ledger`: kLedgerBytes of memory, valid as long as this; zeros at first. Whatever it holds is taken without trust: what is no
  // ledger of ours counts as nothing used. Error "egress.allowance" when it is too small.
  Result<> use(std::span<std::byte> ledger);
  bool has_ledger() const { return !ledger_.empty(); }

  // Counts one call, or nothing at all where that would be one too many. Needs a ledger where there is a limit.
  std::expected<Place, Excess> admit(const Subject& subject, Kind kind = Kind::ordinary);
  // Counts bytes on their way out, before they go; or refuses them and counts none.
  std::optional<Excess> spend_upload(const Subject& subject, uint64_t bytes);
  // Whether the day's tokens are used up. What one answer costs is known afterwards only: the last may go beyond.
  std::optional<Excess> tokens_left(const policy::Budget& budget);
  void spend_tokens(uint64_t tokens);

 private:
  struct Row;
  struct Header;
  enum class Period : uint64_t { minute = 1, hour, day };
  struct Counter {  // one limit of one subject
    std::string_view what, agent, entry;
    Period period;
    uint64_t limit, wanted;
    std::string_view code, setting;
  };

  static Nanos step_of(Period period);
  std::optional<Excess> count(std::span<const Counter> counters);
  std::optional<Excess> room(const Counter& counter, Row& row, uint64_t now) const;
  Row* row_of(const Counter& counter, uint64_t now);
  uint64_t now();
  Header& header() const;
  std::span<Row> rows() const;
  void leave(const std::string& key);

  const Clock& clock_;
  std::span<std::byte> ledger_;
  std::map<std::string, size_t, std::less<>> found_;      // key text → row
  std::map<std::string, uint32_t, std::less<>> at_once_;  // agent and entry → how many
};

// A method that takes something away for good.
bool is_destructive(std::string_view method);

}  // namespace saw::egress
