// The writer, its thread and a real log, with disks that fail.
#include "control/audit_log_sink.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <thread>

#include <gtest/gtest.h>

#include "audit/disk.h"
#include "base/crypto.h"
#include "control/audit_writer.h"

namespace saw::control {
namespace {

constexpr std::string_view kOrigin = "test.example/saw";

// Where a step fails while the switch is on.
struct Trouble {
  std::atomic<int> error{0};          // what the journal's flush ends with
  std::atomic<int> replace_error{0};  // … and what writing a tile or the checkpoint ends with
  std::atomic<int64_t> flush_ms{0};   // how long the journal's flush takes
  std::atomic<int> flushes{0};        // of the journal, begun
  std::atomic<int> refused{0};        // writes of tiles and checkpoints that failed
  std::atomic<bool> held{false};      // writes of tiles and checkpoints take until it is off
};

class TroubledDisk final : public audit::Disk {
 public:
  explicit TroubledDisk(Trouble& trouble) : trouble_(trouble) {}
  Result<> replace(const std::string& path, std::string_view content, Durability durability) override {
    trouble_.held.wait(true);
    if (const int error = trouble_.replace_error) {
      ++trouble_.refused;
      return std::unexpected(Error::from_errno("audit.disk", error, "writing a tile"));
    }
    return real_.replace(path, content, durability);
  }
  Result<> append(const Fd& file, uint64_t offset, std::string_view bytes) override {
    ++trouble_.flushes;
    std::this_thread::sleep_for(std::chrono::milliseconds(trouble_.flush_ms));
    if (const int error = trouble_.error)
      return std::unexpected(Error::from_errno("audit.disk", error, "flushing the audit journal"));
    return real_.append(file, offset, bytes);
  }
  Result<> flush(const std::vector<std::string>& paths, const std::string& root) override {
    return real_.flush(paths, root);
  }
  Result<> truncate(const Fd& file, uint64_t size) override { return real_.truncate(file, size); }
  Result<> remove(const std::string& path) override { return real_.remove(path); }

 private:
  Trouble& trouble_;
  audit::PosixDisk real_;
};

class AuditLogSinkTest : public testing::Test {
 protected:
  AuditLogSinkTest() : directory_(testing::TempDir() + random_id("audit-sink-")) { open(); }
  ~AuditLogSinkTest() override {
    writer_.reset();
    std::filesystem::remove_all(directory_);
  }
  void open() {
    writer_ = std::move(*AuditWriter::create(loop_, [this]() -> Result<std::unique_ptr<AuditSink>> {
      if (const int error = trouble_.error)
        return std::unexpected(Error::from_errno("audit.disk", error, "opening"));
      return run_audit_log(loop_, SAW_TRY(audit::Log::open(directory_, std::string(kOrigin), key(),
                                                           std::make_unique<TroubledDisk>(trouble_), {})));
    }));
  }
  static SigningKey key() { return std::move(*SigningKey::from_seed(std::string(32, 'k'))); }
  template <class Done> bool run_until(Done done) {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    auto tick = loop_.after(1, [] {});
    while (!done() && std::chrono::steady_clock::now() < limit) {
      loop_.run_ready();
      std::this_thread::yield();
    }
    return done();
  }
  Result<> record_and_wait(std::string line) {
    std::optional<Result<>> answer;
    writer_->record_before(std::move(line), [&](Result<> durable) { answer = std::move(durable); });
    EXPECT_TRUE(run_until([&] { return answer.has_value(); }));
    return std::move(*answer);
  }
  audit::VerifyReport verify() const {
    return audit::verify(directory_, kOrigin, key().public_key(), audit::JournalNeed::required);
  }

  os::Loop loop_ = std::move(*os::Loop::create());
  Trouble trouble_;
  std::string directory_;
  std::unique_ptr<AuditWriter> writer_;
};

TEST_F(AuditLogSinkTest, what_was_recorded_can_be_read_when_it_is_said_to_be) {
  for (int i = 0; i < 600; ++i) writer_->record(fmt::format("event {}", i));
  bool readable = false;
  writer_->when_readable([&](Result<> r) { readable = bool(r); });
  ASSERT_TRUE(run_until([&] { return readable; }));
  auto entries = audit::read_entries(directory_, 0, 1000);
  ASSERT_TRUE(entries) << entries.error().message;
  ASSERT_EQ(entries->size(), 600u);
  EXPECT_EQ(entries->back(), "event 599");
  EXPECT_EQ(writer_->entries(), 600u);
  EXPECT_TRUE(verify().ok) << verify().problem;
}

TEST_F(AuditLogSinkTest, readers_see_what_nobody_asked_for_within_a_bounded_time) {
  writer_->record("quiet");
  ASSERT_TRUE(run_until([&] { return writer_->entries() == 1; }));
  EXPECT_EQ(*audit::checkpoint_size(directory_), 1u);
}

TEST_F(AuditLogSinkTest, the_loop_goes_on_while_the_disk_takes_its_time) {
  trouble_.flush_ms = 300;
  const auto begin = std::chrono::steady_clock::now();
  bool durable = false;
  writer_->record_before("slow", [&](Result<>) { durable = true; });
  int turns = 0;
  std::vector<os::Loop::Timer> timers;
  for (int i = 0; i < 20; ++i) timers.push_back(loop_.after(i, [&] { ++turns; }));
  ASSERT_TRUE(run_until([&] { return turns == 20; }));
  EXPECT_FALSE(durable);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(300));
  ASSERT_TRUE(run_until([&] { return durable; }));
}

TEST_F(AuditLogSinkTest, many_who_wait_share_one_flush) {
  trouble_.flush_ms = 50;
  int durable = 0;
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 200; ++i)
    writer_->record_before(fmt::format("{}", i), [&](Result<> r) { durable += bool(r); });
  ASSERT_TRUE(run_until([&] { return durable == 200; }));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(1))
      << "200 flushes would take 10 s";
}

