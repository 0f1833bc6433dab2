// Commits into workspaces that stand on frozen layers, with the overlays that sandboxes would mount.
#include <cstdlib>
#include <filesystem>
#include <functional>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "sandbox/commit_journal.h"
#include "sandbox/killed_test_support.h"
#include "sandbox/storage.h"
#include "sandbox/tree_test_support.h"

namespace saw::sandbox {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::IsEmpty;
using testing_support::describe_tree;
using testing_support::RandomEdits;
using testing_support::run_killed_at;
using testing_support::write;
using Edit = std::function<void(const std::string& root)>;

class StackedTest : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root, to mount overlays";
    // In memory where there is such a place: hundreds of flushes to a disk take a minute.
    std::string name =
        (::access("/dev/shm", W_OK) == 0 ? "/dev/shm/" : testing::TempDir()) + "saw-stacked-XXXXXX";
    directory_ = ::mkdtemp(name.data());
    fs::create_directories(plain());
  }
  ~StackedTest() override {
    if (!directory_.empty()) fs::remove_all(directory_);
  }

  // Not for agents of their own: files belong to whoever makes them, here and in the plain copy.
  static Storage open_at(const std::string& path) {
    auto storage = Storage::open(path, {.first_agent_uid = 0});
    SAW_CHECK(storage.has_value());
    return std::move(*storage);
  }
  std::string plain() const { return directory_ + "/plain"; }
  static void tick() { ::usleep(12'000); }  // of the kernel's clock, so that what was made before is older

  // In a process that has the mount to itself, as the sandbox of the workspace or session has it.
  static void edit(const Storage& storage, const std::string& session, const Edit& work) {
    auto found = storage.layers(
        {.depth = session.empty() ? Depth::workspace : Depth::session, .workspace = "w", .session = session});
    SAW_CHECK(found.has_value());
    const pid_t child = ::fork();
    if (child == 0) ::_exit(mount_and_run(*found, work));
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_EQ(status, 0);
  }
  static int mount_and_run(const Layers& layers, const Edit& work) {
    if (layers.lower.empty()) return work(layers.upper), 0;
    if (::unshare(CLONE_NEWNS) != 0) return 1;
    ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
    std::string lower;
    for (const std::string& each : layers.lower) lower += (lower.empty() ? "" : ":") + each;
    const std::string options = "lowerdir=" + lower + ",upperdir=" + layers.upper +
                                ",workdir=" + layers.work + ",redirect_dir=nofollow,index=off,metacopy=off";
    if (::mount("overlay", "/mnt", "overlay", 0, options.c_str()) != 0) return 2;
    work("/mnt");
    return 0;
  }
  // What an overlay that is mounted now shows of the workspace.
  static std::string tree_of(const Storage& storage) {
    auto sources = storage.session_sources("w", "s");
    SAW_CHECK(sources.has_value());
    return describe_tree(fmt::format("/proc/self/fd/{}/.", sources->base.get()));
  }
  std::string directory_;
};

TEST_F(StackedTest, a_commit_into_a_snapshot_workspace_equals_a_plain_copy_with_the_same_edits) {
  constexpr uint64_t kSeeds = 12;
  constexpr int kEdits = 40;
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    SCOPED_TRACE(seed);
    Storage storage = open_at(fmt::format("{}/{}", directory_, seed));
    fs::remove_all(plain());
    fs::create_directories(plain());
    const auto both = [&](const std::string& session, uint64_t edits) {
      const Edit run = [&](const std::string& root) { RandomEdits(edits).run(root, kEdits); };
      edit(storage, session, run);
      run(plain());
    };
    ASSERT_TRUE(storage.create_workspace("w"));
    for (uint64_t layer = 0; layer < 3; ++layer) {
      both("", seed * 100 + layer);
      ASSERT_TRUE(storage.take_snapshot("w", fmt::format("s{}", layer), 1));
    }
    both("", seed * 100 + 3);
    tick();
    ASSERT_TRUE(storage.create_session("w", "s"));
    ASSERT_EQ(tree_of(storage), describe_tree(plain() + "/."));
    for (uint64_t round = 0; round < 2; ++round) {  // the session goes on after a commit
      both("s", seed * 100 + 10 + round);
      auto outcome = storage.commit("w", "s", {});
      ASSERT_TRUE(outcome) << outcome.error().message;
      ASSERT_THAT(outcome->conflicts, IsEmpty());
      ASSERT_THAT(outcome->failed, IsEmpty());
      ASSERT_EQ(tree_of(storage), describe_tree(plain() + "/."));
      ASSERT_THAT(storage.changes("w", "s")->changes, IsEmpty());
      both("", seed * 100 + 20 + round);  // and so does the workspace
      ASSERT_EQ(tree_of(storage), describe_tree(plain() + "/."));
      tick();
      ASSERT_TRUE(storage.discard("w", "s"));
    }
  }
}

