#include "sandbox/mount_script.h"

#include <cstdlib>
#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"

namespace saw::sandbox {
namespace {
using testing::Contains;
using testing::HasSubstr;
using testing::Not;

// A usr-merged image.
Image merged_image(std::map<std::string, std::string> more = {}) {
  std::map<std::string, std::string> entries = {{"/usr", "d"},
                                                {"/usr/bin", "d"},
                                                {"/usr/lib", "d"},
                                                {"/bin", ">usr/bin"},
                                                {"/sbin", ">usr/sbin"},
                                                {"/lib", ">usr/lib"},
                                                {"/lib64", ">usr/lib64"},
                                                {"/usr/lib64", "d"},
                                                {"/etc", "d"},
                                                {"/etc/ssl", "d"},
                                                {"/etc/ssl/certs", "d"},
                                                {"/etc/ssl/certs/ca-certificates.crt", "f"}};
  for (auto& [path, kind] : more) entries[path] = kind;
  return {.look = [entries](const std::string& path) -> ImageEntry {
            auto found = entries.find(path);
            if (found == entries.end()) return {};
            if (found->second == "d") return {ImageEntry::Kind::directory, ""};
            if (found->second == "f") return {ImageEntry::Kind::file, ""};
            return {ImageEntry::Kind::symlink, found->second.substr(1)};
          },
          .list =
              [entries](const std::string& directory) {
                std::vector<std::string> out;
                for (auto& [path, kind] : entries)
                  if (path.starts_with(directory + "/") && path.find('/', directory.size() + 1) == path.npos)
                    out.push_back(path.substr(directory.size() + 1));
                return out;
              }};
}

SandboxPlan plan_of(Depth depth) {
  return {.id = "sb-1",
          .depth = depth,
          .image_root = "/",
          .read_paths = {"/bin", "/etc/ssl", "/lib", "/usr"},
          .write_paths = {"/home/agent", "/workspace"},
          .deny_paths = {"/usr/share/secret", "/workspace/.secrets"},
          .files = {{"/etc/resolv.conf", "nameserver\n"}, {"/etc/ssl/certs/ca-certificates.crt", "bundle\n"}},
          .mounts = {{"/srv/data", "/workspace/data", Access::write}},
          .limits = {.scratch_bytes = 1024},
          .hostname = "box"};
}

std::vector<std::string> script_of(const SandboxPlan& plan, const Layers& layers,
                                   const Image& image = merged_image()) {
  auto script = make_mount_script(plan, layers, {.uid = 1000, .gid = 1000}, image);
  std::vector<std::string> out;
  if (!script) return {"error " + script.error().code};
  for (const Step& step : script->shared) out.push_back(describe(step));
  out.push_back("---- in each sandbox");
  for (const Step& step : script->own) out.push_back(describe(step));
  return out;
}

const Layers kWorkspace{.root = "/store", .upper = "/store/ws/fs"},
    kCall{.root = "/store", .lower = {"/store/s/upper", "/store/ws:1/fs"}},
    kSession{.root = "/store", .lower = {"/store/ws/fs"}, .upper = "/store/s/upper", .work = "/store/s/work"};

// Rewrite the files with SAW_ACCEPT=1 after a review.
TEST(MountScript, the_three_depths_are_what_the_golden_files_say) {
  for (auto [name, depth, layers] : {std::tuple{"workspace", Depth::workspace, kWorkspace},
                                     {"session", Depth::session, kSession},
                                     {"call", Depth::call, kCall}}) {
    std::string text;
    for (const std::string& line : script_of(plan_of(depth), layers)) text += line + "\n";
    const std::string path = fmt::format("{}/tests/golden/plan/mounts_{}.txt", SAW_SOURCE_DIR, name);
    if (::getenv("SAW_ACCEPT")) ASSERT_TRUE(replace_file(path, text, 0644, Durability::none));
    auto golden = read_file(path);
    ASSERT_TRUE(golden) << path;
    EXPECT_EQ(text, *golden) << path;
  }
}

TEST(MountScript, a_link_of_the_image_is_shown_with_what_it_leads_to) {
  SandboxPlan plan = plan_of(Depth::call);
  plan.read_paths = {"/bin"};
  const auto script = script_of(plan, kCall);
  EXPECT_THAT(script, Contains("symlink /bin to usr/bin"));
  EXPECT_THAT(script, Contains("bind-image /usr/bin from /usr/bin"));
  EXPECT_THAT(script, Not(Contains(HasSubstr("symlink /lib "))));  // leads to nothing that is shown
}

TEST(MountScript, links_that_never_end_or_lead_to_the_root_are_errors) {
  SandboxPlan plan = plan_of(Depth::call);
  plan.read_paths = {"/loop"};
  EXPECT_EQ(script_of(plan, kCall, merged_image({{"/loop", ">loop"}}))[0], "error sandbox.image");
  EXPECT_EQ(script_of(plan, kCall, merged_image({{"/loop", ">/"}}))[0], "error sandbox.image");
  EXPECT_EQ(script_of(plan, kCall, merged_image({{"/loop", ">../../.."}}))[0], "error sandbox.image");
}

TEST(MountScript, masks_come_after_everything_that_is_mounted) {
  const auto script = script_of(plan_of(Depth::workspace), kWorkspace);
  bool masks = false;
  for (const std::string& line : script) {
    if (line.starts_with("hide")) masks = true;
    if (line.starts_with("bind-image") || line.starts_with("bind-host")) EXPECT_FALSE(masks) << line;
  }
  EXPECT_TRUE(masks);
}

// So that it cannot be renamed: the next sandbox would hide a name where nothing is any more.
TEST(MountScript, each_directory_on_the_way_to_a_denied_path_is_made_a_mount_point) {
  SandboxPlan plan = plan_of(Depth::workspace);
  plan.mounts.push_back({"/srv/read", "/mnt/read", Access::read});
  plan.deny_paths = {"/workspace/a/b/key", "/workspace/data/c/key", "/mnt/read/d/key", "/usr/share/secret"};
  const auto script = script_of(plan, kWorkspace);
  for (const char* way : {"/workspace/a", "/workspace/a/b", "/workspace/data/c"})
    EXPECT_THAT(script, Contains(fmt::format("bind-own {0} from {0} rw", way)));
  for (const char* not_renamed : {"/workspace", "/workspace/data", "/mnt/read/d", "/usr/share"})
    EXPECT_THAT(script, Not(Contains(fmt::format("bind-own {0} from {0} rw", not_renamed))));
}

TEST(MountScript, a_directory_that_must_hold_our_file_is_opened_up_where_there_is_nothing_to_cover) {
  SandboxPlan plan = plan_of(Depth::call);
  plan.read_paths = {"/etc"};
  const auto script =
      script_of(plan, kCall, merged_image({{"/etc/resolv.conf", ">/run/resolv.conf"}, {"/etc/issue", "f"}}));
  EXPECT_THAT(script, Contains("directory /etc"));
  EXPECT_THAT(script, Contains("bind-image /etc/issue from /etc/issue"));
  EXPECT_THAT(script, Contains("file /etc/resolv.conf 11 bytes mode 444"));
}

// Their paths would be longer together than the kernel takes, and may hold anything.
TEST(MountScript, layers_are_called_by_number_whatever_their_paths) {
  EXPECT_THAT(script_of(plan_of(Depth::call), kCall),
              Contains(HasSubstr("lower /sys/storage/0:/sys/storage/1 ")));
}

TEST(MountScript, a_sandbox_gets_its_own_layers_and_only_the_upper_one_writable) {
  const Layers layers{.root = "/l/top",
                      .lower = {"/l/a/files", "/l/b/files"},
                      .lower_uid = {7, 8},
                      .upper = "/l/top/files",
                      .work = "/l/top/work",
                      .uid = 7};
  const auto mounts = storage_mounts(layers);
  ASSERT_EQ(mounts.size(), 3u);
  EXPECT_EQ(mounts[0].directory, "/l/top");
  EXPECT_EQ(mounts[0].access, Access::write);
  EXPECT_EQ(mounts[1].access, Access::read);
  EXPECT_EQ(mounts[1].files_of, 7u);
  EXPECT_EQ(mounts[2].files_of, 8u);
  EXPECT_THAT(
      script_of(plan_of(Depth::session), layers),
      Contains("overlay /sys/tree lower /sys/storage/1:/sys/storage/2 upper /sys/storage/0/files work "
               "/sys/storage/0/work rw"));
}

TEST(MountScript, more_layers_than_a_sandbox_can_have_are_an_error) {
  Layers layers{.lower = std::vector<std::string>(kMaxStorageMounts, "/l")};
  EXPECT_NE(script_of(plan_of(Depth::call), layers)[0], "error sandbox.layers");
  layers.lower.push_back("/l");
  EXPECT_EQ(script_of(plan_of(Depth::call), layers)[0], "error sandbox.layers");
}

TEST(MountScript, a_layer_outside_the_workspaces_storage_is_an_error) {
  for (const Layers& layers :
       {Layers{.root = "/store", .upper = "/stores/ws"},
        Layers{.root = "/store", .lower = {"/l"}, .upper = "/store/upper", .work = "/etc"}})
    EXPECT_EQ(script_of(plan_of(Depth::call), layers)[0], "error sandbox.layers");
  EXPECT_NE(script_of(plan_of(Depth::call), kCall)[0], "error sandbox.layers");
}

// The host is out of sight by then.
TEST(MountScript, what_a_sandbox_mounts_for_itself_comes_from_inside) {
  const auto script = script_of(plan_of(Depth::call), kCall);
  const auto own = std::ranges::find(script, "---- in each sandbox");
  for (auto line = own; line != script.end(); ++line) {
    EXPECT_FALSE(line->starts_with("bind-image") || line->starts_with("bind-host") ||
                 line->starts_with("bind-device"))
        << *line;
  }
  EXPECT_THAT(script, Contains("bind-host /sys/fetched-0 from /srv/data rw"));
  EXPECT_THAT(script, Contains("bind-own /workspace/data from /sys/fetched-0 rw"));
}

TEST(MountScript, a_workspace_without_a_directory_is_an_error) {
  EXPECT_EQ(script_of(plan_of(Depth::workspace), {})[0], "error sandbox.layers");
}

}  // namespace
}  // namespace saw::sandbox
