// sawd's side of the link to saw-node: requests with their answers matched by id, events by callback.
//
//   node.request(sandbox::StopSandbox{.sandbox = id}, [](Result<NodeClient::Answer> answer) { … });
//   NodeClient::Events: on_hello, on_exec_exited, on_sandbox_exited, on_egress_exited, on_perimeter_started,
//   on_lost
//
// A Failed answer arrives as an Error with saw-node's own code. When the link closes, on_lost is told once
// and open requests are never answered: sawd ends then, and the next one starts from the store (fail closed).
#pragma once

#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include "control/types.h"
#include "os/link.h"
#include "sandbox/node_protocol.h"

namespace saw::control {

class NodeClient {
 public:
  struct Answer {
    sandbox::FromNode message;
    std::vector<Fd> fds;
  };
  struct Events {
    std::move_only_function<void(const sandbox::NodeHello&)> on_hello;
    std::move_only_function<void(const sandbox::ExecExited&)> on_exec_exited;
    std::move_only_function<void(const sandbox::SandboxExited&)> on_sandbox_exited;
    std::move_only_function<void(const sandbox::EgressExited&)> on_egress_exited;
    std::move_only_function<void(std::vector<Fd>)> on_perimeter_started;
    std::move_only_function<void(std::string why)> on_lost;
  };

  NodeClient(os::Loop& loop, os::Channel channel, Events events);

  template <class Request> void request(Request request, Reply<Answer> reply) {
    request.request = ++last_request_;
    waiting_.emplace(request.request, std::move(reply));
    link_->send(wire::encode(sandbox::ToNode(std::move(request))));
  }
  void send(const sandbox::ToNode& message) { link_->send(wire::encode(message)); }

 private:
  void on_message(std::string payload, std::vector<Fd> fds);
  void answer(uint64_t request, Result<Answer> result);

  Events events_;
  uint64_t last_request_ = 0;
  std::unordered_map<uint64_t, Reply<Answer>> waiting_;
  std::unique_ptr<os::Link> link_;
};

}  // namespace saw::control
