#include "egress/tls.h"

#include <optional>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "policy/address.h"

namespace saw::egress {
namespace {

struct SslFree {
  void operator()(SSL* s) const { SSL_free(s); }
};
using Ssl = std::unique_ptr<SSL, SslFree>;

constexpr unsigned char kAlpnHttp11[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};

std::string last_tls_error() {
  unsigned long code = ERR_peek_last_error();
  ERR_clear_error();
  const char* reason = code != 0 ? ERR_reason_error_string(code) : nullptr;
  return reason != nullptr ? reason : "the peer closed the connection";
}

class TlsStream final : public Stream {
 public:
  TlsStream(std::unique_ptr<Socket> socket, Ssl ssl) : socket_(std::move(socket)), ssl_(std::move(ssl)) {
    SSL_set_fd(ssl_.get(), socket_->fd());
  }

  // Runs `step` (SSL_read and the like) until it succeeds; false when it cannot.
  template <class Step> Task<bool> drive(Step step) {
    co_await socket_->take_turn();
    while (socket_->is_open()) {
      ERR_clear_error();
      int result = step();
      if (result > 0) co_return true;
      int error = SSL_get_error(ssl_.get(), result);
      if (error == SSL_ERROR_WANT_READ)
        co_await socket_->readable();
      else if (error == SSL_ERROR_WANT_WRITE)
        co_await socket_->writable();
      else
        co_return false;
    }
    co_return false;
  }

  Task<bool> handshake() {
    return drive([ssl = ssl_.get()] { return SSL_do_handshake(ssl); });
  }

  Task<Got> read(std::span<char> into) override {
    size_t n = 0;
    bool ok = co_await drive(
        [ssl = ssl_.get(), into, &n] { return SSL_read_ex(ssl, into.data(), into.size(), &n); });
    if (ok) co_return Got{Outcome::data, n};
    // Only close_notify is an end: a cut connection must not pass for a complete answer (truncation attack).
    co_return Got{SSL_get_shutdown(ssl_.get()) & SSL_RECEIVED_SHUTDOWN ? Outcome::end : Outcome::failed, 0};
  }

  Task<bool> write(std::string_view data) override {
    while (!data.empty()) {
      size_t n = 0;
      bool ok = co_await drive(
          [ssl = ssl_.get(), data, &n] { return SSL_write_ex(ssl, data.data(), data.size(), &n); });
      if (!ok) co_return false;
      data.remove_prefix(n);
    }
    co_return socket_->is_open();
  }

  Task<> finish() override {
    if (!socket_->is_open() || !SSL_is_init_finished(ssl_.get())) co_return;
    ERR_clear_error();
    SSL_shutdown(ssl_.get());  // best effort: a full buffer loses the notice, which the peer survives
    ERR_clear_error();
  }
  bool holds_unread() const override { return SSL_has_pending(ssl_.get()) != 0; }  // read-ahead takes records
  Socket& socket() override { return *socket_; }
  SSL* ssl() { return ssl_.get(); }

 private:
  std::unique_ptr<Socket> socket_;
  Ssl ssl_;
};

void set_common_options(SSL_CTX* context) {
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_read_ahead(context, 1);
}

Result<std::vector<Certificate>> read_certificates(std::string_view pem) {
  std::unique_ptr<BIO, decltype(&BIO_free)> in(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())),
                                               BIO_free);
  std::vector<Certificate> out;
  while (X509* one = PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr)) out.emplace_back(one);
  ERR_clear_error();  // the end of the text reads as an error
  if (out.empty()) return Error::make("egress.certificates", "the PEM text holds no certificate");
  return out;
}

}  // namespace

void TlsContextFree::operator()(ssl_ctx_st* p) const {
  SSL_CTX_free(p);
}
void CertificateFree::operator()(x509_st* p) const {
  X509_free(p);
}
void KeyFree::operator()(evp_pkey_st* p) const {
  EVP_PKEY_free(p);
}

void prepare_tls() {
  OPENSSL_init_ssl(
      OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_LOAD_SSL_STRINGS | OPENSSL_INIT_LOAD_CRYPTO_STRINGS,
      nullptr);
  TlsContext warm(SSL_CTX_new(TLS_method()));
  SAW_CHECK(warm != nullptr);
  random_bytes(1);
}

Result<UpstreamTls> UpstreamTls::create(std::string_view trust_pem) {
  TlsContext context(SSL_CTX_new(TLS_client_method()));
  if (!context) return Error::make("egress.tls", "creating a TLS context: {}", last_tls_error());
  set_common_options(context.get());
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_alpn_protos(context.get(), kAlpnHttp11, sizeof kAlpnHttp11);
  std::vector<Certificate> anchors = SAW_TRY(read_certificates(trust_pem), "reading the trust anchors");
  for (const Certificate& anchor : anchors)
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context.get()), anchor.get());
  return UpstreamTls(std::move(context));
}

