#include "egress/engine.h"

#include "base/log.h"

namespace saw::egress {

Engine::Engine(os::Loop& loop, const Clock& clock, Callbacks callbacks, Seams seams)
    : callbacks_(std::move(callbacks)),
      services_{.net = {loop, clock},
                .seams = std::move(seams),
                .audit = {services_.net,
                          [this](std::string message) {
                            if (audit_) audit_->send(std::move(message));
                          }},
                .reviews = {services_.net, [this](FromEgress message) { tell(std::move(message)); }},
                .dialer = Dialer(services_.net),
                .allowance = Allowance(clock),
                .config = nullptr} {}

Engine::~Engine() = default;

void Engine::open(os::Channel control, os::Channel audit) {
  auto& loop = services_.net.loop;
  control_ = os::Link::open(
      loop, std::move(control),
      {.on_message = [this](std::string payload,
                            std::vector<Fd> fds) { on_control(std::move(payload), std::move(fds)); },
       .on_close = [this](std::string why) { end("the control link ended: " + why); }});
  audit_ = os::Link::open(
      loop, std::move(audit),
      {.on_message = [this](std::string payload, std::vector<Fd>) { on_audit(std::move(payload)); },
       .on_close = [this](std::string why) { end("the audit link ended: " + why); }});
}

void Engine::close_all() {
  for (auto& [name, binding] : bindings_) binding->close();
  bindings_.clear();
}

void Engine::end(std::string why) {
  if (std::exchange(ended_, true)) return;
  close_all();
  callbacks_.on_end(std::move(why));
}

void Engine::tell(FromEgress message) {
  if (control_) control_->send(wire::encode(message));
}

void Engine::on_control(std::string payload, std::vector<Fd> fds) {
  auto message = wire::decode<ToEgress>(payload);
  if (!message) return end(message.error().message);
  std::visit([&](auto& body) { handle(std::move(body), std::move(fds)); }, *message);
}

void Engine::on_audit(std::string payload) {
  auto message = wire::decode<AuditMessage>(payload);
  auto* ack = message ? std::get_if<AuditAck>(&*message) : nullptr;
  if (!ack) return end("the audit link carried something else than an acknowledgement");
  services_.audit.acknowledge(ack->sequence);
}

void Engine::handle(Configure message, std::vector<Fd>) {
  Configured answer{.epoch = message.epoch, .policy_digest = {}, .error = {}};
  if (services_.config && message.epoch <= services_.config->epoch) {
    answer.error = fmt::format("epoch {} is not after {}", message.epoch, services_.config->epoch);
    return tell(answer);
  }
  auto config = Config::create(std::move(message), services_.net.clock, services_.config.get());
  if (!config) {  // the one before stays: a bad update changes nothing (R68)
    answer.error = config.error().message;
    return tell(answer);
  }
  if (!std::exchange(configured_, true) && callbacks_.on_configured) {
    if (auto ready = callbacks_.on_configured(); !ready) return end(ready.error().message);
  }
  services_.config = std::move(*config);
  answer.policy_digest = digest_text(services_.config->policy.digest());
  for (auto& [name, binding] : bindings_) binding->recheck();
  tell(answer);
}

// What was counted before this process was there goes on counting.
void Engine::handle(UseLedger, std::vector<Fd> fds) {
  if (fds.size() != 1 || services_.ledger) return end("UseLedger came without its descriptor, or twice");
  auto map = os::SharedMap::create(fds[0], Allowance::kLedgerBytes);
  if (!map) return end(map.error().message);
  services_.ledger = std::move(*map);
  if (auto used = services_.allowance.use(services_.ledger->bytes()); !used) end(used.error().message);
}

void Engine::handle(ConnectPerimeter, std::vector<Fd> fds) {
  if (fds.size() != 1) return end("ConnectPerimeter came without its descriptor");
  auto channel = os::Channel::adopt(std::move(fds[0]));
  if (!channel) return end(channel.error().message);
  services_.dialer.attach(std::move(*channel));
}

void Engine::handle(BindChannel message, std::vector<Fd> fds) {
  if (fds.size() != 2) return end("BindChannel came without its two descriptors");
  if (bindings_.contains(message.channel))
    return end(fmt::format("channel '{}' is bound already", message.channel));
  if (bindings_.size() >= kMaxChannels) return end("too many channels");
  auto binding = std::make_shared<Binding>(services_, message.channel, std::move(message.identity),
                                           std::move(fds[0]), std::move(fds[1]));
  bindings_.emplace(std::move(message.channel), binding);
  binding->start();
}

void Engine::handle(UnbindChannel message, std::vector<Fd>) {
  auto found = bindings_.find(message.channel);
  if (found == bindings_.end()) return;  // it may have ended by itself
  found->second->close();
  bindings_.erase(found);
}

void Engine::handle(ReviewVerdict message, std::vector<Fd>) {
  services_.reviews.on_verdict(std::move(message));
}

}  // namespace saw::egress
