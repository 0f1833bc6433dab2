// Invariants I4 and R83: what may be read and written, by every route, and a benign twin for each.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/file.h"
#include "harness.h"

namespace saw::kernel_test {
namespace {
using sandbox::Depth;
using testing::AnyOf;
using testing::HasSubstr;
using testing::Not;

class Files : public testing::TestWithParam<Depth> {
 protected:
  TestHost host;
};
INSTANTIATE_TEST_SUITE_P(Depths, Files, testing::Values(Depth::workspace, Depth::session, Depth::call),
                         [](const auto& info) {
                           return std::string(
                               std::array{"workspace", "session", "call"}[static_cast<int>(info.param)]);
                         });

TEST_P(Files, the_writable_tree_and_scratch_can_be_written_and_nothing_else) {
  TestSandbox box = host.start(GetParam());
  for (const char* path : {"/workspace/a", "/home/agent/a", "/tmp/a", "/dev/shm/a"})
    EXPECT_EQ(box.probe({"write", path}), "ok") << path;
  for (const char* path : {"/a", "/usr/a", "/usr/bin/true", "/etc/a", "/etc/passwd", "/etc/resolv.conf",
                           "/etc/ssl/a", "/bin/a", "/dev/a", "/probe/a", "/proc/sys/kernel/hostname",
                           "/proc/sysrq-trigger", "/root/a", "/sys/a", "/run/a"})
    EXPECT_THAT(box.probe({"write", path}), AnyOf("EROFS", "EACCES", "ENOENT", "EPERM")) << path;
}

TEST_P(Files, symbolic_links_lead_nowhere_else) {
  TestSandbox box = host.start(GetParam());
  EXPECT_EQ(box.probe({"symlink-write", "/tmp/target", "/workspace/link"}), "ok");
  for (const char* target : {"/usr/x", "/etc/passwd", "../../../../../../usr/x"})
    EXPECT_THAT(box.probe({"symlink-write", target, "/workspace/link"}), AnyOf("EROFS", "EACCES")) << target;
  EXPECT_THAT(box.probe({"symlink-read", "/proc/1/root/etc/shadow", "/workspace/link"}),
              AnyOf("ENOENT", "EPERM", "EACCES"));
  EXPECT_THAT(box.probe({"symlink-read", host.directory(), "/workspace/link"}), AnyOf("ENOENT", "EACCES"));
}

TEST_P(Files, the_host_is_not_there) {
  TestSandbox box = host.start(GetParam());
  EXPECT_EQ(box.probe({"read", "/etc/hosts"}), "ok");
  for (const std::string& path : {std::string("/etc/shadow"), std::string("/root/.bashrc"), host.directory(),
                                  std::string("/var/lib/dpkg/status"), std::string("/.saw")})
    EXPECT_THAT(box.probe({"read", path}), AnyOf("ENOENT", "EACCES")) << path;
  EXPECT_THAT(box.probe({"list", "/"}), Not(HasSubstr("work ")));
}

TEST_P(Files, links_renames_and_modes_do_not_reach_what_is_read_only) {
  TestSandbox box = host.start(GetParam());
  ASSERT_EQ(box.probe({"write", "/workspace/a"}), "ok");
  EXPECT_EQ(box.probe({"link", "/workspace/a", "/workspace/b"}), "ok");
  EXPECT_EQ(box.probe({"rename", "/workspace/b", "/workspace/c"}), "ok");
  EXPECT_THAT(box.probe({"link", "/usr/bin/true", "/workspace/true"}), AnyOf("EXDEV", "EACCES"));
  EXPECT_THAT(box.probe({"rename", "/workspace/a", "/usr/bin/a"}), AnyOf("EXDEV", "EROFS", "EACCES"));
  EXPECT_THAT(box.probe({"unlink", "/usr/bin/true"}), AnyOf("EROFS", "EACCES"));
  EXPECT_THAT(box.probe({"chmod", "/usr/bin/true"}), AnyOf("EROFS", "EPERM"));
  EXPECT_EQ(box.probe({"chmod", "/workspace/a"}), "ok");
}

TEST_P(Files, mounts_cannot_be_changed) {
  TestSandbox box = host.start(GetParam());
  for (const char* path : {"/", "/usr", "/workspace", "/proc"}) {
    EXPECT_EQ(box.probe({"remount-rw", path}), "EPERM") << path;
    EXPECT_EQ(box.probe({"umount", path}), "EPERM") << path;
  }
  EXPECT_EQ(box.probe({"bind-mount", "/workspace", "/tmp"}), "EPERM");
  EXPECT_EQ(box.probe({"chroot", "/workspace"}), "EPERM");
}

TEST_P(Files, device_nodes_cannot_be_made_and_fifos_can) {
  TestSandbox box = host.start(GetParam());
  EXPECT_EQ(box.probe({"mknod-null", "/workspace/null"}), "EPERM");
  EXPECT_EQ(box.probe({"mkfifo", "/workspace/fifo"}), "ok");
  EXPECT_EQ(box.probe({"write", "/dev/null"}), "ok");
}

TEST_P(Files, a_denied_path_is_hidden_even_where_its_parent_is_listed) {
  host.agent_directory("ws/workspace");
  const std::string secrets = host.agent_directory("ws/workspace/.secrets");
  ASSERT_TRUE(replace_file(secrets + "/key", "secret", 0644, Durability::none));
  sandbox::SandboxPlan plan = host.plan(GetParam());
  TestSandbox open = host.start(plan);
  EXPECT_EQ(open.probe({"read", "/workspace/.secrets/key"}), "ok");  // the guard is missing here
  plan.id += "-2";
  plan.deny_paths = {"/usr/share/doc", "/usr/bin/env", "/workspace/.secrets", "/workspace/later"};
  TestSandbox box = host.start(plan);
  EXPECT_THAT(box.probe({"read", "/workspace/.secrets/key"}), AnyOf("EACCES", "ENOENT"));
  EXPECT_THAT(box.probe({"list", "/usr/share/doc"}), Not(HasSubstr("bash")));
  EXPECT_THAT(box.probe({"read", "/usr/bin/env"}), "EACCES");
  EXPECT_THAT(box.probe({"write", "/workspace/later/x"}),
              AnyOf("EROFS", "EACCES"));  // what is not there yet cannot appear
  EXPECT_NE(box.probe({"rename", "/workspace/.secrets", "/workspace/seen"}), "ok");
  EXPECT_EQ(box.probe({"write", "/workspace/other"}), "ok");
}

TEST_P(Files, sensitive_kernel_files_are_hidden_and_ordinary_ones_are_there) {
  TestSandbox box = host.start(GetParam());
  for (const char* path : {"/proc/self/status", "/proc/meminfo", "/proc/cpuinfo", "/proc/sys/kernel/ostype"})
    EXPECT_EQ(box.probe({"read", path}), "ok") << path;
  for (const char* path : {"/proc/kcore", "/proc/keys", "/proc/kallsyms", "/proc/kmsg"})
    EXPECT_THAT(box.probe({"read", path}), AnyOf("EACCES", "ENOENT", "EPERM")) << path;
  for (const char* path : {"/proc/1/mem", "/proc/1/environ", "/proc/1/fd/3", "/proc/1/root/etc/passwd"})
    EXPECT_THAT(box.probe({"read", path}), AnyOf("EACCES", "ENOENT", "EPERM")) << path;
  EXPECT_EQ(box.probe({"read", "/proc/self/mem"}), "EIO");  // opened; page zero is not mapped
}

TEST(FilesTogether, a_session_leaves_the_workspace_as_it_was_and_another_session_sees_nothing_of_it) {
  TestHost host;
  TestSandbox workspace = host.start(Depth::workspace);
  ASSERT_EQ(workspace.probe({"write", "/workspace/kept"}), "ok");
  TestSandbox first = host.start(Depth::session), second = host.start(Depth::session);
  EXPECT_EQ(first.probe({"read", "/workspace/kept"}), "ok");
  EXPECT_EQ(first.probe({"write", "/workspace/new"}), "ok");
  EXPECT_EQ(first.probe({"unlink", "/workspace/kept"}), "ok");
  EXPECT_EQ(second.probe({"read", "/workspace/new"}), "ENOENT");
  EXPECT_EQ(second.probe({"read", "/workspace/kept"}), "ok");
  EXPECT_EQ(workspace.probe({"read", "/workspace/new"}), "ENOENT");
  EXPECT_EQ(workspace.probe({"read", "/workspace/kept"}), "ok");
}

TEST(FilesTogether, a_read_only_mount_stays_read_only_and_a_writable_one_is_written) {
  TestHost host;
  const std::string shared = host.agent_directory("shared");
  sandbox::SandboxPlan plan = host.plan(Depth::workspace);
  plan.mounts.push_back({shared, "/mnt/read", sandbox::Access::read});
  plan.mounts.push_back({shared, "/workspace/write", sandbox::Access::write});
  TestSandbox box = host.start(plan);
  EXPECT_EQ(box.probe({"write", "/workspace/write/x"}), "ok");
  EXPECT_EQ(box.probe({"read", "/mnt/read/x"}), "ok");
  EXPECT_THAT(box.probe({"write", "/mnt/read/y"}), AnyOf("EROFS", "EACCES"));
  EXPECT_TRUE(read_file(shared + "/x"));
}

// An agent that put a link where a mount point is needed stops its own next start, and nothing else happens.
TEST(FilesTogether, a_link_of_the_agents_in_place_of_a_mount_point_is_not_followed) {
  TestHost host;
  const std::string victim = host.agent_directory("victim"), shared = host.agent_directory("shared");
  host.agent_directory("ws/workspace");
  ASSERT_EQ(::symlink(victim.c_str(), (host.workspace() + "/workspace/data").c_str()), 0);
  sandbox::SandboxPlan plan = host.plan(Depth::workspace);
  plan.mounts.push_back({shared, "/workspace/data", sandbox::Access::write});
  auto launched = host.launcher().launch(plan, host.layers(Depth::workspace));
  ASSERT_FALSE(launched);
  EXPECT_EQ(launched.error().code, "sandbox.build");
  EXPECT_THAT(launched.error().message, HasSubstr("/workspace/data"));
  EXPECT_THAT(launched.error().os_errno, AnyOf(ELOOP, ENOTDIR));
}

// The mask of the next sandbox would otherwise lie at a name where nothing is left to hide.
TEST(FilesTogether, a_denied_path_stays_hidden_from_the_next_sandbox_whatever_is_renamed) {
  TestHost host;
  sandbox::SandboxPlan plan = host.plan(Depth::workspace);
  for (const char* name : {"ws/workspace", "ws/workspace/repo", "ws/workspace/repo/secret",
                           "ws/workspace/other", "shared", "shared/conf", "shared/conf/secret"})
    host.agent_directory(name);
  for (const std::string& top : {host.workspace() + "/workspace/repo", host.directory() + "/shared/conf"})
    ASSERT_TRUE(replace_file(top + "/secret/key", "secret", 0644, Durability::none));
  plan.mounts.push_back({host.directory() + "/shared", "/mnt/shared", sandbox::Access::write});
  plan.deny_paths = {"/workspace/repo/secret", "/mnt/shared/conf/secret"};
  {
    TestSandbox box = host.start(plan);
    for (const char* path : {"/workspace/repo", "/mnt/shared/conf"}) {
      EXPECT_EQ(box.probe({"rename", path, std::string(path) + "-moved"}), "EBUSY") << path;
      EXPECT_EQ(box.probe({"write", std::string(path) + "/new"}), "ok") << path;
      EXPECT_EQ(box.probe({"rename", std::string(path) + "/new", std::string(path) + "/old"}), "ok") << path;
    }
    EXPECT_EQ(box.probe({"rename", "/workspace/other", "/workspace/other-moved"}), "ok");
  }
  plan.id += "-2";
  TestSandbox next = host.start(plan);
  for (const char* path : {"/workspace/repo/secret/key", "/mnt/shared/conf/secret/key"})
    EXPECT_EQ(next.probe({"read", path}), "EACCES") << path;
  for (const char* path : {"/workspace/repo-moved/secret/key", "/mnt/shared/conf-moved/secret/key"})
    EXPECT_EQ(next.probe({"read", path}), "ENOENT") << path;
}

TEST(FilesTogether, a_mount_whose_source_the_agent_made_a_link_shows_nothing) {
  TestHost host;
  const std::string shared = host.agent_directory("shared"), data = host.agent_directory("shared/data"),
                    victim = host.agent_directory("victim");
  sandbox::SandboxPlan plan = host.plan(Depth::workspace);
  plan.mounts.push_back({shared, "/mnt/shared", sandbox::Access::write});
  plan.mounts.push_back({data, "/mnt/data", sandbox::Access::read});
  {
    TestSandbox box = host.start(plan);
    EXPECT_EQ(box.probe({"list", "/mnt/data"}), "ok");
    EXPECT_EQ(box.probe({"rename", "/mnt/shared/data", "/mnt/shared/was-data"}), "ok");
    box.probe({"symlink-read", victim, "/mnt/shared/data"});
  }
  plan.id += "-2";
  {  // the mould has the directory that the plan named, wherever it is now
    TestSandbox box = host.start(plan);
    EXPECT_EQ(box.probe({"list", "/mnt/data"}), "ok");
  }
  host.launcher().drop_moulds(host.directory());
  plan.id += "-3";
  auto launched = host.launcher().launch(plan, host.layers(Depth::workspace));
  ASSERT_FALSE(launched);
  EXPECT_EQ(launched.error().os_errno, ELOOP);
  EXPECT_THAT(launched.error().message, HasSubstr("/mnt/data"));
}

TEST(FilesTogether, an_etc_of_the_image_is_shown_with_saws_own_files_in_it) {
  TestHost host;
  sandbox::SandboxPlan plan = host.plan(Depth::call);
  plan.read_paths.push_back("/etc");
  plan.files.push_back({"/etc/saw/ca-bundle.pem", "certificates\n"});
  TestSandbox box = host.start(plan);
  EXPECT_EQ(box.run({"cat", "/etc/saw/ca-bundle.pem"}).output, "certificates\n");
  EXPECT_EQ(box.run({"cat", "/etc/resolv.conf"}).output, "nameserver 10.0.2.3\n");
  EXPECT_THAT(box.run({"cat", "/etc/passwd"}).output, HasSubstr("agent:x:"));
  EXPECT_EQ(box.probe({"read", "/etc/debian_version"}), "ok");
}

}  // namespace
}  // namespace saw::kernel_test