Task<TlsResult> UpstreamTls::connect(std::unique_ptr<Socket> socket, std::string host) const {
  Ssl ssl(SSL_new(context_.get()));
  SAW_CHECK(ssl != nullptr);
  X509_VERIFY_PARAM* checks = SSL_get0_param(ssl.get());
  bool named = false;
  if (policy::parse_address(host)) {
    named = X509_VERIFY_PARAM_set1_ip_asc(checks, host.c_str()) == 1;
  } else {
    X509_VERIFY_PARAM_set_hostflags(checks, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    named = X509_VERIFY_PARAM_set1_host(checks, host.c_str(), host.size()) == 1 &&
            SSL_set_tlsext_host_name(ssl.get(), host.c_str()) == 1;
  }
  if (!named) co_return Error::make("upstream.tls", "'{}' cannot be verified by TLS", host);
  SSL_set_connect_state(ssl.get());
  auto stream = std::make_unique<TlsStream>(std::move(socket), std::move(ssl));
  if (co_await stream->handshake()) co_return std::unique_ptr<Stream>(std::move(stream));
  long verdict = SSL_get_verify_result(stream->ssl());
  std::string why = last_tls_error();
  if (verdict != X509_V_OK) why = X509_verify_cert_error_string(verdict);
  co_return Error::make("upstream.tls", "TLS with '{}' failed: {}", host, why);
}

Task<TlsResult> accept_tls(std::unique_ptr<Socket> socket, ssl_ctx_st& context) {
  Ssl ssl(SSL_new(&context));
  SAW_CHECK(ssl != nullptr);
  SSL_set_accept_state(ssl.get());
  auto stream = std::make_unique<TlsStream>(std::move(socket), std::move(ssl));
  if (co_await stream->handshake()) co_return std::unique_ptr<Stream>(std::move(stream));
  co_return Error::make("agent.tls", "the TLS handshake with the agent's program failed: {}",
                        last_tls_error());
}

// ---- leaves

namespace {

// http/1.1 if the client offers it; a client that offers only other protocols is refused rather than
// misunderstood.
int choose_http11(SSL*, const unsigned char** out, unsigned char* out_length, const unsigned char* offered,
                  unsigned offered_length, void*) {
  unsigned char* chosen = nullptr;
  if (SSL_select_next_proto(&chosen, out_length, kAlpnHttp11, sizeof kAlpnHttp11, offered, offered_length) !=
      OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

bool add_extension(X509* leaf, X509* ca, int kind, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, ca, leaf, nullptr, nullptr, 0);
  std::unique_ptr<X509_EXTENSION, decltype(&X509_EXTENSION_free)> extension(
      X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str()), X509_EXTENSION_free);
  return extension && X509_add_ext(leaf, extension.get(), -1) == 1;
}

// What a name may consist of before it is put into OpenSSL's extension syntax, where ',' and ':' have a
// meaning.
bool is_plain_name(std::string_view host) {
  return !host.empty() && host.size() <= 253 &&
         host.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-_.") == std::string_view::npos;
}

std::optional<std::string> alternative_name(const std::string& host) {
  if (auto address = policy::parse_address(host)) return "IP:" + policy::to_text(*address);
  if (is_plain_name(host)) return "DNS:" + host;
  return std::nullopt;
}

bool set_identity(X509* leaf, X509* ca, EVP_PKEY* key) {
  std::string serial = random_bytes(16);
  serial[0] = static_cast<char>(serial[0] & 0x7f);
  std::unique_ptr<BIGNUM, decltype(&BN_free)> number(
      BN_bin2bn(reinterpret_cast<const unsigned char*>(serial.data()), 16, nullptr), BN_free);
  X509_NAME* subject = X509_get_subject_name(leaf);
  return number && BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(leaf)) &&
         X509_set_version(leaf, X509_VERSION_3) &&
         X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                                    reinterpret_cast<const unsigned char*>("SAW egress"), -1, -1, 0) &&
         X509_set_issuer_name(leaf, X509_get_subject_name(ca)) && X509_set_pubkey(leaf, key);
}

}  // namespace

LeafIssuer::LeafIssuer(Certificate ca, PrivateKey ca_key, PrivateKey leaf_key, const Clock& clock)
    : ca_(std::move(ca)), ca_key_(std::move(ca_key)), leaf_key_(std::move(leaf_key)), clock_(&clock) {}

