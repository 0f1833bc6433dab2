#include "sandbox/storage.h"

#include <filesystem>
#include <fstream>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace saw::sandbox {
namespace {

namespace fs = std::filesystem;

class StorageTest : public testing::Test {
 protected:
  StorageTest() {
    std::string name = testing::TempDir() + "saw-storage-XXXXXX";
    directory_ = ::mkdtemp(name.data());
  }
  ~StorageTest() override {
    auto trash = Trash::open(directory_ + "/node/trash");
    Fd root = std::move(*Fd::open(directory_, O_RDONLY | O_DIRECTORY));
    static_cast<void>(trash->take(root.get(), "outside"));
    Fd node = std::move(*Fd::open(directory_ + "/node", O_RDONLY | O_DIRECTORY));
    static_cast<void>(trash->take(node.get(), "layers"));
    while (trash->empty_some(10'000).value_or(false)) {
    }
    fs::remove_all(directory_);
  }
  Storage open() {
    StorageOptions options;
    if (::geteuid() == 0) options.first_agent_uid = kFirstAgentUid;
    auto storage = Storage::open(directory_ + "/node", options);
    SAW_CHECK(storage.has_value());
    return std::move(*storage);
  }
  void remove_everything(Storage& storage, const std::string& workspace) {
    ASSERT_TRUE(storage.remove_workspace(workspace));
    for (int slices = 0; slices < 10'000; ++slices) {
      auto more = storage.trash().empty_some(100);
      ASSERT_TRUE(more) << more.error().message;
      if (!*more) break;
    }
    EXPECT_TRUE(fs::is_empty(directory_ + "/node/trash"));
    EXPECT_TRUE(fs::is_empty(directory_ + "/node/ws"));
    EXPECT_TRUE(fs::is_empty(directory_ + "/node/layers"));
  }
  static std::string tree(const Storage& storage, const std::string& workspace) {
    auto layers = storage.layers({.depth = Depth::workspace, .workspace = workspace});
    SAW_CHECK(layers.has_value());
    return layers->upper;
  }
  std::string directory_;
};

TEST_F(StorageTest, creating_a_workspace_twice_keeps_what_is_in_it) {
  Storage storage = open();
  ASSERT_TRUE(storage.create_workspace("ws-1"));
  std::ofstream(tree(storage, "ws-1") + "/note") << "kept";
  ASSERT_TRUE(storage.create_workspace("ws-1"));
  EXPECT_TRUE(fs::exists(tree(storage, "ws-1") + "/note"));
}

TEST_F(StorageTest, every_workspace_has_an_index_of_its_own_which_is_free_again_only_when_it_is_gone) {
  Storage storage = open();
  ASSERT_TRUE(storage.create_workspace("a"));
  ASSERT_TRUE(storage.create_workspace("b"));
  ASSERT_NE(*storage.index("a"), *storage.index("b"));
  const uint32_t index = *storage.index("a");
  EXPECT_EQ(*open().index("a"), index);
  ASSERT_TRUE(storage.remove_workspace("a"));
  ASSERT_TRUE(storage.create_workspace("c"));
  EXPECT_EQ(*storage.index("c"), index);
}

TEST_F(StorageTest, as_root_the_tree_belongs_to_the_workspaces_agent) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  Storage storage = open();
  ASSERT_TRUE(storage.create_workspace("ws-1"));
  ASSERT_TRUE(storage.create_session("ws-1", "ss-1"));
  SandboxPlan plan{.depth = Depth::session, .workspace = "ws-1", .session = "ss-1"};
  auto layers = storage.layers(plan);
  ASSERT_TRUE(layers);
  struct stat info{};
  ASSERT_EQ(::stat(layers->upper.c_str(), &info), 0);
  EXPECT_EQ(info.st_uid, layers->uid);
  EXPECT_EQ(layers->uid, kFirstAgentUid + *storage.index("ws-1"));
}

TEST_F(StorageTest, the_layers_of_the_three_depths) {
  Storage storage = open();
  ASSERT_TRUE(storage.create_workspace("w"));
  ASSERT_TRUE(storage.create_session("w", "s"));
  auto workspace = storage.layers({.depth = Depth::workspace, .workspace = "w"});
  ASSERT_TRUE(workspace);
  EXPECT_TRUE(workspace->lower.empty());
  EXPECT_EQ(workspace->upper, tree(storage, "w"));
  auto session = storage.layers({.depth = Depth::session, .workspace = "w", .session = "s"});
  ASSERT_TRUE(session);
  EXPECT_EQ(session->lower, std::vector{tree(storage, "w")});
  auto call = storage.layers({.depth = Depth::call, .workspace = "w", .session = "s"});
  ASSERT_TRUE(call);
  EXPECT_EQ(call->lower, (std::vector{session->upper, tree(storage, "w")}));
  EXPECT_TRUE(call->upper.empty());
}

TEST_F(StorageTest, an_id_is_never_a_path) {
  Storage storage = open();
  const std::string long_id(65, 'a');
  for (const std::string& id : {std::string(""), std::string(".."), std::string("a/b"), std::string("A"),
                                std::string("a\0b", 3), long_id}) {
    EXPECT_EQ(storage.create_workspace(id).error().code, "storage.bad_id") << id;
    EXPECT_EQ(storage.remove_workspace(id).error().code, "storage.bad_id") << id;
  }
  EXPECT_TRUE(storage.create_workspace(std::string(64, 'a')));
}

TEST_F(StorageTest, the_storage_of_an_unknown_session_is_refused) {
  Storage storage = open();
  ASSERT_TRUE(storage.create_workspace("w"));
  EXPECT_EQ(storage.layers({.depth = Depth::session, .workspace = "w", .session = "s"}).error().code,
            "storage.unknown");
  EXPECT_EQ(storage.create_session("nobody", "s").error().code, "storage.unknown");
}

TEST_F(StorageTest, removing_never_follows_a_link_out_of_the_workspace) {
  Storage storage = open();
  ASSERT_TRUE(storage.create_workspace("w"));
  fs::create_directory(directory_ + "/outside");
  std::ofstream(directory_ + "/outside/precious") << "x";
  fs::create_symlink(directory_ + "/outside", tree(storage, "w") + "/link");
  fs::create_directories(tree(storage, "w") + "/deeper");
  fs::create_symlink("../../../../../outside", tree(storage, "w") + "/deeper/up");
  remove_everything(storage, "w");
  EXPECT_TRUE(fs::exists(directory_ + "/outside/precious"));
}

TEST_F(StorageTest, removing_copes_with_names_of_any_bytes_and_directories_without_permissions) {
  Storage storage = open();
  ASSERT_TRUE(storage.create_workspace("w"));
  const std::string root = tree(storage, "w") + "/x";
  for (const std::string name : {"\xff\xfe", "line\nbreak", "-rf", "...", " ", "*"})
    fs::create_directories(root + "/" + name + "/inner");
  std::ofstream(root + "/" + std::string(255, 'n')) << "x";
  ::mkfifo((root + "/fifo").c_str(), 0);
  ::chmod((root + "/*").c_str(), 0);
  ::chmod(root.c_str(), 0);
  remove_everything(storage, "w");
}

TEST_F(StorageTest, removing_a_tree_deeper_than_any_path_or_descriptor_table) {
  Storage storage = open();
  ASSERT_TRUE(storage.create_workspace("w"));
  Fd at = std::move(*Fd::open(tree(storage, "w"), O_RDONLY | O_DIRECTORY));
  constexpr int kDepth = 1'100;  // a path of 270 kB; one descriptor each would exceed the usual 1024
  const std::string name(250, 'd');
  for (int i = 0; i < kDepth; ++i) {
    ASSERT_EQ(::mkdirat(at.get(), name.c_str(), 0700), 0);
    at = Fd(::openat(at.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    ASSERT_TRUE(at);
  }
  remove_everything(storage, "w");
}

TEST_F(StorageTest, what_a_killed_process_had_half_made_is_cleared_at_the_next_start) {
  open();
  fs::create_directories(directory_ + "/node/ws/.new-abc/sessions");
  fs::create_directories(directory_ + "/node/layers/l-abc-0/files");
  fs::create_directories(directory_ + "/node/trash/t-left/deep/er");
  Storage storage = open();
  while (storage.trash().empty_some(100).value_or(false)) {
  }
  EXPECT_TRUE(fs::is_empty(directory_ + "/node/ws"));
  EXPECT_TRUE(fs::is_empty(directory_ + "/node/layers"));
  EXPECT_TRUE(fs::is_empty(directory_ + "/node/trash"));
}

// ---- commits

TEST_F(StorageTest, a_commit_that_was_decided_is_finished_by_the_next_start) {
  Storage storage = open();
  ASSERT_TRUE(storage.create_workspace("ws-1"));
  ASSERT_TRUE(storage.create_session("ws-1", "s"));
  const SandboxPlan plan{.depth = Depth::session, .workspace = "ws-1", .session = "s"};
  const std::string before = storage.layers(plan)->upper;
  std::ofstream(before + "/f") << "x";
  const pid_t child = ::fork();
  if (child == 0) {
    static_cast<void>(storage.commit("ws-1", "s", {.witness = [](std::string_view step) {
                                       if (step == "rename") ::_exit(0);
                                     }}));
    ::_exit(1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  ASSERT_EQ(status, 0);
  EXPECT_FALSE(fs::exists(tree(storage, "ws-1") + "/f"));
  auto refused = storage.layers(plan);
  ASSERT_FALSE(refused) << "nothing may write to the layer that is about to go";
  EXPECT_EQ(refused.error().code, "commit.pending");
  Storage next = open();
  EXPECT_TRUE(fs::exists(tree(next, "ws-1") + "/f"));
  ASSERT_TRUE(next.layers(plan));
  EXPECT_NE(next.layers(plan)->upper, before);
  EXPECT_TRUE(fs::is_empty(next.layers(plan)->upper));
  remove_everything(next, "ws-1");
}

TEST_F(StorageTest, a_commit_by_a_process_of_its_own_is_taken_over_and_what_nobody_names_goes) {
  Storage storage = open();
  ASSERT_TRUE(storage.create_workspace("ws-1"));
  ASSERT_TRUE(storage.create_session("ws-1", "s"));
  const SandboxPlan plan{.depth = Depth::session, .workspace = "ws-1", .session = "s"};
  const std::string before = storage.layers(plan)->upper;
  std::ofstream(before + "/f") << "x";
  const pid_t child = ::fork();
  if (child == 0) ::_exit(storage.commit("ws-1", "s", {}) ? 0 : 1);
  int status = 0;
  ::waitpid(child, &status, 0);
  ASSERT_EQ(status, 0);
  EXPECT_EQ(storage.layers(plan)->upper, before) << "this process does not know yet";
  ASSERT_TRUE(storage.settle("ws-1"));
  EXPECT_NE(storage.layers(plan)->upper, before);
  EXPECT_TRUE(fs::exists(tree(storage, "ws-1") + "/f"));
  EXPECT_TRUE(storage.changes("ws-1", "s")->changes.empty());
  EXPECT_FALSE(fs::exists(before));
  remove_everything(storage, "ws-1");
}

TEST_F(StorageTest, what_is_decided_must_be_done_before_a_workspace_or_session_is_forked) {
  Storage storage = open();
  ASSERT_TRUE(storage.create_workspace("ws-1"));
  ASSERT_TRUE(storage.create_session("ws-1", "s"));
  std::ofstream(storage.layers({.depth = Depth::session, .workspace = "ws-1", .session = "s"})->upper + "/f");
  std::ofstream(tree(storage, "ws-1") + "/g");
  const pid_t child = ::fork();
  if (child == 0) {
    static_cast<void>(storage.commit("ws-1", "s", {.witness = [](std::string_view step) {
                                       if (step == "rename") ::_exit(0);
                                     }}));
    ::_exit(1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  ASSERT_EQ(status, 0);
  for (const auto& refused :
       {storage.fork_workspace("ws-1", "ws-2"), storage.fork_session("ws-1", "s", "s-2"),
        storage.take_snapshot("ws-1", "n", 1)}) {
    ASSERT_FALSE(refused) << "the frozen layer would be written to";
    EXPECT_EQ(refused.error().code, "commit.pending");
  }
  ASSERT_TRUE(storage.settle("ws-1"));
  EXPECT_TRUE(fs::exists(tree(storage, "ws-1") + "/f"));
  EXPECT_TRUE(storage.fork_session("ws-1", "s", "s-2"));
  EXPECT_TRUE(storage.take_snapshot("ws-1", "n", 1));
}

TEST_F(StorageTest, a_forked_session_commits_what_both_of_its_layers_hold) {
  Storage storage = open();
  ASSERT_TRUE(storage.create_workspace("w"));
  ASSERT_TRUE(storage.create_session("w", "s"));
  const auto upper = [&](const char* session) {
    return storage.layers({.depth = Depth::session, .workspace = "w", .session = session})->upper;
  };
  std::ofstream(upper("s") + "/first") << "1";
  ASSERT_TRUE(storage.fork_session("w", "s", "t"));
  std::ofstream(upper("t") + "/second") << "2";
  auto outcome = storage.commit("w", "t", {});
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(outcome->applied, 2u);
  EXPECT_TRUE(fs::exists(tree(storage, "w") + "/first"));
  EXPECT_TRUE(fs::exists(tree(storage, "w") + "/second"));
  EXPECT_TRUE(storage.changes("w", "t")->changes.empty());
  // The first session still has its own.
  const auto rest = storage.layers({.depth = Depth::session, .workspace = "w", .session = "s"});
  ASSERT_TRUE(rest);
  ASSERT_EQ(rest->lower.size(), 2u);
  EXPECT_TRUE(fs::exists(rest->lower[0] + "/first"));
}

TEST_F(StorageTest, what_changed_below_since_the_first_layer_of_a_forked_session_is_a_conflict) {
  Storage storage = open();
  ASSERT_TRUE(storage.create_workspace("w"));
  ASSERT_TRUE(storage.create_session("w", "s"));
  const auto upper = [&](const char* session) {
    return storage.layers({.depth = Depth::session, .workspace = "w", .session = session})->upper;
  };
  std::ofstream(upper("s") + "/f") << "mine";
  ::usleep(20'000);  // ticks of the clock
  std::ofstream(tree(storage, "w") + "/f") << "theirs";
  ::usleep(20'000);
  ASSERT_TRUE(storage.fork_session("w", "s", "t"));
  auto outcome = storage.commit("w", "t", {});
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(outcome->conflicts, std::vector<std::string>{"/f"});
}

TEST_F(StorageTest, what_is_in_quarantine_is_not_forked) {
  Storage storage = open();
  ASSERT_TRUE(storage.create_workspace("w"));
  ASSERT_TRUE(storage.create_session("w", "s"));
  EXPECT_EQ(storage.fork_session("w", "qu-1", "t").error().code, "storage.bad_id");
  EXPECT_EQ(storage.fork_session("w", "s", "qu-1").error().code, "storage.bad_id");
  EXPECT_TRUE(storage.fork_session("w", "s", "t"));
}

TEST_F(StorageTest, a_workspace_whose_commit_cannot_be_finished_does_not_keep_others_from_starting) {
  Storage storage = open();
  ASSERT_TRUE(storage.create_workspace("ws-1"));
  ASSERT_TRUE(storage.create_workspace("ws-2"));
  fs::create_directories(directory_ + "/node/ws/ws-1/commits/co-1");
  std::ofstream(directory_ + "/node/ws/ws-1/commits/co-1/journal") << "nonsense";
  Storage next = open();
  EXPECT_TRUE(next.index("ws-2"));
  ASSERT_TRUE(next.remove_workspace("ws-2"));
  remove_everything(next, "ws-1");
}

}  // namespace
}  // namespace saw::sandbox
