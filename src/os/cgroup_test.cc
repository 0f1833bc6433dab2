#include "os/cgroup.h"

#include <filesystem>

#include <gtest/gtest.h>

#include "base/crypto.h"
#include "base/file.h"

namespace saw::os {
namespace {

constexpr const char* kV1Self = "8:pids:/\n4:memory:/daemons/a b\n1:cpu,cpuacct:/x\n0::/\n";
constexpr const char* kV1Mounts =
    "30 25 0:26 / /sys/fs/cgroup/pids rw,relatime shared:9 - cgroup cgroup rw,pids\n"
    "31 25 0:27 /daemons /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
    "32 25 0:28 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n";

TEST(Cgroup, groups_lie_in_our_own_directory_below_where_we_are) {
  // Not mounted here: every limit is reported missing, and the message names the place that was tried.
  const CgroupTree tree = CgroupTree::parse("saw-t", kV1Self, kV1Mounts);
  auto group = tree.create("sb-1", {.memory_bytes = 1, .pids = 1, .cpu_millis_per_second = 1});
  ASSERT_TRUE(group);
  EXPECT_TRUE(group->missing.size() == 3 || !group->join.empty());
  EXPECT_TRUE(tree.remove("sb-1"));
}

TEST(Cgroup, without_any_hierarchy_every_limit_that_was_asked_for_is_missing_and_no_other) {
  const CgroupTree tree = CgroupTree::parse("saw-t", "", "");
  EXPECT_EQ(tree.create("sb-1", {.memory_bytes = 1, .pids = 1}).value().missing,
            (std::vector<std::string>{"memory", "pids"}));
  EXPECT_TRUE(tree.create("sb-1", {}).value().missing.empty());
  EXPECT_TRUE(tree.names().empty());
}

// A version 2 hierarchy made of ordinary files: what is written where.
TEST(Cgroup, version_two_passes_controllers_down_and_sets_limits) {
  const std::string root = testing::TempDir() + random_id("cgroup-");
  for (const char* directory : {"", "/user", "/user/saw-t", "/user/saw-t/sb-1"})
    ASSERT_TRUE(make_directories(root + directory));
  ASSERT_TRUE(replace_file(root + "/user/cgroup.controllers", "cpu memory pids\n", 0644, Durability::none));
  for (const char* file :
       {"/user/cgroup.subtree_control", "/user/saw-t/cgroup.subtree_control", "/user/saw-t/sb-1/memory.max",
        "/user/saw-t/sb-1/memory.swap.max", "/user/saw-t/sb-1/pids.max", "/user/saw-t/sb-1/cpu.max",
        "/user/saw-t/sb-1/cgroup.procs"})
    ASSERT_TRUE(replace_file(root + file, "", 0644, Durability::none));
  const CgroupTree tree =
      CgroupTree::parse("saw-t", "0::/user\n", "35 25 0:30 / " + root + " rw - cgroup2 cgroup2 rw\n");
  auto group = tree.create("sb-1", {.memory_bytes = 1000, .pids = 20, .cpu_millis_per_second = 1500});
  ASSERT_TRUE(group);
  EXPECT_TRUE(group->missing.empty());
  EXPECT_EQ(group->join.size(), 1u);  // one directory for all
  EXPECT_EQ(read_file(root + "/user/saw-t/sb-1/memory.max").value(), "1000");
  EXPECT_EQ(read_file(root + "/user/saw-t/sb-1/pids.max").value(), "20");
  EXPECT_EQ(read_file(root + "/user/saw-t/sb-1/cpu.max").value(), "150000 100000");
  EXPECT_EQ(tree.names(), std::vector<std::string>{"sb-1"});
  std::filesystem::remove_all(root);
}

// Two version 1 hierarchies made of ordinary files; the group has no limit in the second, and is not in it.
class PristineGroup : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(make_directories(group()));
    ASSERT_TRUE(make_directories(root_ + "/cpu"));
    write("tasks", "");
    write("memory.usage_in_bytes", "274432\n");  // the kernel's stock
    write("memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n");
  }
  void TearDown() override { std::filesystem::remove_all(root_); }
  std::string group() const { return root_ + "/memory/saw-t/sb-1"; }
  void write(const std::string& name, const std::string& text) {
    ASSERT_TRUE(replace_file(group() + "/" + name, text, 0644, Durability::none));
  }
  bool is_pristine() const {
    return CgroupTree::parse("saw-t", "2:memory,pids:/\n1:cpu:/\n",
                             "30 25 0:26 / " + root_ +
                                 "/memory rw - cgroup cgroup rw,memory,pids\n31 25 0:27 / " + root_ +
                                 "/cpu rw - cgroup cgroup rw,cpu\n")
        .is_pristine("sb-1");
  }

  const std::string root_ = testing::TempDir() + random_id("cgroup-");
};

TEST_F(PristineGroup, may_have_no_part_in_a_hierarchy_in_which_nothing_was_limited) {
  EXPECT_TRUE(is_pristine());
}
TEST_F(PristineGroup, has_no_process) {
  write("tasks", "17\n");
  EXPECT_FALSE(is_pristine());
}
TEST_F(PristineGroup, holds_hardly_any_memory) {
  write("memory.usage_in_bytes", "3000000\n");
  EXPECT_FALSE(is_pristine());
}
TEST_F(PristineGroup, has_seen_nothing_killed_for_want_of_memory) {
  write("memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n");
  EXPECT_FALSE(is_pristine());
}
TEST_F(PristineGroup, was_refused_no_process) {
  write("pids.events", "max 0\n");
  EXPECT_TRUE(is_pristine());
  write("pids.events", "max 3\n");
  EXPECT_FALSE(is_pristine());
}
TEST_F(PristineGroup, is_there) {
  std::filesystem::remove_all(group());
  EXPECT_FALSE(is_pristine());
}

}  // namespace
}  // namespace saw::os
