// One captured TCP connection of a sandbox, from accept to close: where it was meant to go, TLS with our
// leaf, then exchange after exchange.
//
//   auto connection = std::make_shared<Connection>(services, binding_view, std::move(accepted));
//   spawn(Connection::run(connection, …));
//
// What speaks neither HTTP nor TLS, or never says anything, is reset and recorded as network activity. Where the policy says
// `protocol: tcp` or `tls: passthrough` the connection becomes a Tunnel (connection_tunnel.cc).
#pragma once

#include <memory>
#include <string>

#include "egress/dns_answerer.h"
#include "egress/exchange.h"
#include "egress/proxy_request.h"
#include "egress/tunnel.h"
#include "policy/address.h"

namespace saw::egress {

class Connection {
 public:
  static constexpr int64_t kFirstBytesMs = 15'000, kLingerMs = 2'000;
  // Where nothing can be admitted, only long enough for a client that speaks first to get its answer: ssh
  // waits for the server.
  static constexpr int64_t kDeniedFirstBytesMs = 2'000;
  static constexpr size_t kMaxLingerBytes = 1u << 20;

  Connection(Services& services, const std::string& channel, const ChannelIdentity& who, DnsAnswerer& dns,
             Fd accepted);
  Task<> run();
  void close();
  // Closes it if the policy that is loaded now names its destination no more.
  void recheck();

 private:
  enum class Speaks : uint8_t { nothing, tls, plain, unknown };
  Task<Speaks> peek();
  bool find_destination();
  Task<bool> start_tls();
  Task<> serve();
  Task<> serve_dns();
  Task<> linger();
  void record_denied(std::string_view reason);
  audit::NetworkActivity event_under(const Config* config, audit::Verdict verdict,
                                     std::string_view reason) const;

  Task<> go_on();  // once it is known where it leads

  // A program that insists on a proxy (connection_proxy.cc)
  Task<> serve_proxy();
  Task<> serve_socks();
  Task<> serve_connect();
  Task<> serve_absolute();
  Task<std::string> look(size_t had);
  bool take(size_t bytes);
  void lead_to(const ProxyTarget& target);
  void lead_to(const policy::Address& address);
  Task<bool> next_absolute();

  // What is passed on unread (connection_tunnel.cc)
  struct Passing {  // as it was judged
    std::shared_ptr<Config> config;
    std::string rule, reason, entry;
    std::vector<std::string> ranges;
  };
  Task<> pass_through(policy::TlsMode tls);
  Task<bool> name_in_hello();
  policy::Decision judge_connection(const Config& config) const;
  Task<std::optional<std::string>> admit_passing(Passing& passing);
  Task<> run_tunnel(Passing& passing);
  bool may_still_pass() const;
  uint64_t record_passing(const Passing& passing);
  audit::NetworkActivity event_of(const Passing& passing, audit::Verdict verdict,
                                  std::string_view reason) const;

  Socket& socket() { return agent_ ? agent_->stream->socket() : *socket_; }

  Services& services_;
  const std::string& channel_;
  const ChannelIdentity& who_;
  DnsAnswerer& dns_;
  std::unique_ptr<Socket> socket_;  // until agent_ takes it
  std::optional<AgentSide> agent_;
  std::unique_ptr<UpstreamSide> upstream_;
  const Passing* passing_ = nullptr;
  Tunnel* tunnel_ = nullptr;
  Destination to_;
  bool admitted_ = false, closed_ = false;
};

}  // namespace saw::egress
