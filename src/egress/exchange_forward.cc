#include <algorithm>
#include <array>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "egress/exchange.h"

namespace saw::egress {

// The request on its way upstream, in a coroutine of its own: an answer may begin before the request has
// ended.
struct Exchange::Upload {
  explicit Upload(Net& net) : done(net) {}
  Gate done;
  enum class End : uint8_t { running, sent, agent_gone, upstream_gone, refused } end = End::running;
  std::optional<Denial> denial;  // with End::refused
};

bool UpstreamSide::is_quiet() const {
  Socket& socket = stream->socket();
  char byte;
  if (!socket.is_open() || !in.view().empty() || stream->holds_unread()) return false;
  return ::recv(socket.fd(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

Task<std::optional<Denial>> Exchange::connect() {
  upstream_.reset();
  Dial request{.host = to_.host, .port = to_.port, .ranges = ranges_, .trace = who_.trace};
  Dialer::Outcome dialed = co_await services_.dialer.dial(std::move(request));
  if (!dialed) {
    Denial denial = denied(dialed.error().code, dialed.error().message);
    denial.status = 502;
    denial.layer = "perimeter";
    denial.ask =
        fmt::format("ask the operator of this host to list {}:{} in the perimeter file", to_.host, to_.port);
    co_return denial;
  }
  const int on = 1;
  ::setsockopt(dialed->socket.get(), IPPROTO_TCP, TCP_NODELAY, &on,
               sizeof on);  // fails on a connector's Unix socket: no loss
  auto socket = std::make_unique<Socket>(services_.net, std::move(dialed->socket));
  socket->expire_after(ExchangeLimits::kIdleMs);
  if (!to_.tls) {
    upstream_ = std::make_unique<UpstreamSide>(services_.net, plain_stream(std::move(socket)), config_->epoch,
                                               ranges_);
    co_return std::nullopt;
  }
  TlsResult stream = co_await config_->upstream->connect(std::move(socket), to_.host);
  if (stream) {
    upstream_ = std::make_unique<UpstreamSide>(services_.net, std::move(*stream), config_->epoch, ranges_);
    co_return std::nullopt;
  }
  Denial denial = denied(stream.error().code, stream.error().message);
  denial.status = 502;
  denial.ask = "ask the workspace's owner whether the destination's certificate authority is to be trusted";
  co_return denial;
}

std::string Exchange::request_head(std::string_view credential_value) const {
  UpstreamRequest request{.method = head_.method,
                          .target = judged_.target,
                          .authority = {},
                          .body = {},
                          .credential_header = {},
                          .credential_value = {}};
  const std::string authority = to_.authority();
  request.authority = authority;
  if (whole_body_)
    request.body = {whole_body_->empty() ? Framing::none : Framing::length, whole_body_->size()};
  else
    request.body = {head_.framing, head_.content_length};
  if (judged_.inject) {
    request.credential_header = judged_.inject->header;
    request.credential_value = credential_value;
  }
  if (kind_ == policy::Request::Kind::websocket) request.upgrade = UpstreamRequest::Upgrade::websocket;
  if (judged_.min_age_days != 0) request.accept = kVersionLists;
  if (reads_answer()) request.answer = UpstreamRequest::Answer::readable;
  return upstream_head(request, head_.fields);
}

Task<> Exchange::upload(Upload& state) {
  std::string out = request_head(credential_.value);
  if (whole_body_) out += *whole_body_;
  state.denial = charge(out.size());
  if (state.denial) {
    state.end = Upload::End::refused;
  } else if (whole_body_ || head_.framing == Framing::none) {
    bool sent = co_await upstream_->stream->write(out);
    state.end = sent ? Upload::End::sent : Upload::End::upstream_gone;
  } else {
    co_await upload_parts(state, std::move(out));
  }
  // Half a request is never completed by anybody: the upstream sees it cut off.
  if (state.end == Upload::End::agent_gone || state.end == Upload::End::refused)
    upstream_->stream->socket().close();
  state.done.open();
}

Task<> Exchange::upload_parts(Upload& state, std::string out) {
  const bool chunked = head_.framing == Framing::chunked;
  PlaceholderScanner scanner = foreign_placeholders();
  uint64_t scanned = 0;
  while (true) {
    if (agent_.in.view().empty() && !out.empty()) {  // the head does not wait for a slow body
      if (!co_await upstream_->stream->write(std::exchange(out, {})))
        co_return void(state.end = Upload::End::upstream_gone);
    }
    agent_.stream->socket().expire_after(ExchangeLimits::kIdleMs);
    BodyReader::Part part = co_await body_->next();
    if (part.state == BodyReader::State::failed) co_return void(state.end = Upload::End::agent_gone);
    if (part.state == BodyReader::State::malformed) state.denial = malformed(part.problem);
    if (part.state == BodyReader::State::data && scanned < ExchangeLimits::kScannedBodyBytes) {
      scanned += part.data.size();
      if (auto found = scanner.feed(part.data)) state.denial = misuse(*found);
    }
    if (!state.denial && !part.data.empty()) state.denial = charge(part.data.size());
    if (state.denial) co_return void(state.end = Upload::End::refused);
    if (part.state == BodyReader::State::end && chunked) out += kLastChunk;
    if (part.state == BodyReader::State::data) {
      if (chunked)
        out += encode_chunk(part.data);
      else
        out += part.data;
    }
    if (!out.empty() && !co_await upstream_->stream->write(std::exchange(out, {})))
      co_return void(state.end = Upload::End::upstream_gone);
    if (part.state == BodyReader::State::end) co_return void(state.end = Upload::End::sent);
    upstream_->stream->socket().expire_after(ExchangeLimits::kAnswerPatienceMs);
  }
}

// Ends an upload that nobody needs any more. Until it has ended, nothing it uses may go.
Task<> Exchange::settle(Upload& state) {
  if (state.done.is_open()) co_return;
  constexpr int64_t kLingerMs = 2'000, kNoLimit = int64_t{60} * 60 * 1000;
  upstream_->stream->socket().close();
  agent_.stream->socket().expire_after(kLingerMs);
  while (co_await state.done.wait(kNoLimit) == Gate::Wake::timed_out) agent_.stream->socket().close();
}

// A server may accept an upgrade before it has read the whole request. Until that is out, nobody else writes there.
Task<std::optional<Denial>> Exchange::finish_sending(Upload& sending) {
  if (!sending.done.is_open()) (void)co_await sending.done.wait(ExchangeLimits::kSlowHeadMs);
  if (sending.end == Upload::End::sent) co_return std::nullopt;
  Denial denial = denied("upstream.handshake", "the destination accepted a request that it does not read");
  denial.status = 502;
  co_return denial;
}

// What may be sent twice when a kept connection turns out to be dead (RFC 9110 §9.2.2). An approval is for
// one.
bool Exchange::is_repeatable() const {
  constexpr std::array<std::string_view, 5> kIdempotent = {"GET", "HEAD", "OPTIONS", "PUT", "DELETE"};
  const bool idempotent = std::ranges::find(kIdempotent, head_.method) != kIdempotent.end();
  return idempotent && review_.empty() && (whole_body_ || head_.framing == Framing::none);
}

Task<Persistence> Exchange::forward() {
  // A person's approval is not spent on a connection that may be dead already.
  bool reused = upstream_ && review_.empty() && upstream_->epoch == config_->epoch &&
                upstream_->ranges == ranges_ && upstream_->is_quiet();
  while (true) {
    if (!reused) {
      if (auto denial = co_await connect()) co_return co_await refuse(std::move(*denial));
    }
    // Before anything can answer: an early answer would be a second writer to the agent.
    if (!whole_body_ && !co_await ask_to_continue()) co_return Persistence::close;
    // Unbound, revoked or gone while the connection was opened: nothing goes out any more.
    if (!agent_.stream->socket().is_open()) co_return Persistence::close;
    // Judged, and perhaps signed with a secret, under what is no longer in force (a slow body, a slow dial).
    if (is_stale()) co_return co_await refuse(policy_changed());
    upstream_->stream->socket().expire_after(ExchangeLimits::kAnswerPatienceMs);
    agent_.stream->socket().expire_after(ExchangeLimits::kAnswerPatienceMs);
    Upload sending(services_.net);
    spawn(upload(sending));
    std::optional<Denial> denial = co_await read_answer_head();
    if (!denial && answer_.status == 101) denial = co_await finish_sending(sending);
    if (!denial && answer_.status == 101) co_return co_await run_websocket(sending);
    if (!denial) denial = co_await filter_whole_answer();
    if (!denial) co_return co_await relay_answer(sending);

    const bool silent = answer_bytes_.empty() && upstream_->in.view().empty();
    if (sending.done.is_open() && reused && silent && is_repeatable()) {
      reused = false;
      continue;
    }
    if (sending.denial) denial = std::move(sending.denial);
    Persistence persistence = Persistence::close;
    if (sending.end != Upload::End::agent_gone) persistence = co_await refuse(std::move(*denial));
    if (persistence == Persistence::close) co_await agent_.stream->finish();
    co_await settle(sending);
    upstream_.reset();
    co_return persistence;
  }
}

// Interim answers (RFC 9110 §15.2) end here: the agent has had its 100 from us.
Task<std::optional<Denial>> Exchange::read_answer_head() {
  auto failure = [this](std::string code, std::string reason) {
    Denial denial = denied(std::move(code), std::move(reason));
    denial.status = 502;
    denial.ask = "try again; if it persists, tell the destination's operator";
    return denial;
  };
  answer_bytes_.clear();
  for (int interim = 0; interim <= ExchangeLimits::kMaxInterimAnswers; ++interim) {
    ParsedResponse parsed;
    while ((parsed = parse_response_head(upstream_->in.view(), head_.method)).state == HeadState::incomplete)
      if (co_await upstream_->in.fill() != Inbound::Fill::more)
        co_return failure("upstream.closed", "the destination closed the connection without an answer");
    if (parsed.state == HeadState::malformed)
      co_return failure("upstream.malformed", fmt::format("the destination's answer is {}", parsed.problem));
    answer_bytes_ = upstream_->in.view().substr(0, parsed.consumed);
    upstream_->in.consume(parsed.consumed);
    if (parsed.head.status == 101) {
      if (kind_ != policy::Request::Kind::websocket)
        co_return failure("upstream.upgrade", "the destination wants another protocol");
      answer_ = parse_response_head(answer_bytes_, head_.method).head;
      auto problem = check_ws_answer(head_, answer_);
      if (problem.empty()) co_return std::nullopt;
      co_return failure("upstream.handshake", fmt::format("the destination's handshake is {}", problem));
    }
    if (parsed.head.status < 200) continue;
    answer_ = parse_response_head(answer_bytes_, head_.method).head;
    if (auto denial = check_answer()) co_return denial;
    co_return prepare_filter();
  }
  co_return failure("upstream.malformed", "the destination sends interim answers without end");
}

// What cannot be searched for the secret does not pass (R53).
std::optional<Denial> Exchange::check_answer() const {
  const bool searched = judged_.inject && redactor_ && !redactor_->empty();
  if ((!searched && !reads_answer()) || answer_.framing == Framing::none) return std::nullopt;
  auto coding = std::ranges::find_if(answer_.fields, [](const Field& f) {
    return same_token(f.name, "content-encoding") && !same_token(f.value, "identity");
  });
  if (coding == answer_.fields.end()) return std::nullopt;
  Denial denial =
      denied(searched ? "credential.unreadable_answer" : "upstream.unreadable_answer",
             fmt::format("the destination answered with the coding '{}', which hides what it sends back",
                         coding->value));
  denial.status = 502;
  return denial;
}

Task<Persistence> Exchange::relay_answer(Upload& sending) {
  BodyPlan plan{answer_.framing, answer_.content_length};
  if (whole_answer_)
    plan = {Framing::length, whole_answer_->size()};
  else if (filter_ && filter_->pace() == AnswerFilter::Pace::stream && plan.framing == Framing::length)
    plan = {Framing::chunked, 0};
  const bool agent_takes_chunks = head_.version == Version::http11;
  if (plan.framing == Framing::until_close && agent_takes_chunks) plan.framing = Framing::chunked;
  if (plan.framing == Framing::chunked && !agent_takes_chunks) plan.framing = Framing::until_close;
  Persistence persistence = head_.persistence;
  if (plan.framing == Framing::until_close || sending.end != Upload::End::sent)
    persistence = Persistence::close;

  answer_started_ = true;
  auto value = [this](const Field& f) { return redactor_ ? redactor_->text(f.value) : std::string(f.value); };
  if (redactor_) {
    answer_reason_ = redactor_->text(answer_.reason);
    answer_.reason = answer_reason_;
  }
  if (filter_) agent_.still_admitted = [this] { return still_admitted(); };
  bool whole = co_await relay_body(downstream_head(answer_, plan, persistence, value), plan);
  agent_.still_admitted = nullptr;
  if (!whole) {
    agent_.stream->socket().close();  // the agent must see that it is cut off
    persistence = Persistence::close;
  } else if (persistence == Persistence::close) {
    co_await agent_.stream->finish();
  }
  co_await settle(sending);
  if (!whole || answer_.persistence == Persistence::close || sending.end != Upload::End::sent)
    upstream_.reset();
  co_return persistence;
}

// What of a part goes on; nullopt: the answer is cut off here.
std::optional<std::string> Exchange::for_agent(BodyReader::Part part) {
  const bool end = part.state == BodyReader::State::end;
  if (!end && part.state != BodyReader::State::data) return std::nullopt;
  std::string filtered;
  if (filter_) {
    auto passes = end ? filter_->finish() : filter_->feed(part.data);
    if (!passes) {
      record(audit::Verdict::denied, judged_.rule, passes.error().code, answer_.status);
      return std::nullopt;
    }
    filtered = std::move(*passes);
    part.data = filtered;
  }
  if (!redactor_) return std::string(part.data);
  std::string out = part.data.empty() ? std::string() : redactor_->feed(part.data);
  if (end) out += redactor_->finish();
  return out;
}

Task<bool> Exchange::relay_whole(std::string out) {
  if (redactor_) {
    out += redactor_->feed(*whole_answer_);
    out += redactor_->finish();
  } else {
    out += *whole_answer_;
  }
  agent_.stream->socket().expire_after(ExchangeLimits::kAnswerIdleMs);
  co_return co_await agent_.stream->write(out);
}

Task<bool> Exchange::relay_body(std::string out, BodyPlan plan) {
  if (whole_answer_) co_return co_await relay_whole(std::move(out));
  BodyReader body(upstream_->in, answer_.framing, answer_.content_length);
  while (true) {
    if (upstream_->in.view().empty() && !out.empty() && answer_.framing != Framing::none) {
      if (!co_await agent_.stream->write(std::exchange(out, {}))) co_return false;
    }
    BodyReader::Part part = co_await body.next();
    const bool end = part.state == BodyReader::State::end;
    std::optional<std::string> passes = for_agent(part);
    if (!passes) co_return false;
    const std::string data = std::move(*passes);
    if (plan.framing == Framing::chunked) {
      if (!data.empty()) out += encode_chunk(data);
      if (end) out += kLastChunk;
    } else {
      out += data;
    }
    agent_.stream->socket().expire_after(ExchangeLimits::kAnswerIdleMs);
    upstream_->stream->socket().expire_after(ExchangeLimits::kAnswerIdleMs);
    if (!out.empty() && !co_await agent_.stream->write(std::exchange(out, {}))) co_return false;
    if (end) co_return true;
  }
}

}  // namespace saw::egress
