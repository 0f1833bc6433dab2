// Bytes both ways between an agent and a destination, unread (protocol: tcp, tls: passthrough): splice(2), counted, and cut when the
// policy says so.
//
//   Tunnel tunnel(net, pipes, agent, upstream, std::move(charge));
//   tunnel.watch(HelloGuard("api.example.com"));                  // passthrough: its opening is read
//   co_await tunnel.run();                                         // until both directions have ended, or cut()
//   record(tunnel.bytes_out(), tunnel.bytes_in(), tunnel.why());
//
// An end of one direction is passed on (half-close); an error, or a refusal by `charge`, ends both by a reset. What the agent sends
// is charged before it goes out. Both sockets stay the caller's. A tunnel in which nothing moves ends after kIdleMs; one that is
// closed on one side after kHalfClosedMs.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "egress/hello_guard.h"
#include "egress/net.h"
#include "egress/task.h"
#include "os/splice.h"

namespace saw::egress {

class Tunnel {
 public:
  static constexpr int64_t kIdleMs = 3'600'000, kHalfClosedMs = 120'000;
  static constexpr size_t kOpeningBytes = 16u << 10;  // read at a time while the opening is watched
  // A stable code when these bytes may not go out.
  using Charge = std::move_only_function<std::optional<std::string>(uint64_t bytes)>;

  Tunnel(Net& net, os::PipePool& pipes, Socket& agent, Socket& upstream, Charge charge)
      : pipes_(pipes), agent_(agent), upstream_(upstream), charge_(std::move(charge)), down_done_(net) {}
  Tunnel(const Tunnel&) = delete;

  void watch(HelloGuard guard) { guard_ = std::move(guard); }
  Task<> run();
  void cut(std::string_view why);

  uint64_t bytes_out() const { return out_; }
  uint64_t bytes_in() const { return in_; }
  const std::string& why() const { return why_; }  // "closed", or what cut it

 private:
  enum class Way : uint8_t { out, in };
  Task<> pump(Way way);
  Task<> pump_in();
  Task<bool> opening(Way way);
  Task<bool> move(Way way);
  Task<bool> drain(os::SplicePipe& pipe, Socket& to);
  bool count(Way way, uint64_t bytes);
  void ended(Way way);
  void stay();
  Socket& from(Way way) { return way == Way::out ? agent_ : upstream_; }
  Socket& to(Way way) { return way == Way::out ? upstream_ : agent_; }

  os::PipePool& pipes_;
  Socket &agent_, &upstream_;
  Charge charge_;
  std::optional<HelloGuard> guard_;
  Gate down_done_;
  uint64_t out_ = 0, in_ = 0;
  int ends_ = 0;
  std::string why_ = "closed";
};

}  // namespace saw::egress