TEST_F(StackedTest, what_others_share_is_never_written_to_by_a_commit) {
  Storage storage = open_at(directory_ + "/node");
  ASSERT_TRUE(storage.create_workspace("w"));
  edit(storage, "", [](const std::string& root) {
    write(root + "/d/f", "shared");
    write(root + "/gone/f", "shared");
  });
  ASSERT_TRUE(storage.take_snapshot("w", "shared", 1));
  const auto now = storage.layers({.depth = Depth::workspace, .workspace = "w"});
  const std::string before = describe_tree(now->lower.front());
  tick();
  ASSERT_TRUE(storage.create_session("w", "s"));
  edit(storage, "s", [](const std::string& root) {
    write(root + "/d/f", "mine");
    fs::remove_all(root + "/gone");
    ::chmod((root + "/d").c_str(), 0700);
  });
  ASSERT_THAT(storage.commit("w", "s", {})->failed, IsEmpty());
  EXPECT_EQ(describe_tree(now->lower.front()), before);
  edit(storage, "", [](const std::string& root) {
    SAW_CHECK(testing_support::read(root + "/d/f") == "mine");
    SAW_CHECK(!fs::exists(root + "/gone"));
  });
}

// ---- conflicts

TEST_F(StackedTest, what_the_workspace_changed_after_a_snapshot_conflicts_and_what_it_left_alone_does_not) {
  Storage storage = open_at(directory_ + "/node");
  ASSERT_TRUE(storage.create_workspace("w"));
  edit(storage, "", [](const std::string& root) {
    for (const char* name : {"/both", "/mine", "/deleted", "/d/inner"}) write(root + name, "old");
  });
  tick();
  ASSERT_TRUE(storage.create_session("w", "s"));
  edit(storage, "s", [](const std::string& root) {
    for (const char* name : {"/both", "/mine", "/deleted"}) write(root + name, "session");
    fs::remove_all(root + "/d");
  });
  // The session stays on what was the workspace's layer; the workspace goes on in another.
  ASSERT_TRUE(storage.take_snapshot("w", "between", 1));
  edit(storage, "", [](const std::string& root) {
    write(root + "/both", "workspace");
    fs::remove(root + "/deleted");
    write(root + "/d/joined", "workspace");
    write(root + "/theirs", "workspace");
  });
  auto outcome = storage.commit("w", "s", {});
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_THAT(outcome->conflicts, ElementsAre("/both", "/d", "/d/joined", "/deleted"));
  edit(storage, "s", [](const std::string& root) {
    for (const char* name : {"/both", "/deleted"}) fs::remove(root + name);
  });
  ASSERT_TRUE(storage.discard("w", "s"));
  edit(storage, "s", [](const std::string& root) {
    SAW_CHECK(testing_support::read(root + "/both") == "workspace");
    write(root + "/mine", "session");
  });
  outcome = storage.commit("w", "s", {});
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_THAT(outcome->conflicts, IsEmpty());
  EXPECT_EQ(outcome->applied, 1u);
}

