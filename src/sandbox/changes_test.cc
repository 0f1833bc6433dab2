#include "sandbox/changes.h"

#include <filesystem>
#include <fstream>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

namespace saw::sandbox {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;

class ChangesTest : public testing::Test {
 protected:
  ChangesTest() {
    std::string name = testing::TempDir() + "saw-changes-XXXXXX";
    directory_ = ::mkdtemp(name.data());
    fs::create_directories(upper());
    fs::create_directories(lower());
  }
  ~ChangesTest() override { fs::remove_all(directory_); }
  std::string upper() const { return directory_ + "/upper"; }
  std::string lower() const { return directory_ + "/lower"; }
  static void write(const std::string& path, std::string_view content) {
    fs::create_directories(fs::path(path).parent_path());
    std::ofstream(path) << content;
  }
  void whiteout(const std::string& path) { ASSERT_EQ(::mknod((upper() + path).c_str(), S_IFCHR, 0), 0); }
  ChangeList list() const {
    ChangeSources sources{.mounter = Mounter::user};
    sources.layers.push_back(std::move(*Fd::open(upper(), O_RDONLY | O_DIRECTORY)));
    sources.base = std::move(*Fd::open(lower(), O_RDONLY | O_DIRECTORY));
    sources.below.push_back(std::move(*Fd::open(lower(), O_RDONLY | O_DIRECTORY)));
    auto changes = list_changes(sources);
    SAW_CHECK(changes.has_value());
    return std::move(*changes);
  }
  std::vector<std::string> lines() const {
    std::vector<std::string> out;
    for (const ChangeRecord& change : list().changes)
      out.push_back("+~-"[static_cast<int>(change.kind)] + change.path);
    return out;
  }
  std::string directory_;
};

TEST_F(ChangesTest, an_untouched_session_changed_nothing) {
  write(lower() + "/workspace/a", "1");
  EXPECT_TRUE(list().changes.empty());
  EXPECT_TRUE(list().complete);
}

TEST_F(ChangesTest, added_changed_and_deleted_are_told_apart_and_sorted) {
  write(lower() + "/workspace/changed", "old");
  write(lower() + "/workspace/deleted", "old");
  write(upper() + "/workspace/changed", "new");
  write(upper() + "/workspace/added/inner", "12345");
  whiteout("/workspace/deleted");
  EXPECT_THAT(lines(), ElementsAre("+/workspace/added", "+/workspace/added/inner", "~/workspace/changed",
                                   "-/workspace/deleted"));
  EXPECT_EQ(list().changes[1].after->size, 5u);
  EXPECT_EQ(list().changes[0].after->type, FileType::directory);
}

TEST_F(ChangesTest, a_directory_made_anew_hides_what_was_below) {
  write(lower() + "/d/gone", "x");
  write(lower() + "/d/replaced", "x");
  write(upper() + "/d/replaced", "y");
  ASSERT_EQ(::setxattr((upper() + "/d").c_str(), "user.overlay.opaque", "y", 1, 0), 0);
  EXPECT_THAT(lines(), ElementsAre("-/d/gone", "~/d/replaced"));
}

TEST_F(ChangesTest, without_the_mark_the_same_directory_hides_nothing) {
  write(lower() + "/d/gone", "x");
  write(upper() + "/d/replaced", "y");
  EXPECT_THAT(lines(), ElementsAre("+/d/replaced"));
}

TEST_F(ChangesTest, a_file_that_became_a_directory_is_a_change_with_additions) {
  write(lower() + "/thing", "file");
  write(upper() + "/thing/inside", "x");
  EXPECT_THAT(lines(), ElementsAre("~/thing", "+/thing/inside"));
}

TEST_F(ChangesTest, links_are_reported_and_never_followed) {
  write(directory_ + "/outside/secret", "x");
  fs::create_symlink(directory_ + "/outside", upper() + "/link");
  fs::create_directories(lower() + "/real");
  fs::create_symlink(directory_ + "/outside", upper() + "/real");
  const ChangeList changes = list();
  ASSERT_EQ(changes.changes.size(), 2u);
  EXPECT_EQ(changes.changes[0].after->type, FileType::symlink);
  EXPECT_EQ(changes.changes[1].kind, ChangeKind::changed);
}

TEST_F(ChangesTest, names_are_bytes) {
  write(upper() + "/\xff\n\x01", "x");
  EXPECT_THAT(lines(), ElementsAre("+/\xff\n\x01"));
}

TEST_F(ChangesTest, a_tree_deeper_than_the_bound_is_reported_as_incomplete) {
  std::string path = upper();
  for (size_t i = 0; i < kMaxDepth + 10; ++i) path += "/d";
  fs::create_directories(path);
  EXPECT_FALSE(list().complete);
}

}  // namespace
}  // namespace saw::sandbox
