#include "egress/allowance.h"

#include <array>
#include <cstring>

#include <gtest/gtest.h>

namespace saw::egress {
namespace {

class HandClock final : public Clock {
 public:
  Nanos now() const override { return wall; }
  Nanos monotonic() const override { return ticks; }
  void pass(Nanos time) { wall += time, ticks += time; }
  Nanos wall = 1'700'000'000 * kSecond, ticks = 1000 * kSecond;
};

struct Ledger {
  alignas(64) std::array<std::byte, Allowance::kLedgerBytes> bytes{};
};

class AllowanceTest : public testing::Test {
 protected:
  AllowanceTest() { start(); }
  void start() {
    allowance_.emplace(clock_);
    EXPECT_TRUE(allowance_->use(ledger_->bytes));
  }
  static Allowance::Subject subject(policy::Limits limits, policy::Budget budget = {}) {
    return {.agent = "ag-1", .entry = "api", .limits = limits, .budget = budget};
  }
  std::string ask(const Allowance::Subject& s, Allowance::Kind kind = Allowance::Kind::ordinary) {
    auto place = allowance_->admit(s, kind);
    if (!place) last_ = place.error();
    return place ? "" : place.error().code;
  }
  int admitted(const Allowance::Subject& s, int tries) {
    int count = 0;
    for (int i = 0; i < tries; ++i) count += ask(s).empty() ? 1 : 0;
    return count;
  }
  std::string send(const Allowance::Subject& s, uint64_t bytes) {
    auto excess = allowance_->spend_upload(s, bytes);
    if (excess) last_ = *excess;
    return excess ? excess->code : "";
  }

