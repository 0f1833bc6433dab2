// What came out of a sandbox, put on the user's disk: made beside its place under a name of its own, and moved
// there when it is whole. Nothing of the user's is followed, opened or overwritten on the way.
//
//   Unpacker unpacker = SAW_TRY(Unpacker::create("/home/me/out", "result"));   // the archive's top name: "result"
//   TarReader reader(unpacker); …
//   SAW_TRY(unpacker.finish());             // an existing file gives way, an existing directory does not
//
// Without finish(), what was unpacked is removed again.
#pragma once

#include <string>
#include <vector>

#include "base/fd.h"
#include "cli/tar.h"

namespace saw::cli {

class Unpacker final : public TarSink {
 public:
  // `target`: the new path; an existing directory is one to put `name` into.
  static Result<Unpacker> create(const std::string& target, const std::string& name);
  Unpacker(Unpacker&&) noexcept;
  ~Unpacker() override;

  Result<> begin(const TarEntry& entry) override;
  Result<> data(std::string_view bytes) override;
  Result<> end() override;
  Result<> finish();

  uint64_t files() const { return files_; }
  uint64_t bytes() const { return bytes_; }
  std::string path() const { return directory_ + "/" + final_name_; }

 private:
  Unpacker() = default;
  Result<std::string> below_top(const std::string& path) const;
  Result<Fd> open_parent(const std::string& path, std::string& name) const;

  std::string directory_, final_name_, top_, staging_;
  Fd staging_fd_, file_;
  struct Mode {
    std::string path;
    uint32_t mode;
  };
  static Result<> set_mode(const Fd& directory, const Mode& of);
  std::vector<Mode> directories_;  // their modes come last: one without write permission must be filled first
  uint64_t files_ = 0, bytes_ = 0;
};

}  // namespace saw::cli
