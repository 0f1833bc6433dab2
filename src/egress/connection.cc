#include "egress/connection.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "base/log.h"
#include "egress/channel_who.h"
#include "egress/client_hello.h"
#include "policy/address.h"

namespace saw::egress {
namespace {

constexpr uint16_t kDnsPort = 53;

std::optional<Ipv4> as_ipv4(const policy::Address& a) {
  constexpr policy::Address kMapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  if (!std::equal(kMapped.begin(), kMapped.begin() + 12, a.begin())) return std::nullopt;
  return Ipv4{a[12], a[13], a[14], a[15]};
}

}  // namespace

Connection::Connection(Services& services, const std::string& channel, const ChannelIdentity& who,
                       DnsAnswerer& dns, Fd accepted)
    : services_(services),
      channel_(channel),
      who_(who),
      dns_(dns),
      socket_(std::make_unique<Socket>(services.net, std::move(accepted))) {
  const int on = 1;
  ::setsockopt(socket_->fd(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  socket_->expire_after(kFirstBytesMs);
}

void Connection::close() {
  closed_ = true;
  // During a handshake the socket belongs to the stream that is being made; it expires within kFirstBytesMs.
  if (tunnel_) return tunnel_->cut("unbound");
  if (socket_ || agent_) socket().close();
  if (upstream_) upstream_->stream->socket().close();
}

void Connection::recheck() {
  if (passing_) {
    if (!may_still_pass()) tunnel_ ? tunnel_->cut("policy.changed") : close();
    return;
  }
  if (!admitted_ || !services_.config) return;
  const bool lasting = agent_ && agent_->still_admitted;
  if (!services_.config->policy.endpoint(to_.host, to_.port) || (lasting && !agent_->still_admitted()))
    close();
}

// A synthetic address stands for the name that was resolved to it; any other is the literal itself.
void Connection::lead_to(const policy::Address& address) {
  const auto v4 = as_ipv4(address);
  if (v4) to_.host = dns_.names().name_of(*v4);
  to_.literal = to_.host.empty();
  if (to_.literal) to_.host = policy::to_text(address);
}

bool Connection::find_destination() {
  auto meant = services_.seams.original_destination(socket_->fd());
  if (!meant) return false;
  to_.port = meant->port;
  lead_to(meant->address);
  return true;
}

// Looks at the first bytes without taking them. Edge-triggered waiting: only new bytes wake it.
Task<Connection::Speaks> Connection::peek() {
  std::string first(kMaxClientHello, '\0');
  while (socket_->is_open()) {
    ssize_t n = ::recv(socket_->fd(), first.data(), first.size(), MSG_PEEK);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) co_return Speaks::nothing;
    if (n > 0) {
      std::string_view seen(first.data(), static_cast<size_t>(n));
      ClientHello hello = parse_client_hello(seen);
      if (hello.state == ClientHello::State::malformed) co_return Speaks::unknown;
      if (hello.state == ClientHello::State::not_tls)
        co_return is_token(seen.substr(0, 1)) ? Speaks::plain : Speaks::unknown;
      if (hello.state == ClientHello::State::complete) {
        to_.sni = std::move(hello.server_name);
        to_.sealed_name = hello.encrypted;
        co_return Speaks::tls;
      }
    }
    co_await socket_->readable();
  }
  co_return Speaks::nothing;
}

Task<bool> Connection::start_tls() {
  // The leaf is for the name the client expects, so that it can read a refusal too; whether that name is the
  // right one is judged per request.
  auto context = services_.config->leaves.context_for(to_.sni.empty() ? to_.host : to_.sni);
  if (!context) {
    record_denied(context.error().code);
    socket_->reset();
    co_return false;
  }
  TlsResult stream = co_await accept_tls(std::move(socket_), **context);
  if (!stream) {
    record_denied(stream.error().code);
    co_return false;
  }
  if (closed_) co_return false;
  agent_.emplace(services_.net, std::move(*stream));
  co_return true;
}

Task<> Connection::run() {
  if (!services_.config) co_return socket_->reset();
  if (!find_destination()) {  // made straight to the listener, past the packet filter's redirection
    record_denied("network.not_captured");
    co_return socket_->reset();
  }
  if (to_.port == kDnsPort) co_return co_await serve_dns();
  if (!to_.literal && to_.host == kProxyName) co_return co_await serve_proxy();
  co_await go_on();
}

Task<> Connection::go_on() {
  const auto endpoint = services_.config->policy.endpoint(to_.host, to_.port);
  admitted_ = endpoint.has_value();
  if (endpoint && passes_unread(*endpoint)) co_return co_await pass_through(endpoint->tls);
  if (!admitted_) socket_->expire_after(kDeniedFirstBytesMs);
  Speaks speaks = co_await peek();
  if (speaks == Speaks::nothing || speaks == Speaks::unknown) {
    record_denied(admitted_ ? "network.not_http" : "policy.default_deny");
    co_return socket_->reset();
  }
  to_.tls = speaks == Speaks::tls;
  if (to_.tls) {
    if (!co_await start_tls()) co_return;
  } else {
    agent_.emplace(services_.net, plain_stream(std::move(socket_)));
  }
  co_await serve();
}

Task<> Connection::serve() {
  int exchanges = 0;
  while (true) {
    Exchange exchange(services_, who_, channel_, to_, *agent_, upstream_);
    Persistence persistence = co_await exchange.run();
    if (exchange.began()) ++exchanges;
    if (persistence == Persistence::close) break;
  }
  if (exchanges == 0) record_denied(admitted_ ? "network.no_request" : "policy.default_deny");
  co_await linger();
}

// Reads on for a moment after our last answer: closing with unread bytes would reset the connection and the
// answer with it.
Task<> Connection::linger() {
  upstream_.reset();
  agent_->in.stop_watching();
  if (agent_->stream->socket().is_open()) {
    co_await agent_->stream->finish();
    agent_->stream->socket().expire_after(kLingerMs);
    size_t drained = 0;
    while (drained < kMaxLingerBytes) {
      agent_->in.consume(agent_->in.view().size());
      if (co_await agent_->in.fill() != Inbound::Fill::more) break;
      drained += agent_->in.view().size();
    }
    agent_->stream->socket().close();
  }
  co_await agent_->in.settle();
}

Task<> Connection::serve_dns() {
  agent_.emplace(services_.net, plain_stream(std::move(socket_)));
  while (true) {
    agent_->stream->socket().expire_after(kFirstBytesMs);
    if (co_await agent_->in.fill() != Inbound::Fill::more) break;
    std::string_view bytes = agent_->in.view();
    const size_t before = bytes.size();
    auto replies = dns_.answer_stream(bytes);
    if (!replies) break;
    agent_->in.consume(before - bytes.size());
    if (!replies->empty() && !co_await agent_->stream->write(*replies)) break;
  }
  agent_->stream->socket().close();
}

void Connection::record_denied(std::string_view reason) {
  if (!services_.audit.has_room()) return;
  audit::NetworkActivity event = event_under(services_.config.get(), audit::Verdict::denied, reason);
  event.message = fmt::format("agent '{}' was denied a connection to {} port {} ({})", who_.agent, to_.host,
                              to_.port, reason);
  services_.audit.record(audit::network_activity(event));
}

audit::NetworkActivity Connection::event_under(const Config* config, audit::Verdict verdict,
                                               std::string_view reason) const {
  audit::NetworkActivity event;
  event.time = services_.net.clock.now();
  event.layer = audit::Layer::runtime;
  event.verdict = verdict;
  event.who = who(who_);
  event.reason = reason;
  if (config) event.policy_digest = digest_text(config->policy.digest());
  event.host = to_.host;
  event.port = to_.port;
  return event;
}

}  // namespace saw::egress
