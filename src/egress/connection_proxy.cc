// A program that insists on a proxy is told kProxyName, and says where it wants to go in a proxy's words. From there on nothing is
// different: the same destination judged by the same rules, and what comes inside a tunnel is looked at like any captured connection.
#include <array>

#include <sys/socket.h>

#include "egress/connection.h"
#include "policy/address.h"
#include "policy/host.h"

namespace saw::egress {
namespace {

Denial proxy_denial(uint16_t status, std::string code, std::string reason) {
  return {.status = status,
          .code = std::move(code),
          .reason = std::move(reason),
          .layer = "runtime",
          .rule = {},
          .ask = "ask the workspace's owner to add this destination to the policy",
          .review = {}};
}

bool same_host(std::string_view field, const ProxyTarget& target) {
  auto said = policy::parse_authority(field);
  return said && said->host.text() == target.host && (said->port == 0 || said->port == target.port);
}

}  // namespace

// More than `had` bytes of what has come, not taken yet; empty when no more comes.
Task<std::string> Connection::look(size_t had) {
  std::string seen(kMaxHeadBytes, '\0');
  while (socket_->is_open() && had < seen.size()) {
    const ssize_t n = ::recv(socket_->fd(), seen.data(), seen.size(), MSG_PEEK);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) break;
    if (n > 0 && static_cast<size_t>(n) > had) {
      seen.resize(static_cast<size_t>(n));
      co_return seen;
    }
    co_await socket_->readable();
  }
  co_return std::string();
}

bool Connection::take(size_t bytes) {
  std::string taken(bytes, '\0');
  return ::recv(socket_->fd(), taken.data(), bytes, 0) == static_cast<ssize_t>(bytes);
}

void Connection::lead_to(const ProxyTarget& target) {
  to_ = {};
  to_.port = target.port;
  if (auto address = policy::parse_address(target.host))
    lead_to(*address);
  else
    to_.host = target.host;
  admitted_ = services_.config->policy.endpoint(to_.host, to_.port).has_value();
}

Task<> Connection::serve_proxy() {
  const std::string first = co_await look(0);
  const bool request = !first.empty() && (first[0] == kSocksVersion || is_token(first.substr(0, 1)));
  if (!request) {
    record_denied(first.empty() ? "network.no_request" : "proxy.malformed");
    co_return socket_->reset();
  }
  if (first[0] == kSocksVersion) co_return co_await serve_socks();
  if (first.starts_with("CONNECT")) co_return co_await serve_connect();
  agent_.emplace(services_.net, plain_stream(std::move(socket_)));
  co_await serve_absolute();
}

Task<> Connection::serve_socks() {
  std::string seen;
  SocksGreeting greeting;
  while ((greeting = parse_socks_greeting(seen)).state == SocksGreeting::State::incomplete)
    if ((seen = co_await look(seen.size())).empty()) break;
  if (greeting.state != SocksGreeting::State::complete || !take(greeting.consumed)) {
    record_denied("proxy.malformed");
    co_return socket_->reset();
  }
  constexpr std::array<char, 2> kNoAuthentication = {kSocksVersion, 0},
                                kNoneAccepted = {kSocksVersion, '\xff'};
  const auto& answer = greeting.accepted ? kNoAuthentication : kNoneAccepted;
  if (!co_await send_all(*socket_, {answer.data(), answer.size()}) || !greeting.accepted) {
    record_denied("proxy.authentication");
    co_return socket_->reset();
  }
  seen.clear();
  ProxyTarget target;
  while ((target = parse_socks_request(seen)).state == ProxyTarget::State::incomplete)
    if ((seen = co_await look(seen.size())).empty()) break;
  const bool understood =
      target.state == ProxyTarget::State::complete || target.state == ProxyTarget::State::unsupported;
  if (!understood || !take(target.consumed)) {
    record_denied("proxy.malformed");
    co_return socket_->reset();
  }
  if (target.state == ProxyTarget::State::complete) lead_to(target);
  if (target.state == ProxyTarget::State::complete && admitted_) {
    if (co_await send_all(*socket_, socks_reply(SocksReply::granted))) co_await go_on();
    co_return;
  }
  const bool unsupported = target.state == ProxyTarget::State::unsupported;
  record_denied(unsupported ? "proxy.unsupported" : "policy.default_deny");
  co_await send_all(*socket_, socks_reply(unsupported ? SocksReply::unsupported : SocksReply::not_allowed));
  socket_->close();
}

Task<> Connection::serve_connect() {
  std::string seen;
  ParsedRequest parsed;
  while ((parsed = parse_request_head(seen)).state == HeadState::incomplete)
    if ((seen = co_await look(seen.size())).empty()) break;
  ProxyTarget target;
  std::optional<Denial> denial;
  if (parsed.state == HeadState::complete) target = parse_connect_target(parsed.head.target);
  const bool agrees = target.state == ProxyTarget::State::complete && parsed.head.framing == Framing::none &&
                      parsed.head.method == "CONNECT" &&
                      (parsed.head.host.empty() || same_host(parsed.head.host, target));
  if (!agrees) {
    denial = proxy_denial(400, "request.malformed", "malformed:connect");
  } else {
    lead_to(target);
    if (!admitted_)
      denial =
          proxy_denial(403, "policy.default_deny", "no network entry of the policy names this destination");
  }
  if (denial) {
    record_denied(denial->code);
    agent_.emplace(services_.net, plain_stream(std::move(socket_)));
    co_await agent_->stream->write(denial_response(*denial, "CONNECT", Persistence::close));
    co_return co_await linger();
  }
  if (take(parsed.consumed) && co_await send_all(*socket_, "HTTP/1.1 200 Connection established\r\n\r\n"))
    co_await go_on();
}

// Reads the next head, without taking it, for where it leads; false: there is none, or it leads nowhere.
Task<bool> Connection::next_absolute() {
  Socket& from = agent_->stream->socket();
  from.expire_after(ExchangeLimits::kIdleMs);
  const ParsedRequest parsed = co_await next_head(*agent_);
  if (parsed.state == HeadState::incomplete) co_return false;
  ProxyTarget target{.state = ProxyTarget::State::malformed, .consumed = 0, .host = {}, .port = 0};
  if (parsed.state == HeadState::complete) target = parse_absolute_target(parsed.head.target);
  if (target.state != ProxyTarget::State::complete) {
    record_denied("request.malformed");
    const Denial denial = proxy_denial(400, "request.malformed", "malformed:proxy-target");
    co_await agent_->stream->write(denial_response(denial, parsed.head.method, Persistence::close));
    co_return false;
  }
  const Destination before = to_;
  lead_to(target);
  // What was opened for one destination is never used for another.
  if (before.host != to_.host || before.port != to_.port) upstream_.reset();
  co_return true;
}

Task<> Connection::serve_absolute() {
  while (co_await next_absolute()) {
    Exchange exchange(services_, who_, channel_, to_, *agent_, upstream_);
    if (co_await exchange.run() == Persistence::close) break;
  }
  co_await linger();
}

}  // namespace saw::egress
