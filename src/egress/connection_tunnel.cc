// Connections that pass unread: protocol: tcp and tls: passthrough. What can be judged is judged before the first byte goes out: the
// name that was resolved, the port, and for passthrough the name in the ClientHello, which must be there and be the same.
#include <sys/socket.h>

#include "egress/connection.h"

namespace saw::egress {
namespace {

constexpr uint64_t kSlotsOfATunnel = 2;  // its pipes need descriptors, like two connections more

// Counts in services.connections while it lives.
class MoreDescriptors {
 public:
  explicit MoreDescriptors(size_t& count) : count_(count) { count_ += kSlotsOfATunnel; }
  ~MoreDescriptors() { count_ -= kSlotsOfATunnel; }
  MoreDescriptors(const MoreDescriptors&) = delete;
  MoreDescriptors& operator=(const MoreDescriptors&) = delete;

 private:
  size_t& count_;
};

}  // namespace

policy::Decision Connection::judge_connection(const Config& config) const {
  return config.policy.decide({.kind = policy::Request::Kind::tcp,
                               .host = to_.host,
                               .port = to_.port,
                               .tls = to_.tls,
                               .sni = to_.sni,
                               .time = services_.net.clock.now(),
                               .agent = who_.agent});
}

// false: this is no TLS client, or one whose name cannot be believed.
Task<bool> Connection::name_in_hello() {
  if (co_await peek() != Speaks::tls) {
    record_denied("tls.required");
    co_return false;
  }
  to_.tls = true;
  if (to_.sealed_name) {
    record_denied("tls.encrypted_hello");
    co_return false;
  }
  co_return true;
}

Task<> Connection::pass_through(policy::TlsMode tls) {
  if (tls == policy::TlsMode::passthrough && !co_await name_in_hello()) co_return socket_->reset();
  Passing passing{.config = services_.config, .rule = {}, .reason = {}, .entry = {}, .ranges = {}};
  passing_ = &passing;
  std::optional<std::string> refusal = co_await admit_passing(passing);
  if (!refusal) co_await run_tunnel(passing);
  passing_ = nullptr;
  if (!refusal) co_return;
  record_denied(*refusal);
  socket_->reset();
}

// A stable code when it may not pass.
Task<std::optional<std::string>> Connection::admit_passing(Passing& passing) {
  const bool recordable = co_await services_.audit.room();
  if (!recordable) co_return "audit.unavailable";
  const policy::Decision decision = judge_connection(*passing.config);
  // Only labels can ask a person about a connection, and nothing labels process trees yet.
  if (decision.effect == policy::Effect::review) co_return "review.not_available";
  if (decision.effect == policy::Effect::deny)
    co_return decision.rule.empty() && decision.reason == "default-deny" ? "policy.default_deny"
                                                                         : std::string(decision.reason);
  passing.rule = decision.rule;
  passing.reason = decision.reason;
  passing.entry = decision.entry;
  if (auto endpoint = passing.config->policy.endpoint(to_.host, to_.port))
    for (const policy::AddressRange& range : endpoint->addresses) passing.ranges.push_back(range_text(range));
  co_return std::nullopt;
}

// By the policy that is loaded now.
bool Connection::may_still_pass() const {
  const Config& now = *services_.config;
  auto endpoint = now.policy.endpoint(to_.host, to_.port);
  if (!endpoint || !passes_unread(*endpoint)) return false;
  const policy::Decision decision = judge_connection(now);
  return decision.effect == policy::Effect::allow && decision.entry == passing_->entry;
}

Task<> Connection::run_tunnel(Passing& passing) {
  auto refuse = [this](std::string_view code) {
    record_denied(code);
    socket_->reset();
  };
  // Limits are the present policy's, also for what was opened under another.
  auto subject = [&] { return services_.config->subject(who_.agent, passing.entry); };
  auto place = services_.allowance.admit(subject());
  if (!place) co_return refuse(place.error().code);
  const uint64_t number = record_passing(passing);
  const bool wait = policy::recording(passing.config->policy.profile()) == policy::Recording::before;
  if (wait && !co_await services_.audit.durable(number)) co_return refuse("audit.unavailable");
  Dialer::Outcome dialed = co_await services_.dialer.dial(
      {.host = to_.host, .port = to_.port, .ranges = passing.ranges, .trace = who_.trace});
  if (!dialed) co_return refuse(dialed.error().code);
  if (services_.config != passing.config && !may_still_pass()) co_return refuse("policy.changed");
  if (!socket_->is_open() || closed_) co_return refuse("unbound");
  MoreDescriptors descriptors(services_.connections);
  Socket upstream(services_.net, std::move(dialed->socket));
  Tunnel tunnel(services_.net, services_.pipes, *socket_, upstream,
                [&](uint64_t bytes) -> std::optional<std::string> {
                  auto excess = services_.allowance.spend_upload(subject(), bytes);
                  if (!excess) return std::nullopt;
                  return std::move(excess->code);
                });
  if (to_.tls) tunnel.watch(HelloGuard(to_.host));
  tunnel_ = &tunnel;
  co_await tunnel.run();
  tunnel_ = nullptr;
  const bool cut = tunnel.why().find('.') != std::string::npos;  // by a rule of ours
  audit::NetworkActivity event =
      event_of(passing, cut ? audit::Verdict::denied : audit::Verdict::none, tunnel.why());
  event.activity = audit::NetworkActivity::Activity::close;
  event.bytes_out = tunnel.bytes_out();
  event.bytes_in = tunnel.bytes_in();
  event.message = fmt::format("the connection of agent '{}' to {} port {} ended ({}): {} bytes out, {} in",
                              who_.agent, to_.host, to_.port, tunnel.why(), event.bytes_out, event.bytes_in);
  services_.audit.record(audit::network_activity(event));
}

uint64_t Connection::record_passing(const Passing& passing) {
  audit::NetworkActivity event = event_of(passing, audit::Verdict::allowed, passing.reason);
  event.message = fmt::format("agent '{}' was allowed a connection to {} port {} ({})", who_.agent, to_.host,
                              to_.port, passing.reason);
  return services_.audit.record(audit::network_activity(event));
}

audit::NetworkActivity Connection::event_of(const Passing& passing, audit::Verdict verdict,
                                            std::string_view reason) const {
  audit::NetworkActivity event = event_under(passing.config.get(), verdict, reason);
  event.rule = passing.rule;
  event.protocol = to_.tls ? "tls" : "tcp";
  return event;
}

}  // namespace saw::egress
