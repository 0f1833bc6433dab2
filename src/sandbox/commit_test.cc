#include "sandbox/commit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "sandbox/session_reference.h"
#include "sandbox/storage_trash.h"
#include "sandbox/tree_test_support.h"

namespace saw::sandbox {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::IsEmpty;
using testing_support::describe_tree;
using testing_support::next_layer;
using testing_support::read;
using testing_support::write;

class CommitTest : public testing::Test {
 protected:
  CommitTest() {
    std::string name = testing::TempDir() + "saw-commit-XXXXXX";
    directory_ = ::mkdtemp(name.data());
    fs::create_directories(base());
    fs::create_directories(directory_ + "/sessions");
    fs::create_directories(directory_ + "/commits");
  }
  ~CommitTest() override {
    for (const auto& entry : fs::recursive_directory_iterator(directory_))
      if (entry.symlink_status().type() == fs::file_type::directory) ::chmod(entry.path().c_str(), 0700);
    fs::remove_all(directory_);
  }
  std::string base() const { return directory_ + "/base"; }
  std::string upper() const { return directory_ + "/sessions/s/upper"; }
  // The session begins: what is below now is what it sees.
  void begin() {
    ::usleep(20'000);  // one tick of the kernel's clock: what was made before is older than the session
    Fd sessions = open(directory_ + "/sessions");
    ASSERT_TRUE(testing_support::make_session_directory(sessions.get(), "s"));
  }
  static Fd open(const std::string& path) { return std::move(*Fd::open(path, O_RDONLY | O_DIRECTORY)); }
  void whiteout(const std::string& path) {
    fs::create_directories(fs::path(upper() + path).parent_path());
    ASSERT_EQ(::mknod((upper() + path).c_str(), S_IFCHR, 0), 0);
  }
  CommitPlaces places() const {
    CommitPlaces places{.sources = {.mounter = Mounter::user}, .session = "s"};
    places.sources.layers.push_back(open(upper()));
    places.sources.base = open(base());
    places.sources.below.push_back(open(base()));
    const std::string work = directory_ + "/commits/w";
    fs::create_directories(work);
    places.work = open(work);
    places.next = next_layer(work, directory_ + "/sessions");
    places.since = *read_reference(open(directory_ + "/sessions/s").get());
    return places;
  }
  Result<CommitOutcome> run(CommitRequest request = {}) {
    fs::remove_all(directory_ + "/commits/w");
    return commit(places(), request);
  }
  CommitOutcome must(CommitRequest request = {}) {
    auto outcome = run(std::move(request));
    EXPECT_TRUE(outcome) << outcome.error().message;
    return outcome ? *outcome : CommitOutcome{};
  }
  std::string root() const { return digest_text(*list_changes(places().sources)->root); }
  std::string directory_;
};

TEST_F(CommitTest, what_a_session_wrote_is_in_the_workspace_and_no_longer_in_the_session) {
  write(base() + "/changed", "old");
  write(base() + "/deleted", "x");
  begin();
  write(upper() + "/changed", "new");
  write(upper() + "/dir/added", "more");
  whiteout("/deleted");
  const CommitOutcome outcome = must();
  EXPECT_THAT(outcome.conflicts, IsEmpty());
  EXPECT_THAT(outcome.failed, IsEmpty());
  EXPECT_EQ(outcome.applied, 4u);
  EXPECT_EQ(read(base() + "/changed"), "new");
  EXPECT_EQ(read(base() + "/dir/added"), "more");
  EXPECT_FALSE(fs::exists(base() + "/deleted"));
  EXPECT_TRUE(fs::is_empty(upper()));
}

TEST_F(CommitTest, a_session_can_commit_the_same_file_again_and_again) {
  begin();
  for (const char* content : {"one", "two", "three"}) {
    write(upper() + "/f", content);
    EXPECT_THAT(must().conflicts, IsEmpty());
    EXPECT_EQ(read(base() + "/f"), content);
  }
}

TEST_F(CommitTest, nothing_to_commit_is_no_error_and_changes_nothing) {
  write(base() + "/f", "x");
  begin();
  EXPECT_EQ(must().applied, 0u);
}

// ---- what was shown is what is committed

TEST_F(CommitTest, another_root_than_the_shown_one_is_refused) {
  begin();
  write(upper() + "/f", "reviewed");
  const std::string shown = root();
  write(upper() + "/f", "replaced");
  auto outcome = run({.root = shown});
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, "commit.root");
  EXPECT_FALSE(fs::exists(base() + "/f"));
  EXPECT_TRUE(run({.root = root()}).has_value());
}

TEST_F(CommitTest, equal_edits_have_equal_roots_and_every_difference_shows_in_the_root) {
  begin();
  write(upper() + "/f", "x");
  const std::string first = root();
  EXPECT_EQ(root(), first);
  ::utimensat(AT_FDCWD, (upper() + "/f").c_str(), nullptr, 0);
  EXPECT_EQ(root(), first) << "times are no content";
  ::chmod((upper() + "/f").c_str(), 0600);
  const std::string mode = root();
  EXPECT_NE(mode, first);
  testing_support::set_note(upper() + "/f");
  EXPECT_NE(root(), mode);
}

// ---- conflicts

TEST_F(CommitTest, a_path_that_was_changed_underneath_is_a_conflict_and_nothing_at_all_is_applied) {
  write(base() + "/both", "old");
  write(base() + "/mine", "old");
  begin();
  write(upper() + "/both", "session");
  write(upper() + "/mine", "session");
  write(upper() + "/new", "session");
  write(base() + "/both", "workspace");
  const std::string before = describe_tree(base());
  EXPECT_THAT(must().conflicts, ElementsAre("/both"));
  EXPECT_EQ(describe_tree(base()), before);
  EXPECT_EQ(read(upper() + "/mine"), "session") << "the session keeps its own";
}

TEST_F(CommitTest, a_forged_modification_time_does_not_hide_a_conflict) {
  write(base() + "/f", "old");
  begin();
  write(upper() + "/f", "session");
  write(base() + "/f", "workspace");
  const timespec past[2] = {{.tv_sec = 1, .tv_nsec = 0}, {.tv_sec = 1, .tv_nsec = 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, (base() + "/f").c_str(), past, 0), 0);
  EXPECT_THAT(must().conflicts, ElementsAre("/f"));
}

TEST_F(CommitTest, a_path_made_underneath_where_the_session_made_one_is_a_conflict) {
  begin();
  write(upper() + "/f", "session");
  write(base() + "/f", "workspace");
  EXPECT_THAT(must().conflicts, ElementsAre("/f"));
}

TEST_F(CommitTest, a_file_changed_in_a_tree_that_the_session_deleted_is_a_conflict) {
  write(base() + "/tree/deep/file", "old");
  write(base() + "/tree/deep/other", "old");
  begin();
  whiteout("/tree");
  write(base() + "/tree/deep/file", "workspace");
  EXPECT_THAT(must().conflicts, ElementsAre("/tree/deep/file"));
  EXPECT_EQ(read(base() + "/tree/deep/file"), "workspace");
}

TEST_F(CommitTest, a_change_elsewhere_is_no_conflict) {
  write(base() + "/d/f", "old");
  begin();
  write(upper() + "/d/f", "session");
  write(base() + "/d/other", "workspace");
  EXPECT_THAT(must().conflicts, IsEmpty());
  EXPECT_EQ(read(base() + "/d/f"), "session");
  EXPECT_EQ(read(base() + "/d/other"), "workspace");
}

// ---- what must not pass

TEST_F(CommitTest, special_files_are_refused_by_name_and_nothing_is_applied) {
  begin();
  write(upper() + "/fine", "x");
  ASSERT_EQ(::mkfifo((upper() + "/pipe").c_str(), 0600), 0);
  auto outcome = run();
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, "commit.special_file");
  EXPECT_NE(outcome.error().message.find("'/pipe'"), std::string::npos);
  EXPECT_TRUE(fs::is_empty(base()));
}

