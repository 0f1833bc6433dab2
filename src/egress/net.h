// Waiting in coroutines: for a socket, for an event, for either with a limit.
//
//   Net net{loop, clock};
//   Socket socket(net, std::move(connected));
//   socket.expire_after(60'000);
//   if (!co_await socket.readable()) co_return;        // closed by us or expired
//
//   Gate answered(net);
//   if (co_await answered.wait(10'000) == Gate::Wake::timed_out) …
//
// Sockets are watched edge-triggered: try the call first, wait only after EAGAIN. At most one coroutine waits
// for each direction. A Socket is not destroyed while somebody waits on it: close() it, and the waiters end.
// Expiry has the grain of Net::kSweepMs.
#pragma once

#include <coroutine>
#include <cstdint>
#include <unordered_set>

#include "base/clock.h"
#include "base/fd.h"
#include "os/loop.h"

namespace saw::egress {

class Socket;

class Net {
 public:
  static constexpr int64_t kSweepMs = 500;
  Net(os::Loop& event_loop, const Clock& time) : loop(event_loop), clock(time) {}
  Net(const Net&) = delete;

  bool is_idle() const { return sockets_.empty(); }

  os::Loop& loop;
  const Clock& clock;

 private:
  friend class Socket;
  void sweep();
  std::unordered_set<Socket*> sockets_;
  os::Loop::Timer sweeper_;
  bool sweeping_ = false;
};

class Socket {
 public:
  Socket(Net& net, Fd fd);  // makes it non-blocking
  ~Socket();
  Socket(const Socket&) = delete;

  // After this long without another call of expire_after(), the socket is closed.
  void expire_after(int64_t milliseconds);
  void close();  // wakes who waits
  void reset();  // close(), and the peer learns that it was cut off and does not take it for an end
  bool is_open() const { return static_cast<bool>(fd_); }
  int fd() const { return fd_.get(); }

  enum class Direction : uint8_t { read, write };
  struct Ready {
    Socket& socket;
    Direction direction;
    bool await_ready() const { return !socket.is_open(); }
    void await_suspend(std::coroutine_handle<> waiting) { socket.wait(direction, waiting); }
    bool await_resume() const { return socket.is_open(); }
  };
  Ready readable() { return {*this, Direction::read}; }
  Ready writable() { return {*this, Direction::write}; }

  // Lets others run after kBurst calls that found the socket ready at once.
  struct Turn {
    Socket& socket;
    bool await_ready() const;
    void await_suspend(std::coroutine_handle<> waiting) const;
    void await_resume() const {}
  };
  static constexpr int kBurst = 64;
  Turn take_turn() { return {*this}; }

 private:
  friend class Net;
  void wait(Direction direction, std::coroutine_handle<> waiting);
  void on_event(uint32_t events);
  Net& net_;
  Fd fd_;
  os::Loop::Watch watch_;
  std::coroutine_handle<> reader_, writer_;
  Nanos expires_ = 0;
  int burst_ = 0;
};

// Something that happens once.
class Gate {
 public:
  enum class Wake : uint8_t { opened, timed_out };
  explicit Gate(Net& net) : net_(net) {}
  Gate(const Gate&) = delete;

  void open();  // whoever waits goes on from the loop, not from inside this call
  bool is_open() const { return open_; }

  class Wait {
   public:
    Wait(Gate& gate, int64_t limit_ms) : gate_(gate), limit_ms_(limit_ms) {}
    bool await_ready() const { return gate_.open_; }
    void await_suspend(std::coroutine_handle<> waiting);
    Wake await_resume() const { return gate_.open_ ? Wake::opened : Wake::timed_out; }

   private:
    Gate& gate_;
    int64_t limit_ms_;
    os::Loop::Timer timer_;
  };
  Wait wait(int64_t limit_ms) { return {*this, limit_ms}; }

 private:
  Net& net_;
  bool open_ = false;
  std::coroutine_handle<> waiter_;
};

}  // namespace saw::egress
