// A Channel on a Loop: messages come as callbacks, sending never blocks.
//
//   auto link = Link::open(loop, std::move(channel), {
//       .on_message = [&](std::string payload, std::vector<Fd> fds) { … },
//       .on_close = [&](std::string why) { … }});
//   link->send(wire::encode(ToNode{…}), std::move(fds));
//
// What the peer does not take yet is queued, up to kMaxQueuedBytes and kMaxQueuedMessages; beyond that, or when the peer sends something
// malformed, the link is closed: a peer that does not keep up is broken, and nothing is dropped silently. on_close is called once, never
// from inside send(), and not when the owner destroys the link. A callback may destroy the link.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "os/channel.h"
#include "os/loop.h"

namespace saw::os {

class Link {
 public:
  static constexpr size_t kMaxQueuedBytes = 64u << 20;
  static constexpr size_t kMaxQueuedMessages = 16384;

  struct Callbacks {
    std::move_only_function<void(std::string payload, std::vector<Fd> fds)> on_message;
    std::move_only_function<void(std::string why)> on_close;
  };

  static std::unique_ptr<Link> open(Loop& loop, Channel channel, Callbacks callbacks);
  ~Link();
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  // Takes the descriptors; they are closed once sent. On a closed link: nothing happens (on_close has told, or will).
  void send(std::string payload, std::vector<Fd> fds = {});
  bool is_open() const;
  size_t queued_messages() const;

 private:
  struct State;
  explicit Link(std::shared_ptr<State> state) : state_(std::move(state)) {}
  std::shared_ptr<State> state_;  // shared with callbacks in flight, so that they may destroy the Link
};

}  // namespace saw::os
