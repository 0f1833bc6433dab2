#include "cli/tar.h"

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/pack.h"
#include "cli/unpack.h"

namespace saw::cli {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using Kind = TarEntry::Kind;

class Seen final : public TarSink {
 public:
  Result<> begin(const TarEntry& entry) override {
    entries.push_back(entry);
    contents.emplace_back();
    return {};
  }
  Result<> data(std::string_view bytes) override {
    contents.back() += bytes;
    return {};
  }
  Result<> end() override { return {}; }
  std::vector<TarEntry> entries;
  std::vector<std::string> contents;
};

std::string file(const std::string& path, const std::string& content = "x") {
  return tar_header({.path = path, .size = content.size()}) + content + tar_padding(content.size());
}
std::string link(const std::string& path, const std::string& target, Kind kind = Kind::symlink) {
  return tar_header({.kind = kind, .path = path, .link = target});
}
std::string directory(const std::string& path) {
  return tar_header({.kind = Kind::directory, .path = path, .mode = 0755});
}
// The error's code, or "" if it was read to its end.
std::string code_of(const std::string& archive, TarSink& sink) {
  TarReader reader(sink);
  auto read = reader.push(archive);
  if (read) read = reader.finish();
  return read ? "" : read.error().code;
}
std::string code_of(const std::string& archive) {
  Seen seen;
  return code_of(archive, seen);
}

TEST(Tar, what_is_written_is_read_again_in_pieces_of_any_size) {
  const std::string deep = "top/" + std::string(200, 'd') + "/" + std::string(250, 'n');
  const std::string archive = directory("top") + file("top/a", "content") + link("top/l", "a") +
                              file(deep, std::string(5000, 'z')) + file("top/empty", "") + tar_end();
  for (size_t piece : {size_t{1}, size_t{511}, size_t{512}, archive.size()}) {
    Seen seen;
    TarReader reader(seen);
    for (size_t at = 0; at < archive.size(); at += piece) ASSERT_TRUE(reader.push(archive.substr(at, piece)));
    ASSERT_TRUE(reader.finish());
    ASSERT_EQ(seen.entries.size(), 5u);
    EXPECT_EQ(seen.entries[3].path, deep);
    EXPECT_EQ(seen.contents[1], "content");
    EXPECT_EQ(seen.contents[3].size(), 5000u);
    EXPECT_EQ(seen.entries[2].link, "a");
  }
}

TEST(Tar, paths_that_leave_are_refused_and_plain_ones_are_not) {
  for (const char* path : {"/etc/passwd", "../x", "a/../../x", "a/..", ".."})
    EXPECT_EQ(code_of(file(path) + tar_end()), "tar.refused") << path;
  for (const char* path : {"a", "./a", "a//b", "a/...", "..a/b"})
    EXPECT_EQ(code_of(file(path) + tar_end()), "") << path;
  EXPECT_EQ(code_of(file(std::string("a/") + std::string(300, 'x') + "/../b") + tar_end()), "tar.refused")
      << "in a long name too";
}

TEST(Tar, links_that_may_lead_out_are_refused_and_others_are_not) {
  for (auto [path, target] : {std::pair{"t/l", "/etc/passwd"},
                              {"t/l", ".."},
                              {"t/l", "../x"},
                              {"t/d/l", "../../x"},
                              {"t/d/l", "x/../../y"},
                              {"t/l", "a/.."},
                              {"l", "x"},
                              {"t/l", ""}})
    EXPECT_EQ(code_of(link(path, target) + tar_end()), "tar.refused") << path << " to " << target;
  for (auto [path, target] : {std::pair{"t/l", "x"}, {"t/d/l", "../x"}, {"t/l", "./d/x"}, {"t/l", "."}})
    EXPECT_EQ(code_of(link(path, target) + tar_end()), "") << path << " to " << target;
  EXPECT_EQ(code_of(link("t/h", "../../etc/shadow", Kind::hardlink) + tar_end()), "tar.refused");
  EXPECT_EQ(code_of(link("t/h", "/etc/shadow", Kind::hardlink) + tar_end()), "tar.refused");
}

TEST(Tar, devices_pipes_and_what_is_unknown_are_refused) {
  for (char type : {'3', '4', '6', 'S', 'D', 'M', 'V', '9', '\x7f'}) {
    std::string header = tar_header({.path = "t/x"});
    header[156] = type;
    uint64_t sum = 0;
    for (size_t i = 0; i < header.size(); ++i)
      sum += i >= 148 && i < 156 ? ' ' : static_cast<unsigned char>(header[i]);
    header.replace(148, 6, fmt::format("{:06o}", sum));
    EXPECT_EQ(code_of(header + tar_end()), "tar.refused") << static_cast<int>(type);
  }
}

TEST(Tar, set_user_id_is_taken_off) {
  std::string header = tar_header({.path = "t/x", .mode = 0755});
  header.replace(100, 7, "0006755");
  uint64_t sum = 0;
  for (size_t i = 0; i < header.size(); ++i)
    sum += i >= 148 && i < 156 ? ' ' : static_cast<unsigned char>(header[i]);
  header.replace(148, 6, fmt::format("{:06o}", sum));
  Seen seen;
  ASSERT_EQ(code_of(header + tar_end(), seen), "");
  EXPECT_EQ(seen.entries[0].mode, 0755u);
}

TEST(Tar, what_is_cut_off_or_altered_is_malformed) {
  const std::string archive = directory("t") + file("t/a", "content") + tar_end();
  for (size_t size = 0; size < archive.size(); size += 100)
    EXPECT_EQ(code_of(archive.substr(0, size)), "tar.malformed") << size;
  std::string altered = archive;
  altered[0] = 'u';
  EXPECT_EQ(code_of(altered), "tar.malformed");
  EXPECT_EQ(code_of(archive + "x"), "tar.malformed");
  EXPECT_EQ(code_of(archive + std::string(10'000, '\0')), "");
}

class UnpackTest : public testing::Test {
 protected:
  UnpackTest() {
    std::string name = testing::TempDir() + "saw-unpack-XXXXXX";
    directory_ = ::mkdtemp(name.data());
    fs::create_directory(directory_ + "/out");
  }
  ~UnpackTest() override { fs::remove_all(directory_); }
  std::string unpack(const std::string& archive, const std::string& target, const std::string& name = "t") {
    auto unpacker = Unpacker::create(target, name);
    if (!unpacker) return unpacker.error().code;
    const std::string code = code_of(archive, *unpacker);
    if (!code.empty()) return code;
    auto finished = unpacker->finish();
    return finished ? "" : finished.error().code;
  }
  std::vector<std::string> names(const std::string& path) const {
    std::vector<std::string> out;
    for (const auto& entry : fs::directory_iterator(path)) out.push_back(entry.path().filename());
    std::ranges::sort(out);
    return out;
  }
  std::string directory_;
};

TEST_F(UnpackTest, a_tree_goes_there_and_back_again) {
  const std::string from = directory_ + "/from";
  fs::create_directories(from + "/a/b");
  std::ofstream(from + "/a/f") << "content";
  std::ofstream(from + "/a/" + std::string(200, 'n')) << std::string(100'000, 'z');
  fs::create_symlink("f", from + "/a/l");
  fs::permissions(from + "/a/b", fs::perms::owner_read | fs::perms::owner_exec);
  std::string archive;
  auto packed = pack(from, "t", [&](std::string_view bytes) -> Result<> {
    archive += bytes;
    return {};
  });
  ASSERT_TRUE(packed) << packed.error().message;
  EXPECT_EQ(packed->files, 2u);
  ASSERT_EQ(unpack(archive, directory_ + "/out"), "");
  EXPECT_EQ(*read_file(directory_ + "/out/t/a/f"), "content");
  EXPECT_EQ(read_file(directory_ + "/out/t/a/" + std::string(200, 'n'))->size(), 100'000u);
  EXPECT_EQ(fs::read_symlink(directory_ + "/out/t/a/l"), "f");
  EXPECT_EQ(fs::status(directory_ + "/out/t/a/b").permissions(),
            fs::perms::owner_read | fs::perms::owner_exec);
  EXPECT_EQ(names(directory_ + "/out"), std::vector<std::string>{"t"});
}

TEST_F(UnpackTest, nothing_is_written_through_a_link_of_the_archive) {
  fs::create_directory(directory_ + "/victim");
  // Each of these would write to victim/x if any link were followed.
  const std::string up = directory("t") + directory("t/d") + link("t/d/l", "../s");
  EXPECT_NE(unpack(up + link("t/s", "d") + file("t/s/x") + tar_end(), directory_ + "/out"), "");
  EXPECT_NE(
      unpack(directory("t") + link("t/l", "../victim") + file("t/l/x") + tar_end(), directory_ + "/out"), "");
  EXPECT_NE(unpack(link("t", "../victim") + file("t/x") + tar_end(), directory_ + "/out"), "");
  EXPECT_NE(unpack(file("t/x") + tar_end(), directory_ + "/out"), "");  // no such directory
  EXPECT_TRUE(fs::is_empty(directory_ + "/victim"));
  EXPECT_TRUE(fs::is_empty(directory_ + "/out")) << "and nothing is left of what failed";
  EXPECT_EQ(unpack(directory("t") + directory("t/d") + file("t/d/x") + tar_end(), directory_ + "/out"), "");
}

TEST_F(UnpackTest, a_link_that_stays_inside_cannot_be_moved_to_where_it_leads_out) {
  // A hard link of a symbolic link is that link in another directory: one whose ".." count differently.
  const std::string inside =
      directory("t") + directory("t/d") + directory("t/d/e") + link("t/d/e/l", "../../f");
  EXPECT_EQ(unpack(inside + link("t/l", "t/d/e/l", Kind::hardlink) + tar_end(), directory_ + "/out"),
            "tar.refused");
  EXPECT_TRUE(fs::is_empty(directory_ + "/out"));
  EXPECT_EQ(unpack(inside + file("t/f", "content") + link("t/h", "t/f", Kind::hardlink) + tar_end(),
                   directory_ + "/out"),
            "");
  EXPECT_EQ(*read_file(directory_ + "/out/t/h"), "content");
  EXPECT_EQ(*read_file(directory_ + "/out/t/d/e/l"), "content");
}

// As a user who may not write where a mode says no: 0 if all held. In a process of its own.
int unpack_read_only(const std::string& out) {
  constexpr uid_t kNobody = 65534;
  if (::geteuid() == 0 && (::setgid(kNobody) != 0 || ::setuid(kNobody) != 0)) return 1;
  const auto read_only = [](const std::string& path) {
    return tar_header({.kind = Kind::directory, .path = path, .mode = 0555});
  };
  const std::string archive = read_only("t") + read_only("t/d") + file("t/d/f") + tar_end();
  {
    auto unpacker = Unpacker::create(out, "t");
    if (!unpacker || !code_of(archive, *unpacker).empty() || !unpacker->finish()) return 2;
  }
  {
    auto late = Unpacker::create(out, "u");  // something takes the place before it is whole
    const std::string other = read_only("u") + read_only("u/d") + file("u/d/f") + tar_end();
    if (!late || !code_of(other, *late).empty() || !fs::create_directory(out + "/u")) return 3;
    if (late->finish()) return 4;
  }
  size_t names = 0;
  for ([[maybe_unused]] const auto& entry : fs::directory_iterator(out)) ++names;
  return names == 2 ? 0 : 5;  // t, and the u that was there
}

TEST_F(UnpackTest, what_may_not_be_written_arrives_and_goes_like_all_else) {
  fs::permissions(directory_, fs::perms::all);
  fs::permissions(directory_ + "/out", fs::perms::all);
  const pid_t child = ::fork();
  if (child == 0) ::_exit(unpack_read_only(directory_ + "/out"));
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_EQ(fs::status(directory_ + "/out/t").permissions(), fs::perms(0555));
  EXPECT_EQ(fs::status(directory_ + "/out/t/d").permissions(), fs::perms(0555));
  for (const char* each : {"/out/t", "/out/t/d"}) ::chmod((directory_ + each).c_str(), 0700);
}

TEST_F(UnpackTest, only_what_was_asked_for_comes) {
  EXPECT_EQ(unpack(file("other") + tar_end(), directory_ + "/out"), "tar.refused");
  EXPECT_EQ(unpack(file("tt") + tar_end(), directory_ + "/out"), "tar.refused");
  EXPECT_EQ(unpack(tar_end(), directory_ + "/out"), "tar.malformed");
  EXPECT_EQ(unpack(directory("t") + file("t/a") + file("t/a") + tar_end(), directory_ + "/out"),
            "copy.write");
  EXPECT_TRUE(fs::is_empty(directory_ + "/out"));
}

TEST_F(UnpackTest, a_file_gives_way_and_a_directory_does_not) {
  std::ofstream(directory_ + "/out/t") << "old";
  EXPECT_EQ(unpack(file("t", "new") + tar_end(), directory_ + "/out"), "");
  EXPECT_EQ(*read_file(directory_ + "/out/t"), "new");
  EXPECT_EQ(unpack(file("t", "named") + tar_end(), directory_ + "/out/name"), "");
  EXPECT_EQ(*read_file(directory_ + "/out/name"), "named");
  fs::create_directory(directory_ + "/out/d");
  EXPECT_EQ(unpack(file("d") + tar_end(), directory_ + "/out", "d"), "copy.exists");
  EXPECT_EQ(unpack(directory("t") + tar_end(), directory_ + "/out"), "copy.exists");
  EXPECT_EQ(*read_file(directory_ + "/out/t"), "new");
}

}  // namespace
}  // namespace saw::cli
