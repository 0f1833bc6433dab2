#include "os/link.h"

namespace saw::os {

struct Link::State : std::enable_shared_from_this<Link::State> {
  struct Outgoing {
    std::string payload;
    std::vector<Fd> fds;
  };

  State(Loop& l, Channel c, Callbacks b) : loop(l), channel(std::move(c)), callbacks(std::move(b)) {}

  Loop& loop;
  Channel channel;
  Callbacks callbacks;
  Loop::Watch watch;
  std::deque<Outgoing> queue;
  size_t queued_bytes = 0;
  bool open = true, abandoned = false;

  Result<> transmit(const Outgoing& message) {
    std::vector<int> raw;
    for (const Fd& fd : message.fds) raw.push_back(fd.get());
    return channel.send(message.payload, raw);
  }

  void close(std::string why) {
    if (!open) return;
    open = false;
    watch.cancel();
    queue.clear();
    loop.post([self = shared_from_this(), why = std::move(why)]() mutable {
      if (!self->abandoned && self->callbacks.on_close) self->callbacks.on_close(std::move(why));
    });
  }

  void flush() {
    while (open && !queue.empty()) {
      auto sent = transmit(queue.front());
      if (!sent && sent.error().code == "channel.full") return;
      if (!sent) return close(sent.error().message);
      queued_bytes -= queue.front().payload.size();
      queue.pop_front();
    }
    if (open) watch.set_events(Loop::kReadable);
  }

  // At most this many messages before others on the loop get their turn.
  static constexpr int kBurst = 32;
  void drain() {
    for (int i = 0; i < kBurst && open && !abandoned; ++i) {
      auto got = channel.receive();
      if (!got) return close(got.error().message);
      if (got->state == Channel::State::empty) return;
      if (got->state == Channel::State::closed) return close("closed by the peer");
      callbacks.on_message(std::move(got->payload), std::move(got->fds));
    }
  }
};

std::unique_ptr<Link> Link::open(Loop& loop, Channel channel, Callbacks callbacks) {
  auto state = std::make_shared<State>(loop, std::move(channel), std::move(callbacks));
  state->watch =
      loop.watch(state->channel.fd(), Loop::kReadable, [weak = std::weak_ptr(state)](uint32_t events) {
        auto self = weak.lock();
        if (!self) return;
        if (events & Loop::kWritable) self->flush();
        if (self->open) self->drain();
      });
  return std::unique_ptr<Link>(new Link(std::move(state)));
}

Link::~Link() {
  state_->abandoned = true;
  state_->open = false;
  state_->watch.cancel();
}

void Link::send(std::string payload, std::vector<Fd> fds) {
  State& s = *state_;
  if (!s.open) return;
  State::Outgoing message{std::move(payload), std::move(fds)};
  if (s.queue.empty()) {
    auto sent = s.transmit(message);
    if (sent) return;
    if (sent.error().code != "channel.full") return s.close(sent.error().message);
  }
  if (s.queue.size() >= kMaxQueuedMessages || s.queued_bytes + message.payload.size() > kMaxQueuedBytes)
    return s.close("the peer does not keep up");
  s.queued_bytes += message.payload.size();
  s.queue.push_back(std::move(message));
  s.watch.set_events(Loop::kReadable | Loop::kWritable);
}

bool Link::is_open() const {
  return state_->open;
}
size_t Link::queued_messages() const {
  return state_->queue.size();
}

}  // namespace saw::os
