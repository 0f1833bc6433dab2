// A raw file descriptor lives one line; afterwards an Fd owns it.
//
//   Fd log = SAW_TRY(Fd::open("/var/lib/saw/log", O_RDONLY));
//
// Move-only, O_CLOEXEC by construction, move-assignment closes what was held before.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"

namespace saw {

class Fd {
 public:
  Fd() = default;
  explicit Fd(int raw) : raw_(raw) {}
  Fd(Fd&& other) noexcept : raw_(std::exchange(other.raw_, -1)) {}
  Fd& operator=(Fd&& other) noexcept;
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() { reset(); }

  // open(2) with O_CLOEXEC added. `mode` counts with O_CREAT only.
  static Result<Fd> open(const std::string& path, int flags, unsigned mode = 0600);

  int get() const { return raw_; }
  explicit operator bool() const { return raw_ >= 0; }
  int release() { return std::exchange(raw_, -1); }
  void reset();
  Result<Fd> duplicate() const;

 private:
  int raw_ = -1;
};

struct Pipe {
  Fd read, write;
  static Result<Pipe> create();  // both ends O_CLOEXEC, blocking
};

enum class Blocking { yes, no };
Result<> set_blocking(const Fd& fd, Blocking mode);

// Writes all of `data`, resuming after EINTR and short writes. For blocking descriptors.
Result<> write_all(const Fd& fd, std::string_view data);

// Reads to the end. More than `limit` bytes is an error ("io.too_large"), never a truncation.
Result<std::string> read_all(const Fd& fd, size_t limit);

}  // namespace saw
