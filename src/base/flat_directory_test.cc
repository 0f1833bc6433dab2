#include "base/flat_directory.h"

#include <filesystem>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crypto.h"
#include "base/file.h"

namespace saw {
namespace {

class FlatDirectoryTest : public testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directory(path_); }
  void TearDown() override { std::filesystem::remove_all(path_); }
  void write(const std::string& name, const std::string& content) {
    ASSERT_TRUE(replace_file(path_ + "/" + name, content, 0600, Durability::none));
  }
  Result<FlatDirectory> read(FlatLimits limits = {.files = 8, .bytes = 100}) {
    return read_flat_directory(*open_directory(path_), limits);
  }
  const std::string path_ = testing::TempDir() + random_id("flat-");
};

TEST_F(FlatDirectoryTest, files_are_read_and_everything_else_is_only_named) {
  write("a", "one");
  write("b", "");
  std::filesystem::create_symlink("a", path_ + "/link");
  std::filesystem::create_symlink("nowhere", path_ + "/dangling");
  std::filesystem::create_directory(path_ + "/sub");
  ASSERT_EQ(::mkfifo((path_ + "/fifo").c_str(), 0600), 0);
  const auto got = read();
  ASSERT_TRUE(got) << got.error().message;
  EXPECT_EQ(got->files, (std::map<std::string, std::string>{{"a", "one"}, {"b", ""}}));
  EXPECT_EQ(got->odd, (std::vector<std::string>{"dangling", "fifo", "link", "sub"}));
}

TEST_F(FlatDirectoryTest, more_than_the_limits_is_an_error) {
  write("a", std::string(60, 'x'));
  write("b", std::string(40, 'x'));
  EXPECT_TRUE(read({.files = 2, .bytes = 100}));
  EXPECT_EQ(read({.files = 2, .bytes = 99}).error().code, "io.too_large");
  EXPECT_EQ(read({.files = 1, .bytes = 100}).error().code, "io.too_many");
}

TEST_F(FlatDirectoryTest, names_are_segments_and_links_are_not_followed) {
  write("a", "one");
  std::filesystem::create_directory(path_ + "/sub");
  std::filesystem::create_directory_symlink("sub", path_ + "/link");
  const Fd root = *open_directory(path_);
  EXPECT_TRUE(open_directory_at(root, "sub"));
  for (const char* bad : {"link", "..", ".", "", "sub/../sub", "/", "nothing"})
    EXPECT_FALSE(open_directory_at(root, bad)) << bad;
  EXPECT_EQ(read_file_at(root, "a", 10)->value(), "one");
  EXPECT_FALSE(read_file_at(root, "nothing", 10)->has_value());
  EXPECT_EQ(read_file_at(root, "link", 10).error().code, "io.not_a_file");
  EXPECT_EQ(read_file_at(root, "../a", 10).error().code, "io.name");
  EXPECT_EQ(read_link_at(root, "link")->value(), "sub");
  EXPECT_EQ(read_link_at(root, "a").error().code, "io.not_a_link");
  EXPECT_FALSE(read_link_at(root, "nothing")->has_value());
}

}  // namespace
}  // namespace saw
