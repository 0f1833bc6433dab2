#include "control/egress_control.h"

#include "base/log.h"

namespace saw::control {

using namespace egress;

EgressControl::EgressControl(Plane& plane, PerimeterControl& perimeter, std::string workspace,
                             std::string name, Callbacks callbacks)
    : plane_(plane),
      perimeter_(perimeter),
      workspace_(std::move(workspace)),
      name_(std::move(name)),
      callbacks_(std::move(callbacks)) {}

void EgressControl::start() {
  wanted_ = true;
  if (state_ == State::down) launch();
}

void EgressControl::launch() {
  state_ = State::starting;
  restart_timer_.cancel();
  plane_.node.request(sandbox::StartEgress{.workspace = workspace_},
                      alive_.guard([this, launch = ++launch_](Result<NodeClient::Answer> answer) {
                        if (launch != launch_ || !wanted_) return;
                        if (!answer) return lost("starting saw-egress: " + answer.error().message);
                        on_launched(std::move(answer->fds));
                      }));
}

void EgressControl::on_launched(std::vector<Fd> fds) {
  if (fds.size() != 2)
    return lost(fmt::format("saw-node sent {} descriptors with EgressStarted", fds.size()));
  auto control = os::Channel::adopt(std::move(fds[0])), audit = os::Channel::adopt(std::move(fds[1]));
  if (!control || !audit) return lost("saw-node sent no channels with EgressStarted");
  link_ = os::Link::open(
      plane_.loop, std::move(*control),
      {.on_message = [this](std::string payload, std::vector<Fd>) { on_message(std::move(payload)); },
       .on_close = [this](std::string why) { lost("its control link closed: " + why); }});
  audit_ = std::make_unique<AuditIntake>(plane_, fmt::format("saw-egress of workspace '{}'", name_),
                                         EventSource{.layer = "runtime", .workspace = workspace_},
                                         std::move(*audit), [] {});
  state_ = State::configuring;
  auto ledger = callbacks_.ledger();
  if (!ledger)  // what has a limit is refused then, request by request
    log_error("what workspace '{}' uses up cannot be counted: {}", name_, ledger.error().message);
  std::vector<Fd> file;
  if (ledger) file.push_back(std::move(*ledger));
  if (!file.empty()) send(UseLedger{}, std::move(file));
  configure();
  connect_perimeter();
}

void EgressControl::configure(Reply<std::string> reply) {
  if (!link_) {
    if (reply) reply(std::string());
    return;
  }
  if (reply) configuring_.push_back(std::move(reply));
  auto configuration = callbacks_.configuration();
  auto epoch = plane_.store.next("egress.epoch");
  if (!configuration || !epoch) {
    problem_ = configuration ? epoch.error().message : configuration.error().message;
    log_error("configuring saw-egress of workspace '{}': {}", name_, problem_);
    answer_configured(Error::make("egress.configuration", "{}", problem_));
    return release(Error::make("egress.configuration", "{}", problem_));
  }
  configuration->epoch = epoch_ = *epoch;
  send(std::move(*configuration));
  if (!configuring_.empty())
    configure_timer_ = plane_.loop.after(kReadyTimeoutMs, [this] {
      answer_configured(
          Error::make("egress.not_ready", "saw-egress of workspace '{}' does not answer", name_));
    });
}

void EgressControl::connect_perimeter() {
  if (!link_) return;
  std::optional<os::Channel> channel = perimeter_.connect(workspace_);
  if (!channel) return;  // on its next start
  std::vector<Fd> fds;
  fds.push_back(std::move(*channel).take());
  send(ConnectPerimeter{}, std::move(fds));
}

void EgressControl::send(ToEgress message, std::vector<Fd> fds) {
  if (link_) link_->send(wire::encode(message), std::move(fds));
}

void EgressControl::on_message(std::string payload) {
  auto message = wire::decode<FromEgress>(payload);
  if (!message) return lost("it sent a " + message.error().message);
  std::visit(
      [&]<class M>(M& body) {
        if constexpr (std::is_same_v<M, Configured>)
          on_configured(body);
        else if constexpr (std::is_same_v<M, ReviewAsk>)
          callbacks_.on_ask(std::move(body));
        else
          callbacks_.on_abandoned(body.ask);
      },
      *message);
}

void EgressControl::on_configured(const Configured& configured) {
  if (configured.epoch != epoch_) return;  // the answer to an older configuration
  problem_ = configured.error;
  if (problem_.empty())
    answer_configured(configured.policy_digest);
  else
    answer_configured(Error::make("egress.configuration", "{}", problem_));
  if (!problem_.empty()) {
    log_error("saw-egress of workspace '{}' refused its configuration: {}", name_, problem_);
    return release(Error::make("egress.configuration", "{}", problem_));
  }
  if (state_ != State::configuring) return;
  state_ = State::ready;
  callbacks_.on_ready();
  release({});
}

void EgressControl::lost(std::string why) {
  if (state_ == State::down) return;
  log_warning("saw-egress of workspace '{}': {}", name_, why);
  problem_ = std::move(why);
  state_ = State::down;
  answer_configured(std::string());  // nothing is enforced, because nothing gets out
  // The callback that brought us here may belong to this very link: it goes in the next turn.
  if (link_) plane_.loop.post([link = std::move(link_)] {});
  callbacks_.on_lost();
  if (wanted_)
    restart_timer_ = plane_.loop.after(kRestartDelayMs, [this] {
      if (wanted_ && state_ == State::down) launch();
    });
}

void EgressControl::on_exited() {
  lost("it ended");
}

void EgressControl::stop(Reply<> reply) {
  wanted_ = false;
  ++launch_;
  restart_timer_.cancel();
  if (state_ != State::down) callbacks_.on_lost();
  state_ = State::down;
  answer_configured(std::string());
  if (link_) plane_.loop.post([link = std::move(link_)] {});
  release(Error::make("egress.stopped", "saw-egress of workspace '{}' was stopped", name_));
  plane_.node.request(sandbox::StopEgress{.workspace = workspace_},
                      alive_.guard([reply = std::move(reply)](Result<NodeClient::Answer> answer) mutable {
                        if (!answer) return reply(std::unexpected(std::move(answer).error()));
                        reply({});
                      }));
}

void EgressControl::when_ready(Reply<> reply) {
  if (state_ == State::ready) return reply({});
  auto& waiter = *waiters_.emplace_back(std::make_unique<Waiter>(std::move(reply)));
  waiter.timer = plane_.loop.after(kReadyTimeoutMs, [this] {
    release(
        Error::make("egress.not_ready", "saw-egress of workspace '{}' is not ready: {}", name_, problem_));
  });
}

void EgressControl::release(Result<> result) {
  for (auto& waiter : std::exchange(waiters_, {})) waiter->reply(result);
}

void EgressControl::answer_configured(const Result<std::string>& result) {
  configure_timer_.cancel();
  for (Reply<std::string>& reply : std::exchange(configuring_, {})) reply(result);
}

void EgressControl::bind(const std::string& channel, const ChannelIdentity& identity,
                         std::vector<Fd> sockets) {
  if (state_ == State::ready) send(BindChannel{channel, identity}, std::move(sockets));
}

void EgressControl::unbind(const std::string& channel) {
  if (state_ == State::ready) send(UnbindChannel{channel});
}

void EgressControl::answer(ReviewVerdict verdict) {
  send(std::move(verdict));
}

}  // namespace saw::control
