#include "control/secrets.h"

#include <gtest/gtest.h>

#include "control/control_fixture_test.h"
#include "control/workspace_spec.h"

namespace saw::control {
namespace {

TEST(SecretVariable, a_secrets_name_becomes_a_variables_name) {
  EXPECT_EQ(secret_variable("github-token"), "GITHUB_TOKEN");
  EXPECT_EQ(secret_variable("a.b_9"), "A_B_9");
}

TEST(CanonicalPath, only_plain_absolute_paths_pass) {
  for (const char* good : {"/", "/a", "/a/b.c/..d"}) EXPECT_TRUE(is_canonical_path(good)) << good;
  for (const char* bad : {"", "a", "/a/", "//a", "/a//b", "/./a", "/a/..", "/a/../b"})
    EXPECT_FALSE(is_canonical_path(bad)) << bad;
}

class SecretsTest : public ControlTest {};

TEST_F(SecretsTest, values_never_come_back_and_versions_count) {
  boot_ready();
  EXPECT_EQ(control_->put_secret(kOwner, "token", "one")->version, 1u);
  EXPECT_EQ(control_->put_secret(kOwner, "token", "two")->version, 2u);
  EXPECT_EQ(control_->list_secrets(kOwner)->at(0).name, "token");
  EXPECT_TRUE(control_->list_secrets(kStranger)->empty());
  EXPECT_TRUE(control_->list_secrets(kOperator)->empty()) << "an operator sees its own only";
  EXPECT_EQ(control_->remove_secret(kStranger, "token").error().code, "secret.not_found");
  EXPECT_TRUE(control_->remove_secret(kOwner, "token"));
}

TEST_F(SecretsTest, what_could_split_a_header_is_refused) {
  boot_ready();
  EXPECT_TRUE(control_->put_secret(kOwner, "token", "plain ü"));
  for (const char* bad : {"", "a\nb", "a\rb", "a\x7f"})
    EXPECT_EQ(control_->put_secret(kOwner, "token", bad).error().code, "request.secret");
  EXPECT_EQ(control_->put_secret(kOwner, "../token", "x").error().code, "request.name");
}

}  // namespace
}  // namespace saw::control