TEST_F(StackedTest, a_session_that_began_before_a_snapshot_commits_what_nobody_else_touched) {
  Storage storage = open_at(directory_ + "/node");
  ASSERT_TRUE(storage.create_workspace("w"));
  edit(storage, "", [](const std::string& root) { write(root + "/d/f", "old"); });
  tick();
  ASSERT_TRUE(storage.create_session("w", "s"));
  edit(storage, "s", [](const std::string& root) {
    write(root + "/d/f", "new");
    write(root + "/d/g", "added");
  });
  ASSERT_TRUE(storage.take_snapshot("w", "between", 1));
  const auto outcome = storage.commit("w", "s", {});
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_THAT(outcome->conflicts, IsEmpty());
  EXPECT_THAT(outcome->failed, IsEmpty());
  EXPECT_EQ(outcome->applied, 2u);
  // The snapshot holds what was there when it was taken.
  ASSERT_TRUE(storage.rebuild_workspace("w", "between"));
  edit(storage, "", [](const std::string& root) {
    SAW_CHECK(testing_support::read(root + "/d/f") == "old");
    SAW_CHECK(!fs::exists(root + "/d/g"));
  });
}

TEST_F(StackedTest, a_directory_that_was_put_in_the_place_of_the_one_a_session_wrote_into_is_a_conflict) {
  Storage storage = open_at(directory_ + "/node");
  ASSERT_TRUE(storage.create_workspace("w"));
  edit(storage, "", [](const std::string& root) {
    write(root + "/d/f", "old");
    write(root + "/older/f", "another");
  });
  ASSERT_TRUE(storage.take_snapshot("w", "first", 1));
  edit(storage, "", [](const std::string& root) { write(root + "/fresh/f", "another"); });
  tick();
  ASSERT_TRUE(storage.create_session("w", "s"));
  edit(storage, "s", [](const std::string& root) { write(root + "/d/f", "new"); });
  edit(storage, "", [](const std::string& root) {
    fs::remove_all(root + "/d");
    fs::rename(root + "/fresh", root + "/d");
  });
  const auto outcome = storage.commit("w", "s", {});
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_THAT(outcome->conflicts, ElementsAre("/d/f"));
}

// ---- what is decided and not done

TEST_F(StackedTest, a_workspace_does_not_start_over_a_commit_that_could_not_be_finished) {
  Storage storage = open_at(directory_ + "/node");
  ASSERT_TRUE(storage.create_workspace("w"));
  edit(storage, "", [](const std::string& root) { write(root + "/f", "old"); });
  ASSERT_TRUE(storage.take_snapshot("w", "first", 1));
  ASSERT_TRUE(storage.create_session("w", "s"));
  const SandboxPlan plan{.depth = Depth::workspace, .workspace = "w", .write_paths = {"/d"}};
  EXPECT_TRUE(storage.make_ways(plan));
  const std::string work = directory_ + "/node/ws/w/commits/co-1";
  fs::create_directories(work);
  write(work + "/journal", wire::encode_struct(CommitJournal{.session = "s", .next = "l-nowhere-0"}));
  auto refused = storage.make_ways(plan);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "commit.pending");
}

// A write path inside another one can be removed and made again: the kernel then marks it as showing nothing of
// the layers below it, which is all that is left of the deletion.
TEST_F(StackedTest, what_was_deleted_below_a_way_is_not_brought_back_by_the_next_snapshot_or_fork) {
  Storage storage = open_at(directory_ + "/node");
  ASSERT_TRUE(storage.create_workspace("w"));
  edit(storage, "", [](const std::string& root) { write(root + "/a/sub/secret", "old"); });
  ASSERT_TRUE(storage.take_snapshot("w", "first", 1));
  const SandboxPlan plan{.depth = Depth::workspace, .workspace = "w", .write_paths = {"/a", "/a/sub"}};
  ASSERT_TRUE(storage.make_ways(plan));
  ASSERT_TRUE(storage.take_snapshot("w", "untouched", 2));
  EXPECT_EQ(storage.layers(plan)->lower.size(), 1u) << "ways alone are no change";
  edit(storage, "", [](const std::string& root) {
    fs::remove_all(root + "/a/sub");
    fs::create_directory(root + "/a/sub");
  });
  ASSERT_TRUE(storage.create_session("w", "s"));
  EXPECT_THAT(tree_of(storage), testing::Not(testing::HasSubstr("secret")));
  ASSERT_TRUE(storage.take_snapshot("w", "second", 3));
  ASSERT_TRUE(storage.rebuild_workspace("w", "second"));
  ASSERT_TRUE(storage.create_session("w", "s"));
  EXPECT_THAT(tree_of(storage), testing::Not(testing::HasSubstr("secret")));
}

