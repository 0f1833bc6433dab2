#include "sandbox/quarantine.h"

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox/storage.h"

namespace saw::sandbox {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

std::string read(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// A workspace "w" with a session "s", whose overlay is mounted for shell scripts as a sandbox would see it.
class QuarantineTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "saw-quarantine-XXXXXX";
    directory_ = ::mkdtemp(name.data());
    storage_.emplace(std::move(*Storage::open(directory_ + "/node", {})));
    ASSERT_TRUE(storage_->create_workspace("w"));
    fs::create_directories(base() + "/workspace");
    fs::create_directories(base() + "/home/agent");
    fs::create_directories(directory_ + "/view");
  }
  void TearDown() override { fs::remove_all(directory_); }
  std::string base() const { return storage_->layers({.depth = Depth::workspace, .workspace = "w"})->upper; }
  Layers session_layers() const {
    return *storage_->layers({.depth = Depth::session, .workspace = "w", .session = "s"});
  }

  void begin() {
    ::usleep(20'000);  // a tick of the clock: what lies there is older than the session
    ASSERT_TRUE(storage_->create_session("w", "s"));
  }
  bool mount_session() const {
    const Layers layers = session_layers();
    const std::string options =
        fmt::format("lowerdir={},upperdir={},workdir={},userxattr", base(), layers.upper, layers.work);
    return ::unshare(CLONE_NEWNS) == 0 && ::mount("", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
           ::mount("overlay", (directory_ + "/view").c_str(), "overlay", 0, options.c_str()) == 0;
  }
  static constexpr int kCannotMount = 77;
  // As a shell in the session: paths are relative to its root.
  void in_session(const std::string& script) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      if (!mount_session()) ::_exit(kCannotMount);
      if (::chdir((directory_ + "/view").c_str()) != 0) ::_exit(1);
      ::execl("/bin/sh", "sh", "-ec", script.c_str(), nullptr);
      ::_exit(127);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == kCannotMount)
      GTEST_SKIP()
          << "needs the right to mount an overlay: run as root, on a disk that can be an upper layer";
    ASSERT_EQ(status, 0) << script;
  }
  CommitOutcome commit() {
    auto outcome = storage_->commit("w", "s", {.classify = classify_run_later});
    EXPECT_TRUE(outcome) << outcome.error().message;
    return outcome ? *outcome : CommitOutcome{};
  }
  std::vector<QuarantineItem> update() {
    auto items = storage_->update_quarantine("w", "s");
    EXPECT_TRUE(items) << items.error().message;
    return items ? *items : std::vector<QuarantineItem>{};
  }
  Result<> release(const QuarantineItem& item) {
    return storage_->release_quarantine("w", item.id, item.root);
  }
  std::vector<std::string> places() {
    std::vector<std::string> out;
    for (const QuarantineItem& item : update()) out.push_back(item.place);
    return out;
  }
  bool in_workspace(const std::string& path) const { return fs::exists(fs::symlink_status(base() + path)); }

  std::string directory_;
  std::optional<Storage> storage_;
};

#define IN_SESSION(script)           \
  do {                               \
    in_session(script);              \
    if (IsSkipped()) return;         \
    ASSERT_FALSE(HasFatalFailure()); \
  } while (false)

TEST_F(QuarantineTest, a_hook_waits_and_the_work_beside_it_passes) {
  begin();
  IN_SESSION(
      "mkdir -p workspace/.git/hooks; echo evil > workspace/.git/hooks/pre-commit; echo work > workspace/a");
  EXPECT_THAT(commit().withheld, ElementsAre("/workspace/.git/hooks/pre-commit"));
  EXPECT_EQ(read(base() + "/workspace/a"), "work\n");
  EXPECT_FALSE(in_workspace("/workspace/.git/hooks/pre-commit"));
  const auto items = update();
  ASSERT_EQ(items.size(), 1u);
  EXPECT_EQ(items[0].place, "/workspace/.git/hooks");
  EXPECT_EQ(items[0].rule, "*.git/hooks/");
  EXPECT_EQ(items[0].why, "git runs it");
  EXPECT_EQ(items[0].session, "s");
  IN_SESSION("grep -q evil workspace/.git/hooks/pre-commit");  // the session goes on seeing it
}

