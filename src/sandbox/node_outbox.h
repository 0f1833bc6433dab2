// Where saw-node's answers and events to sawd go. sawd may die and be replaced while a request is under way:
// a Ticket remembers which sawd asked, and an answer to one that is gone is dropped, never given to its
// successor, whose requests have the same numbers.
//
//   outbox.attach(link);  Ticket ticket = outbox.ticket(message.request);  …  outbox.answer(ticket, Done{});
#pragma once

#include <cstdint>
#include <initializer_list>
#include <utility>
#include <vector>

#include "base/log.h"
#include "os/link.h"
#include "sandbox/node_protocol.h"

namespace saw::sandbox {

struct Ticket {
  uint64_t request = 0, epoch = 0;
};

// Of those that are open, for an answer.
inline std::vector<Fd> duplicates(std::initializer_list<const Fd*> fds) {
  std::vector<Fd> out;
  for (const Fd* fd : fds)
    if (*fd)
      if (auto copy = fd->duplicate()) out.push_back(std::move(*copy));
  return out;
}

class Outbox {
 public:
  // The link is borrowed until detach().
  void attach(os::Link* link) { link_ = link, ++epoch_; }
  void detach() { link_ = nullptr, ++epoch_; }

  Ticket ticket(uint64_t request) const { return {request, epoch_}; }
  bool is_current(const Ticket& ticket) const { return link_ != nullptr && ticket.epoch == epoch_; }

  template <class Message> void answer(const Ticket& ticket, Message message, std::vector<Fd> fds = {}) {
    if (!is_current(ticket)) return;
    message.request = ticket.request;
    link_->send(wire::encode(FromNode{std::move(message)}), std::move(fds));
  }
  void fail(const Ticket& ticket, const Error& error) {
    log_warning("request {} failed: {} ({})", ticket.request, error.message, error.code);
    answer(ticket, Failed{.code = error.code, .message = error.message});
  }
  void event(const FromNode& message, std::vector<Fd> fds = {}) {
    if (link_ != nullptr) link_->send(wire::encode(message), std::move(fds));
  }

 private:
  os::Link* link_ = nullptr;
  uint64_t epoch_ = 0;
};

}  // namespace saw::sandbox
