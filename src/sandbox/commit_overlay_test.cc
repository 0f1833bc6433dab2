// Commits of what a real overlay wrote: the same random edits, done in a session and on a plain copy, must
// end in the same tree.
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "sandbox/commit.h"
#include "sandbox/session_reference.h"
#include "sandbox/tree_test_support.h"

namespace saw::sandbox {
namespace {

namespace fs = std::filesystem;
using testing_support::describe_tree;
using testing_support::RandomEdits;

constexpr int kSkip = 77;

class OverlayTest : public testing::Test {
 protected:
  OverlayTest() {
    std::string name = testing::TempDir() + "saw-overlay-XXXXXX";
    directory_ = ::mkdtemp(name.data());
    for (const char* each : {"/base", "/plain", "/sessions", "/merged"})
      fs::create_directories(directory_ + each);
  }
  ~OverlayTest() override { fs::remove_all(directory_); }

  static Fd open(const std::string& path) { return std::move(*Fd::open(path, O_RDONLY | O_DIRECTORY)); }
  void begin() {
    ::usleep(20'000);
    Fd sessions = open(directory_ + "/sessions");
    SAW_CHECK(testing_support::make_session_directory(sessions.get(), "s").has_value());
  }
  // Edits through an overlay of the session over the base, in a process that has the mount to itself.
  // kSkip: this host lets nobody mount one.
  template <class Edit> int in_session(Edit edit) {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(mount_and_run(edit));
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
  }
  template <class Edit> int mount_and_run(Edit edit) {
    if (::unshare(::geteuid() == 0 ? CLONE_NEWNS : CLONE_NEWNS | CLONE_NEWUSER) != 0) return kSkip;
    ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
    const std::string session = directory_ + "/sessions/s";
    std::string options = "lowerdir=" + directory_ + "/base,upperdir=" + session +
                          "/upper,workdir=" + session + "/work,redirect_dir=nofollow,index=off,metacopy=off";
    if (::geteuid() != 0) options += ",userxattr";
    const std::string merged = directory_ + "/merged";
    if (::mount("overlay", merged.c_str(), "overlay", 0, options.c_str()) != 0) return kSkip;
    edit(merged);
    return 0;
  }
  CommitPlaces places() const {
    CommitPlaces places{.sources = {.mounter = ::geteuid() == 0 ? Mounter::root : Mounter::user},
                        .session = "s"};
    places.sources.layers.push_back(open(directory_ + "/sessions/s/upper"));
    places.sources.base = open(directory_ + "/base");
    places.sources.below.push_back(open(directory_ + "/base"));
    fs::remove_all(directory_ + "/commits/w");
    fs::create_directories(directory_ + "/commits/w");
    places.work = open(directory_ + "/commits/w");
    places.next = testing_support::next_layer(directory_ + "/commits/w", directory_ + "/sessions");
    places.since = *read_reference(open(directory_ + "/sessions/s").get());
    return places;
  }
  std::string directory_;
};

TEST_F(OverlayTest, a_committed_session_equals_a_plain_copy_with_the_same_edits) {
  constexpr uint64_t kSeeds = 15;
  constexpr int kRounds = 2, kEdits = 40;
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    SCOPED_TRACE(seed);
    for (const char* each : {"/base", "/plain"}) {
      fs::remove_all(directory_ + each);
      fs::create_directories(directory_ + each);
      RandomEdits(seed).run(directory_ + each, kEdits);
    }
    ASSERT_EQ(describe_tree(directory_ + "/base"), describe_tree(directory_ + "/plain"));
    fs::remove_all(directory_ + "/sessions/s");
    begin();
    for (int round = 0; round < kRounds; ++round) {  // the session goes on after a commit
      const uint64_t edits = seed * 1000 + static_cast<uint64_t>(round);
      const int ended =
          in_session([&](const std::string& merged) { RandomEdits(edits).run(merged, kEdits); });
      if (ended == kSkip) GTEST_SKIP() << "no overlay can be mounted here";
      ASSERT_EQ(ended, 0);
      RandomEdits(edits).run(directory_ + "/plain", kEdits);
      auto outcome = commit(places(), {});
      ASSERT_TRUE(outcome) << outcome.error().message;
      ASSERT_TRUE(outcome->conflicts.empty()) << outcome->conflicts.front();
      ASSERT_TRUE(outcome->failed.empty()) << outcome->failed.front();
      ASSERT_EQ(describe_tree(directory_ + "/base"), describe_tree(directory_ + "/plain"));
      ASSERT_TRUE(list_changes(places().sources)->changes.empty());
    }
  }
}

TEST_F(OverlayTest, a_session_that_ends_as_it_began_has_no_changes) {
  testing_support::write(directory_ + "/base/d/f", "x");
  begin();
  const int ended = in_session([](const std::string& merged) {
    ::close(::open((merged + "/d/f").c_str(), O_WRONLY | O_CLOEXEC));
    testing_support::write(merged + "/made", "x");
    fs::remove(merged + "/made");
    ::chmod((merged + "/d").c_str(), 0700);
    ::chmod((merged + "/d").c_str(), 0755);
  });
  if (ended == kSkip) GTEST_SKIP() << "no overlay can be mounted here";
  const auto list = list_changes(places().sources);
  ASSERT_TRUE(list);
  EXPECT_TRUE(list->changes.empty()) << list->changes.front().path;
  EXPECT_EQ(*list->root, sha256(""));
}

TEST_F(OverlayTest, a_renamed_file_is_told_with_where_it_was) {
  testing_support::write(directory_ + "/base/from", "some bytes");
  begin();
  const int ended =
      in_session([](const std::string& merged) { fs::rename(merged + "/from", merged + "/to"); });
  if (ended == kSkip) GTEST_SKIP() << "no overlay can be mounted here";
  const auto list = list_changes(places().sources);
  ASSERT_EQ(list->changes.size(), 2u);
  EXPECT_EQ(list->changes[1].path, "/to");
  EXPECT_EQ(list->changes[1].renamed_from, "/from");
}

// ---- what was changed underneath leaves traces only in the layers' marks

TEST_F(OverlayTest, a_file_that_the_workspace_deleted_and_the_session_changed_is_a_conflict) {
  testing_support::write(directory_ + "/base/f", "old");
  begin();
  const int ended =
      in_session([](const std::string& merged) { testing_support::write(merged + "/f", "new"); });
  if (ended == kSkip) GTEST_SKIP() << "no overlay can be mounted here";
  fs::remove(directory_ + "/base/f");
  const auto outcome = commit(places(), {});
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->conflicts, (std::vector<std::string>{"/f"}));
}

TEST_F(OverlayTest, a_directory_that_the_workspace_replaced_by_an_older_one_is_a_conflict) {
  testing_support::write(directory_ + "/base/d/f", "old");
  testing_support::write(directory_ + "/base/older/f", "another");
  begin();
  const int ended =
      in_session([](const std::string& merged) { testing_support::write(merged + "/d/f", "new"); });
  if (ended == kSkip) GTEST_SKIP() << "no overlay can be mounted here";
  fs::rename(directory_ + "/base/d", directory_ + "/base/away");
  fs::rename(directory_ + "/base/older", directory_ + "/base/d");
  const auto outcome = commit(places(), {});
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->conflicts, (std::vector<std::string>{"/d/f"}));
  EXPECT_EQ(testing_support::read(directory_ + "/base/d/f"), "another");
}

TEST_F(OverlayTest, a_file_moved_within_the_session_is_no_conflict) {
  testing_support::write(directory_ + "/base/d/f", "bytes");
  begin();
  const int ended = in_session([](const std::string& merged) {
    fs::rename(merged + "/d/f", merged + "/g");
    std::ofstream(merged + "/g", std::ios::app) << "more";
  });
  if (ended == kSkip) GTEST_SKIP() << "no overlay can be mounted here";
  const auto outcome = commit(places(), {});
  ASSERT_TRUE(outcome);
  EXPECT_TRUE(outcome->conflicts.empty());
  EXPECT_EQ(testing_support::read(directory_ + "/base/g"), "bytesmore");
}

}  // namespace
}  // namespace saw::sandbox
