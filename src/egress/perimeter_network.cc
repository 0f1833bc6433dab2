#include "egress/perimeter_network.h"

#include <array>
#include <cstring>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/crypto.h"
#include "egress/perimeter_dns.h"

namespace saw::egress {

using os::Loop;

namespace {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
  int family() const { return storage.ss_family; }
};

bool is_ipv4(const policy::Address& address) {
  static constexpr std::array<uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  return std::memcmp(address.data(), kMapped.data(), kMapped.size()) == 0;
}

SocketAddress to_socket_address(const SocketTarget& target) {
  SocketAddress out;
  if (is_ipv4(target.address)) {
    sockaddr_in in{.sin_family = AF_INET, .sin_port = htons(target.port)};
    std::memcpy(&in.sin_addr, target.address.data() + 12, 4);
    std::memcpy(&out.storage, &in, out.size = sizeof in);
  } else {
    sockaddr_in6 in{.sin6_family = AF_INET6, .sin6_port = htons(target.port)};
    std::memcpy(&in.sin6_addr, target.address.data(), 16);
    std::memcpy(&out.storage, &in, out.size = sizeof in);
  }
  return out;
}

SocketAddress to_socket_address(const UnixTarget& target) {
  SocketAddress out;
  sockaddr_un in{.sun_family = AF_UNIX};
  target.path.copy(in.sun_path, sizeof in.sun_path - 1);
  std::memcpy(&out.storage, &in, out.size = sizeof in);
  return out;
}

Result<Fd> open_socket(int family, int type) {
  Fd fd(::socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return Error::system("perimeter.connect", "creating a socket");
  return fd;
}

// A result that is known at once, told from the loop.
template <class Callback, class Value> class Immediate final : public Operation {
 public:
  Immediate(Loop& loop, Callback done, Value value) : done_(std::move(done)), value_(std::move(value)) {
    timer_ = loop.after(0, [this] { tell(); });
  }

 private:
  void tell() {
    Callback done = std::move(done_);
    Value value = std::move(value_);
    done(std::move(value));
  }
  Callback done_;
  Value value_;
  Loop::Timer timer_;
};

class Connecting final : public Operation {
 public:
  Connecting(Loop& loop, Fd socket, std::string what, Network::OnConnected done)
      : socket_(std::move(socket)), what_(std::move(what)), done_(std::move(done)) {
    watch_ = loop.watch(socket_.get(), Loop::kWritable, [this](uint32_t) { finish(); });
  }

 private:
  void finish() {
    int error = 0;
    socklen_t size = sizeof error;
    if (::getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
    watch_.cancel();
    Network::OnConnected done = std::move(done_);
    Fd socket = std::move(socket_);
    std::string what = std::move(what_);
    if (error)
      return done(std::unexpected(Error::from_errno("perimeter.connect", error, "connecting to " + what)));
    done(std::move(socket));
  }

  Fd socket_;
  std::string what_;
  Network::OnConnected done_;
  Loop::Watch watch_;
};

// Both questions about one name. A fails and AAAA answers: the answer counts.
class Lookup final : public Operation {
 public:
  Lookup(Loop& loop, std::vector<SocketTarget> servers, const std::string& name, Network::OnResolved done)
      : loop_(loop), servers_(std::move(servers)), name_(name), done_(std::move(done)) {
    halves_[0].question = {.name = name, .type = RecordType::a};
    halves_[1].question = {.name = name, .type = RecordType::aaaa};
    for (Half& half : halves_) half.timer = loop_.after(0, [this, &half] { ask(half); });
  }

 private:
  struct Half {
    DnsQuestion question;
    size_t attempt = 0;
    bool finished = false;
    DnsReply reply;
    Fd socket;
    Loop::Watch watch;
    Loop::Timer timer;
  };

  void ask(Half& half) {
    half.watch.cancel();
    if (half.attempt >= servers_.size() * OsNetwork::kResolveRounds) return finish(half, {});
    const SocketTarget& server = servers_[half.attempt++ % servers_.size()];
    const std::string random = random_bytes(2);
    half.question.id =
        static_cast<uint16_t>(static_cast<uint8_t>(random[0]) << 8 | static_cast<uint8_t>(random[1]));
    auto query = encode_query(half.question);
    if (!query) return finish(half, {});
    half.timer = loop_.after(OsNetwork::kResolveAttemptMs, [this, &half] { ask(half); });
    SocketAddress address = to_socket_address(server);
    auto socket = open_socket(address.family(), SOCK_DGRAM);
    if (!socket || ::connect(socket->get(), address.get(), address.size) != 0)
      return;  // the timer goes on to the next server
    half.socket = std::move(*socket);
    if (::send(half.socket.get(), query->data(), query->size(), MSG_NOSIGNAL) < 0) return;
    half.watch = loop_.watch(half.socket.get(), Loop::kReadable, [this, &half](uint32_t) { receive(half); });
  }

  void receive(Half& half) {
    std::array<char, 4096> buffer;
    ssize_t size = ::recv(half.socket.get(), buffer.data(), buffer.size(), 0);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (size < 0) return ask(half);  // typically ECONNREFUSED: nobody listens there
    auto reply = decode_answer({buffer.data(), static_cast<size_t>(size)}, half.question);
    if (!reply) return;
    if (reply->outcome == DnsReply::Outcome::failed) return ask(half);
    finish(half, std::move(*reply));
  }

  void finish(Half& half, DnsReply reply) {
    half.watch.cancel();
    half.timer.cancel();
    half.socket.reset();
    half.reply = std::move(reply);
    half.finished = true;
    if (!halves_[0].finished || !halves_[1].finished) return;
    std::vector<policy::Address> addresses = std::move(halves_[0].reply.addresses);
    addresses.insert(addresses.end(), halves_[1].reply.addresses.begin(), halves_[1].reply.addresses.end());
    const bool absent = halves_[0].reply.outcome == DnsReply::Outcome::no_such_name;
    const std::string name = name_;
    Network::OnResolved done = std::move(done_);
    if (!addresses.empty()) return done(std::move(addresses));
    done(Error::make("perimeter.resolve", "'{}' {}", name,
                     absent ? "does not exist" : "has no address, or no name server answered"));
  }

  Loop& loop_;
  std::vector<SocketTarget> servers_;
  std::string name_;
  Network::OnResolved done_;
  std::array<Half, 2> halves_;
};

template <class Target> Result<Fd> start_connect(const Target& target) {
  SocketAddress address = to_socket_address(target);
  Fd socket = SAW_TRY(open_socket(address.family(), SOCK_STREAM));
  if (address.family() != AF_UNIX) {
    int on = 1;
    ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  // EAGAIN is a Unix socket whose queue is full: it does not become writable later, so it is a failure here.
  if (::connect(socket.get(), address.get(), address.size) != 0 && errno != EINPROGRESS)
    return Error::system("perimeter.connect", "connecting to {}", target.text());
  return socket;
}

}  // namespace

OsNetwork::OsNetwork(Loop& loop, std::vector<SocketTarget> servers) : loop_(loop) {
  set_servers(std::move(servers));
}

void OsNetwork::set_servers(std::vector<SocketTarget> servers) {
  servers_ = std::move(servers);
  if (servers_.size() > kMaxServers) servers_.resize(kMaxServers);
}

std::unique_ptr<Operation> OsNetwork::resolve(const std::string& name, OnResolved done) {
  return std::make_unique<Lookup>(loop_, servers_, name, std::move(done));
}

std::unique_ptr<Operation> OsNetwork::connect(const ConnectorTarget& target, OnConnected done) {
  Result<Fd> socket = std::visit([](const auto& t) { return start_connect(t); }, target);
  if (!socket)
    return std::make_unique<Immediate<OnConnected, Result<Fd>>>(loop_, std::move(done), std::move(socket));
  std::string what = std::visit([](const auto& t) { return t.text(); }, target);
  return std::make_unique<Connecting>(loop_, std::move(*socket), std::move(what), std::move(done));
}

bool OsNetwork::is_own(const policy::Address& address) {
  // Connecting a datagram socket sends nothing, but makes the kernel choose a source: for an address of this
  // host, that address itself.
  constexpr uint16_t kAnyPort = 9;
  SocketAddress remote = to_socket_address(SocketTarget{address, kAnyPort});
  auto socket = open_socket(remote.family(), SOCK_DGRAM);
  if (!socket || ::connect(socket->get(), remote.get(), remote.size) != 0)
    return false;  // no route: the dial will say so
  SocketAddress local;
  local.size = sizeof local.storage;
  if (::getsockname(socket->get(), local.get(), &local.size) != 0) return true;
  if (local.family() == AF_INET)
    return std::memcmp(&reinterpret_cast<sockaddr_in&>(local.storage).sin_addr, address.data() + 12, 4) == 0;
  return std::memcmp(&reinterpret_cast<sockaddr_in6&>(local.storage).sin6_addr, address.data(), 16) == 0;
}

std::vector<SocketTarget> parse_resolv_conf(std::string_view text) {
  std::vector<SocketTarget> servers;
  constexpr std::string_view kKeyword = "nameserver", kBlank = " \t";
  while (!text.empty() && servers.size() < OsNetwork::kMaxServers) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (!line.starts_with(kKeyword)) continue;
    line.remove_prefix(kKeyword.size());
    const size_t start = line.find_first_not_of(kBlank);
    if (start == 0 || start == std::string_view::npos) continue;
    line = line.substr(start, line.find_first_of(" \t\r", start) - start);
    constexpr uint16_t kDnsPort = 53;
    if (auto address = policy::parse_address(line)) servers.push_back({*address, kDnsPort});
  }
  return servers;
}

}  // namespace saw::egress
