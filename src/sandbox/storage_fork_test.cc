// Forks, snapshots and rebuilding, on real directories; as root with the mounts that a sandbox would make.
#include <csignal>
#include <filesystem>
#include <fstream>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "sandbox/killed_test_support.h"
#include "sandbox/storage.h"

namespace saw::sandbox {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using testing_support::run_killed_at;

class StorageForkTest : public testing::Test {
 protected:
  StorageForkTest() {
    // In memory where there is such a place: hundreds of flushes to a disk take a minute.
    std::string name =
        (::access("/dev/shm", W_OK) == 0 ? "/dev/shm/" : testing::TempDir()) + "saw-fork-XXXXXX";
    directory_ = ::mkdtemp(name.data());
  }
  ~StorageForkTest() override { fs::remove_all(directory_); }

  Storage open() const { return open_at(directory_ + "/node"); }
  static Storage open_at(const std::string& path) {
    StorageOptions options;
    if (::geteuid() == 0) options.first_agent_uid = kFirstAgentUid;
    auto storage = Storage::open(path, options);
    SAW_CHECK(storage.has_value());
    return std::move(*storage);
  }
  static Layers layers(const Storage& storage, const std::string& workspace,
                       const std::string& session = {}) {
    auto found = storage.layers({.depth = session.empty() ? Depth::workspace : Depth::session,
                                 .workspace = workspace,
                                 .session = session});
    SAW_CHECK(found.has_value());
    return std::move(*found);
  }
  // As the sandbox's processes would write it.
  static void write(const Storage& storage, const std::string& workspace, const std::string& name,
                    std::string_view content, const std::string& session = {}) {
    const fs::path path = layers(storage, workspace, session).upper + "/" + name;
    fs::create_directories(path.parent_path());
    std::ofstream(path) << content;
  }
  // What a tree holds under a name: the topmost layer's, as an overlay shows it.
  static std::string read(const Layers& layers, const std::string& name) {
    if (auto text = read_file(layers.upper + "/" + name)) return *text;
    for (const std::string& lower : layers.lower)
      if (auto text = read_file(lower + "/" + name)) return *text;
    return "(absent)";
  }
  static size_t entries(const std::string& path) {
    return static_cast<size_t>(std::distance(fs::directory_iterator(path), fs::directory_iterator()));
  }
  static void empty_trash(Storage& storage) {
    while (storage.trash().empty_some(1000).value_or(false)) {
    }
  }
  std::string directory_;
};

TEST_F(StorageForkTest, a_fork_holds_what_the_workspace_held_and_neither_sees_what_the_other_writes_then) {
  Storage storage = open();
  ASSERT_TRUE(storage.create_workspace("w"));
  write(storage, "w", "note", "shared");
  ASSERT_TRUE(storage.fork_workspace("w", "copy"));
  write(storage, "w", "note", "mine");
  write(storage, "copy", "other", "theirs");
  EXPECT_EQ(read(layers(storage, "copy"), "note"), "shared");
  EXPECT_EQ(read(layers(storage, "w"), "note"), "mine");
  EXPECT_EQ(read(layers(storage, "w"), "other"), "(absent)");
  EXPECT_NE(*storage.index("w"), *storage.index("copy"));
}

TEST_F(StorageForkTest, the_upper_layers_differ_and_nothing_that_is_shared_is_anybodys_upper) {
  Storage storage = open();
  ASSERT_TRUE(storage.create_workspace("w"));
  write(storage, "w", "a", "1");
  ASSERT_TRUE(storage.fork_workspace("w", "x"));
  write(storage, "x", "a", "2");
  ASSERT_TRUE(storage.fork_workspace("x", "y"));
  std::set<std::string> uppers, lowers;
  for (const char* name : {"w", "x", "y"}) {
    const Layers found = layers(storage, name);
    uppers.insert(found.upper);
    lowers.insert(found.lower.begin(), found.lower.end());
    EXPECT_EQ(found.lower.size(), found.lower_uid.size());
  }
  EXPECT_THAT(uppers, SizeIs(3));
  for (const std::string& upper : uppers) EXPECT_FALSE(lowers.contains(upper));
}

TEST_F(StorageForkTest, as_root_each_lower_layer_says_whose_files_are_in_it) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  Storage storage = open();
  ASSERT_TRUE(storage.create_workspace("w"));
  write(storage, "w", "a", "1");
  ASSERT_TRUE(storage.fork_workspace("w", "x"));
  const Layers original = layers(storage, "w"), fork = layers(storage, "x");
  EXPECT_THAT(original.lower_uid, ElementsAre(original.uid));
  EXPECT_THAT(fork.lower_uid, ElementsAre(original.uid));
  EXPECT_NE(fork.uid, original.uid);
}

