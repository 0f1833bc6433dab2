// One end of a SOCK_SEQPACKET pair between two SAW programs: whole messages, with descriptors.
//
//   auto [ours, theirs] = SAW_TRY(Channel::pair());
//   SAW_TRY(ours.send(wire::encode(message), {fd.get()}));
//   Received got = SAW_TRY(theirs.receive());          // got.state: message | empty (would block) | closed
//
// A message of up to kMaxMessage bytes: small ones inline, larger ones in a sealed memfd, which the receiver checks and copies, so that
// the sender cannot change what was read. Up to kMaxDescriptors descriptors travel along. Non-blocking. Receiving is total: whatever
// the other side sends gives a message, an error "channel.malformed", or the end.
#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/fd.h"

namespace saw::os {

class Channel {
 public:
  static constexpr size_t kMaxMessage = 16u << 20;
  static constexpr size_t kMaxDescriptors = 32;

  enum class State { message, empty, closed };
  struct Received {
    State state = State::empty;
    std::string payload;
    std::vector<Fd> fds;  // all O_CLOEXEC
  };

  static Result<std::pair<Channel, Channel>> pair();
  // Takes over a SOCK_SEQPACKET descriptor that was inherited, accepted or received.
  static Result<Channel> adopt(Fd socket);

  // The descriptors are borrowed. Errors: "channel.full" (try again when writable), "channel.closed", "channel.too_large".
  Result<> send(std::string_view payload, std::span<const int> fds = {}) const;
  Result<Received> receive() const;

  int fd() const { return socket_.get(); }
  Fd take() && { return std::move(socket_); }

 private:
  explicit Channel(Fd socket) : socket_(std::move(socket)) {}
  Fd socket_;
};

}  // namespace saw::os
