// A WebSocket through saw-egress: two coroutines, one for each direction, each the only reader of its side. Every message of the agent's is
// put together, judged by the policy in force, recorded, and sent on as one frame of ours. Pings are answered on either side, never
// passed on: their payload would be a message that nobody judges.
#include "base/bytes.h"
#include "egress/exchange.h"

namespace saw::egress {
namespace {

constexpr uint64_t kMaxServerMessage = 4u << 20;
constexpr int64_t kCloseMs = 2'000;  // for the other side to say goodbye
constexpr uint16_t kGoingAway = 1001, kPolicyViolation = 1008, kServerFailed = 1011;
constexpr size_t kPreviewMessage = 4u << 10;

// A stream that both coroutines write to, each a whole frame at a time.
class Outlet {
 public:
  Outlet(Net& net, Stream& stream) : net_(net), stream_(stream) {}
  Task<bool> write(std::string frame) {
    constexpr int64_t kTurnMs = 1'000;
    while (writing_) {
      Gate freed(net_);
      waiting_ = &freed;
      (void)co_await freed.wait(kTurnMs);
      waiting_ = nullptr;
    }
    writing_ = true;
    const bool sent = co_await stream_.write(frame);
    writing_ = false;
    if (waiting_ != nullptr) waiting_->open();
    co_return sent;
  }

