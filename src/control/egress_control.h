// sawd's side of one workspace's saw-egress: start, configure, connect to the perimeter, bind channels, and
// all of it again when it dies.
//
//   EgressControl egress(plane, perimeter, "ws-1", {.configuration = …, .on_ready = …, .on_ask = …, …});
//   egress.start();
//   egress.when_ready([](Result<> r) { … });       // configured, and its policy digest is the one we hold
//   egress.bind("sb-1", identity, std::move(sockets));
//
// Restarts are spaced by kRestartDelayMs. While it is not ready, bind() drops the sockets: nothing gets out,
// and on_ready comes later.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "control/alive.h"
#include "control/perimeter_control.h"
#include "control/plane.h"

namespace saw::control {

class EgressControl {
 public:
  static constexpr int64_t kRestartDelayMs = 100;
  static constexpr int64_t kReadyTimeoutMs = 5000;

  struct Callbacks {
    std::move_only_function<Result<egress::Configure>()> configuration;  // all but the epoch
    std::move_only_function<Result<Fd>()> ledger;  // where what its agents use up is counted
    std::move_only_function<void()> on_ready;      // after each start: bind the channels that live
    std::move_only_function<void(egress::ReviewAsk)> on_ask;
    std::move_only_function<void(uint64_t ask)> on_abandoned;
    std::move_only_function<void()> on_lost;  // open asks are void
  };
  enum class State : uint8_t { down, starting, configuring, ready };

  EgressControl(Plane& plane, PerimeterControl& perimeter, std::string workspace, std::string name,
                Callbacks callbacks);

  void start();  // no effect unless down
  void stop(Reply<> reply);
  void when_ready(Reply<> reply);  // "egress.not_ready" after kReadyTimeoutMs
  // Policy or secrets have changed. Answers with the digest of the policy that is enforced from then on, or that
  // nothing is (saw-egress does not run; it starts with the new configuration).
  void configure(Reply<std::string> reply = {});
  void connect_perimeter();
  void on_exited();  // saw-node's event

  void bind(const std::string& channel, const egress::ChannelIdentity& identity, std::vector<Fd> sockets);
  void unbind(const std::string& channel);
  void answer(egress::ReviewVerdict verdict);

  State state() const { return state_; }
  const std::string& problem() const { return problem_; }

 private:
  struct Waiter {
    Reply<> reply;
    os::Loop::Timer timer;
  };
  void launch();
  void on_launched(std::vector<Fd> fds);
  void on_message(std::string payload);
  void on_configured(const egress::Configured& configured);
  void lost(std::string why);
  void release(Result<> result);
  void answer_configured(const Result<std::string>& result);
  void send(egress::ToEgress message, std::vector<Fd> fds = {});

  Plane& plane_;
  PerimeterControl& perimeter_;
  std::string workspace_, name_, problem_;
  Callbacks callbacks_;
  State state_ = State::down;
  bool wanted_ = false;
  uint64_t epoch_ = 0, launch_ = 0;
  os::Loop::Timer restart_timer_;
  std::vector<std::unique_ptr<Waiter>> waiters_;
  std::vector<Reply<std::string>> configuring_;  // wait for the answer to the last Configure
  os::Loop::Timer configure_timer_;
  std::unique_ptr<os::Link> link_;
  std::unique_ptr<AuditIntake> audit_;
  Alive alive_;
};

}  // namespace saw::control
