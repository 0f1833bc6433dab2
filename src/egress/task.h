// A lazily started coroutine with a result, and the way to start one that nobody waits for.
//
//   Task<int> answer() { co_return 42; }
//   Task<> run() { int a = co_await answer(); … }
//   spawn(run());                                  // runs until its first suspension now, the rest from the
//   loop
//
// One thread. No cancellation: whoever waits is woken with a failure (Socket::close(), Gate::open()) and runs
// to its end, so that every destructor runs in order. A coroutine takes what it needs by value or from an
// object that outlives it; never a lambda's captures.
#pragma once

#include <coroutine>
#include <optional>
#include <utility>

#include "base/result.h"

namespace saw::egress {

namespace task_detail {

struct FinalAwaiter {
  bool await_ready() const noexcept { return false; }
  template <class Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> done) noexcept {
    return done.promise().continuation;
  }
  void await_resume() const noexcept {}
};

struct PromiseBase {
  std::coroutine_handle<> continuation = std::noop_coroutine();
  std::suspend_always initial_suspend() const noexcept { return {}; }
  FinalAwaiter final_suspend() const noexcept { return {}; }
  void unhandled_exception() const noexcept { SAW_CHECK(false, "an exception left a coroutine"); }
};

template <class T> struct Promise : PromiseBase {
  std::optional<T> value;
  auto get_return_object() { return std::coroutine_handle<Promise>::from_promise(*this); }
  template <class U> void return_value(U&& result) { value.emplace(std::forward<U>(result)); }
  T take() { return std::move(*value); }
};

template <> struct Promise<void> : PromiseBase {
  auto get_return_object() { return std::coroutine_handle<Promise>::from_promise(*this); }
  void return_void() const noexcept {}
  void take() const noexcept {}
};

}  // namespace task_detail

template <class T = void> class [[nodiscard]] Task {
 public:
  using promise_type = task_detail::Promise<T>;
  Task(std::coroutine_handle<promise_type> handle)
      : handle_(handle) {}  // implicit: what get_return_object() gives
  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Task& operator=(Task&&) = delete;
  ~Task() {
    if (handle_) handle_.destroy();
  }

  bool await_ready() const noexcept { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> waiting) noexcept {
    handle_.promise().continuation = waiting;
    return handle_;
  }
  T await_resume() { return handle_.promise().take(); }

 private:
  std::coroutine_handle<promise_type> handle_;
};

struct Detached {
  struct promise_type {
    Detached get_return_object() const noexcept { return {}; }
    std::suspend_never initial_suspend() const noexcept { return {}; }
    std::suspend_never final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() const noexcept { SAW_CHECK(false, "an exception left a coroutine"); }
  };
};

inline Detached spawn(Task<> task) {
  co_await std::move(task);
}

}  // namespace saw::egress
