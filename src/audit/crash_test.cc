// The log's writer against a disk that fails: between any two of its steps, in the middle of one, with
// everything lost that was not flushed, and when it is full.
#include <algorithm>
#include <memory>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "audit/log.h"
#include "audit/log_fixture_test.h"
#include "base/file.h"

namespace saw::audit {
namespace {

namespace fs = std::filesystem;

enum class Fault {
  before,    // the process dies before step N
  torn,      // … in the middle of it
  after,     // … after it
  reverted,  // the power fails before step N: what was not flushed is as it was before
  lagging,   // … what was not flushed lacks its last change only
  emptied,   // the power fails before step N: files that were not flushed are there, and empty
  full,      // step N finds no space; later steps would succeed
};
constexpr Fault kCrashes[] = {Fault::before,   Fault::torn,    Fault::after,
                              Fault::reverted, Fault::lagging, Fault::emptied};

struct Plan {
  int step = -1;  // -1: no fault
  Fault fault = Fault::before;
  int steps = 0;  // counted
  bool dead = false;
};

class FaultyDisk final : public Disk {
 public:
  explicit FaultyDisk(Plan& plan) : plan_(plan) {}

  Result<> replace(const std::string& path, std::string_view content, Durability durability) override {
    return step([&] { return do_replace(path, content, durability); },
                [&] {
                  (void)replace_file(path + ".new-torn", content.substr(0, content.size() / 2), 0600,
                                     Durability::none);
                });
  }
  Result<> append(const Fd& file, uint64_t offset, std::string_view bytes) override {
    return step(
        [&] { return real_.append(file, offset, bytes); },
        [&] { (void)::pwrite(file.get(), bytes.data(), bytes.size() / 2, static_cast<off_t>(offset)); });
  }
  Result<> flush(const std::vector<std::string>& paths, const std::string& root) override {
    return step(
        [&] { return do_flush(paths, root); },
        [&] { (void)do_flush({paths.begin(), paths.begin() + static_cast<long>(paths.size() / 2)}, root); });
  }
  Result<> truncate(const Fd& file, uint64_t size) override {
    return step([&] { return real_.truncate(file, size); }, [] {});
  }
  Result<> remove(const std::string& path) override {
    return step([&] { return do_remove(path); }, [] {});
  }

 private:
  template <class Act, class Tear> Result<> step(Act act, Tear tear) {
    auto gone = [](int error) { return std::unexpected(Error::from_errno("audit.disk", error, "writing")); };
    if (plan_.dead) return gone(EIO);
    if (plan_.steps++ != plan_.step) return act();
    if (plan_.fault == Fault::full) return tear(), gone(ENOSPC);
    plan_.dead = true;
    if (plan_.fault == Fault::torn) tear();
    if (plan_.fault == Fault::after) (void)act();
    if (plan_.fault >= Fault::reverted && plan_.fault <= Fault::emptied) fail_power();
    return gone(EIO);
  }
  Result<> do_replace(const std::string& path, std::string_view content, Durability durability) {
    if (durability == Durability::fsync)
      std::erase_if(unflushed_, [&](const auto& u) { return u.path == path; });
    else
      unflushed_.push_back({path, current(path)});
    return real_.replace(path, content, durability);
  }
  Result<> do_flush(const std::vector<std::string>& paths, const std::string& root) {
    std::erase_if(unflushed_,
                  [&](const Unflushed& u) { return std::ranges::find(paths, u.path) != paths.end(); });
    return real_.flush(paths, root);
  }
  Result<> do_remove(const std::string& path) {
    if (fs::is_regular_file(path)) unflushed_.push_back({path, current(path)});
    return real_.remove(path);
  }
  static std::optional<std::string> current(const std::string& path) {
    auto content = read_file(path);
    return content ? std::optional(*content) : std::nullopt;
  }
  void fail_power() {
    std::set<std::string> undone;
    for (size_t i = unflushed_.size(); i-- > 0;) {
      auto& [path, was] = unflushed_[i];
      if (!undone.insert(path).second && plan_.fault == Fault::lagging) continue;
      if (plan_.fault == Fault::emptied && fs::exists(path))
        fs::resize_file(path, 0);
      else if (plan_.fault != Fault::emptied && was)
        (void)real_.replace(path, *was, Durability::none);
      else if (plan_.fault != Fault::emptied)
        fs::remove(path);
    }
  }

