// Work that takes long, in a process of its own: the loop goes on, and what goes wrong there stays there.
//
//   auto job = SAW_TRY(Background::start(loop, {.keep = {tree.get()}, .limit_ms = 60'000},
//                                        [&]() -> std::string { … }, [](Result<std::string> answer) { … }));
//
// A fork: the child sees the caller's memory as it was, and of its descriptors only stdin, stdout, stderr and
// `keep`. It dies with the caller, with the Background object, and after `limit_ms`. The answer may have
// Channel::kMaxMessage bytes. Limits: the caller is single-threaded, as every program here that forks.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "os/channel.h"
#include "os/loop.h"
#include "os/spawn.h"

namespace saw::os {

class Background {
 public:
  using Done = std::move_only_function<void(Result<std::string>)>;
  struct Options {
    std::vector<int> keep;
    int64_t limit_ms = 0;
  };

  // `done` is called once, later, unless the object is destroyed before; it may destroy the object.
  static Result<std::unique_ptr<Background>> start(Loop& loop, const Options& options,
                                                   const std::function<std::string()>& work, Done done);
  ~Background();
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;

 private:
  Background(Channel channel, Child child, Done done)
      : channel_(std::move(channel)), child_(std::move(child)), done_(std::move(done)) {}
  void on_ended();

  Channel channel_;
  Child child_;
  Done done_;
  bool late_ = false;
  Loop::Watch watch_;  // after child_, whose descriptor it watches
  Loop::Timer timer_;
};

}  // namespace saw::os
