// For tests: a whole saw-egress between an agent and an internet that the test plays, on loopback.
//
//   Rig rig;                                                     // the engine runs in a thread of its own
//   rig.serve("api.example.com", 443, [](const OriginRequest&) { return ok("hello"); });
//   ASSERT_EQ(rig.configure(yaml), "");
//   Agent agent = rig.connect("api.example.com", 443);           // asks DNS, connects, speaks TLS when the
//   port is 443 Answer answer = agent.get("/a");
//
// The rig plays sawd (control and audit links, with acknowledgements), saw-perimeter (dials what serve()
// named) and the sandbox (the capture listener and the DNS socket; the original destination is what connect()
// was asked for).
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "egress/egress_protocol.h"

namespace saw::egress::rig {

struct Answer {
  int status = 0;          // 0: the connection ended without an answer
  std::string head, body;  // body decoded
  std::string field(std::string_view name) const;
  std::string code() const { return field("saw-denied"); }
};

class Conversation;  // a blocking byte stream, plain or TLS

class Agent {
 public:
  explicit Agent(std::unique_ptr<Conversation> stream);
  Agent(Agent&&) noexcept;
  ~Agent();
  bool connected() const;  // and the TLS handshake done
  void send(std::string_view bytes);
  Answer read_answer(std::string_view method = "GET");
  Answer get(std::string_view target, std::string_view extra_fields = "");
  Answer post(std::string_view target, std::string_view body, std::string_view extra_fields = "");
  // What comes, up to and with that text, or as much as comes within a moment.
  std::string read_until(std::string_view text);
  std::string read_bytes(size_t count);
  bool ended();  // the peer has closed, within a moment
  void hang_up();
  std::string host = "";

 private:
  std::unique_ptr<Conversation> stream_;
};

struct OriginRequest {
  std::string head, body, method, target;
  std::string field(std::string_view name) const;
};
using Handler = std::function<std::string(const OriginRequest&)>;  // raw answer; "" closes the connection
// For a handler that wants to go on talking on the connection after the request's head (and body) instead of answering once.
class OriginStream {
 public:
  explicit OriginStream(Conversation& stream) : stream_(stream) {}
  bool send(std::string_view bytes);
  std::string read_until(std::string_view text);
  std::string read_bytes(size_t count);
  bool ended();
  void close();

 private:
  Conversation& stream_;
};
using StreamHandler =
    std::function<void(const OriginRequest&, OriginStream&)>;  // the connection ends with it
std::string ok(std::string_view body, std::string_view extra_fields = "");

struct ConnectOptions {
  std::optional<std::string> sni;      // instead of the host; "" sends none
  std::optional<std::string> address;  // connect to this literal instead of asking DNS
  std::optional<bool> tls;             // instead of: port 443 speaks TLS
};

class Rig {
 public:
  explicit Rig(size_t max_connections = 1024);  // of all channels
  ~Rig();
  Rig(const Rig&) = delete;

  // A policy with the usual top, and these lines as `network:` entries (and what follows them).
  static std::string policy(std::string_view network);
  // "" or the error that came back.
  std::string configure(std::string_view yaml);
  std::map<std::string, std::string> secrets, placeholders;  // of the next configure()

  enum class Trust { yes, no };
  void serve(const std::string& host, uint16_t port, Handler handler, Trust trust = Trust::yes);
  void serve_stream(const std::string& host, uint16_t port, StreamHandler handler);
  std::vector<OriginRequest> received() const;
  int dials() const;

  std::optional<std::string> resolve(std::string_view name,
                                     uint16_t type = 1);  // dotted address; "" NODATA; nullopt NXDOMAIN
  Agent connect(const std::string& host, uint16_t port, const ConnectOptions& options = {});

  std::optional<ReviewAsk> next_ask(std::chrono::milliseconds limit = std::chrono::seconds(5));
  bool abandoned(uint64_t ask);  // ReviewAbandoned came, within a moment
  void answer(const ReviewAsk& ask, ReviewOutcome outcome, std::string why = "");

  void hold_acknowledgements();  // as a sawd whose disk is full
  std::vector<std::string> events() const;
  // How many events contain all of these texts, once there are at least `awaited`, or after a moment: an
  // answer may reach the agent before its event reaches the test.
  int count_events(std::initializer_list<std::string_view> texts, int awaited = 1) const;
  void unbind();
  void close_control();
  bool engine_ended();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace saw::egress::rig
