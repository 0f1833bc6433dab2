// The API on its Unix socket: HTTP/1.1 and the exec WebSocket, on the thread that runs the control plane's
// loop.
//
//   Server server(loop, control, std::move(listener));       // an inherited, listening Unix stream socket
//   std::string why = server.run();                          // until stop()
//
// Who asks is the kernel's answer (SO_PEERCRED), taken once for each connection. Bounds: Connections::kMax (connections.h),
// kMaxBody, kIdleSeconds between requests; a command's output is read only as fast as its client takes it.
#pragma once

#include <memory>

#include "control/control.h"
#include "os/loop.h"

namespace saw::api {

constexpr int kIdleSeconds = 60;

class Server {
 public:
  Server(os::Loop& loop, control::Control& control, Fd listener);
  ~Server();
  void run();
  void stop();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace saw::api