TEST_F(StorageForkTest, a_workspace_that_was_not_written_to_is_forked_without_another_layer) {
  Storage storage = open();
  ASSERT_TRUE(storage.create_workspace("w"));
  write(storage, "w", "a", "1");
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(storage.fork_workspace("w", fmt::format("fork-{}", i)));
  EXPECT_THAT(layers(storage, "w").lower, SizeIs(1));
}

TEST_F(StorageForkTest, the_ways_that_are_made_in_a_new_layer_are_no_change_and_an_agents_directory_is_one) {
  Storage storage = open();
  ASSERT_TRUE(storage.create_workspace("w"));
  write(storage, "w", "workspace/a", "1");
  ASSERT_TRUE(storage.fork_workspace("w", "one"));
  const SandboxPlan plan{
      .depth = Depth::workspace, .workspace = "w", .write_paths = {"/workspace", "/absent"}};
  ASSERT_TRUE(storage.make_ways(plan));
  EXPECT_TRUE(fs::is_directory(layers(storage, "w").upper + "/workspace"));
  EXPECT_FALSE(fs::exists(layers(storage, "w").upper + "/absent"));
  ASSERT_TRUE(storage.fork_workspace("w", "two"));
  EXPECT_THAT(layers(storage, "w").lower, SizeIs(1));
  fs::create_directory(layers(storage, "w").upper + "/workspace/made");
  ASSERT_TRUE(storage.fork_workspace("w", "three"));
  EXPECT_THAT(layers(storage, "w").lower, SizeIs(2));
}

TEST_F(StorageForkTest, at_the_bound_of_layers_a_fork_is_refused_and_everything_stays) {
  Storage storage = open();
  ASSERT_TRUE(storage.create_workspace("w"));
  for (size_t i = 0; i < kMaxFrozen; ++i) {
    write(storage, "w", "a", std::to_string(i));
    ASSERT_TRUE(storage.fork_workspace("w", fmt::format("fork-{}", i)));
  }
  write(storage, "w", "a", "last");
  auto refused = storage.fork_workspace("w", "one-more");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "storage.depth");
  EXPECT_EQ(storage.index("one-more").error().code, "storage.unknown");
  EXPECT_EQ(read(layers(storage, "w"), "a"), "last");
  EXPECT_EQ(read(layers(storage, "fork-0"), "a"), "0");
}

TEST_F(StorageForkTest, forking_to_a_name_that_exists_changes_nothing) {
  Storage storage = open();
  ASSERT_TRUE(storage.create_workspace("w"));
  ASSERT_TRUE(storage.create_workspace("other"));
  write(storage, "w", "a", "1");
  ASSERT_TRUE(storage.fork_workspace("w", "other"));
  EXPECT_EQ(read(layers(storage, "other"), "a"), "(absent)");
  EXPECT_THAT(layers(storage, "w").lower, IsEmpty());
  EXPECT_EQ(storage.fork_workspace("nobody", "x").error().code, "storage.unknown");
  EXPECT_EQ(storage.fork_workspace("w", "../x").error().code, "storage.bad_id");
}

TEST_F(StorageForkTest, what_only_a_removed_workspace_needed_goes_and_what_others_share_stays) {
  Storage storage = open();
  ASSERT_TRUE(storage.create_workspace("w"));
  write(storage, "w", "a", "1");
  ASSERT_TRUE(storage.fork_workspace("w", "x"));
  write(storage, "w", "a", "2");
  ASSERT_TRUE(storage.remove_workspace("w"));
  EXPECT_EQ(read(layers(storage, "x"), "a"), "1");
  EXPECT_EQ(entries(directory_ + "/node/layers"), 2u);  // the fork's own and the shared one
  ASSERT_TRUE(storage.remove_workspace("x"));
  empty_trash(storage);
  for (const char* place : {"/node/layers", "/node/ws", "/node/trash"})
    EXPECT_TRUE(fs::is_empty(directory_ + place)) << place;
}

TEST_F(StorageForkTest, a_session_keeps_the_tree_it_began_on_when_its_workspace_is_forked_or_rebuilt) {
  Storage storage = open();
  ASSERT_TRUE(storage.create_workspace("w"));
  write(storage, "w", "a", "1");
  ASSERT_TRUE(storage.create_session("w", "s"));
  ASSERT_TRUE(storage.fork_workspace("w", "x"));
  write(storage, "w", "a", "2");
  EXPECT_EQ(read(layers(storage, "w", "s"), "a"), "1");
  ASSERT_TRUE(storage.create_session("w", "later"));
  EXPECT_EQ(read(layers(storage, "w", "later"), "a"), "2");
}

