#include "egress/client_hello_sample_test.h"

#include <openssl/ssl.h>

namespace saw::egress {

std::string client_hello(const std::string& name, std::optional<uint16_t> extension) {
  SSL_CTX* context = SSL_CTX_new(TLS_client_method());
  SSL* ssl = SSL_new(context);
  BIO* out = BIO_new(BIO_s_mem());
  SSL_set_bio(ssl, BIO_new(BIO_s_mem()), out);
  if (!name.empty()) SSL_set_tlsext_host_name(ssl, name.c_str());
  SSL_connect(ssl);
  char* data = nullptr;
  const long size = BIO_get_mem_data(out, &data);
  std::string bytes(data, static_cast<size_t>(size));
  SSL_free(ssl);
  SSL_CTX_free(context);
  if (!extension) return bytes;
  // At the end of the extensions, the last thing of a hello.
  constexpr size_t kAdded = 4;
  auto grow = [&](size_t at) {
    const size_t value =
        static_cast<uint8_t>(bytes[at]) * 256u + static_cast<uint8_t>(bytes[at + 1]) + kAdded;
    bytes[at] = static_cast<char>(value >> 8), bytes[at + 1] = static_cast<char>(value);
  };
  size_t at = 5 + 4 + 2 + 32;
  at += 1 + static_cast<uint8_t>(bytes[at]);
  at += 2 + static_cast<uint8_t>(bytes[at]) * 256u + static_cast<uint8_t>(bytes[at + 1]);
  at += 1 + static_cast<uint8_t>(bytes[at]);
  grow(3), grow(7), grow(at);
  bytes += {static_cast<char>(*extension >> 8), static_cast<char>(*extension), 0, 0};
  return bytes;
}

std::string server_hello(Retry retry) {
  std::string random(32, '\x41');
  if (retry == Retry::yes)
    random =
        "\xcf\x21\xad\x74\xe5\x9a\x61\x11\xbe\x1d\x8c\x02\x1e\x65\xb8\x91\xc2\xa2\x11\x16\x7a\xbb\x8c\x5e\x07"
        "\x9e\x09\xe2\xc8\xa8\x33\x9c";
  const std::string body = std::string("\x03\x03", 2) + random + std::string("\0\x13\x01\0", 4);
  std::string message = std::string("\x02\0\0", 3) + static_cast<char>(body.size()) + body;
  return std::string("\x16\x03\x03\0", 4) + static_cast<char>(message.size()) + message;
}

}  // namespace saw::egress
