#include "os/file_watch.h"

#include <filesystem>

#include <gtest/gtest.h>
#include <poll.h>

#include "base/crypto.h"
#include "base/file.h"

namespace saw::os {
namespace {

namespace fs = std::filesystem;

class FileWatchTest : public testing::Test {
 protected:
  void SetUp() override { fs::create_directories(root_ + "/a"); }
  void TearDown() override { fs::remove_all(root_); }
  // Whether a change is told within this time.
  bool told(int milliseconds = 2000) {
    const int before = changes_;
    while (changes_ == before) {
      pollfd poll{.fd = loop_.fd(), .events = POLLIN, .revents = 0};
      if (::poll(&poll, 1, milliseconds) <= 0) return false;
      loop_.run_ready();
    }
    return true;
  }
  const std::string root_ = testing::TempDir() + random_id("watch-");
  Loop loop_ = std::move(*Loop::create());
  int changes_ = 0;
  std::unique_ptr<FileWatch> watch_ = std::move(*FileWatch::create(loop_, [this] { ++changes_; }));
};

TEST_F(FileWatchTest, a_rename_is_told_once) {
  watch_->follow({root_});
  EXPECT_FALSE(told(50)) << "nothing has happened";
  ASSERT_TRUE(replace_file(root_ + "/file", "x", 0600, Durability::none));
  EXPECT_TRUE(told());
  EXPECT_FALSE(told(50)) << "creation, write and rename came together";
}

TEST_F(FileWatchTest, only_what_is_followed_now_counts) {
  watch_->follow({root_, root_ + "/missing", root_ + "/a"});
  ASSERT_TRUE(replace_file(root_ + "/a/file", "x", 0600, Durability::none));
  EXPECT_TRUE(told());
  watch_->follow({root_});
  while (told(50)) {
  }
  ASSERT_TRUE(replace_file(root_ + "/a/file", "y", 0600, Durability::none));
  EXPECT_FALSE(told(50));
  fs::create_directory_symlink("a", root_ + "/link");
  EXPECT_TRUE(told());
  watch_->follow({root_ + "/link"});
  while (told(50)) {
  }
  ASSERT_TRUE(replace_file(root_ + "/a/file", "z", 0600, Durability::none));
  EXPECT_FALSE(told(50)) << "a link is not followed";
}

}  // namespace
}  // namespace saw::os
