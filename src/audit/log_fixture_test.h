// What the tests of the log share: a folder that goes away, a key, numbered entries.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include <unistd.h>

#include "audit/disk.h"
#include "audit/log.h"

namespace saw::audit {

constexpr std::string_view kOrigin = "node.example/saw";

struct Folder {
  Folder() {
    // In memory where possible: these tests flush thousands of times, and lose power only in the mind.
    const bool in_memory = ::access("/dev/shm", W_OK) == 0;
    std::string pattern =
        (in_memory ? "/dev/shm" : std::filesystem::temp_directory_path().string()) + "/saw-audit-XXXXXX";
    path = ::mkdtemp(pattern.data());
  }
  explicit Folder(const Folder& other) : Folder() {
    std::filesystem::copy(
        other.path, path,
        std::filesystem::copy_options::recursive | std::filesystem::copy_options::overwrite_existing);
  }
  Folder& operator=(const Folder&) = delete;
  ~Folder() { std::filesystem::remove_all(path); }
  std::string path;
};

inline SigningKey test_key() {
  return std::move(*SigningKey::from_seed(std::string(32, 'k')));
}

inline std::vector<std::string> numbered(size_t from, size_t to) {
  std::vector<std::string> out;
  for (size_t i = from; i < to; ++i) out.push_back("{\"entry\":" + std::to_string(i) + "}");
  return out;
}

inline Result<Log> open_log(const Folder& folder) {
  return Log::open(folder.path, std::string(kOrigin), test_key());
}
inline VerifyReport verify_log(const Folder& folder) {
  return verify(folder.path, kOrigin, test_key().public_key(), JournalNeed::optional);
}

}  // namespace saw::audit
