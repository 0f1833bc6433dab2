// TLS (OpenSSL) over a Socket: towards the agent with a leaf of the workspace's CA, towards the internet with
// full verification.
//
//   auto store = SAW_TRY(UpstreamTls::create(trust_pem));
//   auto up = co_await store.connect(std::move(socket), "api.example.com");      // Error "upstream.tls":
//   which check failed auto issuer = SAW_TRY(LeafIssuer::create(ca_certificate_pem, ca_key_pem, clock)); auto
//   down = co_await accept_tls(std::move(socket), *issuer.context_for("api.example.com"));
//
// TLS 1.2 or later, ALPN http/1.1 only, no renegotiation. Upstream: chain to the given trust anchors, and the
// host name (or literal address) must match the certificate. Leaves: P-256, signed by the workspace's CA, at
// most kMaxLeaves cached, valid for kLeafDays.
#pragma once

#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/clock.h"
#include "egress/stream.h"

struct ssl_ctx_st;
struct x509_st;
struct evp_pkey_st;

namespace saw::egress {

struct TlsContextFree {
  void operator()(ssl_ctx_st*) const;
};
struct CertificateFree {
  void operator()(x509_st*) const;
};
struct KeyFree {
  void operator()(evp_pkey_st*) const;
};
using TlsContext = std::unique_ptr<ssl_ctx_st, TlsContextFree>;
using Certificate = std::unique_ptr<x509_st, CertificateFree>;
using PrivateKey = std::unique_ptr<evp_pkey_st, KeyFree>;

// A failed handshake: the socket is gone.
using TlsResult = Result<std::unique_ptr<Stream>>;

class UpstreamTls {
 public:
  static Result<UpstreamTls> create(std::string_view trust_pem);
  // `host`: what the certificate must name, a DNS name or an address literal.
  Task<TlsResult> connect(std::unique_ptr<Socket> socket, std::string host) const;

 private:
  explicit UpstreamTls(TlsContext context) : context_(std::move(context)) {}
  TlsContext context_;
};

class LeafIssuer {
 public:
  static constexpr size_t kMaxLeaves = 256;
  static constexpr int kLeafDays = 7;

  static Result<LeafIssuer> create(std::string_view ca_certificate_pem, std::string_view ca_key_pem,
                                   const Clock& clock);
  // Valid until the next call. `host`: lower case, a DNS name or an address literal.
  Result<ssl_ctx_st*> context_for(const std::string& host);
  size_t cached() const { return leaves_.size(); }

 private:
  struct Leaf {
    std::string host;
    TlsContext context;
    Nanos renew_at;
  };
  LeafIssuer(Certificate ca, PrivateKey ca_key, PrivateKey leaf_key, const Clock& clock);
  Result<Certificate> issue(const std::string& host) const;

  Certificate ca_;
  PrivateKey ca_key_, leaf_key_;  // one key for all leaves of this process: it never leaves it
  const Clock* clock_;
  std::list<Leaf> leaves_;  // most recently used first
  std::unordered_map<std::string, std::list<Leaf>::iterator> by_host_;
};

Task<TlsResult> accept_tls(std::unique_ptr<Socket> socket, ssl_ctx_st& context);

// Loads everything OpenSSL reads from disk or fetches lazily. Call before the process confines itself.
void prepare_tls();

}  // namespace saw::egress