  HandClock clock_;
  std::unique_ptr<Ledger> ledger_ = std::make_unique<Ledger>();
  std::optional<Allowance> allowance_;
  Excess last_;
};

TEST_F(AllowanceTest, no_minute_holds_more_requests_than_the_limit) {
  const auto s = subject({.requests_per_minute = 10});
  std::vector<Nanos> passed;
  for (int i = 0; i < 2'000; ++i) {
    if (ask(s).empty()) passed.push_back(clock_.ticks);
    clock_.pass(137 * kMillisecond);
  }
  ASSERT_GT(passed.size(), 30u);
  for (size_t i = 10; i < passed.size(); ++i) EXPECT_GE(passed[i] - passed[i - 10], kMinute);
}

TEST_F(AllowanceTest, a_refusal_says_which_rule_and_when_to_come_again) {
  const auto s = subject({.requests_per_minute = 2});
  EXPECT_EQ(admitted(s, 3), 2);
  EXPECT_EQ(last_.code, "limit.requests_per_minute");
  EXPECT_EQ(last_.rule, "network.api.limits.requestsPerMinute");
  ASSERT_GT(last_.retry_after_s, 0);
  ASSERT_LE(last_.retry_after_s, 67);
  const Nanos wait = last_.retry_after_s * kSecond;
  clock_.pass(kMinute / 2);
  EXPECT_NE(ask(s), "");
  clock_.pass(wait - kMinute / 2);
  EXPECT_EQ(ask(s), "") << "the promise of Retry-After is kept";
}

TEST_F(AllowanceTest, what_destroys_may_be_a_tenth) {
  const auto s = subject({.requests_per_minute = 40});
  int count = 0;
  for (int i = 0; i < 20; ++i) count += ask(s, Allowance::Kind::destructive).empty() ? 1 : 0;
  EXPECT_EQ(count, 4);
  EXPECT_EQ(ask(s), "") << "reading goes on";
  EXPECT_TRUE(is_destructive("DELETE"));
  EXPECT_FALSE(is_destructive("POST"));
}

TEST_F(AllowanceTest, agents_and_entries_are_counted_apart) {
  auto s = subject({.requests_per_minute = 1});
  EXPECT_EQ(admitted(s, 2), 1);
  s.agent = "ag-2";
  EXPECT_EQ(admitted(s, 2), 1);
  s.entry = "other";
  EXPECT_EQ(admitted(s, 2), 1);
}

TEST_F(AllowanceTest, at_once_counts_what_is_under_way) {
  const auto s = subject({.concurrent = 2});
  {
    auto a = allowance_->admit(s), b = allowance_->admit(s);
    ASSERT_TRUE(a && b);
    EXPECT_EQ(ask(s), "limit.concurrent");
    EXPECT_EQ(last_.retry_after_s, 1);
    auto moved = std::move(*a);
    EXPECT_EQ(ask(s), "limit.concurrent");
  }
  EXPECT_EQ(ask(s), "");
}

TEST_F(AllowanceTest, bytes_are_refused_before_they_go_and_then_not_counted) {
  const auto s = subject({.upload_bytes_per_hour = 1000}, {.upload_bytes = 1500});
  EXPECT_EQ(send(s, 900), "");
  EXPECT_EQ(send(s, 200), "limit.upload_bytes_per_hour");
  EXPECT_EQ(send(s, 100), "");
  clock_.pass(66 * kMinute);
  EXPECT_EQ(send(s, 501), "budget.upload_bytes");
  EXPECT_EQ(send(s, 500), "");
  EXPECT_EQ(send(s, 5000), "limit.upload_bytes_per_hour");
  EXPECT_EQ(last_.retry_after_s, 0) << "more than the whole limit: waiting does not help";
}

TEST_F(AllowanceTest, a_budget_is_the_workspaces_whoever_spends_it) {
  auto s = subject({}, {.calls = 3});
  EXPECT_EQ(admitted(s, 2), 2);
  s.agent = "ag-2", s.entry = "other";
  EXPECT_EQ(admitted(s, 2), 1);
  EXPECT_EQ(last_.rule, "budget.perDay.calls");
  clock_.pass(24 * 60 * kMinute + 2 * 60 * kMinute + 11 * kMinute);
  EXPECT_EQ(ask(s), "");
}

TEST_F(AllowanceTest, tokens_are_known_afterwards) {
  const policy::Budget budget{.tokens = 100};
  EXPECT_FALSE(allowance_->tokens_left(budget));
  allowance_->spend_tokens(150);
  ASSERT_TRUE(allowance_->tokens_left(budget));
  EXPECT_EQ(allowance_->tokens_left(budget)->code, "budget.tokens");
  EXPECT_FALSE(allowance_->tokens_left({})) << "no budget, no limit";
  for (int i = 0; i < 30; ++i) allowance_->spend_tokens(UINT64_MAX);
  EXPECT_TRUE(allowance_->tokens_left(budget)) << "no overflow forgives";
}

TEST_F(AllowanceTest, a_restart_forgives_nothing) {
  const auto s = subject({.requests_per_minute = 5, .concurrent = 1}, {.calls = 100});
  EXPECT_EQ(admitted(s, 3), 3);
  EXPECT_TRUE(allowance_->admit(s));
  start();
  EXPECT_EQ(admitted(s, 5), 1);
}

TEST_F(AllowanceTest, a_machine_that_started_over_counts_the_time_it_was_away_and_no_more_than_a_day) {
  const auto s = subject({}, {.calls = 1});
  EXPECT_EQ(ask(s), "");
  clock_.ticks = 5 * kSecond;  // another boot, clock unset
  clock_.wall = 0;
  start();
  EXPECT_EQ(ask(s), "budget.calls") << "a clock that went back gives nothing";
  clock_.ticks = 4 * kSecond;
  clock_.wall = 5'000'000'000 * kSecond;
  start();
  EXPECT_EQ(ask(s), "budget.calls")
      << "a leap of a century counts as a day, and the step it was made in is not over";
  clock_.pass(60 * kMinute * 3);
  EXPECT_EQ(ask(s), "");
}

TEST_F(AllowanceTest, without_a_ledger_what_has_a_limit_is_refused) {
  allowance_.emplace(clock_);
  EXPECT_EQ(ask(subject({.requests_per_minute = 9})), "limit.no_ledger");
  EXPECT_EQ(send(subject({.upload_bytes_per_hour = 9}), 1), "limit.no_ledger");
  EXPECT_TRUE(allowance_->tokens_left({.tokens = 5}));
  EXPECT_EQ(ask(subject({.concurrent = 1})), "");
  EXPECT_EQ(ask(subject({})), "");
  std::array<std::byte, 64> small{};
  EXPECT_FALSE(allowance_->use(small));
}

TEST_F(AllowanceTest, a_ledger_full_of_others_refuses_and_stale_rows_are_used_again) {
  auto s = subject({.requests_per_minute = 5});
  std::vector<std::string> agents;
  for (size_t i = 0; i < Allowance::kRows; ++i) agents.push_back(fmt::format("ag-{}", i));
  for (const std::string& agent : agents) {
    s.agent = agent;
    ASSERT_EQ(ask(s), "");
  }
  s.agent = "one-more";
  EXPECT_EQ(ask(s), "limit.too_many");
  clock_.pass(2 * kMinute);
  EXPECT_EQ(ask(s), "");
}

TEST_F(AllowanceTest, a_ledger_with_anything_in_it_is_survived) {
  const auto s = subject({.requests_per_minute = 5, .upload_bytes_per_hour = 100}, {.calls = 9, .tokens = 4});
  uint32_t x = 1;
  for (int round = 0; round < 200; ++round) {
    for (size_t i = 8; i < 128 * 8; ++i) {
      x = x * 1664525 + 1013904223;
      ledger_->bytes[i] = static_cast<std::byte>(x >> 24);
    }
    start();
    ask(s);
    send(s, 10);
    allowance_->tokens_left(s.budget);
    allowance_->spend_tokens(x);
    clock_.pass(kMinute);
  }
}

}  // namespace
}  // namespace saw::egress