 private:
  Net& net_;
  Stream& stream_;
  bool writing_ = false;
  Gate* waiting_ = nullptr;
};

// The next message; nothing at the end of the stream, or with `wrong` set when what came is no frame.
Task<std::optional<WsMessage>> next_message(Inbound& in, WsReader& reader, WsReader::Step& wrong) {
  while (true) {
    WsReader::Step step = reader.step(in.view());
    in.consume(step.consumed);
    if (step.close_code) {
      wrong = step;
      co_return std::nullopt;
    }
    if (step.message) co_return std::move(step.message);
    if (step.consumed == 0 && co_await in.fill() != Inbound::Fill::more) co_return std::nullopt;
  }
}

std::string_view kind_name(WsKind kind) {
  return kind == WsKind::text ? "text message" : "binary message";
}

}  // namespace

struct Exchange::Dialogue {
  Dialogue(Net& net, AgentSide& agent, UpstreamSide& server, PlaceholderScanner placeholders)
      : to_agent(net, *agent.stream),
        to_server(net, *server.stream),
        server_done(net),
        scanner(std::move(placeholders)) {}
  Outlet to_agent, to_server;
  Gate server_done;            // nothing more comes from there
  PlaceholderScanner scanner;  // over all that the agent says
  bool closing = false;        // one side has said goodbye
};

std::string Exchange::upgrade_answer() const {
  std::string out = status_line(101, "Switching Protocols");
  out += "Upgrade: websocket\r\nConnection: Upgrade\r\n";
  for (const Field& f : answer_.fields)
    if (!is_hop_by_hop(f.name, answer_.fields) && !is_framing(f.name))
      out += fmt::format("{}: {}\r\n", f.name, redactor_ ? redactor_->text(f.value) : std::string(f.value));
  return out + "\r\n";
}

Task<Persistence> Exchange::run_websocket(Upload& sending) {
  answer_started_ = true;
  if (!co_await agent_.stream->write(upgrade_answer())) upstream_->stream->socket().close();
  Dialogue dialogue(services_.net, agent_, *upstream_, foreign_placeholders());
  agent_.still_admitted = [this] { return still_admitted(); };
  spawn(relay_from_server(dialogue));
  co_await relay_from_agent(dialogue);
  dialogue.closing = true;
  agent_.stream->socket().expire_after(kCloseMs);
  upstream_->stream->socket().expire_after(kCloseMs);
  while (co_await dialogue.server_done.wait(kCloseMs) == Gate::Wake::timed_out)
    upstream_->stream->socket().close();
  agent_.still_admitted = nullptr;
  co_await settle(sending);
  upstream_.reset();
  co_return Persistence::close;
}

Task<> Exchange::relay_from_agent(Dialogue& dialogue) {
  WsReader reader(WsSide::client, judged_.limits.request_bytes);
  WsReader::Step wrong;
  while (auto message = co_await next_message(agent_.in, reader, wrong))
    if (!co_await pass_from_agent(dialogue, std::move(*message))) co_return;
  if (wrong.close_code && !dialogue.closing) {
    record(audit::Verdict::denied, {}, wrong.problem, 0);
    (void)co_await dialogue.to_agent.write(ws_close(WsSide::server, *wrong.close_code, wrong.problem));
  }
  (void)co_await dialogue.to_server.write(ws_close(WsSide::client, kGoingAway, {}));
}

// false: the conversation is over.
Task<bool> Exchange::pass_from_agent(Dialogue& dialogue, WsMessage message) {
  if (message.kind == WsKind::close) {
    // The reason would be a message that nobody judged.
    if (!dialogue.closing)
      (void)co_await dialogue.to_agent.write(ws_close(WsSide::server, message.close_code, {}));
    (void)co_await dialogue.to_server.write(ws_close(WsSide::client, message.close_code, {}));
    co_return false;
  }
  if (dialogue.closing) co_return true;  // said too late
  agent_.stream->socket().expire_after(ExchangeLimits::kAnswerIdleMs);
  upstream_->stream->socket().expire_after(ExchangeLimits::kAnswerIdleMs);
  if (message.kind == WsKind::ping)
    co_return co_await dialogue.to_agent.write(ws_frame(WsSide::server, WsKind::pong, message.payload));
  if (message.kind == WsKind::pong) co_return true;
  if (auto denial = co_await admit_message(dialogue, message)) {
    if (services_.audit.has_room()) record(audit::Verdict::denied, denial->rule, denial->code, 0);
    const std::string reason = fmt::format("{}: {}", denial->code, denial->reason);
    (void)co_await dialogue.to_agent.write(ws_close(WsSide::server, kPolicyViolation, reason));
    (void)co_await dialogue.to_server.write(ws_close(WsSide::client, kGoingAway, {}));
    co_return false;
  }
  co_return co_await dialogue.to_server.write(ws_frame(WsSide::client, message.kind, message.payload));
}

policy::Decision Exchange::decide_message(const WsMessage& message) const {
  std::vector<policy::Header> headers;
  policy::Request asked = request(headers);
  asked.message = message.payload;
  if (message.kind == WsKind::binary) asked.frame = policy::Request::Frame::binary;
  return services_.config->policy.decide(asked);
}

Task<std::optional<Denial>> Exchange::admit_message(Dialogue& dialogue, const WsMessage& message) {
  const bool recordable = co_await services_.audit.room();
  if (!recordable) co_return unrecordable();
  judged_.operation.summary = kind_name(message.kind);
  review_.clear();  // an approval was for one message
  if (!still_admitted()) co_return policy_changed();
  const policy::Decision decision = decide_message(message);
  judged_.rule = decision.rule;
  judged_.reason = decision.reason;
  if (decision.effect == policy::Effect::deny) co_return from_decision(decision);
  if (auto found = dialogue.scanner.feed(message.payload)) co_return misuse(*found);
  if (decision.effect == policy::Effect::review) {
    upstream_->stream->socket().expire_after(config_->policy.review().hold_ms +
                                             ExchangeLimits::kAnswerIdleMs);
    if (auto denial = co_await review_message(message)) co_return denial;
  }
  if (auto denial = charge(message.payload.size())) co_return denial;
  audit::HttpActivity told = event(audit::Verdict::allowed, judged_.rule, judged_.reason);
  told.bytes_out = message.payload.size();
  told.digest = digest_text(sha256(message.payload));
  const uint64_t number = services_.audit.record(audit::http_activity(told));
  co_return co_await admit_recorded(number);
}

// What a request waits for, a message waits for: its record, where the profile wants that first or a person has decided.
Task<std::optional<Denial>> Exchange::admit_recorded(uint64_t number) {
  const std::shared_ptr<Config> under = services_.config;
  const bool wait = policy::recording(under->policy.profile()) == policy::Recording::before;
  if (!wait && review_.empty()) co_return std::nullopt;
  if (!co_await services_.audit.durable(number)) co_return unrecordable();
  if (services_.config != under) co_return policy_changed();
  co_return std::nullopt;
}

Task<std::optional<Denial>> Exchange::review_message(const WsMessage& message) {
  if (services_.reviews.is_full())
    co_return Denial{
        .status = 503, .code = "review.busy", .reason = "too many requests wait for a person already"};
  const std::string rule = judged_.rule;
  const Digest under = services_.config->policy.digest();
  ReviewAsk ask = review_ask(message.payload);
  ask.policy_digest = digest_text(under);
  ask.hold_ms = services_.config->policy.review().hold_ms;
  ask.preview = fmt::format("{} on the WebSocket {}\n\n{}", kind_name(message.kind), to_.url(judged_.target),
                            printable(message.payload, kPreviewMessage));
  record(audit::Verdict::reviewing, judged_.rule, judged_.reason, 0);
  if (auto denial = co_await ask_person(std::move(ask))) co_return denial;
  agent_.stream->socket().expire_after(ExchangeLimits::kAnswerIdleMs);
  if (!still_admitted()) co_return policy_changed();
  const policy::Decision again = decide_message(message);
  if (again.effect == policy::Effect::deny) co_return from_decision(again);
  const bool same = services_.config->policy.digest() == under && again.rule == rule;
  if (again.effect == policy::Effect::review && !same) co_return policy_changed();
  co_return std::nullopt;
}

Task<> Exchange::relay_from_server(Dialogue& dialogue) {
  WsReader reader(WsSide::server, kMaxServerMessage);
  WsReader::Step wrong;
  while (auto message = co_await next_message(upstream_->in, reader, wrong))
    if (!co_await pass_from_server(dialogue, std::move(*message))) break;
  if (!dialogue.closing) {
    dialogue.closing = true;
    if (wrong.close_code) record(audit::Verdict::denied, {}, wrong.problem, 0);
    const std::string_view reason =
        wrong.close_code ? wrong.problem : "the destination closed the connection";
    (void)co_await dialogue.to_agent.write(ws_close(WsSide::server, kServerFailed, reason));
    if (wrong.close_code)
      (void)co_await dialogue.to_server.write(ws_close(WsSide::client, *wrong.close_code, {}));
  }
  agent_.stream->socket().expire_after(kCloseMs);
  dialogue.server_done.open();
}

Task<bool> Exchange::pass_from_server(Dialogue& dialogue, WsMessage message) {
  if (message.kind == WsKind::close) {
    if (std::exchange(dialogue.closing, true)) co_return false;
    const std::string reason = redactor_ ? redactor_->text(message.payload) : message.payload;
    (void)co_await dialogue.to_server.write(ws_close(WsSide::client, message.close_code, {}));
    (void)co_await dialogue.to_agent.write(ws_close(WsSide::server, message.close_code, reason));
    co_return false;
  }
  if (dialogue.closing) co_return true;
  agent_.stream->socket().expire_after(ExchangeLimits::kAnswerIdleMs);
  upstream_->stream->socket().expire_after(ExchangeLimits::kAnswerIdleMs);
  if (message.kind == WsKind::ping)
    co_return co_await dialogue.to_server.write(ws_frame(WsSide::client, WsKind::pong, message.payload));
  if (message.kind == WsKind::pong) co_return true;
  std::string payload = std::move(message.payload);
  if (redactor_) payload = redactor_->feed(payload) + redactor_->finish();
  co_return co_await dialogue.to_agent.write(ws_frame(WsSide::server, message.kind, payload));
}

}  // namespace saw::egress