Result<LeafIssuer> LeafIssuer::create(std::string_view ca_certificate_pem, std::string_view ca_key_pem,
                                      const Clock& clock) {
  auto certificates = SAW_TRY(read_certificates(ca_certificate_pem), "reading the workspace's CA");
  std::unique_ptr<BIO, decltype(&BIO_free)> in(
      BIO_new_mem_buf(ca_key_pem.data(), static_cast<int>(ca_key_pem.size())), BIO_free);
  PrivateKey ca_key(PEM_read_bio_PrivateKey(in.get(), nullptr, nullptr, nullptr));
  if (!ca_key)
    return Error::make("egress.ca_key", "the workspace CA's key is not a PEM private key: {}",
                       last_tls_error());
  if (X509_check_private_key(certificates[0].get(), ca_key.get()) != 1)
    return Error::make("egress.ca_key", "the workspace CA's key does not fit its certificate");
  PrivateKey leaf_key(EVP_EC_gen("P-256"));
  if (!leaf_key) return Error::make("egress.leaf_key", "making a P-256 key: {}", last_tls_error());
  return LeafIssuer(std::move(certificates[0]), std::move(ca_key), std::move(leaf_key), clock);
}

Result<Certificate> LeafIssuer::issue(const std::string& host) const {
  auto name = alternative_name(host);
  if (!name) return Error::make("egress.leaf_name", "no certificate can be made for this host name");
  Certificate leaf(X509_new());
  time_t now = static_cast<time_t>(clock_->now() / kSecond);
  constexpr long kBackdate = -3600, kDay = 86'400;  // for a sandbox whose clock is behind
  bool ok = leaf && set_identity(leaf.get(), ca_.get(), leaf_key_.get()) &&
            X509_time_adj_ex(X509_getm_notBefore(leaf.get()), 0, kBackdate, &now) &&
            X509_time_adj_ex(X509_getm_notAfter(leaf.get()), 0, kLeafDays * kDay, &now) &&
            add_extension(leaf.get(), ca_.get(), NID_basic_constraints, "critical,CA:FALSE") &&
            add_extension(leaf.get(), ca_.get(), NID_key_usage, "critical,digitalSignature") &&
            add_extension(leaf.get(), ca_.get(), NID_ext_key_usage, "serverAuth") &&
            add_extension(leaf.get(), ca_.get(), NID_subject_key_identifier, "hash") &&
            add_extension(leaf.get(), ca_.get(), NID_authority_key_identifier, "keyid,issuer") &&
            add_extension(leaf.get(), ca_.get(), NID_subject_alt_name, *name);
  // An Ed25519 key signs without a digest of its own.
  const EVP_MD* digest = EVP_PKEY_is_a(ca_key_.get(), "ED25519") ? nullptr : EVP_sha256();
  if (!ok || X509_sign(leaf.get(), ca_key_.get(), digest) == 0)
    return Error::make("egress.leaf", "issuing a certificate: {}", last_tls_error());
  return leaf;
}

Result<ssl_ctx_st*> LeafIssuer::context_for(const std::string& host) {
  const Nanos now = clock_->now();
  if (auto found = by_host_.find(host); found != by_host_.end()) {
    if (found->second->renew_at > now) {
      leaves_.splice(leaves_.begin(), leaves_, found->second);
      return found->second->context.get();
    }
    leaves_.erase(found->second);
    by_host_.erase(found);
  }
  Certificate leaf = SAW_TRY(issue(host));
  TlsContext context(SSL_CTX_new(TLS_server_method()));
  if (!context) return Error::make("egress.tls", "creating a TLS context: {}", last_tls_error());
  set_common_options(context.get());
  SSL_CTX_set_num_tickets(context.get(), 1);
  SSL_CTX_set_alpn_select_cb(context.get(), choose_http11, nullptr);
  if (SSL_CTX_use_certificate(context.get(), leaf.get()) != 1 ||
      SSL_CTX_use_PrivateKey(context.get(), leaf_key_.get()) != 1 ||
      SSL_CTX_add1_chain_cert(context.get(), ca_.get()) != 1)
    return Error::make("egress.tls", "loading the leaf: {}", last_tls_error());
  if (leaves_.size() >= kMaxLeaves) {
    by_host_.erase(leaves_.back().host);
    leaves_.pop_back();
  }
  leaves_.push_front({host, std::move(context), now + Nanos{kLeafDays - 1} * 24 * 60 * kMinute});
  by_host_[host] = leaves_.begin();
  return leaves_.front().context.get();
}

}  // namespace saw::egress
