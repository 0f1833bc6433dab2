// Trees for tests of changes and commits: made, edited at random, and written out as text, so that two of
// them can be compared whole. Test code: it trusts the trees.
#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/fd.h"
#include "base/result.h"
#include "os/xattr.h"
#include "sandbox/commit.h"
#include "sandbox/session_reference.h"

namespace saw::sandbox::testing_support {

namespace fs = std::filesystem;

inline void write(const std::string& path, std::string_view content) {
  fs::create_directories(fs::path(path).parent_path());
  std::ofstream(path, std::ios::binary) << content;
}
inline std::string read(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline std::string attributes_of(const std::string& path) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  const auto names = os::attribute_names(fd.get());
  const auto own = os::user_attributes(fd.get());
  SAW_CHECK(names && own);
  std::string out;
  for (const std::string& name : *names) out += " " + name;
  for (const os::Attribute& each : *own) out += " " + each.name + "=" + each.value;
  return out;
}
inline void set_note(const std::string& path) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  SAW_CHECK(os::set_user_attributes(fd.get(), {{"user.note", "value"}}).has_value());
}

// Everything that a commit must reproduce, one line an entry.
inline std::string describe_tree(const std::string& root) {
  std::vector<std::string> lines;
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    const std::string path = entry.path().string();
    struct stat info{};
    SAW_CHECK(::lstat(path.c_str(), &info) == 0);
    std::string line = fmt::format("{} {:o} {}:{}", printable(path.substr(root.size()), 5000), info.st_mode,
                                   info.st_uid, info.st_gid);
    if (S_ISLNK(info.st_mode)) line += " -> " + fs::read_symlink(entry.path()).string();
    if (S_ISREG(info.st_mode)) line += " " + printable(read(path), 5000);
    if (!S_ISLNK(info.st_mode)) line += attributes_of(path);
    lines.push_back(std::move(line));
  }
  std::ranges::sort(lines);
  std::string out;
  for (const std::string& line : lines) out += line + "\n";
  return out;
}

// A session as these tests have it: upper, work, and its reference.
inline Result<> make_session_directory(int parent, const std::string& name) {
  const auto make = [](int in, const char* what) {
    return ::mkdirat(in, what, 0755) == 0 || errno == EEXIST;
  };
  if (!make(parent, name.c_str())) return Error::system("storage.create", "making a session's directory");
  Fd directory(::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!directory || ::fchmod(directory.get(), 0700) != 0 || !make(directory.get(), "upper") ||
      !make(directory.get(), "work"))
    return Error::system("storage.create", "making a session's directory");
  return make_reference(directory.get());
}

// The next layer of session "s" below `sessions`, made in `work` unless a journal there names one.
inline NextLayer next_layer(const std::string& work, const std::string& sessions) {
  const auto open = [](const std::string& path) {
    return std::move(*Fd::open(path, O_RDONLY | O_DIRECTORY));
  };
  const auto inode = [](const std::string& path) {
    struct stat info{};
    SAW_CHECK(::lstat(path.c_str(), &info) == 0);
    return std::to_string(info.st_ino);
  };
  auto decided = find_decided(open(work).get());
  NextLayer next;
  if (decided && *decided)
    next.token = (*decided)->next;
  else
    SAW_CHECK(make_session_directory(open(work).get(), "next").has_value());
  next.directory = open(work + "/next");
  if (next.token.empty()) next.token = inode(work + "/next");
  next.was_taken = [=, token = next.token]() -> Result<bool> { return inode(sessions + "/s") == token; };
  next.take_over = [=]() -> Result<> {
    if (::renameat2(open(work).get(), "next", open(sessions).get(), "s", RENAME_EXCHANGE) != 0)
      return Error::system("test", "exchanging");
    return {};
  };
  return next;
}

// The same random edits for the same seed, whatever the tree lies on: paths are chosen from the sorted list
// of what is there.
class RandomEdits {
 public:
  explicit RandomEdits(uint64_t seed) : random_(seed) {}

