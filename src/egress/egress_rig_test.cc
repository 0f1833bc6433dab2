#include "egress/egress_rig.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <csignal>
#include <mutex>
#include <thread>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "egress/dns.h"
#include "egress/egress_rig_ca_test.h"
#include "egress/egress_rig_talk_test.h"
#include "egress/engine.h"
#include "os/memory_file.h"

namespace saw::egress::rig {
namespace {

using namespace std::chrono_literals;

Fd connect_loopback(uint16_t port) {
  Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in to{
      .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
  EXPECT_EQ(::connect(fd.get(), reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
  return fd;
}

Fd listen_loopback(uint16_t& port) {
  Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in at{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
  EXPECT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
  EXPECT_EQ(::listen(fd.get(), 1024), 0);
  socklen_t size = sizeof at;
  ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&at), &size);
  port = ntohs(at.sin_port);
  return fd;
}

}  // namespace

// ---- the rig

struct Rig::State {
  Ca workspace_ca = make_ca("workspace"), internet_ca = make_ca("internet"), other_ca = make_ca("unknown");
  SystemClock clock;
  os::Channel control = adopt(), audit = adopt(), perimeter = adopt();  // our ends; replaced below
  uint16_t capture_port = 0, dns_port = 0;
  os::SocketAddress meant{};
  std::atomic<bool> stop{false}, acknowledge{true}, engine_done{false};
  mutable std::mutex lock;
  std::vector<std::string> events;
  std::vector<OriginRequest> received;
  std::vector<uint64_t> abandoned;
  std::atomic<int> dials{0};
  std::map<std::string, uint16_t> routes;  // "host:port" → loopback port
  std::vector<ReviewAsk> asks;
  uint64_t epoch = 0;
  std::vector<std::thread> threads;
  SSL_CTX *agent_context = SSL_CTX_new(TLS_client_method()),
          *origin_context = SSL_CTX_new(TLS_client_method());  // trusts the workspace's CA, or the internet's
  Fd ledger = std::move(*os::memory_file("ledger"));

  static os::Channel adopt() { return std::move(os::Channel::pair()->first); }
  void run_engine(os::Channel engine_control, os::Channel engine_audit);
  void play_perimeter();
  void play_audit();
  void serve(const std::string& host, uint16_t port, StreamHandler handler, bool repeats, Trust trust);
  void serve_origin(Fd listener, StreamHandler handler, bool repeats, std::shared_ptr<LeafIssuer> issuer,
                    std::string host);
  void converse(Fd accepted, const StreamHandler& handler, bool repeats, SSL_CTX* context);
  template <class Function> bool poll_control(std::chrono::milliseconds limit, Function&& done);
  std::string configured_error;
  uint64_t configured_epoch = 0;
  size_t max_connections = 0;
};

void Rig::State::run_engine(os::Channel engine_control, os::Channel engine_audit) {
  os::Loop loop = std::move(*os::Loop::create());
  bool ended = false;
  Engine engine(loop, clock, {.on_configured = {}, .on_end = [&](std::string) { ended = true; }},
                {.original_destination = [this](int) -> Result<os::SocketAddress> {
                   std::lock_guard guard(lock);
                   return meant;
                 },
                 .max_connections = max_connections});
  engine.open(std::move(engine_control), std::move(engine_audit));
  auto wait = [&](int ms) {
    pollfd p{loop.fd(), POLLIN, 0};
    ::poll(&p, 1, ms);
    loop.run_ready();
  };
  while (!stop && !ended) wait(50);
  engine_done = true;
  engine.close_all();
  for (int i = 0; i < 100 && !engine.is_idle(); ++i) wait(30);
  for (int i = 0; i < 3; ++i) wait(5);  // the last coroutines end
}

void Rig::State::play_perimeter() {
  while (!stop) {
    if (!wait_readable(perimeter.fd(), 50ms)) continue;
    auto got = perimeter.receive();
    if (!got || got->state == os::Channel::State::closed) return;
    if (got->state != os::Channel::State::message) continue;
    Dial dial = std::get<Dial>(*wire::decode<DialRequest>(got->payload));
    ++dials;
    uint16_t port = 0;
    {
      std::lock_guard guard(lock);
      auto route = routes.find(fmt::format("{}:{}", dial.host, dial.port));
      if (route != routes.end()) port = route->second;
    }
    if (port == 0) {
      (void)perimeter.send(wire::encode(
          DialAnswer{DialRefused{dial.request, "perimeter.not_listed", "the operator does not list it"}}));
      continue;
    }
    Fd fd = connect_loopback(port);
    const int raw = fd.get();
    (void)perimeter.send(wire::encode(DialAnswer{Dialed{dial.request, "127.0.0.1"}}), {&raw, 1});
  }
}

void Rig::State::play_audit() {
  while (!stop) {
    if (!wait_readable(audit.fd(), 50ms)) continue;
    auto got = audit.receive();
    if (!got || got->state == os::Channel::State::closed) return;
    if (got->state != os::Channel::State::message) continue;
    auto record = std::get<AuditRecord>(*wire::decode<AuditMessage>(got->payload));
    {
      std::lock_guard guard(lock);
      EXPECT_EQ(record.sequence, events.size() + 1);
      events.push_back(record.event);
    }
    if (acknowledge) (void)audit.send(wire::encode(AuditMessage{AuditAck{record.sequence}}));
  }
}

void Rig::State::converse(Fd accepted, const StreamHandler& handler, bool repeats, SSL_CTX* context) {
  Conversation stream(std::move(accepted));
  if (context && !stream.start_tls(context, nullptr, true)) return;
  while (true) {
    auto parsed = parse_request_head(stream.buffer);
    if (parsed.state == HeadState::malformed) return;
    if (parsed.state == HeadState::incomplete) {
      if (!stream.read_more()) return;
      continue;
    }
    OriginRequest request{stream.buffer.substr(0, parsed.consumed),
                          {},
                          std::string(parsed.head.method),
                          std::string(parsed.head.target)};
    Framing framing = parsed.head.framing;
    uint64_t length = parsed.head.content_length;
    stream.buffer.erase(0, parsed.consumed);
    if (!read_body(stream, framing, length, request.body)) return;
    {
      std::lock_guard guard(lock);
      received.push_back(request);
    }
    OriginStream talk(stream);
    handler(request, talk);
    if (!repeats || !stream.ready) return;
  }
}

void Rig::State::serve_origin(Fd listener, StreamHandler handler, bool repeats,
                              std::shared_ptr<LeafIssuer> issuer, std::string host) {
  std::vector<std::thread> conversations;
  SSL_CTX* context = issuer ? *issuer->context_for(host) : nullptr;
  while (!stop) {
    if (!wait_readable(listener.get(), 50ms)) continue;
    Fd accepted(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (accepted)
      conversations.emplace_back(
          [this, handler, repeats, context, fd = std::make_shared<Fd>(std::move(accepted))] {
            converse(std::move(*fd), handler, repeats, context);
          });
  }
  for (auto& t : conversations) t.join();
}

template <class Function> bool Rig::State::poll_control(std::chrono::milliseconds limit, Function&& done) {
  const auto until = std::chrono::steady_clock::now() + limit;
  while (!done()) {
    auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    if (left.count() <= 0 || !wait_readable(control.fd(), left)) return done();
    auto got = control.receive();
    if (!got || got->state == os::Channel::State::closed) return done();
    if (got->state != os::Channel::State::message) continue;
    auto message = wire::decode<FromEgress>(got->payload);
    if (auto* configured = std::get_if<Configured>(&*message))
      configured_epoch = configured->epoch, configured_error = configured->error;
    if (auto* ask = std::get_if<ReviewAsk>(&*message)) asks.push_back(*ask);
    if (auto* gone = std::get_if<ReviewAbandoned>(&*message)) abandoned.push_back(gone->ask);
  }
  return true;
}

Fd Rig::ledger() const {
  return std::move(*state_->ledger.duplicate());
}

Rig::Rig() : Rig(Options()) {}
Rig::Rig(Options options) : state_(std::make_unique<State>()) {
  std::signal(SIGPIPE, SIG_IGN);
  State& s = *state_;
  s.max_connections = options.max_connections;
  if (options.ledger) s.ledger = std::move(options.ledger);
  auto [control, engine_control] = std::move(*os::Channel::pair());
  auto [audit, engine_audit] = std::move(*os::Channel::pair());
  auto [perimeter, engine_perimeter] = std::move(*os::Channel::pair());
  s.control = std::move(control);
  s.audit = std::move(audit);
  s.perimeter = std::move(perimeter);

  Fd capture = listen_loopback(s.capture_port);
  Fd dns(::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const int on = 1, off = 0;
  ::setsockopt(dns.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  ::setsockopt(dns.get(), IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on);
  sockaddr_in6 at{};
  at.sin6_family = AF_INET6;
  EXPECT_EQ(::bind(dns.get(), reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
  socklen_t size = sizeof at;
  ::getsockname(dns.get(), reinterpret_cast<sockaddr*>(&at), &size);
  s.dns_port = ntohs(at.sin6_port);

  EXPECT_TRUE(os::preallocate(s.ledger, Allowance::kLedgerBytes));
  const int ledger = s.ledger.get();
  (void)s.control.send(wire::encode(ToEgress{UseLedger{}}), {&ledger, 1});
  const int perimeter_fd = engine_perimeter.fd();
  (void)s.control.send(wire::encode(ToEgress{ConnectPerimeter{}}), {&perimeter_fd, 1});
  const int sockets[] = {capture.get(), dns.get()};
  ChannelIdentity identity{.sponsor = "uid:1000",
                           .agent = "coder",
                           .workspace = "ws-1",
                           .session = "",
                           .call = "call-1",
                           .workspace_name = "dev",
                           .credential_id = "jti-1",
                           .trace = "trace-1"};
  (void)s.control.send(wire::encode(ToEgress{BindChannel{"sb-1", identity}}), sockets);

  trust(s.agent_context, s.workspace_ca);
  trust(s.origin_context, s.internet_ca);

  s.threads.emplace_back([&s, c = std::make_shared<os::Channel>(std::move(engine_control)),
                          a = std::make_shared<os::Channel>(std::move(engine_audit))] {
    s.run_engine(std::move(*c), std::move(*a));
  });
  s.threads.emplace_back([&s] { s.play_perimeter(); });
  s.threads.emplace_back([&s] { s.play_audit(); });
}

Rig::~Rig() {
  state_->stop = true;
  for (auto& t : state_->threads) t.join();
  SSL_CTX_free(state_->agent_context);
  SSL_CTX_free(state_->origin_context);
}

std::string Rig::policy(std::string_view network) {
  return fmt::format(
      "apiVersion: saw/v1\nkind: Policy\nmetadata: {{name: test}}\nprofile: local\nisolation: "
      "namespace\nnetwork:\n{}",
      network);
}

std::string Rig::configure(std::string_view yaml) {
  State& s = *state_;
  Configure message{.epoch = ++s.epoch,
                    .policy_yaml = std::string(yaml),
                    .policy_name = "test.yaml",
                    .ca_certificate_pem = s.workspace_ca.certificate,
                    .ca_key_pem = s.workspace_ca.key,
                    .upstream_trust_pem = s.internet_ca.certificate,
                    .secrets = secrets,
                    .placeholders = placeholders};
  (void)s.control.send(wire::encode(ToEgress{message}));
  if (!s.poll_control(kPatience, [&] { return s.configured_epoch == s.epoch; })) return "no answer";
  return s.configured_error;
}

void Rig::serve(const std::string& host, uint16_t port, Handler handler, Trust trust) {
  auto answer = [handler = std::move(handler)](const OriginRequest& request, OriginStream& stream) {
    std::string bytes = handler(request);
    if (bytes.empty() || !stream.send(bytes)) stream.close();
  };
  state_->serve(host, port, std::move(answer), true, trust);
}

void Rig::serve_stream(const std::string& host, uint16_t port, StreamHandler handler) {
  state_->serve(host, port, std::move(handler), false, Trust::yes);
}

void Rig::State::serve(const std::string& host, uint16_t port, StreamHandler handler, bool repeats,
                       Trust trust) {
  State& s = *this;
  uint16_t listening = 0;
  Fd listener = listen_loopback(listening);
  const Ca& ca = trust == Trust::yes ? s.internet_ca : s.other_ca;
  std::shared_ptr<LeafIssuer> issuer;
  if (port == 443)
    issuer = std::make_shared<LeafIssuer>(std::move(*LeafIssuer::create(ca.certificate, ca.key, s.clock)));
  {
    std::lock_guard guard(s.lock);
    s.routes[fmt::format("{}:{}", host, port)] = listening;
  }
  s.threads.emplace_back(
      [&s, handler, repeats, issuer, host, fd = std::make_shared<Fd>(std::move(listener))] {
        s.serve_origin(std::move(*fd), handler, repeats, issuer, host);
      });
}

void Rig::serve_bytes(const std::string& host, uint16_t port, Bytes answer) {
  State& s = *state_;
  uint16_t listening = 0;
  Fd listener = listen_loopback(listening);
  {
    std::lock_guard guard(s.lock);
    s.routes[fmt::format("{}:{}", host, port)] = listening;
  }
  s.threads.emplace_back([&s, answer, fd = std::make_shared<Fd>(std::move(listener))] {
    std::vector<std::thread> conversations;
    while (!s.stop) {
      if (!wait_readable(fd->get(), 50ms)) continue;
      auto accepted = std::make_shared<Fd>(::accept4(fd->get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (*accepted)
        conversations.emplace_back([answer, accepted] {
          Conversation stream(std::move(*accepted));
          while (stream.read_more())
            if (std::string reply = answer(std::exchange(stream.buffer, {}));
                reply.empty() || !stream.write(reply))
              return;
        });
    }
    for (auto& t : conversations) t.join();
  });
}

std::vector<OriginRequest> Rig::received() const {
  std::lock_guard guard(state_->lock);
  return state_->received;
}
int Rig::dials() const {
  return state_->dials;
}

std::optional<std::string> Rig::resolve(std::string_view name, uint16_t type) {
  std::string query("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00", 12);
  for (size_t at = 0; at < name.size();) {
    size_t dot = std::min(name.find('.', at), name.size());
    query.push_back(static_cast<char>(dot - at));
    query += name.substr(at, dot - at);
    at = dot + 1;
  }
  query += std::string("\x00\x00", 2) + static_cast<char>(type) + std::string("\x00\x01", 2);
  Fd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in to{.sin_family = AF_INET,
                 .sin_port = htons(state_->dns_port),
                 .sin_addr = {htonl(INADDR_LOOPBACK)},
                 .sin_zero = {}};
  EXPECT_GT(::sendto(fd.get(), query.data(), query.size(), 0, reinterpret_cast<sockaddr*>(&to), sizeof to),
            0);
  unsigned char reply[512];
  if (!wait_readable(fd.get(), kPatience)) return "no reply";
  ssize_t n = ::recv(fd.get(), reply, sizeof reply, 0);
  if (n < 12) return "short reply";
  if ((reply[3] & 15) == 3) return std::nullopt;
  if (reply[7] == 0) return "";
  return fmt::format("{}.{}.{}.{}", reply[n - 4], reply[n - 3], reply[n - 2], reply[n - 1]);
}

Agent Rig::connect(const std::string& host, uint16_t port, const ConnectOptions& options) {
  State& s = *state_;
  std::string address = options.address ? *options.address : resolve(host).value_or("203.0.113.1");
  {
    std::lock_guard guard(s.lock);
    s.meant = {};
    s.meant.port = port;
    s.meant.address[10] = s.meant.address[11] = 0xff;
    EXPECT_EQ(::inet_pton(AF_INET, address.c_str(), &s.meant.address[12]), 1) << address;
  }
  auto stream = std::make_unique<Conversation>(connect_loopback(s.capture_port));
  if (options.tls.value_or(port == 443))
    stream->ready = stream->start_tls(
        options.expect == ConnectOptions::Expect::origin ? s.origin_context : s.agent_context,
        options.sni.value_or(host).c_str(), false);
  Agent agent(std::move(stream));
  agent.host = host;
  return agent;
}

std::optional<ReviewAsk> Rig::next_ask(std::chrono::milliseconds limit) {
  State& s = *state_;
  if (!s.poll_control(limit, [&] { return !s.asks.empty(); })) return std::nullopt;
  ReviewAsk ask = s.asks.front();
  s.asks.erase(s.asks.begin());
  return ask;
}
bool Rig::abandoned(uint64_t ask) {
  State& s = *state_;
  return s.poll_control(kPatience, [&] { return std::ranges::find(s.abandoned, ask) != s.abandoned.end(); });
}
void Rig::answer(const ReviewAsk& ask, ReviewOutcome outcome, std::string why) {
  (void)state_->control.send(wire::encode(ToEgress{ReviewVerdict{ask.ask, "rv-1", outcome, std::move(why)}}));
}

void Rig::hold_acknowledgements() {
  state_->acknowledge = false;
}
std::vector<std::string> Rig::events() const {
  std::lock_guard guard(state_->lock);
  return state_->events;
}
int Rig::count_events(std::initializer_list<std::string_view> texts, int awaited) const {
  const auto until = std::chrono::steady_clock::now() + kPatience;
  while (true) {
    int count = 0;
    for (const std::string& event : events()) {
      bool all = true;
      for (std::string_view text : texts) all = all && event.find(text) != std::string::npos;
      count += all ? 1 : 0;
    }
    if (count >= awaited || std::chrono::steady_clock::now() >= until) return count;
    std::this_thread::sleep_for(5ms);
  }
}
void Rig::unbind() {
  (void)state_->control.send(wire::encode(ToEgress{UnbindChannel{"sb-1"}}));
}
void Rig::close_control() {
  std::move(state_->control).take().reset();
}
bool Rig::engine_ended() {
  const auto until = std::chrono::steady_clock::now() + kPatience;
  while (!state_->engine_done && std::chrono::steady_clock::now() < until) std::this_thread::sleep_for(5ms);
  return state_->engine_done;
}

}  // namespace saw::egress::rig
