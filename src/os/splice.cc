#include "os/splice.h"

#include <cerrno>

#include <fcntl.h>
#include <unistd.h>

namespace saw::os {
namespace {

Moved splice_some(int from, int to, size_t most) {
  while (true) {
    const ssize_t n = ::splice(from, nullptr, to, nullptr, most, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    if (n > 0) return {Moved::State::moved, static_cast<size_t>(n)};
    if (n == 0) return {Moved::State::end, 0};
    if (errno == EAGAIN) return {Moved::State::would_block, 0};
    if (errno != EINTR) return {};
  }
}

}  // namespace

Result<SplicePipe> SplicePipe::create() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return Error::system("os.pipe", "making a pipe");
  SplicePipe pipe{Fd(ends[0]), Fd(ends[1])};
  // Only quicker: where the user's pipes have used up their pages it stays as it is.
  static_cast<void>(::fcntl(ends[1], F_SETPIPE_SZ, static_cast<int>(kCapacity)));
  return pipe;
}

Moved SplicePipe::fill(int from) {
  const Moved moved = splice_some(from, in_.get(), kCapacity);
  held_ += moved.bytes;
  return moved;
}

Moved SplicePipe::drain(int to) {
  const Moved moved = splice_some(out_.get(), to, held_);
  held_ -= moved.bytes;
  return moved;
}

Result<SplicePipe> PipePool::take() {
  if (idle_.empty()) return SplicePipe::create();
  SplicePipe pipe = std::move(idle_.back());
  idle_.pop_back();
  return pipe;
}

void PipePool::give_back(SplicePipe pipe) {
  if (pipe.held() == 0 && idle_.size() < kIdle) idle_.push_back(std::move(pipe));
}

}  // namespace saw::os