// ---- kill -9 at each system call

// Everything that a commit does to a stack: a deletion of what a frozen layer shows, and of a tree; what takes
// the place of a whiteout; a directory for a file and a file for a directory; modes; what is withheld.
class StackedKillTest : public StackedTest {
 protected:
  static void fill(Storage& storage) {
    ASSERT_TRUE(storage.create_workspace("w"));
    edit(storage, "", [](const std::string& root) {
      for (const char* name : {"/changed", "/tree/a", "/tree/b/c", "/becomes-dir", "/becomes-file/inner",
                               "/back", "/back-as-dir", "/mode/f", "/deep/er/f"})
        write(root + name, "old");
    });
    ASSERT_TRUE(storage.take_snapshot("w", "first", 1));
    edit(storage, "", [](const std::string& root) {
      write(root + "/tree/b/d", "upper");
      for (const char* name : {"/back", "/back-as-dir"}) fs::remove(root + name);
    });
    tick();
    ASSERT_TRUE(storage.create_session("w", "s"));
    edit(storage, "s", [](const std::string& root) {
      for (const char* name : {"/changed", "/back", "/back-as-dir/f", "/deep/er/f", "/hooks/run"})
        write(root + name, "new");
      for (const char* name : {"/tree", "/becomes-dir", "/becomes-file"}) fs::remove_all(root + name);
      write(root + "/becomes-dir/inner", "new");
      write(root + "/becomes-file", "new");
      ::chmod((root + "/mode").c_str(), 0700);
    });
  }
  static CommitRequest request() {
    return {.classify = [](const Candidate& c) -> Result<Disposition> {
      return c.change.path.starts_with("/hooks") ? Disposition::withhold : Disposition::apply;
    }};
  }
  static size_t layers_in(const std::string& path) {
    return static_cast<size_t>(
        std::distance(fs::directory_iterator(path + "/layers"), fs::directory_iterator()));
  }
};

TEST_F(StackedKillTest, killed_at_any_system_call_it_has_happened_or_it_has_not) {
  constexpr int kMostCalls = 5'000;
  const int stride = std::getenv("SAW_EACH_CALL") ? 1 : 7;  // all of them take a minute
  std::string before, after;
  int at = 1;
  for (bool killed = true; killed && at < kMostCalls; at += stride) {
    SCOPED_TRACE(at);
    const std::string path = fmt::format("{}/{}", directory_, at);
    {
      Storage storage = open_at(path);
      fill(storage);
      if (before.empty()) before = tree_of(storage);
      killed = run_killed_at(at, [&] { static_cast<void>(storage.commit("w", "s", request())); });
    }
    Storage storage = open_at(path);
    const std::string now = tree_of(storage);
    const auto left = storage.changes("w", "s");
    ASSERT_TRUE(left);
    if (now != before) {
      if (after.empty()) after = now;
      ASSERT_EQ(now, after);
      ASSERT_EQ(left->changes.size(), 2u) << "the hook and its directory";
    } else {
      ASSERT_GT(left->changes.size(), 10u);
    }
    ASSERT_EQ(layers_in(path), 3u) << "no layer is left that nobody names";
    // The same again ends in the same.
    ASSERT_TRUE(storage.commit("w", "s", request()));
    if (!after.empty()) ASSERT_EQ(tree_of(storage), after);
    fs::remove_all(path);
  }
  EXPECT_GT(at, 300);  // it was killed indeed
  EXPECT_LT(at, kMostCalls);
  EXPECT_THAT(after, testing::HasSubstr("/back-as-dir/f"));
  EXPECT_THAT(after, testing::Not(testing::HasSubstr("/tree")));
  EXPECT_THAT(after, testing::Not(testing::HasSubstr("/hooks")));
}

}  // namespace
}  // namespace saw::sandbox
