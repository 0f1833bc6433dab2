#include "sandbox/node_check.h"

#include <functional>

#include <gtest/gtest.h>

namespace saw::sandbox {
namespace {

SandboxPlan good_plan() {
  return {.id = "sb-abc",
          .depth = Depth::session,
          .workspace = "ws-1",
          .session = "ss-1",
          .image_root = "/",
          .read_paths = {"/usr", "/etc"},
          .write_paths = {"/workspace"},
          .deny_paths = {"/etc/shadow"},
          .files = {{"/etc/hosts", "127.0.0.1 localhost\n"}},
          .mounts = {{"/srv/data", "/data", Access::read}},
          .hostname = "dev"};
}
const PlanBounds kBounds{.own_directories = {"/var/lib/saw", "/run/saw"}};

TEST(CheckPlan, a_proper_plan_passes) {
  EXPECT_TRUE(check_plan(good_plan(), kBounds));
}

TEST(CheckPlan, each_thing_that_must_not_be_is_refused) {
  using Spoil = std::function<void(SandboxPlan&)>;
  const std::vector<std::pair<const char*, Spoil>> cases = {
      {"an id that is a path", [](auto& p) { p.id = "sb-../x"; }},
      {"an id of another form", [](auto& p) { p.id = "api"; }},
      {"no workspace", [](auto& p) { p.workspace = ""; }},
      {"a session id that is a path", [](auto& p) { p.session = "../other"; }},
      {"a session without one", [](auto& p) { p.session = ""; }},
      {"a workspace with a session", [](auto& p) { p.depth = Depth::workspace; }},
      {"a relative image", [](auto& p) { p.image_root = "image"; }},
      {"an image in SAW's state", [](auto& p) { p.image_root = "/var/lib/saw/node/ws/other/fs"; }},
      {"an image that contains SAW's state", [](auto& p) { p.image_root = "/var"; }},
      {"an image of the kernel's files", [](auto& p) { p.image_root = "/proc/1/root"; }},
      {"the whole image", [](auto& p) { p.read_paths.push_back("/"); }},
      {"the whole root to write", [](auto& p) { p.write_paths.push_back("/"); }},
      {"the whole root denied", [](auto& p) { p.deny_paths.push_back("/"); }},
      {"SAW's state in the host's image", [](auto& p) { p.read_paths.push_back("/var/lib/saw/control"); }},
      {"what contains it in the host's image", [](auto& p) { p.read_paths.push_back("/var"); }},
      {"the kernel's files in the host's image", [](auto& p) { p.read_paths.push_back("/sys/fs/cgroup"); }},
      {"dots in a read path", [](auto& p) { p.read_paths.push_back("/usr/../root"); }},
      {"an empty component", [](auto& p) { p.write_paths.push_back("/workspace//x"); }},
      {"a trailing slash", [](auto& p) { p.deny_paths.push_back("/etc/"); }},
      {"a NUL byte", [](auto& p) { p.read_paths.push_back(std::string("/a\0b", 4)); }},
      {"an endless path", [](auto& p) { p.read_paths.push_back("/" + std::string(kMaxPathLength, 'a')); }},
      {"too many paths", [](auto& p) { p.read_paths.assign(kMaxPlanPaths + 1, "/usr"); }},
      {"too many files", [](auto& p) { p.files.assign(kMaxGeneratedFiles + 1, {"/etc/hosts", ""}); }},
      {"files too large",
       [](auto& p) { p.files = {{"/etc/hosts", std::string(kMaxGeneratedBytes + 1, 'x')}}; }},
      {"a file in place of the root", [](auto& p) { p.files = {{"/", ""}}; }},
      {"the whole host as a mount", [](auto& p) { p.mounts[0].source = "/"; }},
      {"a mount over the root", [](auto& p) { p.mounts[0].target = "/"; }},
      {"the kernel's files", [](auto& p) { p.mounts[0].source = "/proc/1"; }},
      {"SAW's state", [](auto& p) { p.mounts[0].source = "/var/lib/saw/control"; }},
      {"what contains SAW's state", [](auto& p) { p.mounts[0].source = "/var/lib"; }},
      {"a host name with a space", [](auto& p) { p.hostname = "a b"; }},
  };
  for (const auto& [name, spoil] : cases) {
    SandboxPlan plan = good_plan();
    spoil(plan);
    auto checked = check_plan(plan, kBounds);
    ASSERT_FALSE(checked) << name;
    EXPECT_EQ(checked.error().code, "node.bad_plan") << name;
  }
}

TEST(CheckPlan, links_of_the_image_lead_to_nothing_that_may_not_be_shown) {
  SandboxPlan plan = good_plan();
  plan.read_paths = {"/usr", "/opt/link"};
  const auto leads_to = [&](const std::string& target) {
    return check_resolved(plan, kBounds, [&](const std::string& p) { return p == "/opt/link" ? target : p; });
  };
  EXPECT_TRUE(leads_to("/srv/tools"));
  for (const char* target : {"/", "/var/lib", "/var/lib/saw/node", "/run", "/run/saw", "/proc/1"})
    EXPECT_FALSE(leads_to(target)) << target;
  plan.image_root = "/opt/image";  // its read paths are its own, not the host's
  EXPECT_TRUE(leads_to("/var/lib/saw"));
}

TEST(CheckPlan, a_neighbour_of_saws_state_may_be_mounted) {
  SandboxPlan plan = good_plan();
  plan.mounts[0].source = "/var/lib/sawmill";
  EXPECT_TRUE(check_plan(plan, kBounds));
}

TEST(CheckExec, commands_are_bounded_and_free_of_nul_bytes) {
  const ExecSpec good{.argv = {"echo", "", "hi"}, .environment = {"A=b"}, .directory = "/workspace"};
  EXPECT_TRUE(check_exec(good));
  for (const ExecSpec& bad :
       {ExecSpec{.argv = {}, .directory = "/"}, ExecSpec{.argv = {""}, .directory = "/"},
        ExecSpec{.argv = {std::string("a\0b", 3)}, .directory = "/"},
        ExecSpec{.argv = {"a"}, .directory = "x"},
        ExecSpec{.argv = {"a", std::string(kMaxArgumentBytes, 'x')}, .directory = "/"},
        ExecSpec{.argv = {"a"}, .environment = {std::string(kMaxEnvironmentBytes, 'x')}, .directory = "/"}})
    EXPECT_EQ(check_exec(bad).error().code, "node.bad_exec");
}

}  // namespace
}  // namespace saw::sandbox
