// Requests that wait for a person: asks sawd, and wakes who waits.
//
//   ReviewDesk::Case held(desk, std::move(ask));         // asks; withdraws (ReviewAbandoned) if it is
//   destroyed undecided co_await held.wake().wait(hold_ms); if (auto verdict = held.verdict()) … // nullopt:
//   nothing was decided in time
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "egress/egress_protocol.h"
#include "egress/net.h"

namespace saw::egress {

class ReviewDesk {
 public:
  using Send = std::move_only_function<void(FromEgress)>;
  static constexpr size_t kMaxHeld = 256;  // requests waiting at a time

  ReviewDesk(Net& net, Send send) : net_(net), send_(std::move(send)) {}
  bool is_full() const { return held_.size() >= kMaxHeld; }
  void on_verdict(ReviewVerdict verdict);

  class Case {
   public:
    Case(ReviewDesk& desk, ReviewAsk ask);  // ask.ask is set here
    ~Case();
    Case(const Case&) = delete;
    Gate& wake() { return wake_; }  // opened by the verdict, or by whoever sees the agent go
    const std::optional<ReviewVerdict>& verdict() const { return verdict_; }

   private:
    friend class ReviewDesk;
    ReviewDesk& desk_;
    uint64_t number_;
    Gate wake_;
    std::optional<ReviewVerdict> verdict_;
  };

 private:
  Net& net_;
  Send send_;
  uint64_t next_ = 1;
  std::map<uint64_t, Case*> held_;
};

}  // namespace saw::egress