TEST_F(AuditLogSinkTest, a_full_or_read_only_disk_refuses_the_act_and_keeps_what_has_happened) {
  for (const int error : {ENOSPC, EROFS, EIO}) {
    ASSERT_TRUE(record_and_wait("before"));
    trouble_.error = error;
    writer_->record(fmt::format("happened {}", error));
    auto refused = record_and_wait(fmt::format("act {}", error));
    EXPECT_EQ(refused.error().code, "audit.unavailable");
    EXPECT_FALSE(writer_->available());
    EXPECT_EQ(record_and_wait("another act").error().code, "audit.unavailable") << "at once";
    trouble_.error = 0;
    ASSERT_TRUE(run_until([&] { return writer_->available(); }));
    ASSERT_TRUE(record_and_wait("after"));
    bool readable = false;
    writer_->when_readable([&](Result<>) { readable = true; });
    ASSERT_TRUE(run_until([&] { return readable; }));
    const auto entries = *audit::read_entries(directory_, 0, 100);
    EXPECT_EQ(std::ranges::count(entries, fmt::format("happened {}", error)), 1);
    EXPECT_EQ(std::ranges::count(entries, fmt::format("act {}", error)), 0) << "it did not take place";
  }
  EXPECT_TRUE(verify().ok) << verify().problem;
}

TEST_F(AuditLogSinkTest, a_log_that_cannot_be_published_takes_no_acts_either) {
  ASSERT_TRUE(record_and_wait("one"));
  ASSERT_TRUE(run_until([&] { return writer_->entries() == 1; }));
  trouble_.replace_error = ENOSPC;
  ASSERT_TRUE(record_and_wait("two")) << "it is durable in the journal";
  ASSERT_TRUE(run_until([&] { return !writer_->available(); }));
  EXPECT_EQ(record_and_wait("three").error().code, "audit.unavailable");
  trouble_.replace_error = 0;
  ASSERT_TRUE(run_until([&] { return writer_->available(); }));
  EXPECT_EQ(writer_->entries(), 2u);
  EXPECT_TRUE(verify().ok) << verify().problem;
}

TEST_F(AuditLogSinkTest, an_act_whose_record_is_durable_goes_ahead_though_publishing_it_failed_meanwhile) {
  ASSERT_TRUE(record_and_wait("one"));
  ASSERT_TRUE(run_until([&] { return writer_->entries() == 1; }));
  trouble_.replace_error = ENOSPC;
  trouble_.flush_ms = 20;
  trouble_.flushes = 0;
  std::optional<Result<>> answer;
  writer_->record_before("two", [&](Result<> durable) { answer = std::move(durable); });
  ASSERT_TRUE(run_until([&] { return trouble_.flushes == 1; }));
  while (trouble_.refused == 0) std::this_thread::yield();  // the loop hears of both at once
  ASSERT_TRUE(run_until([&] { return answer && !writer_->available(); }));
  EXPECT_TRUE(*answer) << answer->error().message;
}

TEST_F(AuditLogSinkTest, readers_who_wait_while_publishing_fails_are_answered) {
  for (int round = 0; round < 3; ++round) {
    ASSERT_TRUE(record_and_wait("event"));
    trouble_.replace_error = ENOSPC;
    trouble_.held = true;  // the thread publishes on its own account, or is about to
    int answered = 0;
    for (int i = 0; i < 50; ++i) writer_->when_readable([&](Result<>) { ++answered; });
    trouble_.held = false;
    trouble_.held.notify_all();
    ASSERT_TRUE(run_until([&] { return answered == 50; })) << answered << " in round " << round;
    trouble_.replace_error = 0;
    ASSERT_TRUE(run_until([&] { return writer_->available(); }));
  }
}

TEST_F(AuditLogSinkTest, the_end_of_the_daemon_publishes_what_is_durable) {
  ASSERT_TRUE(record_and_wait("last"));
  writer_.reset();
  EXPECT_EQ(*audit::checkpoint_size(directory_), 1u);
  EXPECT_TRUE(verify().ok) << verify().problem;
}

}  // namespace
}  // namespace saw::control
