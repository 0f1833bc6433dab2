// Archives as they come out of a sandbox, where everything in them may be an agent's attack, and as they go in.
//
//   TarReader reader(sink);
//   SAW_TRY(reader.push(bytes));       // as often as bytes come
//   SAW_TRY(reader.finish());          // it must have been whole
//
// Read: ustar, with the long names of pax and of GNU tar. What is refused, with "tar.refused" and the reason:
// absolute paths, "..", devices, pipes and sockets, sparse files, links to anything that is not below the
// directory that is being unpacked; by unpack.h, hard links to anything but a file. Anything malformed, and
// more than the bounds below, is "tar.malformed".
// Paths handed on are relative, without "." and "..", set-user-id and the like are off. The reader touches no
// file; unpack.h does.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace saw::cli {

struct TarEntry {
  enum class Kind : uint8_t { file, directory, symlink, hardlink } kind = Kind::file;
  std::string path;  // "a/b"; "" is the directory itself
  std::string link;  // symlink: its text; hardlink: the path of an earlier entry
  uint32_t mode = 0644;
  uint64_t size = 0;  // of a file
  int64_t modified = 0;
};

class TarSink {
 public:
  virtual ~TarSink() = default;
  virtual Result<> begin(const TarEntry& entry) = 0;
  virtual Result<> data(std::string_view bytes) = 0;  // of the file that began last
  virtual Result<> end() = 0;                         // of the entry that began last
};

class TarReader {
 public:
  static constexpr size_t kBlock = 512;
  static constexpr uint64_t kMaxEntries = 2'000'000, kMaxTotal = uint64_t{1} << 40;
  static constexpr size_t kMaxPath = 4096, kMaxDepth = 128, kMaxMeta = 64u << 10;

  explicit TarReader(TarSink& sink) : sink_(sink) {}
  Result<> push(std::string_view bytes);
  Result<> finish();

 private:
  enum class State : uint8_t { header, file, meta, padding, ended };
  Result<> on_header();
  Result<> on_meta();
  Result<> on_pax();
  Result<> on_entry(char type, TarEntry entry);
  Result<> after_data();

  TarSink& sink_;
  State state_ = State::header;
  std::string header_, meta_;
  char meta_type_ = 0;
  uint64_t left_ = 0, padding_ = 0, entries_ = 0, total_ = 0;
  int empty_blocks_ = 0;
  std::string long_path_, long_link_;  // for the next entry
  uint64_t long_size_ = 0;
  bool has_size_ = false;
};

// One entry's headers; `size` bytes of content and tar_padding(size) follow a file.
std::string tar_header(const TarEntry& entry);
std::string tar_padding(uint64_t size);
std::string tar_end();

// "./a//b/" → "a/b"; nullopt-like error for what leaves: absolute, "..", NUL, too long or too deep.
Result<std::string> tar_path(std::string_view text);

}  // namespace saw::cli
