#include "egress/binding.h"

#include <sys/socket.h>

#include "base/log.h"
#include "os/udp.h"

namespace saw::egress {
namespace {
constexpr int64_t kPauseMs = 200;  // after a shortage (descriptors, memory), before trying again
}

Binding::Binding(Services& services, std::string channel, ChannelIdentity who, Fd listener, Fd dns)
    : services_(services),
      channel_(std::move(channel)),
      who_(std::move(who)),
      listener_(services.net, std::move(listener)),
      dns_socket_(services.net, std::move(dns)),
      dns_(services, who_) {}

void Binding::start() {
  schedule_flush();
  spawn(accept_all(shared_from_this()));
  spawn(answer_dns(shared_from_this()));
}

void Binding::schedule_flush() {
  flusher_ = services_.net.loop.after(kFlushMs, [this] {
    dns_.flush();
    schedule_flush();
  });
}

void Binding::close() {
  if (std::exchange(closed_, true)) return;
  flusher_.cancel();
  dns_.flush();
  listener_.close();
  dns_socket_.close();
  for (const auto& connection : connections_) connection->close();
  if (slot_) slot_->open();
}

void Binding::recheck() {
  for (const auto& connection : connections_) connection->recheck();
}

Task<> Binding::accept_all(std::shared_ptr<Binding> self) {
  while (!self->closed_)
    if (!co_await self->accept_one()) break;
}

Task<bool> Binding::accept_one() {
  // Where all channels together use up the descriptors, each still gets a few: one sandbox starves no other.
  const bool scarce = services_.connections >= services_.seams.max_connections;
  if (connections_.size() >= (scarce ? kGuaranteedConnections : kMaxConnections)) {
    slot_ = std::make_unique<Gate>(services_.net);
    co_await slot_->wait(kPauseMs);
    slot_.reset();
    co_return true;
  }
  if (!co_await services_.audit.room()) co_return true;  // nothing new is admitted that could not be recorded
  if (!listener_.is_open()) co_return false;
  Fd accepted(::accept4(listener_.fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (accepted) {
    auto connection = std::make_shared<Connection>(services_, channel_, who_, dns_, std::move(accepted));
    connections_.insert(connection);
    ++services_.connections;
    spawn(serve(shared_from_this(), std::move(connection)));
    co_await listener_.take_turn();
  } else if (errno == EAGAIN) {
    co_return co_await listener_.readable();
  } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
    log_warning("accepting a connection of channel '{}': errno {}", channel_, errno);
    Gate pause(services_.net);
    co_await pause.wait(kPauseMs);
  } else if (errno == EBADF || errno == EINVAL || errno == ENOTSOCK || errno == EPERM) {
    log_error("channel '{}' cannot be accepted from: errno {}", channel_, errno);
    co_return false;
  }
  co_return true;
}

Task<> Binding::serve(std::shared_ptr<Binding> self, std::shared_ptr<Connection> connection) {
  co_await connection->run();
  self->connections_.erase(connection);
  --self->services_.connections;
  if (self->slot_) self->slot_->open();
}

Task<> Binding::answer_dns(std::shared_ptr<Binding> self) {
  while (self->dns_socket_.is_open()) {
    co_await self->dns_socket_.take_turn();
    if (!self->dns_socket_.is_open()) break;
    auto got = os::receive_datagram(self->dns_socket_.fd());
    if (!got) continue;  // one bad datagram
    if (!*got) {
      co_await self->dns_socket_.readable();
      continue;
    }
    std::string reply = self->dns_.answer((*got)->data);
    // A full buffer loses the reply; the asker asks again.
    if (!reply.empty()) (void)os::send_datagram(self->dns_socket_.fd(), reply, (*got)->peer, (*got)->local);
  }
}

}  // namespace saw::egress
