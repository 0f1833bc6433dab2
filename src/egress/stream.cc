#include "egress/stream.h"

#include <sys/socket.h>
#include <unistd.h>

namespace saw::egress {
namespace {

class PlainStream final : public Stream {
 public:
  explicit PlainStream(std::unique_ptr<Socket> socket) : socket_(std::move(socket)) {}

  Task<Got> read(std::span<char> into) override {
    co_await socket_->take_turn();
    while (socket_->is_open()) {
      ssize_t n = ::recv(socket_->fd(), into.data(), into.size(), 0);
      if (n > 0) co_return Got{Outcome::data, static_cast<size_t>(n)};
      if (n == 0) co_return Got{Outcome::end, 0};
      if (errno == EINTR) continue;
      if (errno != EAGAIN) co_return Got{};
      co_await socket_->readable();
    }
    co_return Got{};
  }

  Task<bool> write(std::string_view data) override { return send_all(*socket_, data); }

  Task<> finish() override {
    if (socket_->is_open()) ::shutdown(socket_->fd(), SHUT_WR);
    co_return;
  }
  bool holds_unread() const override { return false; }
  Socket& socket() override { return *socket_; }

 private:
  std::unique_ptr<Socket> socket_;
};

}  // namespace

Task<bool> send_all(Socket& socket, std::string_view data) {
  while (socket.is_open()) {
    if (data.empty()) co_return true;
    const ssize_t n = ::send(socket.fd(), data.data(), data.size(), MSG_NOSIGNAL);
    if (n >= 0)
      data.remove_prefix(static_cast<size_t>(n));
    else if (errno == EAGAIN)
      co_await socket.writable();
    else if (errno != EINTR)
      co_return false;
  }
  co_return false;
}

std::unique_ptr<Stream> plain_stream(std::unique_ptr<Socket> socket) {
  return std::make_unique<PlainStream>(std::move(socket));
}

void Inbound::consume(size_t bytes) {
  start_ += bytes;
  SAW_CHECK(start_ <= filled_);
  if (start_ == filled_ && !reading_) start_ = filled_ = 0;
}

Task<Inbound::Fill> Inbound::read_more() {
  buffer_.resize(filled_);
  if (start_ > 0) buffer_.erase(0, std::exchange(start_, 0));
  filled_ = buffer_.size();
  if (filled_ == 0 && room_ < kReadBytes && buffer_.capacity() >= kReadBytes) std::string().swap(buffer_);
  const size_t room = room_;
  buffer_.resize(filled_ + room);
  reading_ = true;
  Stream::Got got = co_await stream_.read(std::span(buffer_).subspan(filled_));
  reading_ = false;
  room_ = got.bytes == room ? kReadBytes : kFirstReadBytes;
  filled_ += got.bytes;
  buffer_.resize(filled_);
  if (got.outcome == Stream::Outcome::data) co_return Fill::more;
  co_return got.outcome == Stream::Outcome::end ? Fill::end : Fill::failed;
}

Task<Inbound::Fill> Inbound::fill() {
  if (!ahead_) co_return co_await read_more();
  constexpr int64_t kNoLimit = int64_t{24} * 60 * 60 * 1000;  // the socket's own expiry comes first
  co_await ahead_->wait(kNoLimit);
  ahead_.reset();
  co_return ahead_result_;
}

Task<> Inbound::read_ahead() {
  ahead_result_ = co_await read_more();
  if (ahead_result_ != Fill::more && gone_) gone_->open();
  ahead_->open();
}

void Inbound::watch(Gate& gone) {
  gone_ = &gone;
  if (ahead_ && ahead_->is_open() && ahead_result_ != Fill::more) gone.open();
  if (ahead_) return;
  ahead_ = std::make_unique<Gate>(net_);
  spawn(read_ahead());
}

Task<> Inbound::settle() {
  gone_ = nullptr;
  if (ahead_) co_await fill();
}

}  // namespace saw::egress