TEST_F(QuarantineTest, what_is_released_is_in_the_workspace_and_nothing_else_is) {
  begin();
  IN_SESSION(
      "echo alias ll=ls > home/agent/.bashrc; mkdir workspace/.vscode; echo '{}' > "
      "workspace/.vscode/tasks.json");
  commit();
  const auto items = update();
  ASSERT_EQ(items.size(), 2u);
  const QuarantineItem& shell = items[0].place == "/home/agent/.bashrc" ? items[0] : items[1];
  auto done = release(shell);
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(read(base() + "/home/agent/.bashrc"), "alias ll=ls\n");
  EXPECT_FALSE(in_workspace("/workspace/.vscode/tasks.json"));
  EXPECT_EQ(storage_->quarantine("w")->size(), 1u);
  EXPECT_THAT(places(), ElementsAre("/workspace/.vscode")) << "what was released is no change any more";
}

TEST_F(QuarantineTest, what_is_rejected_never_was_in_the_workspace) {
  begin();
  IN_SESSION("echo evil > home/agent/.profile");
  commit();
  ASSERT_TRUE(storage_->remove_session("w", update().at(0).id));
  EXPECT_FALSE(in_workspace("/home/agent/.profile"));
  EXPECT_THAT(*storage_->quarantine("w"), IsEmpty());
}

TEST_F(QuarantineTest, an_item_outlives_its_session_and_a_restart) {
  begin();
  IN_SESSION("echo x > home/agent/.profile");
  commit();
  const std::string id = update().at(0).id;
  ASSERT_TRUE(storage_->remove_session("w", "s"));
  storage_.emplace(std::move(*Storage::open(directory_ + "/node", {})));
  const auto items = *storage_->quarantine("w");
  ASSERT_EQ(items.size(), 1u);
  EXPECT_EQ(items[0].id, id);
  EXPECT_TRUE(release(items[0]));
  EXPECT_EQ(read(base() + "/home/agent/.profile"), "x\n");
}

TEST_F(QuarantineTest, what_the_session_does_later_does_not_change_what_was_looked_at) {
  begin();
  IN_SESSION("echo harmless > home/agent/.profile");
  commit();
  const QuarantineItem item = update().at(0);
  IN_SESSION("echo evil >> home/agent/.profile");
  ASSERT_TRUE(release(item));
  EXPECT_EQ(read(base() + "/home/agent/.profile"), "harmless\n");
}

TEST_F(QuarantineTest, a_new_commit_of_the_same_place_replaces_the_item_and_an_equal_one_does_not) {
  begin();
  IN_SESSION("echo one > home/agent/.profile");
  commit();
  const std::string first = update().at(0).id;
  commit();
  EXPECT_EQ(update().at(0).id, first);
  IN_SESSION("echo two > home/agent/.profile");
  commit();
  const auto second = update();
  ASSERT_EQ(second.size(), 1u);
  EXPECT_NE(second[0].id, first);
  EXPECT_EQ(storage_->quarantine("w")->size(), 1u);
}

TEST_F(QuarantineTest, a_release_is_refused_where_the_workspace_changed_underneath) {
  begin();
  IN_SESSION("echo x > home/agent/.profile");
  commit();
  const QuarantineItem item = update().at(0);
  std::ofstream(base() + "/home/agent/.profile") << "someone else's";
  auto refused = release(item);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "commit.root");
  EXPECT_EQ(read(base() + "/home/agent/.profile"), "someone else's");
}

TEST_F(QuarantineTest, daily_git_work_is_committed_and_a_setting_that_runs_a_program_is_not) {
  if (std::system("git --version >/dev/null 2>&1") != 0) GTEST_SKIP() << "git is not installed";
  begin();
  const std::string git = "cd workspace; export HOME=$PWD GIT_CONFIG_NOSYSTEM=1; ";
  IN_SESSION(
      git +
      "git init -q . ; git config user.name a; git config user.email a@dev.example; echo 1 > f; git add f;"
      "git commit -qm one; git remote add origin https://git.dev.example/x.git; git checkout -q -b topic;"
      "git worktree add -q ../wt");
  const CommitOutcome outcome = commit();
  EXPECT_THAT(outcome.withheld, IsEmpty());
  EXPECT_TRUE(in_workspace("/workspace/.git/config"));
  EXPECT_TRUE(in_workspace("/wt/.git"));
  IN_SESSION(git + "git config core.hooksPath ../x");
  EXPECT_THAT(commit().withheld, ElementsAre("/workspace/.git/config"));
  EXPECT_EQ(update().at(0).detail, "core.hookspath = ../x");
}

// ---- each way to get there

