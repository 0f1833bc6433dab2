// Bytes in both directions over a Socket, plain or TLS, and a buffer in front of it for parsers.
//
//   auto stream = plain_stream(std::move(socket));
//   Inbound in(net, *stream);
//   while (parse(in.view()).state == HeadState::incomplete)
//     if (co_await in.fill() != Inbound::Fill::more) co_return;
//   in.consume(n);
//   if (!co_await stream->write(bytes)) co_return;
//
// One reader and one writer at a time, in different coroutines if wanted.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "egress/net.h"
#include "egress/task.h"

namespace saw::egress {

class Stream {
 public:
  enum class Outcome : uint8_t { data, end, failed };
  struct Got {
    Outcome outcome = Outcome::failed;
    size_t bytes = 0;
  };

  virtual ~Stream() = default;
  virtual Task<Got> read(std::span<char> into) = 0;     // at least one byte, or the end
  virtual Task<bool> write(std::string_view data) = 0;  // all of it
  virtual Task<> finish() = 0;                          // says that no more comes (close_notify, FIN)
  // Whether bytes of the peer lie here that no read() has given out and the socket does not show any more.
  virtual bool holds_unread() const = 0;
  virtual Socket& socket() = 0;
};

// All of it; false when the socket was closed or refuses.
Task<bool> send_all(Socket& socket, std::string_view data);

std::unique_ptr<Stream> plain_stream(std::unique_ptr<Socket> socket);

// What has been read and not yet consumed.
class Inbound {
 public:
  // A read after one that filled its room, and any other. What waits, waits with the smaller buffer.
  static constexpr size_t kReadBytes = 16u << 10, kFirstReadBytes = 4u << 10;
  enum class Fill : uint8_t { more, end, failed };

  Inbound(Net& net, Stream& stream) : net_(net), stream_(stream) {}
  std::string_view view() const { return std::string_view(buffer_).substr(start_, filled_ - start_); }
  void consume(size_t bytes);
  Task<Fill> fill();  // appends what comes next

  // Reads ahead while nobody wants data, to learn that the peer has gone: opens `gone` then. The next fill()
  // takes over what was begun.
  void watch(Gate& gone);
  void stop_watching() { gone_ = nullptr; }
  // Call before destroying: ends with the read-ahead, which needs the socket closed or data to come.
  Task<> settle();

 private:
  Task<Fill> read_more();
  Task<> read_ahead();
  Net& net_;
  Stream& stream_;
  std::string buffer_;
  size_t start_ = 0, filled_ = 0;  // a read under way writes behind `filled_`
  bool reading_ = false;
  size_t room_ = kFirstReadBytes;  // of the next read
  std::unique_ptr<Gate> ahead_;    // a read-ahead is under way, or its result was not taken yet
  Fill ahead_result_ = Fill::failed;
  Gate* gone_ = nullptr;
};

}  // namespace saw::egress
