#include "egress/dialer.h"

#include "base/log.h"

namespace saw::egress {

void Dialer::attach(os::Channel perimeter) {
  lose();
  link_ = os::Link::open(
      net_.loop, std::move(perimeter),
      {.on_message = [this](std::string payload,
                            std::vector<Fd> fds) { on_answer(std::move(payload), std::move(fds)); },
       .on_close = [this](std::string) { lose(); }});
}

void Dialer::lose() {
  link_.reset();
  for (auto& [request, waiting] : pending_) {
    waiting->outcome = Error::make("perimeter.unavailable", "the perimeter is not running");
    waiting->answered.open();
  }
  pending_.clear();
}

void Dialer::settle(uint64_t request, Outcome outcome) {
  auto found = pending_.find(request);
  if (found == pending_.end()) return;  // timed out: the socket closes with `outcome`
  found->second->outcome = std::move(outcome);
  found->second->answered.open();
  pending_.erase(found);
}

void Dialer::on_answer(std::string payload, std::vector<Fd> fds) {
  auto answer = wire::decode<DialAnswer>(payload);
  if (!answer) {
    log_error("saw-perimeter sent something malformed: {}", answer.error().message);
    return lose();
  }
  if (auto* dialed = std::get_if<Dialed>(&*answer)) {
    if (fds.size() != 1)
      return settle(dialed->request,
                    Error::make("perimeter.protocol", "the perimeter's answer came without a socket"));
    return settle(dialed->request, Connected{std::move(fds[0]), std::move(dialed->address)});
  }
  auto& refused = std::get<DialRefused>(*answer);
  settle(refused.request, std::unexpected(Error{std::move(refused.code), std::move(refused.message)}));
}

Task<Dialer::Outcome> Dialer::dial(Dial request) {
  if (!link_) co_return Error::make("perimeter.unavailable", "the perimeter is not running");
  if (pending_.size() >= kMaxDialsInFlight)
    co_return Error::make("perimeter.busy", "{} connections are being opened already", pending_.size());
  request.request = next_++;
  Pending mine(net_);
  pending_.emplace(request.request, &mine);
  link_->send(wire::encode(DialRequest{request}));
  if (co_await mine.answered.wait(kDialTimeoutMs) == Gate::Wake::timed_out) pending_.erase(request.request);
  co_return std::move(mine.outcome);
}

}  // namespace saw::egress