TEST_F(StorageForkTest, a_forked_session_holds_what_it_wrote_and_both_go_their_own_way) {
  Storage storage = open();
  ASSERT_TRUE(storage.create_workspace("w"));
  ASSERT_TRUE(storage.create_session("w", "s"));
  write(storage, "w", "base", "b");
  write(storage, "w", "a", "1", "s");
  ASSERT_TRUE(storage.fork_session("w", "s", "t"));
  write(storage, "w", "a", "2", "s");
  EXPECT_EQ(read(layers(storage, "w", "t"), "a"), "1");
  EXPECT_EQ(read(layers(storage, "w", "s"), "a"), "2");
  EXPECT_EQ(read(layers(storage, "w", "t"), "base"), "b");
  ASSERT_TRUE(storage.remove_session("w", "s"));
  EXPECT_EQ(read(layers(storage, "w", "t"), "a"), "1");
  ASSERT_TRUE(storage.remove_session("w", "t"));
  EXPECT_EQ(entries(directory_ + "/node/layers"), 1u);
}

TEST_F(StorageForkTest, a_snapshot_brings_back_what_was_and_a_rebuild_without_one_keeps_nothing) {
  Storage storage = open();
  ASSERT_TRUE(storage.create_workspace("w"));
  write(storage, "w", "a", "before");
  ASSERT_TRUE(storage.take_snapshot("w", "good", 42));
  EXPECT_EQ(storage.take_snapshot("w", "good", 43).error().code, "storage.conflict");
  write(storage, "w", "a", "broken");
  ASSERT_TRUE(storage.create_session("w", "s"));
  ASSERT_TRUE(storage.rebuild_workspace("w", "good"));
  EXPECT_EQ(read(layers(storage, "w"), "a"), "before");
  EXPECT_EQ(storage.layers({.depth = Depth::session, .workspace = "w", .session = "s"}).error().code,
            "storage.unknown");
  ASSERT_TRUE(storage.rebuild_workspace("w", ""));
  EXPECT_EQ(read(layers(storage, "w"), "a"), "(absent)");
  EXPECT_TRUE(layers(storage, "w").lower.empty());
  EXPECT_EQ(storage.rebuild_workspace("w", "absent").error().code, "storage.unknown");
  EXPECT_THAT(*storage.snapshots("w"), SizeIs(1));
  ASSERT_TRUE(storage.remove_snapshot("w", "good"));
  EXPECT_EQ(entries(directory_ + "/node/layers"), 1u);
}

TEST_F(StorageForkTest, everything_is_the_same_after_a_restart) {
  {
    Storage storage = open();
    ASSERT_TRUE(storage.create_workspace("w"));
    write(storage, "w", "a", "1");
    ASSERT_TRUE(storage.create_session("w", "s"));
    ASSERT_TRUE(storage.fork_workspace("w", "x"));
    ASSERT_TRUE(storage.take_snapshot("x", "snap", 7));
  }
  Storage storage = open();
  EXPECT_EQ(read(layers(storage, "x"), "a"), "1");
  EXPECT_EQ(read(layers(storage, "w", "s"), "a"), "1");
  ASSERT_THAT(*storage.snapshots("x"), SizeIs(1));
  EXPECT_EQ(storage.snapshots("x")->front().created, 7u);
}

TEST_F(StorageForkTest, a_record_that_cannot_be_read_hides_its_workspace_and_costs_no_other_its_layers) {
  {
    Storage storage = open();
    ASSERT_TRUE(storage.create_workspace("good"));
    ASSERT_TRUE(storage.create_workspace("bad"));
    write(storage, "bad", "a", "1");
  }
  std::ofstream(directory_ + "/node/ws/bad/record") << "junk";
  const size_t before = entries(directory_ + "/node/layers");
  Storage storage = open();
  EXPECT_EQ(entries(directory_ + "/node/layers"), before);
  EXPECT_EQ(storage.index("bad").error().code, "storage.record");
  EXPECT_TRUE(storage.index("good"));
  EXPECT_FALSE(storage.create_workspace("new"));  // its index might be taken
  ASSERT_TRUE(storage.remove_workspace("bad"));
  EXPECT_TRUE(storage.create_workspace("new"));
  EXPECT_EQ(entries(directory_ + "/node/layers"), 3u);
  open();
  EXPECT_EQ(entries(directory_ + "/node/layers"), 2u);
}