TEST_F(QuarantineTest, renames_links_archives_and_copies_all_end_in_quarantine) {
  begin();
  IN_SESSION(
      "cd workspace; echo evil > a; mv a ../home/agent/.bashrc;"  // renamed into place
      "echo evil > b; ln b .envrc;"                               // a hard link
      "ln -s b .npmrc;"                                           // a link at the path
      "mkdir -p r/.git/hooks.x; echo evil > r/.git/hooks.x/pre-push; mv r/.git/hooks.x r/.git/hooks;"  // its directory
      "mkdir t; mkdir t/.vscode; echo evil > t/.vscode/tasks.json; tar cf t.tar t; rm -r t; tar xf t.tar;"  // archive
      "ln -s ../home/agent/.zshrc innocent; echo evil > innocent;"  // through a link elsewhere
      "ln -s b .claude;"                                            // a link for a directory
      "mkdir -p sub; echo 'gitdir: ../fake' > sub/.git; mkdir fake; printf '[core]\\n\\tfsmonitor = evil\\n' "
      "> fake/config");
  commit();
  EXPECT_THAT(places(),
              UnorderedElementsAre("/home/agent/.bashrc", "/workspace/.envrc", "/workspace/.npmrc",
                                   "/workspace/r/.git/hooks", "/workspace/t/.vscode", "/home/agent/.zshrc",
                                   "/workspace/.claude", "/workspace/sub/.git", "/workspace/fake/config"));
  for (const char* path :
       {"/home/agent/.bashrc", "/workspace/.envrc", "/workspace/.npmrc", "/workspace/r/.git/hooks/pre-push",
        "/workspace/t/.vscode/tasks.json", "/home/agent/.zshrc", "/workspace/.claude", "/workspace/sub/.git",
        "/workspace/fake/config"})
    EXPECT_FALSE(in_workspace(path)) << path;
  EXPECT_TRUE(in_workspace("/workspace/innocent")) << "the link itself runs nothing";
  EXPECT_TRUE(in_workspace("/workspace/b"));
}

// The benign twin: the same ways, to names that nobody runs.
TEST_F(QuarantineTest, the_same_ways_to_other_names_pass) {
  begin();
  IN_SESSION(
      "cd workspace; echo x > a; mv a ../home/agent/notes; echo x > b; ln b c; ln -s b d; mkdir -p e/hooks.x;"
      "echo x > e/hooks.x/f; mv e/hooks.x e/hooks; tar cf t.tar e; rm -r e; tar xf t.tar");
  EXPECT_THAT(commit().withheld, IsEmpty());
  EXPECT_TRUE(in_workspace("/workspace/e/hooks/f"));
  EXPECT_TRUE(in_workspace("/home/agent/notes"));
}

TEST_F(QuarantineTest, an_old_file_with_a_second_name_on_a_run_later_path_stays_as_it_is) {
  std::ofstream(base() + "/home/agent/.bashrc") << "old";
  fs::create_hard_link(base() + "/home/agent/.bashrc", base() + "/workspace/notes");
  begin();
  IN_SESSION("echo new > workspace/notes");
  commit();
  EXPECT_EQ(read(base() + "/home/agent/.bashrc"), "old");
  EXPECT_EQ(read(base() + "/workspace/notes"), "new\n");
}

TEST_F(QuarantineTest, a_directory_of_the_workspace_renamed_onto_a_run_later_path_waits) {
  fs::create_directories(base() + "/workspace/.git/hooks.off");
  std::ofstream(base() + "/workspace/.git/hooks.off/pre-commit") << "evil";
  begin();
  IN_SESSION("cd workspace/.git; cp -r hooks.off hooks; rm -r hooks.off");
  commit();
  EXPECT_THAT(places(), ElementsAre("/workspace/.git/hooks"));
  EXPECT_FALSE(in_workspace("/workspace/.git/hooks/pre-commit"));
}

TEST_F(QuarantineTest, to_make_a_waiting_hook_executable_waits_too) {
  fs::create_directories(base() + "/workspace/.git/hooks");
  std::ofstream(base() + "/workspace/.git/hooks/pre-commit") << "x";
  begin();
  IN_SESSION("chmod 755 workspace/.git/hooks/pre-commit");
  commit();
  EXPECT_THAT(places(), ElementsAre("/workspace/.git/hooks"));
  EXPECT_EQ(fs::status(base() + "/workspace/.git/hooks/pre-commit").permissions() & fs::perms::owner_exec,
            fs::perms::none);
}

TEST_F(QuarantineTest, deletions_pass_and_a_tree_with_hooks_goes_whole) {
  fs::create_directories(base() + "/workspace/r/.git/hooks");
  std::ofstream(base() + "/workspace/r/.git/hooks/pre-commit") << "x";
  std::ofstream(base() + "/home/agent/.bashrc") << "x";
  begin();
  IN_SESSION("rm -r workspace/r home/agent/.bashrc");
  EXPECT_THAT(commit().withheld, IsEmpty());
  EXPECT_FALSE(in_workspace("/workspace/r"));
}

