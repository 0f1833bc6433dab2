#include "egress/egress_rig_talk_test.h"

#include <utility>

#include <fmt/format.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>

#include "egress/egress_rig.h"
#include "egress/http1_chunked.h"

namespace saw::egress::rig {

bool wait_readable(int fd, std::chrono::milliseconds limit) {
  pollfd p{fd, POLLIN, 0};
  return ::poll(&p, 1, static_cast<int>(limit.count())) > 0;
}

Conversation::~Conversation() {
  SSL_free(ssl_);
}

bool Conversation::start_tls(SSL_CTX* context, const char* sni, bool server) {
  ssl_ = SSL_new(context);
  SSL_set_fd(ssl_, fd_.get());
  if (sni != nullptr && *sni != '\0') SSL_set_tlsext_host_name(ssl_, sni);
  return (server ? SSL_accept(ssl_) : SSL_connect(ssl_)) == 1;
}

bool Conversation::write(std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t n = ssl_ ? SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size()))
                     : ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

bool Conversation::read_more() {
  char chunk[16384];
  bool pending = ssl_ && SSL_has_pending(ssl_);  // read-ahead: poll() cannot see it
  if (!pending && !wait_readable(fd_.get(), kPatience)) return false;
  ssize_t n = ssl_ ? SSL_read(ssl_, chunk, sizeof chunk) : ::recv(fd_.get(), chunk, sizeof chunk, 0);
  if (n > 0) buffer.append(chunk, static_cast<size_t>(n));
  return n > 0;
}

void Conversation::close() {
  ::shutdown(fd_.get(), SHUT_RDWR);
}

bool read_body(Conversation& stream, Framing framing, uint64_t length, std::string& body) {
  if (framing == Framing::chunked) {
    ChunkedDecoder decoder;
    while (!decoder.finished()) {
      auto step = decoder.step(stream.buffer);
      if (!step.problem.empty()) return false;
      body += step.data;
      stream.buffer.erase(0, step.consumed);
      if (step.consumed == 0 && !decoder.finished() && !stream.read_more()) return false;
    }
    return true;
  }
  if (framing == Framing::until_close) {
    while (stream.read_more()) {
    }
    body = std::exchange(stream.buffer, {});
    return true;
  }
  while (stream.buffer.size() < length)
    if (!stream.read_more()) return false;
  body = stream.buffer.substr(0, length);
  stream.buffer.erase(0, length);
  return true;
}

namespace {

std::string field_of(std::string_view head, std::string_view name) {
  for (size_t at = head.find("\r\n"); at != std::string_view::npos && at + 2 < head.size();
       at = head.find("\r\n", at + 2)) {
    std::string_view line = head.substr(at + 2, head.find("\r\n", at + 2) - at - 2);
    size_t colon = line.find(':');
    if (colon != std::string_view::npos && same_token(line.substr(0, colon), name))
      return std::string(line.substr(line.find_first_not_of(' ', colon + 1)));
  }
  return {};
}

}  // namespace

std::string Answer::field(std::string_view name) const {
  return field_of(head, name);
}
std::string OriginRequest::field(std::string_view name) const {
  return field_of(head, name);
}

std::string ok(std::string_view body, std::string_view extra) {
  return fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n{}\r\n{}", body.size(), extra, body);
}

Agent::Agent(std::unique_ptr<Conversation> stream) : stream_(std::move(stream)) {}
Agent::Agent(Agent&&) noexcept = default;
Agent::~Agent() = default;
bool Agent::connected() const {
  return stream_->ready;
}
void Agent::send(std::string_view bytes) {
  stream_->write(bytes);
}
void Agent::hang_up() {
  stream_->close();
}
bool Agent::ended() {
  return !stream_->read_more() || ended();
}

void Agent::finish() {
  ::shutdown(stream_->fd(), SHUT_WR);
}

Answer Agent::read_answer(std::string_view method) {
  Answer answer;
  while (true) {
    auto parsed = parse_response_head(stream_->buffer, method);
    if (parsed.state == HeadState::malformed) return answer;
    if (parsed.state == HeadState::incomplete) {
      if (!stream_->read_more()) return answer;
      continue;
    }
    answer.head = stream_->buffer.substr(0, parsed.consumed);
    Framing framing = parsed.head.framing;
    uint64_t length = framing == Framing::length ? parsed.head.content_length : 0;
    int status = parsed.head.status;
    stream_->buffer.erase(0, parsed.consumed);
    if (status >= 200 && !read_body(*stream_, framing, length, answer.body)) status = 0;
    answer.status = status;
    return answer;
  }
}

Answer Agent::get(std::string_view target, std::string_view extra) {
  send(fmt::format("GET {} HTTP/1.1\r\nHost: {}\r\n{}\r\n", target, host, extra));
  return read_answer();
}
Answer Agent::post(std::string_view target, std::string_view body, std::string_view extra) {
  send(fmt::format("POST {} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n{}\r\n{}", target, host,
                   body.size(), extra, body));
  return read_answer();
}

namespace {

std::string take_until(Conversation& stream, std::string_view text) {
  size_t at;
  while ((at = stream.buffer.find(text)) == std::string::npos)
    if (!stream.read_more()) return std::exchange(stream.buffer, {});
  std::string out = stream.buffer.substr(0, at + text.size());
  stream.buffer.erase(0, at + text.size());
  return out;
}
std::string take_bytes(Conversation& stream, size_t count) {
  while (stream.buffer.size() < count)
    if (!stream.read_more()) break;
  std::string out = stream.buffer.substr(0, count);
  stream.buffer.erase(0, out.size());
  return out;
}

}  // namespace

std::string Agent::read_until(std::string_view text) {
  return take_until(*stream_, text);
}
std::string Agent::read_bytes(size_t count) {
  return take_bytes(*stream_, count);
}
bool OriginStream::send(std::string_view bytes) {
  return stream_.write(bytes);
}
std::string OriginStream::read_until(std::string_view text) {
  return take_until(stream_, text);
}
std::string OriginStream::read_bytes(size_t count) {
  return take_bytes(stream_, count);
}
void OriginStream::close() {
  stream_.ready = false;
}
bool OriginStream::ended() {
  while (stream_.read_more()) {
  }
  return true;
}

}  // namespace saw::egress::rig
