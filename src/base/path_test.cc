#include "base/path.h"

#include <gtest/gtest.h>

namespace saw {
namespace {

TEST(Path, within_means_the_directory_itself_or_below_it) {
  EXPECT_TRUE(is_within("/a", "/a"));
  EXPECT_TRUE(is_within("/a/b", "/a"));
  EXPECT_TRUE(is_within("/a", "/"));
}

TEST(Path, a_name_that_only_begins_alike_is_not_within) {
  EXPECT_FALSE(is_within("/ab", "/a"));
  EXPECT_FALSE(is_within("/", "/a"));
  EXPECT_FALSE(is_within("/b/a", "/a"));
}

}  // namespace
}  // namespace saw
