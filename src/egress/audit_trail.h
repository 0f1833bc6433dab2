// The way of an event from here to sawd's log: numbered, bounded, acknowledged once durable.
//
//   if (!co_await audit.room()) return refuse("audit.unavailable");     // before admitting anything (R100)
//   uint64_t n = audit.record(audit::http_activity(event));
//   if (!co_await audit.durable(n)) return refuse("audit.unavailable"); // where the action must not come
//   before its record
//
// At most kMaxUnacknowledged records are under way, none of them for longer than kPatienceMs: a log that has
// failed refuses even those who do not wait for it. room() and durable() wait for sawd up to kPatienceMs.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "egress/egress_protocol.h"
#include "egress/net.h"
#include "egress/task.h"

namespace saw::egress {

class AuditTrail {
 public:
  static constexpr int64_t kPatienceMs = 5'000;
  using Send = std::move_only_function<void(std::string message)>;
  AuditTrail(Net& net, Send send) : net_(net), send_(std::move(send)) {}

  uint64_t record(std::string event);   // its number
  void acknowledge(uint64_t sequence);  // everything up to here is durable
  bool has_room() const { return sequence_ - acknowledged_ < kMaxUnacknowledged && !is_stuck(); }
  Task<bool> room();
  Task<bool> durable(uint64_t sequence);

 private:
  bool is_stuck() const;

  Net& net_;
  Send send_;
  uint64_t sequence_ = 0, acknowledged_ = 0;
  Nanos progress_ = 0;  // when the oldest record under way was sent, or one before it acknowledged
  std::multimap<uint64_t, Gate*> waiting_;  // by the number they wait for
};

}  // namespace saw::egress
