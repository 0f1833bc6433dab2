// Bytes from one socket to another without a copy through this process (splice(2)): a pipe in the kernel between them.
//
//   os::PipePool pipes;
//   os::SplicePipe pipe = SAW_TRY(pipes.take());
//   os::Moved in = pipe.fill(from);                       // moved, would_block, end, failed
//   while (pipe.held() > 0) pipe.drain(to);
//   pipes.give_back(std::move(pipe));                     // an idle connection holds no pipe
//
// Descriptors are borrowed and non-blocking. A pipe holds at most kCapacity bytes, less where the system's limit says so.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/fd.h"

namespace saw::os {

struct Moved {
  enum class State : uint8_t { moved, would_block, end, failed } state = State::failed;
  size_t bytes = 0;
};

class SplicePipe {
 public:
  static constexpr size_t kCapacity = 256u << 10;
  static Result<SplicePipe> create();  // Error "os.pipe"

  Moved fill(int from);
  Moved drain(int to);  // only with held() > 0
  size_t held() const { return held_; }

 private:
  SplicePipe(Fd out, Fd in) : out_(std::move(out)), in_(std::move(in)) {}
  Fd out_, in_;
  size_t held_ = 0;
};

// Empty pipes that wait for their next use; at most kIdle.
class PipePool {
 public:
  static constexpr size_t kIdle = 8;
  Result<SplicePipe> take();
  void give_back(SplicePipe pipe);  // one that still holds bytes is closed

 private:
  std::vector<SplicePipe> idle_;
};

}  // namespace saw::os
