// Watches the opening of a TLS connection that SAW does not end itself (tls: passthrough), until no name can be said any more.
//
//   HelloGuard guard("api.example.com");
//   if (!guard.from_client(bytes)) cut(guard.problem());       // before the bytes go on
//   if (!guard.from_server(bytes)) cut(guard.problem());
//   if (guard.is_over()) …                                     // the rest may pass unread
//
// Every ClientHello must name the host, in clear: a server may ask for a second one (HelloRetryRequest, RFC 8446 §4.1.4), which a
// client could use to name somebody else behind the same address. It is over with the server's ServerHello: what names come later are
// encrypted by keys that both ends already have. Until then the client may send nothing but ClientHello, early data,
// ChangeCipherSpec and alerts. Bounded: kMaxClientHello bytes a message, kMaxOpening in all. Total on any bytes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "egress/client_hello.h"

namespace saw::egress {

class HelloGuard {
 public:
  static constexpr size_t kMaxOpening = 1u << 20;  // early data included
  explicit HelloGuard(std::string host) : host_(std::move(host)) {}

  bool from_client(std::string_view bytes);
  bool from_server(std::string_view bytes);
  bool is_over() const { return over_; }
  std::string_view problem() const { return problem_; }  // a stable code

 private:
  // One direction: records into handshake messages.
  struct Records {
    uint8_t header[5] = {}, have = 0, type = 0;
    size_t left = 0;  // of the record that has begun
    std::string handshake;
  };
  bool feed(Records& records, std::string_view bytes, bool (HelloGuard::*on_record)(uint8_t type),
            bool (HelloGuard::*on_handshake)(std::string& stream));
  bool client_record(uint8_t type);
  bool client_handshake(std::string& stream);
  bool server_record(uint8_t type);
  bool server_handshake(std::string& stream);
  bool fail(std::string_view code) {
    problem_ = code;
    return false;
  }

  std::string host_;
  Records client_, server_;
  size_t seen_ = 0, hellos_ = 0;
  bool over_ = false;
  std::string_view problem_;
};

}  // namespace saw::egress
