#include "support/http_load.h"

#include <array>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <sstream>

#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "support/contender.h"

namespace saw::bench {
namespace {

constexpr size_t kChunk = 256u << 10, kMaxHead = 16u << 10;
constexpr int kPatienceMs = 10'000;
constexpr std::array<const char*, 4> kKinds = {"kept", "fresh", "bulk", "idle"};

struct SslFree {
  void operator()(SSL* ssl) const { SSL_free(ssl); }
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
using Context = std::unique_ptr<SSL_CTX, SslFree>;

struct Target {
  sockaddr_storage address{};
  socklen_t size = 0;
};

Result<Target> resolve(const Load& load) {
  const std::string& name = load.address.empty() ? load.host : load.address;
  addrinfo hints{};
  hints.ai_family = AF_INET;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(name.c_str(), std::to_string(load.port).c_str(), &hints, &found) != 0 || !found)
    return Error::make("bench.resolve", "'{}' has no address", name);
  Target out;
  out.size = found->ai_addrlen;
  std::memcpy(&out.address, found->ai_addr, found->ai_addrlen);
  ::freeaddrinfo(found);
  return out;
}

// One connection, blocking; plain, or TLS where a context is given.
class Client {
 public:
  static Result<Client> connect(const Target& to, SSL_CTX* context, const std::string& host) {
    Client out;
    out.socket_ = Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const int on = 1;
    ::setsockopt(out.socket_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const timeval patience{.tv_sec = kPatienceMs / 1000, .tv_usec = 0};
    ::setsockopt(out.socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (::connect(out.socket_.get(), reinterpret_cast<const sockaddr*>(&to.address), to.size) != 0)
      return Error::system("bench.connect", "connecting to the server");
    if (!context) return out;
    out.tls_.reset(SSL_new(context));
    if (SSL_set_tlsext_host_name(out.tls_.get(), host.c_str()) != 1 ||
        SSL_set1_host(out.tls_.get(), host.c_str()) != 1 ||
        SSL_set_fd(out.tls_.get(), out.socket_.get()) != 1 || SSL_connect(out.tls_.get()) != 1)
      return Error::make("bench.tls", "no handshake with '{}': {}", host,
                         X509_verify_cert_error_string(SSL_get_verify_result(out.tls_.get())));
    return out;
  }

  int fd() const { return socket_.get(); }

  Result<> send(std::string_view bytes) {
    if (tls_ && SSL_write(tls_.get(), bytes.data(), static_cast<int>(bytes.size())) > 0) return {};
    if (!tls_ && ::send(fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size()))
      return {};
    return Error::make("bench.send", "the connection took no request");
  }

  // The size of the body.
  Result<size_t> answer(int status, std::vector<char>& buffer) {
    size_t have = 0, end;
    while ((end = std::string_view(buffer.data(), have).find("\r\n\r\n")) == std::string_view::npos) {
      if (have >= kMaxHead) return Error::make("bench.answer", "no end of the head");
      have += SAW_TRY(read(buffer, have));
    }
    const std::string_view head(buffer.data(), end);
    int got = 0;
    size_t length = 0;
    if (head.size() > 12) std::from_chars(head.data() + 9, head.data() + 12, got);
    size_t at = head.find("ontent-Length: ");
    if (at == head.npos) at = head.find("ontent-length: ");
    if (got != status || at == head.npos)
      return Error::make("bench.answer", "not the answer that was expected:\n{}",
                         std::string_view(buffer.data(), have));
    std::from_chars(head.data() + at + 15, head.data() + head.size(), length);
    for (size_t body = have - end - 4; body < length;) body += SAW_TRY(read(buffer, 0));
    return length;
  }

 private:
  Result<size_t> read(std::vector<char>& buffer, size_t from) {
    char* into = buffer.data() + from;
    const size_t room = buffer.size() - from;
    const ssize_t n = tls_ ? SSL_read(tls_.get(), into, static_cast<int>(room)) : ::recv(fd(), into, room, 0);
    if (n > 0) return static_cast<size_t>(n);
    return Error::system("bench.read", "the connection ended without an answer");
  }

  Fd socket_;
  std::unique_ptr<SSL, SslFree> tls_;
};

class Loop {
 public:
  static Result<Loop> create(Load load) {
    Loop out(std::move(load));
    out.target_ = SAW_TRY(resolve(out.load_));
    if (out.load_.speaks == Load::Speaks::plain) return out;
    out.context_.reset(SSL_CTX_new(TLS_client_method()));
    if (!out.context_ || SSL_CTX_set_default_verify_paths(out.context_.get()) != 1)
      return Error::make("bench.tls", "no trust anchors");
    SSL_CTX_set_verify(out.context_.get(), SSL_VERIFY_PEER, nullptr);
    SSL_CTX_set_session_cache_mode(out.context_.get(), SSL_SESS_CACHE_OFF);
    return out;
  }

  Result<LoadResult> run() {
    const double start = now_us();
    end_ = start + load_.seconds * 1e6;
    if (load_.kind == Load::Kind::fresh)
      SAW_TRY(fresh());
    else
      SAW_TRY(kept());
    const double seconds = (now_us() - start) / 1e6;
    result_.per_second = static_cast<double>(result_.micros.size()) / seconds;
    result_.mib_a_second = static_cast<double>(bytes_) / seconds / (1u << 20);
    return std::move(result_);
  }

  Result<> hold() {
    std::vector<Client> clients;
    for (int i = 0; i < load_.connections; ++i) {
      clients.push_back(SAW_TRY(connect()));
      SAW_TRY(clients.back().send(request_));
      SAW_TRY(clients.back().answer(load_.status, buffer_));
    }
    std::puts("ready");
    std::fflush(stdout);
    char byte;
    while (::read(STDIN_FILENO, &byte, 1) > 0) {
    }
    return {};
  }

 private:
  explicit Loop(Load load) : load_(std::move(load)), buffer_(kChunk) {
    request_ = fmt::format("GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: saw-bench\r\nAccept: */*\r\n\r\n",
                           load_.path, load_.host);
  }
  Result<Client> connect() { return Client::connect(target_, context_.get(), load_.host); }

  Result<> fresh() {
    while (now_us() < end_) {
      const double start = now_us();
      Client client = SAW_TRY(connect());
      SAW_TRY(client.send(request_));
      bytes_ += SAW_TRY(client.answer(load_.status, buffer_));
      result_.micros.push_back(now_us() - start);
    }
    return {};
  }

  Result<> kept() {
    std::vector<Client> clients;
    std::vector<pollfd> wanted;
    for (int i = 0; i < load_.connections; ++i) {
      clients.push_back(SAW_TRY(connect()));
      SAW_TRY(clients.back().send(request_));
      SAW_TRY(clients.back().answer(load_.status, buffer_));  // the way is open: what follows is counted
      wanted.push_back({.fd = clients.back().fd(), .events = POLLIN, .revents = 0});
    }
    end_ = now_us() + load_.seconds * 1e6;
    std::vector<double> began(clients.size());
    for (size_t i = 0; i < clients.size(); ++i) {
      began[i] = now_us();
      SAW_TRY(clients[i].send(request_));
    }
    while (now_us() < end_) {
      if (clients.size() > 1 && ::poll(wanted.data(), wanted.size(), kPatienceMs) <= 0)
        return Error::make("bench.silent", "no answer within {} ms", kPatienceMs);
      for (size_t i = 0; i < clients.size(); ++i) {
        if (clients.size() > 1 && !wanted[i].revents) continue;
        bytes_ += SAW_TRY(clients[i].answer(load_.status, buffer_));
        const double now = now_us();
        result_.micros.push_back(now - began[i]);
        began[i] = now;
        SAW_TRY(clients[i].send(request_));
      }
    }
    return {};
  }

  Load load_;
  Target target_;
  Context context_;
  std::string request_;
  std::vector<char> buffer_;
  double end_ = 0;
  size_t bytes_ = 0;
  LoadResult result_;
};

std::optional<Load> parse_load(const std::vector<std::string>& a) {
  if (a.size() != 9) return std::nullopt;
  Load out;
  for (size_t i = 0; i < kKinds.size(); ++i)
    if (a[0] == kKinds[i]) out.kind = static_cast<Load::Kind>(i);
  out.speaks = a[1] == "tls" ? Load::Speaks::tls : Load::Speaks::plain;
  out.host = a[2];
  out.address = a[3] == "-" ? "" : a[3];
  out.port = static_cast<uint16_t>(std::atoi(a[4].c_str()));
  out.path = a[5];
  out.connections = std::atoi(a[6].c_str());
  out.status = std::atoi(a[7].c_str());
  out.seconds = std::atof(a[8].c_str());
  return out;
}

Result<> act(const Load& load) {
  Loop loop = SAW_TRY(Loop::create(load));
  if (load.kind == Load::Kind::idle) return loop.hold();
  const LoadResult got = SAW_TRY(loop.run());
  fmt::print("{} {}\n", got.per_second, got.mib_a_second);
  for (const double sample : got.micros) fmt::print("{:.1f}\n", sample);
  return {};
}

}  // namespace

Command client_command(const std::string& program, const Load& load) {
  return {program,
          "client",
          kKinds[static_cast<size_t>(load.kind)],
          load.speaks == Load::Speaks::tls ? "tls" : "plain",
          load.host,
          load.address.empty() ? "-" : load.address,
          std::to_string(load.port),
          load.path,
          std::to_string(load.connections),
          std::to_string(load.status),
          std::to_string(load.seconds)};
}

int run_client(const std::vector<std::string>& arguments) {
  const auto load = parse_load(arguments);
  if (!load) return std::fputs("egress_bench: this is for itself only\n", stderr), 2;
  if (auto done = act(*load); !done)
    return std::fprintf(stderr, "client: %s\n", done.error().message.c_str()), 1;
  return 0;
}

Result<LoadResult> parse_result(const std::string& output) {
  std::istringstream in(output);
  LoadResult out;
  if (!(in >> out.per_second >> out.mib_a_second))
    return Error::make("bench.client", "the client wrote no figures: '{}'", output.substr(0, 200));
  for (double sample; in >> sample;) out.micros.push_back(sample);
  if (out.micros.empty()) return Error::make("bench.client", "the client got no answer in its time");
  return out;
}

}  // namespace saw::bench
