#include "egress/audit_trail.h"

#include <gtest/gtest.h>

namespace saw::egress {
namespace {

class FakeClock final : public Clock {
 public:
  Nanos now() const override { return time; }
  Nanos monotonic() const override { return time; }
  Nanos time = kSecond;
};

class AuditTrailTest : public testing::Test {
 protected:
  void wait_ms(int64_t ms) { clock_.time += ms * kMillisecond; }

  os::Loop loop_ = std::move(*os::Loop::create());
  FakeClock clock_;
  Net net_{loop_, clock_};
  AuditTrail trail_{net_, [](std::string) {}};
};

TEST_F(AuditTrailTest, has_no_room_when_too_much_is_under_way) {
  for (uint64_t i = 0; i < kMaxUnacknowledged; ++i) {
    EXPECT_TRUE(trail_.has_room());
    trail_.record("{}");
  }
  EXPECT_FALSE(trail_.has_room());
  trail_.acknowledge(1);
  EXPECT_TRUE(trail_.has_room());
}

TEST_F(AuditTrailTest, has_no_room_once_the_log_has_acknowledged_nothing_for_too_long) {
  const uint64_t first = trail_.record("{}");
  wait_ms(AuditTrail::kPatienceMs);
  EXPECT_TRUE(trail_.has_room());
  wait_ms(1);
  EXPECT_FALSE(trail_.has_room()) << "even for those who do not wait for their record";
  trail_.acknowledge(first);
  EXPECT_TRUE(trail_.has_room());
}

TEST_F(AuditTrailTest, a_long_quiet_time_is_no_failure) {
  trail_.acknowledge(trail_.record("{}"));
  wait_ms(10 * AuditTrail::kPatienceMs);
  EXPECT_TRUE(trail_.has_room());
  trail_.record("{}");
  EXPECT_TRUE(trail_.has_room());
}

}  // namespace
}  // namespace saw::egress