  void run(const std::string& root, int count) {
    for (int i = 0; i < count; ++i) one(root);
  }

 private:
  size_t below(size_t n) { return n == 0 ? 0 : random_() % n; }
  std::string name() {
    static const std::vector<std::string> kNames = {"a",   "b",       "c",      "\xff\xfe", "new\nline",
                                                    "-rf", ".hidden", "spa ce", "\x01"};
    return kNames[below(kNames.size())];
  }
  std::string content() {
    std::string out;
    for (size_t i = below(200); i > 0; --i) out.push_back(static_cast<char>(random_()));
    return out;
  }
  std::string pick(const std::string& root, bool directories) {
    std::vector<std::string> all;
    if (directories) all.push_back(root);
    for (const auto& entry : fs::recursive_directory_iterator(root))
      if (!directories || entry.symlink_status().type() == fs::file_type::directory)
        all.push_back(entry.path().string());
    std::ranges::sort(all);
    return all.empty() ? "" : all[below(all.size())];
  }
  void one(const std::string& root) {
    const size_t what = below(10);
    const std::string directory = pick(root, true), victim = pick(root, false),
                      fresh = directory + "/" + name();
    std::error_code ignored;
    switch (what) {
      case 0:
      case 1:
        if (fs::symlink_status(fresh).type() == fs::file_type::regular ||
            fs::symlink_status(fresh).type() == fs::file_type::not_found)
          write(fresh, content());
        return;
      case 2:
        ::mkdir(fresh.c_str(), 0755);
        return;
      case 3:
        fs::create_symlink(content().substr(0, 20), fresh, ignored);
        return;
      case 4:
        if (!victim.empty()) fs::remove_all(victim, ignored);
        return;
      case 5:  // a rename as mv does it: where the kernel refuses (EXDEV on overlays), a copy and a removal
        if (!victim.empty()) move(victim, fresh);
        return;
      case 6:
        if (!victim.empty() && fs::symlink_status(victim).type() != fs::file_type::symlink)
          ::chmod(victim.c_str(), 0700 | (random_() & 0077));
        return;
      case 7:
        if (!victim.empty() && fs::symlink_status(victim).type() != fs::file_type::symlink) set_note(victim);
        return;
      case 8:  // a type change
        if (!victim.empty()) change_type(victim);
        return;
      case 9:  // opened for writing, left as it was
        if (!victim.empty() && fs::symlink_status(victim).type() == fs::file_type::regular)
          ::close(::open(victim.c_str(), O_WRONLY | O_CLOEXEC));
        return;
      default:
        return;
    }
  }
  static void move(const std::string& from, const std::string& to) {
    if (fs::exists(fs::symlink_status(to)) || to.starts_with(from + "/")) return;
    if (::rename(from.c_str(), to.c_str()) == 0) return;
    fs::copy(from, to, fs::copy_options::recursive | fs::copy_options::copy_symlinks);
    copy_metadata(from, to);
    fs::remove_all(from);
  }
  static void copy_metadata(const std::string& from, const std::string& to) {
    std::vector<std::pair<std::string, std::string>> pairs{{from, to}};
    for (const auto& entry : fs::recursive_directory_iterator(from))
      pairs.emplace_back(entry.path().string(), to + entry.path().string().substr(from.size()));
    for (const auto& [source, target] : pairs) {
      struct stat info{};
      if (::lstat(source.c_str(), &info) != 0 || S_ISLNK(info.st_mode)) continue;
      ::chmod(target.c_str(), info.st_mode & 07777);
      if (attributes_of(source).contains("user.note")) set_note(target);
    }
  }
  void change_type(const std::string& path) {
    const bool directory = fs::symlink_status(path).type() == fs::file_type::directory;
    fs::remove_all(path);
    if (directory)
      write(path, content());
    else
      write(path + "/" + name(), content());
  }
  std::mt19937_64 random_;
};

}  // namespace saw::sandbox::testing_support