  struct Unflushed {
    std::string path;
    std::optional<std::string> was;
  };
  Plan& plan_;
  PosixDisk real_;
  std::vector<Unflushed> unflushed_;
};

Result<Log> open_faulty(const Folder& folder, Plan& plan) {
  return Log::open(folder.path, std::string(kOrigin), test_key(), std::make_unique<FaultyDisk>(plan),
                   {.settle_entries = 2048});
}

// Appends of sizes that stay in a bundle, fill one exactly, cross one, cross two, and settle the journal;
// stops at the first failure.
struct Outcome {
  uint64_t acknowledged = 0, attempted = 0;
};
Outcome scenario(const Folder& folder, Plan& plan) {
  Outcome o;
  auto log = open_faulty(folder, plan);
  if (!log) return o;
  size_t batch = 0;
  for (size_t n : {250, 3, 3, 4, 300, 208, 1, 1300, 1, 20}) {
    o.attempted += n;
    const std::vector<std::string> lines = numbered(o.acknowledged, o.attempted);
    const auto recorded = log->record(lines);
    if (recorded) o.acknowledged = o.attempted;
    // Every third publishes nothing: the next one does it for both.
    if (!recorded || (++batch % 3 != 0 && !log->publish())) {
      auto next = log->append(numbered(0, 1));
      EXPECT_FALSE(next);
      EXPECT_EQ(next.error().code, "audit.failed");
      return o;
    }
  }
  return o;
}

void expect_whole(const Folder& folder, const Outcome& o, const std::string& when) {
  auto log = open_log(folder);
  ASSERT_TRUE(log) << when << ": " << log.error().message;
  ASSERT_GE(log->size(), o.acknowledged) << when;
  ASSERT_LE(log->size(), o.attempted) << when;
  VerifyReport report = verify_log(folder);
  ASSERT_TRUE(report.ok) << when << ": " << report.problem;
  ASSERT_EQ(report.entries, log->size()) << when;
  ASSERT_EQ(*read_entries(folder.path, 0, 10'000), numbered(0, log->size())) << when;
  const uint64_t size = log->size();
  ASSERT_TRUE(log->append(numbered(size, size + 300))) << when;
  ASSERT_TRUE(verify_log(folder).ok) << when;
  for (const auto& e : fs::recursive_directory_iterator(folder.path))
    ASSERT_EQ(e.path().string().find(".new-"), std::string::npos) << when << ": " << e.path();
}

int steps_of_scenario() {
  Folder folder;
  Plan plan;
  EXPECT_EQ(scenario(folder, plan).acknowledged, 2090u);
  return plan.steps;
}

TEST(Crash, between_any_two_steps_loses_nothing_that_was_acknowledged) {
  const int steps = steps_of_scenario();
  ASSERT_GT(steps, 40);
  for (Fault fault : kCrashes) {
    for (int step = 0; step < steps; ++step) {
      Folder folder;
      Plan plan{.step = step, .fault = fault};
      Outcome o = scenario(folder, plan);
      ASSERT_TRUE(plan.dead);
      expect_whole(folder, o,
                   "fault " + std::to_string(static_cast<int>(fault)) + " at step " + std::to_string(step));
      if (HasFatalFailure()) return;
    }
  }
}

TEST(Crash, during_recovery_from_a_crash_loses_nothing_either) {
  const int steps = steps_of_scenario();
  for (Fault fault : {Fault::torn, Fault::reverted, Fault::lagging, Fault::emptied}) {
    for (int step = 1; step < steps; step += 4) {
      for (int again = 0;; ++again) {
        Folder folder;
        Plan plan{.step = step, .fault = fault}, second{.step = again, .fault = fault};
        Outcome o = scenario(folder, plan);
        (void)open_faulty(folder, second);
        expect_whole(folder, o,
                     "fault " + std::to_string(static_cast<int>(fault)) + " at step " + std::to_string(step) +
                         " and " + std::to_string(again));
        if (HasFatalFailure()) return;
        if (!second.dead) break;
      }
    }
  }
}

TEST(FullDisk, fails_the_append_and_all_after_it_until_the_log_is_opened_again) {
  const int steps = steps_of_scenario();
  for (int step = 0; step < steps; ++step) {
    Folder folder;
    Plan plan{.step = step, .fault = Fault::full};
    Outcome o = scenario(folder, plan);
    expect_whole(folder, o, "full at step " + std::to_string(step));
    if (HasFatalFailure()) return;
  }
}

TEST(FullDisk, says_so) {
  Folder folder;
  ASSERT_TRUE(open_log(folder));
  Plan plan;
  auto log = open_faulty(folder, plan);
  ASSERT_TRUE(log);
  plan.step = plan.steps, plan.fault = Fault::full;
  auto refused = log->append(numbered(0, 1));
  EXPECT_EQ(refused.error().os_errno, ENOSPC);
  EXPECT_EQ(log->size(), 0u);
}

// A frame that is not whole is a torn write only where the checkpoint does not vouch for it.
TEST(Crash, a_torn_tail_is_cut_but_a_hole_is_refused) {
  Folder folder;
  {
    auto log = open_log(folder);
    for (size_t n = 0; n < 4; ++n) ASSERT_TRUE(log->append(numbered(n, n + 1)));
  }
  const std::string journal = *read_file(folder.path + "/journal");
  ASSERT_TRUE(replace_file(folder.path + "/journal", journal + "half a frame", 0600, Durability::none));
  EXPECT_EQ(open_log(folder)->size(), 4u);
  EXPECT_EQ(*read_file(folder.path + "/journal"), journal);

  std::string hole = journal;
  hole[journal.size() / 2] ^= 1;
  ASSERT_TRUE(replace_file(folder.path + "/journal", hole, 0600, Durability::none));
  EXPECT_EQ(open_log(folder).error().code, "audit.truncated");
}

}  // namespace
}  // namespace saw::audit
