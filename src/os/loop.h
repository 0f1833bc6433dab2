// The event loop of SAW's programs: epoll, timers, and functions to run next. One thread, no locks.
//
//   Loop loop = SAW_TRY(Loop::create());
//   Loop::Watch watch = loop.watch(fd.get(), Loop::kReadable, [&](uint32_t) { … });   // stops watching when destroyed
//   Loop::Timer timer = loop.after(30'000, [&] { … });                                  // milliseconds; cancels when destroyed
//   loop.run();                                                                         // until stop()
//
// A loop can be nested in another one (Asio's): wait until fd() is readable, then call run_ready().
// Callbacks may create and destroy watches and timers, their own included. Descriptors stay owned by the caller and must
// outlive their watch.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "base/fd.h"

namespace saw::os {

class Loop {
 public:
  static constexpr uint32_t kReadable = 1, kWritable = 4, kHangup = 0x10;  // EPOLLIN, EPOLLOUT, EPOLLHUP
  static constexpr uint32_t kEdgeTriggered =
      1u << 31;  // EPOLLET: for whoever tries first and waits only after EAGAIN

  class Watch;
  class Timer;

  static Result<Loop> create();
  Loop(Loop&&) noexcept;
  Loop& operator=(Loop&&) = delete;
  ~Loop();

  // Level-triggered unless kEdgeTriggered is added. kHangup (with errors) is always reported.
  Watch watch(int fd, uint32_t events, std::move_only_function<void(uint32_t)> callback);
  Timer after(int64_t milliseconds, std::move_only_function<void()> callback);
  // Runs `callback` after the current callbacks. Not from other threads.
  void post(std::move_only_function<void()> callback);

  void run();
  void stop();
  // Handles what is ready now, without waiting. false once stop() was called.
  bool run_ready();
  // Readable whenever run_ready() has something to do.
  int fd() const;

 private:
  struct State;
  explicit Loop(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

class Loop::Watch {
 public:
  Watch() = default;
  Watch(Watch&& other) noexcept;
  Watch& operator=(Watch&& other) noexcept;
  ~Watch() { cancel(); }
  void cancel();
  void set_events(uint32_t events);

 private:
  friend class Loop;
  Watch(State* state, uint64_t key) : state_(state), key_(key) {}
  State* state_ = nullptr;
  uint64_t key_ = 0;
};

class Loop::Timer {
 public:
  Timer() = default;
  Timer(Timer&& other) noexcept;
  Timer& operator=(Timer&& other) noexcept;
  ~Timer() { cancel(); }
  void cancel();

 private:
  friend class Loop;
  Timer(State* state, uint64_t key) : state_(state), key_(key) {}
  State* state_ = nullptr;
  uint64_t key_ = 0;
};

}  // namespace saw::os
