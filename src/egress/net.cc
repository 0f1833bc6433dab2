#include "egress/net.h"

#include <vector>

#include <sys/socket.h>

namespace saw::egress {

void Net::sweep() {
  const Nanos now = clock.monotonic();
  std::vector<Socket*> expired;
  for (Socket* s : sockets_)
    if (s->expires_ != 0 && s->expires_ <= now) expired.push_back(s);
  for (Socket* s : expired)
    if (sockets_.contains(s)) s->close();
  sweeping_ = !sockets_.empty();
  if (sweeping_) sweeper_ = loop.after(kSweepMs, [this] { sweep(); });
}

Socket::Socket(Net& net, Fd fd) : net_(net), fd_(std::move(fd)) {
  if (!set_blocking(fd_, Blocking::no)) {
    fd_.reset();
    return;
  }
  watch_ = net_.loop.watch(fd_.get(), os::Loop::kReadable | os::Loop::kWritable | os::Loop::kEdgeTriggered,
                           [this](uint32_t events) { on_event(events); });
  net_.sockets_.insert(this);
  if (net_.sweeping_) return;
  net_.sweeping_ = true;
  net_.sweeper_ = net_.loop.after(Net::kSweepMs, [n = &net_] { n->sweep(); });
}

Socket::~Socket() {
  SAW_CHECK(!reader_ && !writer_, "a socket was destroyed while a coroutine waits on it");
  watch_.cancel();
  net_.sockets_.erase(this);
}

void Socket::expire_after(int64_t milliseconds) {
  expires_ = net_.clock.monotonic() + milliseconds * kMillisecond;
}

void Socket::reset() {
  const struct linger at_once{.l_onoff = 1, .l_linger = 0};
  if (is_open()) ::setsockopt(fd(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  close();
}

void Socket::close() {
  if (!fd_) return;
  watch_.cancel();
  net_.sockets_.erase(this);
  fd_.reset();
  for (std::coroutine_handle<>* waiting : {&reader_, &writer_})
    if (*waiting) net_.loop.post([handle = std::exchange(*waiting, nullptr)] { handle.resume(); });
}

void Socket::wait(Direction direction, std::coroutine_handle<> waiting) {
  auto& slot = direction == Direction::read ? reader_ : writer_;
  SAW_CHECK(!slot, "two coroutines wait for the same direction of a socket");
  slot = waiting;
  burst_ = 0;
}

void Socket::on_event(uint32_t events) {
  const uint32_t failure =
      events & ~(os::Loop::kReadable | os::Loop::kWritable);  // hang-up and errors concern both directions
  std::coroutine_handle<> reader, writer;
  if (events & os::Loop::kReadable || failure) reader = std::exchange(reader_, nullptr);
  if (events & os::Loop::kWritable || failure) writer = std::exchange(writer_, nullptr);
  if (reader) reader.resume();  // may destroy this socket, unless a writer waits
  if (writer) writer.resume();
}

bool Socket::Turn::await_ready() const {
  return ++socket.burst_ < kBurst;
}
void Socket::Turn::await_suspend(std::coroutine_handle<> waiting) const {
  socket.burst_ = 0;
  socket.net_.loop.post([waiting] { waiting.resume(); });
}

void Gate::open() {
  if (std::exchange(open_, true)) return;
  if (waiter_) net_.loop.post([handle = std::exchange(waiter_, nullptr)] { handle.resume(); });
}

void Gate::Wait::await_suspend(std::coroutine_handle<> waiting) {
  SAW_CHECK(!gate_.waiter_, "two coroutines wait at the same gate");
  gate_.waiter_ = waiting;
  timer_ = gate_.net_.loop.after(limit_ms_, [gate = &gate_] {
    if (auto handle = std::exchange(gate->waiter_, nullptr)) handle.resume();
  });
}

}  // namespace saw::egress
