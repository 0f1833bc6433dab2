#include "control/cell.h"

#include "base/log.h"

namespace saw::control {

void Cell::start(sandbox::SandboxPlan plan, Reply<> reply) {
  if (state_ == State::up) return reply({});
  if (state_ != State::found) return build(std::move(plan), std::move(reply));
  state_ = State::starting;
  plane_.node.request(sandbox::GetSockets{.sandbox = sandbox_},
                      alive_.guard([this, plan = std::move(plan),
                                    reply = std::move(reply)](Result<NodeClient::Answer> answer) mutable {
                        if (!answer)
                          return build(std::move(plan), std::move(reply));  // it has ended meanwhile
                        on_sockets(std::move(*answer));
                        reply({});
                      }));
}

void Cell::build(sandbox::SandboxPlan plan, Reply<> reply) {
  state_ = State::starting;
  plan.id = sandbox_;
  plane_.node.request(
      sandbox::StartSandbox{.plan = std::move(plan)},
      alive_.guard([this, reply = std::move(reply)](Result<NodeClient::Answer> answer) mutable {
        if (!answer) {
          state_ = State::down;
          return reply(std::unexpected(std::move(answer).error()));
        }
        on_sockets(std::move(*answer));
        reply({});
      }));
}

void Cell::on_sockets(NodeClient::Answer answer) {
  if (state_ == State::starting) state_ = State::up;
  if (auto* started = std::get_if<sandbox::SandboxStarted>(&answer.message);
      started && !started->degraded.empty())
    degraded_ = started->degraded;
  if (state_ == State::up && use_ == ChannelUse::open)
    egress_.bind(sandbox_, identity_, std::move(answer.fds));
}

void Cell::came_up(std::vector<std::string> degraded, std::vector<Fd> sockets) {
  state_ = State::up;
  degraded_ = std::move(degraded);
  if (use_ == ChannelUse::open && !sockets.empty()) egress_.bind(sandbox_, identity_, std::move(sockets));
}

void Cell::rebind() {
  if (state_ != State::up || use_ == ChannelUse::closed || rebinding_) return;
  rebinding_ = true;
  plane_.node.request(sandbox::GetSockets{.sandbox = sandbox_},
                      alive_.guard([this](Result<NodeClient::Answer> answer) {
                        rebinding_ = false;
                        if (answer) return on_sockets(std::move(*answer));
                        log_warning("sandbox {} stays without network: {}", sandbox_, answer.error().message);
                      }));
}

void Cell::use_channel(ChannelUse use) {
  if (use_ == use) return;
  use_ = use;
  if (use == ChannelUse::closed)
    egress_.unbind(sandbox_);
  else
    rebind();
}

void Cell::stop(Reply<> reply) {
  egress_.unbind(sandbox_);
  state_ = State::stopping;
  plane_.node.request(
      sandbox::StopSandbox{.sandbox = sandbox_},
      alive_.guard([this, reply = std::move(reply)](Result<NodeClient::Answer> answer) mutable {
        if (!answer) return reply(std::unexpected(std::move(answer).error()));
        state_ = State::down;
        reply({});
      }));
}

}  // namespace saw::control
