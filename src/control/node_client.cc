#include "control/node_client.h"

#include "base/log.h"

namespace saw::control {

using namespace sandbox;

NodeClient::NodeClient(os::Loop& loop, os::Channel channel, Events events) : events_(std::move(events)) {
  link_ = os::Link::open(
      loop, std::move(channel),
      {.on_message = [this](std::string payload,
                            std::vector<Fd> fds) { on_message(std::move(payload), std::move(fds)); },
       .on_close = [this](std::string why) { events_.on_lost(std::move(why)); }});
}

void NodeClient::answer(uint64_t request, Result<Answer> result) {
  auto node = waiting_.extract(request);
  if (node.empty()) return log_warning("saw-node answered request {} that nobody made", request);
  node.mapped()(std::move(result));
}

void NodeClient::on_message(std::string payload, std::vector<Fd> fds) {
  auto message = wire::decode<FromNode>(payload);
  if (!message) return events_.on_lost("saw-node sent a " + message.error().message);
  std::visit(
      [&]<class M>(M& body) {
        if constexpr (std::is_same_v<M, NodeHello>)
          events_.on_hello(body);
        else if constexpr (std::is_same_v<M, ExecExited>)
          events_.on_exec_exited(body);
        else if constexpr (std::is_same_v<M, SandboxExited>)
          events_.on_sandbox_exited(body);
        else if constexpr (std::is_same_v<M, EgressExited>)
          events_.on_egress_exited(body);
        else if constexpr (std::is_same_v<M, PerimeterStarted>)
          events_.on_perimeter_started(std::move(fds));
        else if constexpr (std::is_same_v<M, Failed>)
          answer(body.request, std::unexpected(Error{body.code, body.message, 0}));
        else
          answer(body.request, Answer{std::move(body), std::move(fds)});
      },
      *message);
}

}  // namespace saw::control
