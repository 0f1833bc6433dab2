// saw-egress as an object: what comes over the control link is done, until that link closes.
//
//   Engine engine(loop, clock, {.on_end = [&](std::string why) { loop.stop(); }});
//   engine.open(std::move(control), std::move(audit));      // egress_protocol.h
//   loop.run();
//
// The order of messages is free but for one thing: until a Configure was applied, every connection and every
// name is refused. on_configured is called once, before the answer to the first Configure that was applied:
// saw-egress confines itself there.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "egress/binding.h"
#include "os/link.h"

namespace saw::egress {

class Engine {
 public:
  static constexpr size_t kMaxChannels = 4096;
  struct Callbacks {
    std::move_only_function<Result<>()> on_configured;      // an error ends the engine
    std::move_only_function<void(std::string why)> on_end;  // sawd has gone, or broke the protocol: exit
  };

  Engine(os::Loop& loop, const Clock& clock, Callbacks callbacks, Seams seams = {});
  ~Engine();
  void open(os::Channel control, os::Channel audit);
  // Closes every channel; their coroutines end as the loop runs.
  void close_all();
  bool is_idle() const { return services_.net.is_idle(); }  // nothing is open any more

 private:
  void on_control(std::string payload, std::vector<Fd> fds);
  void on_audit(std::string payload);
  void handle(Configure message, std::vector<Fd> fds);
  void handle(UseLedger message, std::vector<Fd> fds);
  void handle(ConnectPerimeter message, std::vector<Fd> fds);
  void handle(BindChannel message, std::vector<Fd> fds);
  void handle(UnbindChannel message, std::vector<Fd> fds);
  void handle(ReviewVerdict message, std::vector<Fd> fds);
  void tell(FromEgress message);
  void end(std::string why);

  Callbacks callbacks_;
  std::unique_ptr<os::Link> control_, audit_;
  Services services_;
  std::map<std::string, std::shared_ptr<Binding>> bindings_;
  bool configured_ = false, ended_ = false;
};

}  // namespace saw::egress