TEST_F(StorageForkTest, a_session_whose_record_did_not_reach_the_disk_is_gone_and_its_workspace_is_not) {
  for (const char* name : {"empty", "missing", "kept"}) {
    Storage storage = open();
    ASSERT_TRUE(storage.create_workspace("w"));
    ASSERT_TRUE(storage.create_session("w", name));
  }
  const std::string sessions = directory_ + "/node/ws/w/sessions";
  fs::resize_file(sessions + "/empty/record", 0);
  fs::remove(sessions + "/missing/record");
  {
    Storage storage = open();
    ASSERT_TRUE(storage.index("w"));
    EXPECT_TRUE(storage.layers({.depth = Depth::session, .workspace = "w", .session = "kept"}));
    for (const char* name : {"empty", "missing"})
      EXPECT_EQ(storage.layers({.depth = Depth::session, .workspace = "w", .session = name}).error().code,
                "storage.unknown");
    EXPECT_EQ(entries(directory_ + "/node/layers"), 2u) << "their layers went with them";
    EXPECT_TRUE(storage.create_workspace("other"));
  }
  std::ofstream(sessions + "/kept/record") << "junk";  // this is no loss of power
  EXPECT_EQ(open().index("w").error().code, "storage.record");
}

// ---- kill -9 at each system call

struct Interrupted {
  const char* name;
  Result<> (*work)(Storage&);
};
class StorageKillTest : public StorageForkTest, public testing::WithParamInterface<Interrupted> {};

// The workspace's content is there whenever the process dies, whoever shares it holds all of it or does not
// exist, and no layer is left that nobody names.
TEST_P(StorageKillTest, killed_at_any_system_call_it_has_happened_or_it_has_not) {
  constexpr int kMostCalls = 2'000;
  int at = 1;
  for (bool killed = true; killed && at < kMostCalls; ++at) {
    const std::string path = fmt::format("{}/{}", directory_, at);
    {
      Storage storage = open_at(path);
      ASSERT_TRUE(storage.create_workspace("w"));
      write(storage, "w", "kept", "old");
      ASSERT_TRUE(storage.take_snapshot("w", "first", 1));
      write(storage, "w", "new", "new");
      ASSERT_TRUE(storage.create_session("w", "s"));
      write(storage, "w", "written", "s", "s");
      killed = run_killed_at(at, [&] { static_cast<void>(GetParam().work(storage)); });
    }
    Storage storage = open_at(path);
    const Layers found = layers(storage, "w");
    EXPECT_EQ(read(found, "kept"), "old") << "killed at call " << at;
    if (std::string_view(GetParam().name) != "rebuild") {
      EXPECT_EQ(read(found, "new"), "new") << "killed at call " << at;
    }
    if (storage.index("fork")) EXPECT_EQ(read(layers(storage, "fork"), "new"), "new") << "killed at " << at;
    std::set<std::string> named = {found.upper};
    std::vector<Layers> trees = {found};
    if (storage.index("fork")) trees.push_back(layers(storage, "fork"));
    for (const char* session : {"s", "t"})
      if (storage.layers({.depth = Depth::session, .workspace = "w", .session = session})) {
        trees.push_back(layers(storage, "w", session));
        EXPECT_EQ(read(trees.back(), "written"), "s") << "killed at " << at;
      }
    for (const Layers& tree : trees) {
      named.insert(tree.upper);
      named.insert(tree.lower.begin(), tree.lower.end());
    }
    for (const fs::directory_entry& layer : fs::directory_iterator(path + "/layers"))
      if (!named.contains(layer.path().string() + "/files")) {
        // The snapshots' own.
        EXPECT_TRUE(*GetParam().name == 'r' || fs::exists(layer.path() / "files/kept"))
            << layer << " at " << at;
      }
    // The same again ends in the same.
    ASSERT_TRUE(GetParam().work(storage)) << "killed at call " << at;
    fs::remove_all(path);
  }
  EXPECT_GT(at, 10);  // it was killed indeed
  EXPECT_LT(at, kMostCalls);
}

INSTANTIATE_TEST_SUITE_P(
    Each, StorageKillTest,
    testing::Values(Interrupted{"fork_workspace", [](Storage& s) { return s.fork_workspace("w", "fork"); }},
                    Interrupted{"fork_session", [](Storage& s) { return s.fork_session("w", "s", "t"); }},
                    Interrupted{"rebuild", [](Storage& s) { return s.rebuild_workspace("w", "first"); }}),
    [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace saw::sandbox
