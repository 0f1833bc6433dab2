#include "base/fd.h"

#include <fcntl.h>
#include <unistd.h>

namespace saw {

Fd& Fd::operator=(Fd&& other) noexcept {
  if (this != &other) {
    reset();
    raw_ = std::exchange(other.raw_, -1);
  }
  return *this;
}

void Fd::reset() {
  if (raw_ >= 0) ::close(std::exchange(raw_, -1));
}

Result<Fd> Fd::open(const std::string& path, int flags, unsigned mode) {
  int raw;
  do raw = ::open(path.c_str(), flags | O_CLOEXEC, mode);
  while (raw < 0 && errno == EINTR);
  if (raw < 0) return Error::system("io.open", "opening '{}'", path);
  return Fd(raw);
}

Result<Fd> Fd::duplicate() const {
  int raw = ::fcntl(raw_, F_DUPFD_CLOEXEC, 3);
  if (raw < 0) return Error::system("io.dup", "duplicating descriptor {}", raw_);
  return Fd(raw);
}

Result<Pipe> Pipe::create() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return Error::system("io.pipe", "creating a pipe");
  return Pipe{Fd(ends[0]), Fd(ends[1])};
}

Result<> set_blocking(const Fd& fd, Blocking mode) {
  int flags = ::fcntl(fd.get(), F_GETFL);
  if (flags < 0) return Error::system("io.fcntl", "reading flags of descriptor {}", fd.get());
  flags = mode == Blocking::yes ? flags & ~O_NONBLOCK : flags | O_NONBLOCK;
  if (::fcntl(fd.get(), F_SETFL, flags) != 0)
    return Error::system("io.fcntl", "setting flags of descriptor {}", fd.get());
  return {};
}

Result<> write_all(const Fd& fd, std::string_view data) {
  while (!data.empty()) {
    ssize_t n = ::write(fd.get(), data.data(), data.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Error::system("io.write", "writing {} bytes", data.size());
    data.remove_prefix(static_cast<size_t>(n));
  }
  return {};
}

Result<std::string> read_all(const Fd& fd, size_t limit) {
  std::string out;
  char buffer[16384];
  while (true) {
    ssize_t n = ::read(fd.get(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Error::system("io.read", "reading descriptor {}", fd.get());
    if (n == 0) return out;
    if (out.size() + static_cast<size_t>(n) > limit)
      return Error::make("io.too_large", "more than {} bytes", limit);
    out.append(buffer, static_cast<size_t>(n));
  }
}

}  // namespace saw
