#include "sandbox/plan.h"

#include <cstdlib>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"

namespace saw::sandbox {
namespace {
using testing::Contains;
using testing::HasSubstr;
using testing::Not;

policy::Policy policy_with(std::string_view filesystem, std::string_view rest = "") {
  const std::string yaml = fmt::format(
      "apiVersion: saw/v1\nkind: Policy\nmetadata: {{name: t}}\nprofile: local\nisolation: namespace\n"
      "filesystem: {{{}}}\n{}\n",
      filesystem, rest);
  auto compiled = policy::Policy::compile(yaml, "t.yaml");
  SAW_CHECK(compiled.has_value(), "{}", compiled.error()[0].text());
  return std::move(*compiled);
}

constexpr std::string_view kUsual =
    "read: [/usr, /bin, /etc/ssl], write: [/workspace, /home/agent, /tmp], deny: [/workspace/.secrets]";
const PlanRequest kRequest{.id = "sb-1",
                           .depth = Depth::call,
                           .workspace = "ws-1",
                           .session = "se-1",
                           .hostname = "dev",
                           .ca_pem = "OUR CA\n",
                           .system_ca_bundle = "SYSTEM CAS"};

TEST(Plan, a_policy_and_a_request_become_what_the_golden_file_says) {
  const policy::Policy policy = policy_with(
      kUsual, "process: {limits: {memory: 2GiB, pids: 256, cpus: 1.5, openFiles: 1024, fileSize: 1GiB}}");
  PlanRequest request = kRequest;
  request.mounts = {{"/srv/data", "/workspace/data", Access::read}};
  const std::string text = describe(make_plan(policy, request).value());
  const std::string path = SAW_SOURCE_DIR "/tests/golden/plan/plan.txt";
  if (::getenv("SAW_ACCEPT")) ASSERT_TRUE(replace_file(path, text, 0644, Durability::none));
  EXPECT_EQ(text, read_file(path).value());
}

TEST(Plan, the_workspaces_ca_follows_the_images_own) {
  const SandboxPlan plan = make_plan(policy_with(kUsual), kRequest).value();
  for (const GeneratedFile& file : plan.files)
    if (file.path == kCaBundlePath) EXPECT_EQ(file.content, "SYSTEM CAS\nOUR CA\n");
  EXPECT_THAT(base_environment(), Contains(fmt::format("SSL_CERT_FILE={}", kCaBundlePath)));
}

TEST(Plan, what_can_never_be_shown_rejects_the_policy_instead_of_being_left_out) {
  for (std::string_view path : {"/sys", "/run/docker.sock", "/boot"}) {
    auto plan = make_plan(policy_with(fmt::format("read: [/usr, {}], write: [/workspace]", path)), kRequest);
    ASSERT_FALSE(plan) << path;
    EXPECT_EQ(plan.error().code, "plan.cannot_show");
  }
  EXPECT_TRUE(make_plan(policy_with("read: [/usr, /proc, /dev], write: [/workspace, /tmp]"), kRequest));
}

TEST(Plan, mounts_over_saws_own_areas_and_crooked_paths_are_refused) {
  const policy::Policy policy = policy_with(kUsual);
  for (const char* target :
       {"/proc/x", "/dev", "/tmp/x", "/run", "relative", "/a/../b", "/a//b", "/a/", "/"}) {
    PlanRequest request = kRequest;
    request.mounts = {{"/srv", target, Access::read}};
    EXPECT_FALSE(make_plan(policy, request)) << target;
  }
  PlanRequest request = kRequest;
  request.mounts = {{"/srv", "/data", Access::read}};
  EXPECT_TRUE(make_plan(policy, request));
}

TEST(Plan, strictness_comes_from_the_policy) {
  EXPECT_EQ(make_plan(policy_with(kUsual, "strict: true"), kRequest)->strictness, Strictness::strict);
  EXPECT_EQ(make_plan(policy_with(kUsual, "strict: false"), kRequest)->strictness, Strictness::best_effort);
}

TEST(Plan, its_digest_covers_everything_but_the_id) {
  SandboxPlan one{.id = "sb-1", .depth = Depth::call, .workspace = "ws-1", .hostname = "dev"}, other = one;
  other.id = "sb-2";
  EXPECT_EQ(plan_digest(one), plan_digest(other));
  other.limits.pids = 7;
  EXPECT_NE(plan_digest(one), plan_digest(other));
}

}  // namespace
}  // namespace saw::sandbox
