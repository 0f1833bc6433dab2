#include "control/audit_writer.h"

#include "control/control_fixture_test.h"

namespace saw::control {
namespace {

class AuditWriterTest : public ControlTest {
 protected:
  AuditWriterTest()
      : writer_(std::move(*AuditWriter::create(loop_, [this]() -> Result<std::unique_ptr<AuditSink>> {
          if (disk_.full) return Error::make("audit.full", "no space left on device");
          return std::unique_ptr<AuditSink>(std::make_unique<FakeSink>(disk_));
        }))) {}
  std::unique_ptr<AuditWriter> writer_;
};

TEST_F(AuditWriterTest, more_than_one_append_takes_is_written_in_several_and_in_order) {
  constexpr size_t kLines = 40;
  const std::string padding(1u << 20, 'x');
  size_t durable = 0;
  for (size_t i = 0; i < kLines; ++i)
    writer_->record_kept(fmt::format("{:02} {}", i, padding),
                         [&](Result<> written) { durable += bool(written); });
  ASSERT_TRUE(run_until([&] { return durable == kLines; }));
  EXPECT_TRUE(writer_->available());
  ASSERT_EQ(disk_.lines.size(), kLines);
  EXPECT_TRUE(std::ranges::is_sorted(disk_.lines));
}

TEST_F(AuditWriterTest, what_an_outage_held_back_does_not_keep_the_log_from_opening_again) {
  disk_.full = true;
  writer_->record("first");
  run_quiet();
  ASSERT_FALSE(writer_->available());
  for (int i = 0; i < 40; ++i) writer_->record(std::string(1u << 20, 'x'));
  disk_.full = false;
  ASSERT_TRUE(run_until([&] { return disk_.lines.size() == 41; }));
  EXPECT_TRUE(writer_->available());
  EXPECT_EQ(disk_.lines[0], "first");
}

}  // namespace
}  // namespace saw::control