TEST_F(QuarantineTest, a_link_in_place_of_a_directory_waits_with_the_deletions_that_it_means) {
  fs::create_directories(base() + "/workspace/.vscode");
  std::ofstream(base() + "/workspace/.vscode/tasks.json") << "good";
  begin();
  IN_SESSION("cd workspace; mkdir evil; rm -r .vscode; ln -s evil .vscode");
  commit();
  EXPECT_EQ(read(base() + "/workspace/.vscode/tasks.json"), "good");
  const auto items = update();
  ASSERT_EQ(items.size(), 1u);
  EXPECT_EQ(items[0].changes, 2u);
  ASSERT_TRUE(release(items[0]));
  EXPECT_TRUE(fs::is_symlink(base() + "/workspace/.vscode"));
}

TEST_F(QuarantineTest, without_the_classifier_everything_passes) {  // the guard is missing
  begin();
  IN_SESSION("echo evil > home/agent/.bashrc");
  ASSERT_TRUE(storage_->commit("w", "s", {}));
  EXPECT_TRUE(in_workspace("/home/agent/.bashrc"));
}

// ---- bounds and refusals

TEST_F(QuarantineTest, deny_refuses_and_says_what_and_how_to_ask) {
  begin();
  IN_SESSION("echo work > workspace/a");
  EXPECT_TRUE(refuse_run_later(*storage_->session_sources("w", "s")));
  IN_SESSION("echo evil > home/agent/.bashrc");
  auto refused = refuse_run_later(*storage_->session_sources("w", "s"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "commit.run_later");
  EXPECT_THAT(refused.error().message, testing::HasSubstr("'/home/agent/.bashrc' (a shell reads it"));
}

TEST_F(QuarantineTest, past_the_bound_everything_waits_in_its_session) {
  begin();
  IN_SESSION(fmt::format("for i in $(seq {}); do mkdir workspace/$i; echo x > workspace/$i/.envrc; done",
                         kMaxQuarantined + 1));
  commit();
  auto full = storage_->update_quarantine("w", "s");
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code, "quarantine.full");
  EXPECT_THAT(*storage_->quarantine("w"), IsEmpty());
  IN_SESSION("rm workspace/1/.envrc; test -e workspace/2/.envrc");
  EXPECT_EQ(update().size(), kMaxQuarantined);
}

TEST_F(QuarantineTest, nothing_runs_in_an_item_and_an_item_has_no_items) {
  begin();
  IN_SESSION("echo x > home/agent/.profile");
  commit();
  const std::string id = update().at(0).id;
  SandboxPlan plan{.depth = Depth::session, .workspace = "w", .session = id};
  EXPECT_EQ(storage_->layers(plan).error().code, "storage.bad_id");
  plan.session = "s";
  EXPECT_TRUE(storage_->layers(plan));
  EXPECT_EQ(storage_->update_quarantine("w", id).error().code, "storage.bad_id");
}

TEST_F(QuarantineTest, a_release_names_an_item_and_its_root) {
  begin();
  IN_SESSION("echo x > home/agent/.profile");
  commit();
  const QuarantineItem item = update().at(0);
  EXPECT_EQ(storage_->release_quarantine("w", "s", item.root).error().code, "storage.bad_id");
  EXPECT_EQ(storage_->release_quarantine("w", item.id, "").error().code, "storage.bad_id");
  EXPECT_EQ(storage_->release_quarantine("w", item.id, "sha256:00").error().code, "commit.root");
  EXPECT_TRUE(release(item));
  EXPECT_EQ(release(item).error().code, "storage.unknown");
}

TEST_F(QuarantineTest, a_release_that_was_killed_before_its_item_went_is_done) {
  begin();
  IN_SESSION("echo x > home/agent/.profile; echo x > home/agent/.zshrc");
  commit();
  const auto items = update();
  ASSERT_TRUE(storage_->commit("w", items.at(0).id, {.root = items.at(0).root}));  // and no more
  EXPECT_EQ(storage_->quarantine("w")->size(), 1u);
  EXPECT_EQ(update().size(), 1u);
  EXPECT_FALSE(fs::exists(directory_ + "/node/ws/w/sessions/" + items.at(0).id));
}

TEST_F(QuarantineTest, what_a_killed_update_left_behind_is_swept) {
  begin();
  IN_SESSION("echo x > home/agent/.profile");
  commit();
  update();
  fs::create_directories(directory_ + "/node/layers/l-left-0/files");
  storage_.emplace(std::move(*Storage::open(directory_ + "/node", {})));
  EXPECT_FALSE(fs::exists(directory_ + "/node/layers/l-left-0"));
  EXPECT_EQ(storage_->quarantine("w")->size(), 1u);
}

}  // namespace
}  // namespace saw::sandbox
