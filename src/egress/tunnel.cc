#include "egress/tunnel.h"

#include <array>

#include <sys/socket.h>

#include "egress/stream.h"

namespace saw::egress {
void Tunnel::cut(std::string_view why) {
  if (why_ == "closed") why_ = why;
  agent_.reset();
  upstream_.reset();
}

Task<> Tunnel::run() {
  constexpr int64_t kNoLimit = int64_t{24} * 60 * 60 * 1000;
  stay();
  spawn(pump_in());
  co_await pump(Way::out);
  while (co_await down_done_.wait(kNoLimit) == Gate::Wake::timed_out) {
  }
}

Task<> Tunnel::pump_in() {
  co_await pump(Way::in);
  down_done_.open();
}

Task<> Tunnel::pump(Way way) {
  while (from(way).is_open() && to(way).is_open()) {
    co_await from(way).take_turn();
    const bool watched = guard_ && !guard_->is_over();
    const bool more = watched ? co_await opening(way) : co_await move(way);
    if (!more) co_return;
  }
  cut("expired");  // one of the two was closed under us, unless something else has been said already
}

void Tunnel::stay() {
  const int64_t limit = ends_ == 0 ? kIdleMs : kHalfClosedMs;
  agent_.expire_after(limit);
  upstream_.expire_after(limit);
}

bool Tunnel::count(Way way, uint64_t bytes) {
  stay();
  if (way == Way::in) {
    in_ += bytes;
    return true;
  }
  if (auto refused = charge_(bytes)) {
    cut(*refused);
    return false;
  }
  out_ += bytes;
  return true;
}

void Tunnel::ended(Way way) {
  ++ends_;
  if (to(way).is_open()) ::shutdown(to(way).fd(), SHUT_WR);
  if (ends_ < 2) return stay();
  agent_.close();
  upstream_.close();
}

// One read of what is watched, and all of it on; false when this direction is over.
Task<bool> Tunnel::opening(Way way) {
  std::array<char, kOpeningBytes> buffer;
  const ssize_t n = ::recv(from(way).fd(), buffer.data(), buffer.size(), 0);
  if (n == 0) co_return ended(way), false;
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
    co_await from(way).readable();
    co_return true;
  }
  if (n < 0) co_return cut("failed"), false;
  std::string_view bytes(buffer.data(), static_cast<size_t>(n));
  const bool good = way == Way::out ? guard_->from_client(bytes) : guard_->from_server(bytes);
  if (!good) co_return cut(guard_->problem()), false;
  if (!count(way, bytes.size())) co_return false;
  if (!co_await send_all(to(way), bytes)) co_return cut(to(way).is_open() ? "failed" : "expired"), false;
  co_return true;
}

// One load through a pipe; false when this direction is over.
Task<bool> Tunnel::move(Way way) {
  auto pipe = pipes_.take();
  if (!pipe) co_return cut("no_descriptors"), false;
  const os::Moved in = pipe->fill(from(way).fd());
  if (in.state == os::Moved::State::would_block) {
    pipes_.give_back(std::move(*pipe));
    co_await from(way).readable();
    co_return true;
  }
  if (in.state == os::Moved::State::end) {
    pipes_.give_back(std::move(*pipe));
    co_return ended(way), false;
  }
  if (in.state == os::Moved::State::failed) co_return cut("failed"), false;
  if (!count(way, in.bytes) || !co_await drain(*pipe, to(way))) co_return false;
  pipes_.give_back(std::move(*pipe));
  co_return true;
}

Task<bool> Tunnel::drain(os::SplicePipe& pipe, Socket& into) {
  while (pipe.held() > 0) {
    if (!into.is_open()) co_return cut("expired"), false;
    const os::Moved out = pipe.drain(into.fd());
    if (out.state == os::Moved::State::would_block)
      co_await into.writable();
    else if (out.state != os::Moved::State::moved)
      co_return cut("failed"), false;
  }
  co_return true;
}

}  // namespace saw::egress
