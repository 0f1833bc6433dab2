// What saw-node does to the files of workspaces and sessions, and what may run meanwhile.
#include <filesystem>

#include "base/file.h"
#include "sandbox/node_test_support.h"

namespace saw::sandbox {
namespace {

class NodeJobsTest : public testing_support::NodeHarness {};

TEST_F(NodeJobsTest, storage_in_use_is_not_removed_and_unused_storage_is) {
  start_node();
  start_sandbox("sb-a");
  send(RemoveStorage{.request = 80, .workspace = "w"});
  ASSERT_NE(await<Failed>(80), nullptr);
  EXPECT_EQ(await<Failed>(80)->code, "storage.busy");
  send(StopSandbox{.request = 81, .sandbox = "sb-a"});
  ASSERT_NE(await<Done>(81), nullptr);
  send(RemoveStorage{.request = 82, .workspace = "w"});
  ASSERT_NE(await<Done>(82), nullptr);
  EXPECT_TRUE(std::filesystem::is_empty(directory_ + "/node/ws"));
  EXPECT_TRUE(std::filesystem::is_empty(directory_ + "/node/trash"));
}

TEST_F(NodeJobsTest, a_sessions_changes_are_listed) {
  start_node();
  start_sandbox("sb-a", Depth::session);
  std::filesystem::create_directories(runtime_->last_layers.upper + "/workspace/new");
  send(ListChanges{.request = 85, .workspace = "w", .session = "s"});
  auto* changes = await<Changes>(85);
  ASSERT_NE(changes, nullptr);
  ASSERT_EQ(changes->changes.size(), 2u);
  EXPECT_EQ(changes->changes[1].path, "/workspace/new");
  send(ListChanges{.request = 86, .workspace = "w", .session = "other"});
  EXPECT_NE(await<Failed>(86), nullptr);
}

TEST_F(NodeJobsTest, a_workspace_on_frozen_layers_is_down_while_something_is_committed_into_it) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to mount an overlay";
  start_node();
  start_sandbox("sb-w", Depth::workspace);
  ASSERT_TRUE(replace_file(runtime_->last_layers.upper + "/old", "x", 0644, Durability::none));
  start_sandbox("sb-a", Depth::session);
  ASSERT_TRUE(replace_file(runtime_->last_layers.upper + "/new", "x", 0644, Durability::none));
  send(StopSandbox{.request = 68, .sandbox = "sb-w"});
  ASSERT_NE(await<Done>(68), nullptr);
  send(StopSandbox{.request = 69, .sandbox = "sb-a"});
  ASSERT_NE(await<Done>(69), nullptr);
  send(TakeSnapshot{.request = 70, .workspace = "w", .snapshot = "n"});
  ASSERT_NE(await<Done>(70), nullptr);
  start_sandbox("sb-w2", Depth::workspace);
  send(CommitSession{.request = 71, .workspace = "w", .session = "s"});
  ASSERT_NE(await<Failed>(71), nullptr);
  EXPECT_EQ(await<Failed>(71)->code, kWorkspaceRuns);
  send(StopSandbox{.request = 72, .sandbox = "sb-w2"});
  ASSERT_NE(await<Done>(72), nullptr);
  send(CommitSession{.request = 73, .workspace = "w", .session = "s"});
  send(StartSandbox{.request = 74, .plan = plan("sb-w3", Depth::workspace)});
  ASSERT_NE(await<Failed>(74), nullptr) << "an overlay must not be mounted over a layer that changes";
  EXPECT_EQ(await<Failed>(74)->code, "session.busy");
  ASSERT_NE(await<Committed>(73), nullptr);
  EXPECT_EQ(await<Committed>(73)->applied, 1u);
  start_sandbox("sb-w4", Depth::workspace);
}

TEST_F(NodeJobsTest, a_session_is_committed_and_discarded_once_no_sandbox_uses_it) {
  start_node();
  start_sandbox("sb-a", Depth::session);
  const std::string upper = runtime_->last_layers.upper, base = runtime_->last_layers.lower.at(0);
  ASSERT_TRUE(replace_file(upper + "/new", "x", 0644, Durability::none));
  send(CommitSession{.request = 70, .workspace = "w", .session = "s"});
  ASSERT_NE(await<Failed>(70), nullptr);
  EXPECT_EQ(await<Failed>(70)->code, "session.busy");
  send(DiscardSession{.request = 71, .workspace = "w", .session = "s"});
  EXPECT_NE(await<Failed>(71), nullptr);
  send(StopSandbox{.request = 72, .sandbox = "sb-a"});
  ASSERT_NE(await<Done>(72), nullptr);
  send(CommitSession{.request = 73, .workspace = "w", .session = "s", .root = "sha256:another"});
  ASSERT_NE(await<Failed>(73), nullptr);
  EXPECT_EQ(await<Failed>(73)->code, "commit.root");
  send(CommitSession{.request = 74, .workspace = "w", .session = "s"});
  send(StartSandbox{.request = 75, .plan = plan("sb-b", Depth::session)});
  ASSERT_NE(await<Failed>(75), nullptr) << "nothing may start in it meanwhile";
  send(ForkStorage{.request = 77, .workspace = "w", .session = "s", .fork = "t"});
  ASSERT_NE(await<Failed>(77), nullptr) << "nor may its layer be frozen";
  EXPECT_EQ(await<Failed>(77)->code, "session.busy");
  ASSERT_NE(await<Committed>(74), nullptr);
  EXPECT_EQ(await<Committed>(74)->applied, 1u);
  EXPECT_EQ(read_file(base + "/new").value_or(""), "x");
  start_sandbox("sb-c", Depth::session);
  const std::string next = runtime_->last_layers.upper;
  EXPECT_NE(next, upper);
  ASSERT_TRUE(replace_file(next + "/more", "x", 0644, Durability::none));
  send(StopSandbox{.request = 78, .sandbox = "sb-c"});
  ASSERT_NE(await<Done>(78), nullptr);
  send(DiscardSession{.request = 76, .workspace = "w", .session = "s"});
  ASSERT_NE(await<Done>(76), nullptr);
  EXPECT_FALSE(std::filesystem::exists(next + "/more"));
  EXPECT_FALSE(std::filesystem::exists(base + "/more"));
}

}  // namespace
}  // namespace saw::sandbox