TEST_F(CommitTest, set_user_id_bits_do_not_survive_and_others_do) {
  begin();
  write(upper() + "/tool", "x");
  fs::create_directories(upper() + "/dir");
  ASSERT_EQ(::chmod((upper() + "/tool").c_str(), 06755), 0);
  ASSERT_EQ(::chmod((upper() + "/dir").c_str(), 03777), 0);
  must();
  struct stat info{};
  ASSERT_EQ(::stat((base() + "/tool").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0755u);
  ASSERT_EQ(::stat((base() + "/dir").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 01777u);
}

TEST_F(CommitTest, what_no_diff_shows_does_not_come_with_a_file) {
  begin();
  write(upper() + "/f", "x");
  testing_support::set_note(upper() + "/f");
  // acl(5): user::rw-, user:4242:rw-, group::r--, mask::rw-, other::r--
  constexpr uint32_t kAcl[] = {2,   0x00060001, ~0u, 0x00060002, 4242, 0x00040004,
                               ~0u, 0x00060010, ~0u, 0x00040020, ~0u};
  if (::setxattr((upper() + "/f").c_str(), "system.posix_acl_access", kAcl, sizeof kAcl, 0) != 0)
    GTEST_SKIP() << "no access control lists on this file system";
  ::chmod((upper() + "/f").c_str(), 0640);
  EXPECT_THAT(must().failed, IsEmpty());
  EXPECT_EQ(testing_support::attributes_of(base() + "/f"), " user.note user.note=value");
  struct stat info{};
  ASSERT_EQ(::stat((base() + "/f").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0640u);
}

TEST_F(CommitTest, a_link_on_the_way_in_the_workspace_is_not_followed) {
  fs::create_directories(base() + "/d");
  begin();
  write(upper() + "/d/f", "session");
  fs::create_directories(directory_ + "/outside");
  fs::remove(base() + "/d");
  fs::create_symlink(directory_ + "/outside", base() + "/d");
  EXPECT_THAT(must().conflicts, testing::Contains("/d"));
  EXPECT_TRUE(fs::is_empty(directory_ + "/outside"));
}

TEST_F(CommitTest, a_link_put_into_the_way_while_the_commit_runs_is_not_followed) {
  fs::create_directories(base() + "/d");
  begin();
  write(upper() + "/d/f", "session");
  fs::create_directories(directory_ + "/outside");
  const CommitOutcome outcome = must({.witness = [&](std::string_view step) {
    if (step != "journal written") return;
    fs::remove(base() + "/d");
    fs::create_symlink(directory_ + "/outside", base() + "/d");
  }});
  EXPECT_THAT(outcome.failed, ElementsAre("/d/f"));
  EXPECT_TRUE(fs::is_empty(directory_ + "/outside"));
  EXPECT_EQ(read(upper() + "/d/f"), "session") << "it stays with the session";
}

TEST_F(CommitTest, a_file_written_while_the_commit_runs_is_not_overwritten) {
  write(base() + "/f", "old");
  begin();
  write(upper() + "/f", "session");
  write(upper() + "/g", "session");
  const CommitOutcome outcome = must({.witness = [&](std::string_view step) {
    if (step == "journal written") write(base() + "/f", "workspace");
  }});
  EXPECT_THAT(outcome.failed, ElementsAre("/f"));
  EXPECT_EQ(read(base() + "/f"), "workspace");
  EXPECT_EQ(read(base() + "/g"), "session");
  EXPECT_EQ(read(upper() + "/f"), "session");
}

TEST_F(CommitTest, a_tree_written_to_while_the_commit_runs_does_not_give_way_to_a_file) {
  for (const char* written : {"/dir/inner/f", "/dir/inner/fresh"}) {
    write(base() + "/dir/inner/f", "old");
    write(base() + "/dir/untouched/f", "old");
    begin();
    write(upper() + "/dir", "now a file");
    const CommitOutcome outcome = must({.witness = [&](std::string_view step) {
      if (step == "journal written") write(base() + written, "workspace");
    }});
    EXPECT_THAT(outcome.failed, testing::Contains("/dir"));
    EXPECT_EQ(read(base() + written), "workspace");
    EXPECT_EQ(read(upper() + "/dir"), "now a file") << "it stays with the session";
    fs::remove_all(base() + "/dir");
    fs::remove_all(directory_ + "/sessions/s");
  }
}

// ---- shapes

TEST_F(CommitTest, a_directory_gives_way_to_a_file_and_a_file_to_a_directory) {
  write(base() + "/dir/inner/f", "x");
  write(base() + "/file", "x");
  begin();
  write(upper() + "/dir", "now a file");
  write(upper() + "/file/inner", "now a directory");
  EXPECT_THAT(must().failed, IsEmpty());
  EXPECT_EQ(read(base() + "/dir"), "now a file");
  EXPECT_EQ(read(base() + "/file/inner"), "now a directory");
}

TEST_F(CommitTest, hard_links_of_a_session_stay_one_file) {
  begin();
  write(upper() + "/a", "x");
  ASSERT_EQ(::link((upper() + "/a").c_str(), (upper() + "/b").c_str()), 0);
  must();
  struct stat a{}, b{};
  ASSERT_EQ(::stat((base() + "/a").c_str(), &a), 0);
  ASSERT_EQ(::stat((base() + "/b").c_str(), &b), 0);
  EXPECT_EQ(a.st_ino, b.st_ino);
}

TEST_F(CommitTest, two_names_of_one_file_below_can_both_be_deleted) {
  write(base() + "/a", "x");
  ASSERT_EQ(::link((base() + "/a").c_str(), (base() + "/b").c_str()), 0);
  begin();
  whiteout("/a");
  whiteout("/b");
  EXPECT_THAT(must().failed, IsEmpty());
  EXPECT_TRUE(fs::is_empty(base()));
}

TEST_F(CommitTest, a_shared_layer_is_copied_and_not_linked) {
  begin();
  write(upper() + "/own", "x");
  write(directory_ + "/frozen/shared", "x");
  CommitPlaces where = places();
  where.sources.layers.push_back(open(directory_ + "/frozen"));
  auto outcome = commit(where, {});
  ASSERT_TRUE(outcome) << outcome.error().message;
  write(base() + "/shared", "written by the workspace");
  EXPECT_EQ(read(directory_ + "/frozen/shared"), "x");
}

// ---- withheld

TEST_F(CommitTest, what_is_withheld_stays_with_the_session_and_the_rest_is_committed) {
  write(base() + "/repo/.git/config", "old");
  begin();
  write(upper() + "/repo/.git/hooks/pre-commit", "evil");
  write(upper() + "/repo/.git/config", "new");
  write(upper() + "/repo/code", "good");
  const Classifier hooks = [](const Candidate& candidate) -> Result<Disposition> {
    if (candidate.change.path.ends_with("/config")) {
      auto before = candidate.open_before(), after = candidate.open_after();
      EXPECT_EQ(*read_all(*before, 100), "old");
      EXPECT_EQ(*read_all(*after, 100), "new");
    }
    return candidate.change.path.find("/hooks") != std::string::npos ? Disposition::withhold
                                                                     : Disposition::apply;
  };
  const CommitOutcome outcome = must({.classify = hooks});
  EXPECT_THAT(outcome.withheld, ElementsAre("/repo/.git/hooks", "/repo/.git/hooks/pre-commit"));
  EXPECT_FALSE(fs::exists(base() + "/repo/.git/hooks"));
  EXPECT_EQ(read(base() + "/repo/code"), "good");
  EXPECT_EQ(read(base() + "/repo/.git/config"), "new");
  EXPECT_EQ(read(upper() + "/repo/.git/hooks/pre-commit"), "evil");
  EXPECT_FALSE(fs::exists(upper() + "/repo/code"));
}

TEST_F(CommitTest, a_withheld_name_of_a_committed_file_is_a_file_of_its_own_afterwards) {
  begin();
  write(upper() + "/code", "x");
  ASSERT_EQ(::link((upper() + "/code").c_str(), (upper() + "/hook").c_str()), 0);
  must({.classify = [](const Candidate& c) -> Result<Disposition> {
    return c.change.path == "/hook" ? Disposition::withhold : Disposition::apply;
  }});
  write(upper() + "/hook", "written by the session");
  EXPECT_EQ(read(base() + "/code"), "x");
}

TEST_F(CommitTest, a_withheld_deletion_keeps_its_directories_and_stays_deleted_for_the_session) {
  write(base() + "/d/hooks/x", "x");
  write(base() + "/d/other", "x");
  begin();
  whiteout("/d");
  const CommitOutcome outcome = must({.classify = [](const Candidate& c) -> Result<Disposition> {
    return c.change.path == "/d/hooks/x" ? Disposition::withhold : Disposition::apply;
  }});
  EXPECT_THAT(outcome.withheld, ElementsAre("/d", "/d/hooks", "/d/hooks/x"));
  EXPECT_EQ(read(base() + "/d/hooks/x"), "x");
  EXPECT_FALSE(fs::exists(base() + "/d/other"));
  struct stat info{};
  ASSERT_EQ(::lstat((upper() + "/d").c_str(), &info), 0);
  EXPECT_TRUE(S_ISCHR(info.st_mode));
}

TEST_F(CommitTest, holes_of_a_withheld_file_cost_no_disk) {
  constexpr off_t kSize = 256 << 20, kAt = 100 << 20;
  begin();
  write(upper() + "/hook", "start");
  const Fd file(::open((upper() + "/hook").c_str(), O_WRONLY | O_CLOEXEC));
  ASSERT_EQ(::pwrite(file.get(), "middle", 6, kAt), 6);
  ASSERT_EQ(::ftruncate(file.get(), kSize), 0);
  write(upper() + "/code", "x");
  const std::string before = root();
  must({.classify = [](const Candidate& c) -> Result<Disposition> {
    return c.change.path == "/hook" ? Disposition::withhold : Disposition::apply;
  }});
  struct stat info{};
  ASSERT_EQ(::stat((upper() + "/hook").c_str(), &info), 0);
  EXPECT_EQ(info.st_size, kSize);
  EXPECT_LT(info.st_blocks * 512, 1 << 20);
  write(upper() + "/code", "x");
  fs::remove(base() + "/code");
  EXPECT_EQ(root(), before) << "the bytes are the same";
}

TEST_F(CommitTest, what_cannot_be_carried_for_now_is_not_lost_to_the_session) {
  begin();
  write(upper() + "/hook", std::string(10'000, 'h'));
  write(upper() + "/code", "x");
  const rlimit little{1000, RLIM_INFINITY}, unlimited{RLIM_INFINITY, RLIM_INFINITY};
  const auto full_disk = ::signal(SIGXFSZ, SIG_IGN);
  auto outcome = run({.classify = [](const Candidate& c) -> Result<Disposition> {
                        return c.change.path == "/hook" ? Disposition::withhold : Disposition::apply;
                      },
                      .witness =
                          [&](std::string_view step) {
                            if (step == "carry") ::setrlimit(RLIMIT_FSIZE, &little);
                          }});
  ::setrlimit(RLIMIT_FSIZE, &unlimited);
  ::signal(SIGXFSZ, full_disk);
  EXPECT_FALSE(outcome) << "it says so";
  EXPECT_EQ(read(upper() + "/hook").size(), 10'000u);
  auto finished = finish_commit(places());
  ASSERT_TRUE(finished) << finished.error().message;
  EXPECT_TRUE(*finished);
  EXPECT_TRUE(read(upper() + "/hook") == std::string(10'000, 'h'));
  EXPECT_FALSE(fs::exists(upper() + "/code"));
  EXPECT_EQ(read(base() + "/code"), "x");
}

// ---- crashes

class CrashTest : public CommitTest {
 protected:
  void set_up_edits() {
    write(base() + "/changed", "old");
    write(base() + "/tree/a", "x");
    write(base() + "/tree/b", "x");
    write(base() + "/becomes-dir", "x");
    write(base() + "/becomes-file/inner", "x");
    begin();
    write(upper() + "/changed", "new");
    write(upper() + "/new/deep/file", "more");
    fs::create_symlink("changed", upper() + "/link");
    write(upper() + "/becomes-dir/inner", "x");
    write(upper() + "/becomes-file", "x");
    write(upper() + "/hooks/run", "withheld");
    whiteout("/tree");
  }
  static CommitRequest request(CommitWitness witness) {
    return {.classify = [](const Candidate& c) -> Result<Disposition> {
              return c.change.path.starts_with("/hooks") ? Disposition::withhold : Disposition::apply;
            },
            .witness = std::move(witness)};
  }
  // A process that dies at the n-th step of `work`. false: it came to its end.
  template <class Work> static bool dies_at(int n, Work work) {
    const pid_t child = ::fork();
    if (child == 0) {
      int step = 0;
      work([&](std::string_view) {
        if (step++ == n) ::_exit(9);
      });
      ::_exit(0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WEXITSTATUS(status) == 9;
  }
};

TEST_F(CrashTest, a_commit_killed_at_any_step_has_happened_or_has_not) {
  std::string before, after;
  for (int step = 0;; ++step) {
    SCOPED_TRACE(step);
    fs::remove_all(base());
    fs::remove_all(directory_ + "/sessions/s");
    fs::remove_all(directory_ + "/commits/w");
    set_up_edits();
    before = describe_tree(base());
    const bool died = dies_at(step, [&](CommitWitness witness) {
      [[maybe_unused]] auto ignored = commit(places(), request(std::move(witness)));
    });
    auto finished = finish_commit(places());
    ASSERT_TRUE(finished) << finished.error().message;
    if (!died) {
      EXPECT_GT(step, 30);
      break;
    }
    const std::string now = describe_tree(base());
    if (*finished) {
      if (after.empty()) after = now;
      EXPECT_EQ(now, after);
      EXPECT_EQ(read(upper() + "/hooks/run"), "withheld");
      EXPECT_FALSE(fs::exists(upper() + "/changed"));
    } else {
      EXPECT_EQ(now, before);
      EXPECT_EQ(read(upper() + "/changed"), "new");
    }
  }
  EXPECT_NE(after.find("/new/deep/file"), std::string::npos);
  EXPECT_EQ(after.find("/tree"), std::string::npos);
  EXPECT_EQ(describe_tree(base()), after) << "the one that was not killed";
}

TEST_F(CrashTest, finishing_can_be_killed_at_any_step_too) {
  set_up_edits();
  const bool died = dies_at(1000, [&](CommitWitness) {
    [[maybe_unused]] auto ignored = commit(places(), request([](std::string_view step) {
                                             if (step == "journal written") ::_exit(9);
                                           }));
  });
  ASSERT_TRUE(died);
  for (int step = 0; dies_at(
           step,
           [&](CommitWitness witness) { [[maybe_unused]] auto ignored = finish_commit(places(), witness); });
       ++step)
    ASSERT_LT(step, 1000);
  EXPECT_EQ(read(base() + "/changed"), "new");
  EXPECT_EQ(read(base() + "/new/deep/file"), "more");
  EXPECT_EQ(read(base() + "/becomes-file"), "x");
  EXPECT_FALSE(fs::exists(base() + "/tree"));
  EXPECT_EQ(read(upper() + "/hooks/run"), "withheld");
}

TEST_F(CrashTest, a_journal_that_is_damaged_is_an_error_and_not_guessed) {
  begin();
  write(directory_ + "/commits/w/journal", "nonsense");
  auto finished = finish_commit(places());
  ASSERT_FALSE(finished);
  EXPECT_EQ(finished.error().code, "wire.malformed");
}

// ---- discard, reference

TEST_F(CommitTest, discard_leaves_the_workspace_and_empties_the_session) {
  write(base() + "/f", "old");
  begin();
  write(upper() + "/f", "session");
  ASSERT_TRUE(places().next.take_over());
  EXPECT_TRUE(fs::is_empty(upper()));
  EXPECT_EQ(read(base() + "/f"), "old");
}

TEST_F(CommitTest, a_session_without_a_reference_is_not_committed) {
  begin();
  fs::remove(directory_ + "/sessions/s/since");
  EXPECT_FALSE(read_reference(open(directory_ + "/sessions/s").get()));
}

}  // namespace
}  // namespace saw::sandbox
