// The rig's two ends of a connection, as they speak: a blocking stream, plain or TLS.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "egress/http1_parser.h"

struct ssl_st;
struct ssl_ctx_st;

namespace saw::egress::rig {

constexpr std::chrono::seconds kPatience{10};  // more than the engine has with sawd

bool wait_readable(int fd, std::chrono::milliseconds limit);

class Conversation {
 public:
  explicit Conversation(Fd fd) : fd_(std::move(fd)) {}
  Conversation(const Conversation&) = delete;
  ~Conversation();
  bool start_tls(ssl_ctx_st* context, const char* sni, bool server);
  bool write(std::string_view bytes);
  bool read_more();  // false at the end, on an error, or after kPatience
  int fd() const { return fd_.get(); }
  void close();
  std::string buffer;
  bool ready = true;

 private:
  Fd fd_;
  ssl_st* ssl_ = nullptr;
};

// Reads one body as the head says; false when it was cut off.
bool read_body(Conversation& stream, Framing framing, uint64_t length, std::string& body);

}  // namespace saw::egress::rig
