// A channel: one sandbox's capture listener and DNS socket, everything that came through them, and the
// identity that goes with it.
//
//   auto binding = std::make_shared<Binding>(services, "sb-…", identity, std::move(listener),
//   std::move(dns_socket)); binding->start(); … binding->close();                          // its coroutines
//   end from the loop
//
// Shared with its own coroutines, which end after close(). At most kMaxConnections at a time: the others wait
// in the listener's backlog.
#pragma once

#include <memory>
#include <string>
#include <unordered_set>

#include "egress/connection.h"

namespace saw::egress {

class Binding : public std::enable_shared_from_this<Binding> {
 public:
  static constexpr size_t kMaxConnections = 512, kGuaranteedConnections = 8;
  static constexpr int64_t kFlushMs = 60'000;  // how long repeated questions are counted before they are told

  Binding(Services& services, std::string channel, ChannelIdentity who, Fd listener, Fd dns);
  void start();
  void close();
  void recheck();  // after a policy change
  size_t connections() const { return connections_.size(); }

 private:
  static Task<> accept_all(std::shared_ptr<Binding> self);
  static Task<> answer_dns(std::shared_ptr<Binding> self);
  static Task<> serve(std::shared_ptr<Binding> self, std::shared_ptr<Connection> connection);
  Task<bool> accept_one();
  void schedule_flush();

  Services& services_;
  std::string channel_;
  ChannelIdentity who_;
  Socket listener_, dns_socket_;
  DnsAnswerer dns_;
  std::unordered_set<std::shared_ptr<Connection>> connections_;
  std::unique_ptr<Gate> slot_;  // who waits for a connection to end
  os::Loop::Timer flusher_;
  bool closed_ = false;
};

}  // namespace saw::egress
