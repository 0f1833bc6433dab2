// Termination signals as events of a Loop.
//
//   auto signals = SAW_TRY(Signals::open(loop, {SIGTERM, SIGINT}, [&](int signal) { … }));
//
// The signals are blocked while this object lives and stay blocked afterwards; programs started by
// os::spawn() get an empty mask.
#pragma once

#include <functional>
#include <initializer_list>

#include "os/loop.h"

namespace saw::os {

class Signals {
 public:
  static Result<Signals> open(Loop& loop, std::initializer_list<int> signals,
                              std::move_only_function<void(int)> callback);

 private:
  Signals(Fd fd, Loop::Watch watch) : fd_(std::move(fd)), watch_(std::move(watch)) {}
  Fd fd_;
  Loop::Watch watch_;  // after fd_: stops watching before the descriptor closes
};

}  // namespace saw::os
