#include "egress/exchange.h"

namespace saw::egress {
namespace {

// "http://host/path" → authority and origin-form; nullopt when the target is not in absolute form.
struct Absolute {
  std::string_view authority, path;
};
std::optional<Absolute> split_absolute(std::string_view target, std::string_view scheme) {
  if (target.starts_with('/') || target == "*") return std::nullopt;
  size_t colon = target.find("://");
  if (colon == std::string_view::npos || !same_token(target.substr(0, colon), scheme))
    return Absolute{};  // names nothing: refused
  target.remove_prefix(colon + 3);
  size_t slash = target.find_first_of("/?#");
  return Absolute{target.substr(0, slash),
                  slash == std::string_view::npos ? std::string_view() : target.substr(slash)};
}

}  // namespace

Task<ParsedRequest> next_head(AgentSide& agent) {
  Socket& socket = agent.stream->socket();
  ParsedRequest parsed;
  while ((parsed = parse_request_head(agent.in.view())).state == HeadState::incomplete) {
    // One limit for the whole head: a client that sends a byte now and then does not keep the connection.
    const bool first = agent.in.view().empty();
    if (first) socket.expire_after(ExchangeLimits::kIdleMs);
    if (co_await agent.in.fill() != Inbound::Fill::more) break;
    if (first) socket.expire_after(ExchangeLimits::kSlowHeadMs);
  }
  co_return parsed;
}

Task<Persistence> Exchange::run() {
  std::optional<Denial> denial;
  if (!co_await read_head(denial)) co_return Persistence::close;
  if (!denial) denial = co_await admit();
  if (denial) co_return co_await refuse(std::move(*denial));
  co_return co_await forward();
}

// false: nothing to answer. With `problem` set: something that is no request.
Task<bool> Exchange::read_head(std::optional<Denial>& problem) {
  const ParsedRequest parsed = co_await next_head(agent_);
  if (parsed.state == HeadState::incomplete) co_return false;
  began_ = true;
  config_ = services_.config;
  agent_.stream->socket().expire_after(ExchangeLimits::kIdleMs);
  if (parsed.state == HeadState::malformed) {
    head_.persistence = Persistence::close;
    problem = malformed(parsed.problem);
    co_return true;
  }
  head_bytes_ = agent_.in.view().substr(0, parsed.consumed);
  agent_.in.consume(parsed.consumed);
  head_ = parse_request_head(head_bytes_).head;
  target_ = head_.target;
  body_.emplace(agent_.in, head_.framing, head_.content_length);
  co_return true;
}

Task<std::optional<Denial>> Exchange::admit() {
  if (!config_)
    co_return Denial{.status = 503, .code = "egress.not_configured", .reason = "no policy is loaded"};
  bool recordable = co_await services_.audit.room();
  if (!recordable) co_return unrecordable();
  if (auto denial = check_endpoint()) co_return denial;
  if (auto denial = check_form()) co_return denial;
  if (body_need_ == policy::BodyNeed::whole) {
    if (auto denial = co_await buffer_body()) co_return denial;
  }
  if (auto denial = judge()) co_return denial;
  if (auto denial = check_placeholders()) co_return denial;
  if (auto denial = take_place()) co_return denial;
  if (judged_.effect == policy::Effect::review) {
    if (auto denial = co_await buffer_body()) co_return denial;
    if (auto denial = check_placeholders()) co_return denial;  // now with the whole body
    if (auto denial = co_await hold_for_review()) co_return denial;
  }
  if (auto denial = prepare_credential()) co_return denial;
  const uint64_t event = record(audit::Verdict::allowed, judged_.rule, judged_.reason, 0);
  // A credential and a person's decision are recorded before they are used in every profile.
  const bool wait = policy::recording(config_->policy.profile()) == policy::Recording::before;
  if (wait || judged_.inject || !review_.empty()) {
    if (!co_await services_.audit.durable(event)) co_return unrecordable();
  }
  co_return std::nullopt;
}

// What policy.md calls the canonical request, as far as it needs no policy: one destination, said the same
// everywhere.
std::optional<Denial> Exchange::check_form() {
  if (head_.method == "CONNECT")
    return denied("request.connect",
                  "CONNECT is not needed: connections are captured and judged without a proxy setting");
  if (auto upgrade = find_field(head_.fields, "upgrade")) {
    if (!same_token(*upgrade, "websocket"))
      return denied("request.upgrade", "no Upgrade but that to websocket is available");
    if (auto problem = check_ws_request(head_); !problem.empty()) return malformed(problem);
    kind_ = policy::Request::Kind::websocket;
  }
  if (!to_.is_named_by(head_.host)) return malformed("malformed:host-mismatch");
  if (to_.tls && !to_.literal && to_.sni != to_.host)
    return malformed(to_.sni.empty() ? "malformed:sni-missing" : "malformed:sni-mismatch");
  if (auto absolute = split_absolute(head_.target, to_.scheme())) {
    if (!to_.is_named_by(absolute->authority)) return malformed("malformed:absolute-target");
    target_ = absolute->path.starts_with('/') ? absolute->path : "/" + std::string(absolute->path);
  }
  spell_scope_plainly();
  return std::nullopt;
}

std::optional<Denial> Exchange::check_endpoint() {
  auto endpoint = config_->policy.endpoint(to_.host, to_.port);
  if (!endpoint)
    return denied("policy.default_deny", "no network entry of the policy names this destination");
  judged_.entry = endpoint->entry;
  judged_.limits = endpoint->limits;
  judged_.credential = endpoint->credential;
  body_need_ = endpoint->body;
  allow_ranges(*endpoint);
  if (passes_unread(*endpoint))
    return denied("policy.not_available", "this destination is reached by a connection, not by requests");
  if (endpoint->tls == policy::TlsMode::inspect && !to_.tls)
    return denied("policy.tls_required", "this destination is reached by TLS only");
  if (endpoint->tls == policy::TlsMode::none && to_.tls)
    return denied("policy.tls_unexpected", "the policy says that this destination speaks no TLS");
  return std::nullopt;
}

void Exchange::allow_ranges(const policy::Endpoint& endpoint) {
  ranges_.clear();
  for (const policy::AddressRange& range : endpoint.addresses) ranges_.push_back(range_text(range));
}

// What is judged; the fields go to `headers`, which the answer borrows.
policy::Request Exchange::request(std::vector<policy::Header>& headers) const {
  headers.reserve(head_.fields.size());
  // Only what will be sent may argue for the request; what frames it is judged too.
  for (const Field& f : head_.fields)
    if (is_framing(f.name) || same_token(f.name, "host") || !is_hop_by_hop(f.name, head_.fields))
      headers.push_back({f.name, f.value});
  policy::Request request{.kind = kind_,
                          .host = to_.host,
                          .port = to_.port,
                          .tls = to_.tls,
                          .sni = to_.sni,
                          .method = head_.method,
                          .target = target_,
                          .headers = headers,
                          .time = services_.net.clock.now(),
                          .agent = who_.agent};
  if (whole_body_) request.body = *whole_body_;
  return request;
}

std::optional<Denial> Exchange::judge() {
  policy::Decision decision = decide();
  judged_.effect = decision.effect;
  judged_.rule = decision.rule;
  judged_.reason = decision.reason;
  if (!decision.entry.empty()) judged_.entry = decision.entry;
  judged_.min_age_days = decision.min_age_days;
  judged_.target = std::move(decision.canonical_target);
  // Entries that share the destination may differ by path in what they add and where they may lead.
  std::optional<policy::Endpoint> exact;
  if (!judged_.target.empty()) exact = config_->policy.endpoint(to_.host, to_.port, judged_.target);
  if (exact) {
    judged_.protocol = exact->protocol;
    judged_.body = exact->body;
  }
  read_operation();
  if (decision.effect == policy::Effect::deny) return from_decision(decision);
  if (judged_.target.empty()) return malformed("malformed:target");
  if (exact) {
    judged_.credential = exact->credential;
    allow_ranges(*exact);
  }
  return std::nullopt;
}

// All but that of the credential which belongs to this request.
PlaceholderScanner Exchange::foreign_placeholders() const {
  std::map<std::string, std::string> foreign = config_->placeholders;
  if (const auto* mine = config_->credential(judged_.credential, judged_.entry)) foreign.erase(mine->secret);
  return PlaceholderScanner(std::move(foreign));
}

// A placeholder stands for one secret at one destination. Anywhere else it is an attempt to use or to leak a
// credential.
std::optional<Denial> Exchange::check_placeholders() {
  PlaceholderScanner scanner = foreign_placeholders();
  for (const std::string* target : {&target_, &judged_.target})  // as it came, and with its escapes resolved
    if (auto found = scanner.find(*target)) return misuse(*found);
  for (const Field& f : head_.fields)
    if (auto found = scanner.find(f.value)) return misuse(*found);
  if (whole_body_)
    if (auto found = scanner.find(*whole_body_)) return misuse(*found);
  return std::nullopt;
}

std::optional<Denial> Exchange::prepare_credential() {
  redactor_.emplace(config_->needles);  // a service may show here what it was sent elsewhere
  if (judged_.credential.empty()) return std::nullopt;
  const policy::Credential* credential = config_->credential(judged_.credential, judged_.entry);
  if (!credential)
    return denied("credential.not_for_entry",
                  fmt::format("credential '{}' is not for this entry", judged_.credential));
  auto secret = config_->secrets.find(credential->secret);
  if (secret == config_->secrets.end() || secret->second.empty()) {
    Denial denial =
        denied("credential.unavailable",
               fmt::format("the secret '{}' is not there: nothing is sent without it", credential->secret));
    denial.ask = fmt::format("ask the workspace's owner to store it: saw secret put {}", credential->secret);
    return denial;
  }
  auto rendered = render_credential(credential->format, secret->second);
  if (!rendered) return denied(rendered.error().code, rendered.error().message);
  credential_ = std::move(*rendered);
  judged_.inject = credential;
  std::vector<Needle> needles = config_->needles_of(*credential, credential_);
  needles.insert(needles.end(), config_->needles.begin(), config_->needles.end());
  redactor_.emplace(std::move(needles));
  return std::nullopt;
}

Task<bool> Exchange::ask_to_continue() {
  if (head_.expectation == RequestHead::Expectation::none || std::exchange(continued_, true)) co_return true;
  if (head_.framing == Framing::none || !agent_.in.view().empty()) co_return true;
  co_return co_await agent_.stream->write("HTTP/1.1 100 Continue\r\n\r\n");
}

Task<std::optional<Denial>> Exchange::buffer_body() {
  if (whole_body_) co_return std::nullopt;
  const uint64_t limit = judged_.limits.request_bytes;
  Denial too_large = denied("request.too_large",
                            fmt::format("a request body that must be judged whole may have {} bytes", limit));
  too_large.status = 413;
  if (head_.framing == Framing::length && head_.content_length > limit) co_return too_large;
  co_await ask_to_continue();
  std::string collected;
  BodyReader::Collected outcome = co_await body_->collect(collected, limit);
  if (outcome == BodyReader::Collected::too_large) co_return too_large;
  if (outcome == BodyReader::Collected::malformed) co_return malformed(body_->problem());
  if (outcome == BodyReader::Collected::failed) co_return malformed("malformed:body-cut-off");
  whole_body_ = std::move(collected);
  co_return std::nullopt;
}

Denial Exchange::malformed(std::string_view problem) const {
  return {.status = 400,
          .code = "request.malformed",
          .reason = std::string(problem),
          .layer = "runtime",
          .rule = {},
          .ask = ask_for(problem),
          .review = {}};
}

Denial Exchange::denied(std::string code, std::string reason) const {
  std::string ask = ask_for(reason);
  return {.status = 403,
          .code = std::move(code),
          .reason = std::move(reason),
          .layer = "runtime",
          .rule = judged_.rule,
          .ask = std::move(ask),
          .review = {}};
}

Denial Exchange::policy_changed() const {
  Denial denial =
      denied("policy.changed", "the policy or a secret changed while this request was on its way");
  denial.status = 503;
  denial.ask = "send it again: it is judged anew";
  return denial;
}

Denial Exchange::from_decision(const policy::Decision& decision) const {
  if (decision.reason.starts_with("malformed")) return malformed(decision.reason);
  return denied(decision.rule.empty() ? "policy.default_deny" : "policy.denied",
                std::string(decision.reason));
}

Denial Exchange::misuse(const std::string& secret) {
  record_finding("A credential's placeholder was sent elsewhere", "placeholder-misused",
                 fmt::format("placeholder of secret '{}'", secret));
  Denial denial =
      denied("credential.placeholder_misused",
             fmt::format("the placeholder of secret '{}' has no meaning at this destination", secret));
  denial.ask = "leave the placeholder out: SAW adds the credential itself, and only where the policy says so";
  return denial;
}

Task<Persistence> Exchange::refuse(Denial denial) {
  if (services_.audit.has_room()) record(audit::Verdict::denied, denial.rule, denial.code, denial.status);
  if (answer_started_) co_return Persistence::close;
  const bool body_done = head_.framing == Framing::none || whole_body_ || (body_ && body_->finished());
  const bool keep = body_done && denial.status != 400 && head_.persistence == Persistence::keep_alive;
  const Persistence persistence = keep ? Persistence::keep_alive : Persistence::close;
  answer_started_ = true;
  bool sent = co_await agent_.stream->write(denial_response(denial, head_.method, persistence));
  co_return sent ? persistence : Persistence::close;
}

}  // namespace saw::egress
