#include "egress/client_hello.h"

#include <memory>

#include <gtest/gtest.h>
#include <openssl/ssl.h>

namespace saw::egress {
namespace {

using State = ClientHello::State;

// What OpenSSL really sends.
std::string hello_for(const char* name) {
  SSL_CTX* context = SSL_CTX_new(TLS_client_method());
  SSL* ssl = SSL_new(context);
  BIO* out = BIO_new(BIO_s_mem());
  SSL_set_bio(ssl, BIO_new(BIO_s_mem()), out);
  if (name) SSL_set_tlsext_host_name(ssl, name);
  SSL_connect(ssl);
  char* data = nullptr;
  long size = BIO_get_mem_data(out, &data);
  std::string bytes(data, static_cast<size_t>(size));
  SSL_free(ssl);
  SSL_CTX_free(context);
  return bytes;
}

TEST(ClientHello, names_the_server_in_lower_case) {
  ClientHello h = parse_client_hello(hello_for("Api.Example.COM"));
  EXPECT_EQ(h.state, State::complete);
  EXPECT_EQ(h.server_name, "api.example.com");
  EXPECT_EQ(parse_client_hello(hello_for(nullptr)).state, State::complete);
  EXPECT_EQ(parse_client_hello(hello_for(nullptr)).server_name, "");
}

TEST(ClientHello, every_prefix_waits_for_more) {
  std::string whole = hello_for("api.example.com");
  for (size_t n = 0; n < whole.size(); ++n)
    EXPECT_EQ(parse_client_hello(std::string_view(whole).substr(0, n)).state, State::incomplete) << n;
}

TEST(ClientHello, may_span_several_records) {
  std::string whole = hello_for("api.example.com"), body = whole.substr(5), cut;
  for (size_t at = 0; at < body.size(); at += 100) {
    std::string part = body.substr(at, 100);
    cut += std::string("\x16\x03\x01", 3) + static_cast<char>(part.size() >> 8) +
           static_cast<char>(part.size() & 0xff) + part;
  }
  EXPECT_EQ(parse_client_hello(cut).server_name, "api.example.com");
}

TEST(ClientHello, other_protocols_and_nonsense_are_told_apart) {
  EXPECT_EQ(parse_client_hello("GET / HTTP/1.1\r\n").state, State::not_tls);
  EXPECT_EQ(parse_client_hello("SSH-2.0-OpenSSH").state, State::not_tls);
  EXPECT_EQ(parse_client_hello(std::string("\x16\x05\x01\x00\x05hello", 10)).state, State::malformed);
  EXPECT_EQ(parse_client_hello(std::string("\x16\x03\x01\x00\x00", 5)).state, State::malformed);
  EXPECT_EQ(parse_client_hello(std::string("\x16\x03\x01\xff\xff", 5) + std::string(20000, '\1')).state,
            State::malformed);
}

TEST(ClientHello, a_server_name_that_is_no_host_name_is_malformed) {
  std::string bytes = hello_for("aaaa.example.com");
  size_t at = bytes.find("aaaa.example.com");
  bytes[at] = '\n';
  EXPECT_EQ(parse_client_hello(bytes).state, State::malformed);
}

}  // namespace
}  // namespace saw::egress
