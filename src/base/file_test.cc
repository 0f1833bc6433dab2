#include "base/file.h"

#include <filesystem>

#include <gtest/gtest.h>

#include "base/crypto.h"

namespace saw {
namespace {

TEST(File, replacing_is_whole_and_leaves_no_litter) {
  auto dir = std::filesystem::temp_directory_path() / random_id("saw-file-test-");
  ASSERT_TRUE(make_directories(dir.string() + "/a/b"));
  std::string path = dir / "a/b/f";
  ASSERT_TRUE(replace_file(path, "one", 0600, Durability::fsync));
  ASSERT_TRUE(replace_file(path, "two", 0640, Durability::none));
  EXPECT_EQ(read_file(path).value(), "two");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(dir / "a/b"), {}), 1);
  std::filesystem::remove_all(dir);
}

TEST(File, reading_refuses_what_is_too_large_or_not_a_file) {
  EXPECT_EQ(read_file("/proc/self/maps", 10).error().code, "io.too_large");
  EXPECT_EQ(read_file("/dev/null").error().code, "io.not_a_file");
  EXPECT_EQ(read_file("/nonexistent/x").error().os_errno, ENOENT);
}

}  // namespace
}  // namespace saw
