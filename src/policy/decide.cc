#include "policy/judge.h"
#include "policy/scratch.h"
#include "policy/tally.h"

namespace saw::policy {
namespace {

bool method_matches(const Rule& rule, std::string_view method) {
  if (rule.methods.empty()) return true;
  return std::ranges::any_of(
      rule.methods, [&](const std::string& m) { return m == method || (m == "GET" && method == "HEAD"); });
}

bool query_matches(const Rule& rule, std::string_view query) {
  return std::ranges::all_of(rule.query, [&](const ValueRule& wanted) {
    Tally tally(rule.effect);
    ParameterReader reader(query);
    while (auto parameter = reader.next())
      if (parameter->key == wanted.key) tally.value(wanted.value.matches(parameter->value));
    return tally.holds();
  });
}

bool headers_match(const Rule& rule, std::span<const Header> headers) {
  return std::ranges::all_of(rule.headers, [&](const ValueRule& wanted) {
    Tally tally(rule.effect);
    for (const Header& header : headers) {
      const bool matches = wanted.value.matches(header.value);
      // A field that only might be the named one can break an allow, and can make the others hold.
      if (same_letters(header.name, wanted.key) ||
          (may_be_taken_for(header.name, wanted.key) && matches != (rule.effect == Effect::allow)))
        tally.value(matches);
    }
    return tally.holds();
  });
}

bool passes_unread(const Entry& entry) {
  return entry.protocol == Protocol::tcp || entry.tls == TlsMode::passthrough;
}

}  // namespace

// Whether the connection is what the entry is for.
Reason Judge::unfit_tls(const Entry& candidate) const {
  const Request& request = subject_.request;
  if (candidate.tls == TlsMode::passthrough) {
    // The name in the handshake is all that will be seen, so it must be there.
    if (!request.tls) return "tls-required";
    return request.sni.empty() ? "sni-missing" : Reason();
  }
  if (candidate.protocol == Protocol::tcp || request.tls == (candidate.tls != TlsMode::none)) return {};
  return request.tls ? "tls-unexpected" : "tls-required";
}

// Why an entry whose `to` matches cannot carry the request.
Reason Judge::unfit(const Entry& candidate) const {
  const bool raw = subject_.request.kind == Request::Kind::tcp;
  const bool websocket = subject_.request.kind == Request::Kind::websocket;
  // Requests inside a connection that is not inspected are not refused for what they are: SAW would not see them.
  const bool fits =
      candidate.tls == TlsMode::passthrough ||
      (raw ? passes_unread(candidate)
           : candidate.protocol != Protocol::tcp && websocket == (candidate.protocol == Protocol::websocket));
  if (!fits) return "protocol-mismatch";
  if (Reason why = unfit_tls(candidate); !why.empty()) return why;
  const bool listed = !subject_.address || classify(*subject_.address) != AddressClass::private_use ||
                      std::ranges::any_of(candidate.addresses, [&](const AddressRange& range) {
                        return contains(range, *subject_.address);
                      });
  return listed ? Reason() : "address-private";
}

Decision Judge::outcome(const Best& best, Reason action, Held held) const {
  if (best.rule == nullptr) return refuse(reason_);
  if (best.gap && reading_ == Reading::sent && best.rule->effect != Effect::deny) return refuse(reason_);
  Decision out{
      .effect = best.rule->effect, .rule = best.rule->id, .reason = action, .entry = entry(best.entry).name};
  if (out.effect == Effect::deny) out.reason = "denied-by-rule";
  // Before the trifecta, which knows no later.
  if (held == Held::later && out.effect == Effect::review) out.effect = Effect::allow;
  constexpr Labels kBoth = kPrivate | kUntrusted;
  if (external_ && (subject_.request.labels & kBoth) == kBoth && impl_.document.trifecta > out.effect) {
    out.effect = impl_.document.trifecta;
    out.rule = "trifecta.privateAndUntrusted";
    out.reason = "trifecta";
  }
  return out;
}

Decision Judge::http() {
  const Request& request = subject_.request;
  Best best;
  Protocol spoken = Protocol::http;
  bool unread = false;
  std::optional<uint32_t> hub;
  each_entry([&](uint32_t e) {
    const Entry& candidate = entry(e);
    spoken = candidate.protocol;
    unread = passes_unread(candidate);
    if (spoken != Protocol::http || unread) return;
    if (!impl_.models[e].empty()) hub = e;
    impl_.rules[e].at(subject_.path, [&](uint32_t r) {
      const Rule& rule = candidate.rules[r];
      if (method_matches(rule, request.method) && holds_here(rule) && query_matches(rule, subject_.query) &&
          headers_match(rule, request.headers))
        best.offer(rule, e);
    });
  });
  // Entries that can match one request agree on protocol and tls: the compiler made sure.
  if (unread) return connection();
  if (spoken != Protocol::http) return by_protocol(spoken);
  const bool reads = request.method == "GET" || request.method == "HEAD" || request.method == "OPTIONS";
  Decision out = outcome(best, reads ? "read" : "write");
  return hub && !reads ? inference(*hub, std::move(out)) : out;
}

Decision Judge::by_protocol(Protocol protocol) {
  switch (protocol) {
    case Protocol::git:
      return git();
    case Protocol::graphql:
      return graphql();
    case Protocol::jsonrpc:
    case Protocol::mcp:
      return calls(protocol);
    case Protocol::registry:
      return registry();
    case Protocol::http:
    case Protocol::websocket:
    case Protocol::tcp:
      break;
  }
  return refuse("protocol-mismatch");
}

// A connection whose content nobody reads: its rules say nothing but labels.
Decision Judge::connection() {
  Best best;
  each_entry([&](uint32_t e) {
    for (const Rule& rule : entry(e).rules)
      if (holds_here(rule)) best.offer(rule, e);
  });
  return outcome(best, "connect");
}

Decision Judge::tcp() {
  return connection();
}

// An upgrade, or one message on an upgraded connection. What allows messages allows the upgrade that they need; what holds or denies
// messages does not hold or deny it.
Decision Judge::websocket() {
  const Request& request = subject_.request;
  const bool binary = request.frame == Request::Frame::binary;
  const bool text = !binary && request.message.has_value(), upgrade = !binary && !text;
  Best best, later;
  bool unread = false;
  each_entry([&](uint32_t e) {
    unread = unread || passes_unread(entry(e));
    impl_.rules[e].at(subject_.path, [&](uint32_t r) {
      const Rule& rule = entry(e).rules[r];
      if (!holds_here(rule)) return;
      if (text && !any_matches(rule.messages, *request.message)) return;
      if (!text && rule.effect == Effect::deny && !rule.messages.empty()) return;
      if (binary && rule.effect != Effect::deny && rule.binary == Binary::deny) return;
      const bool held_later = upgrade && rule.effect == Effect::review && !rule.messages.empty();
      (held_later ? later : best).offer(rule, e);
    });
  });
  if (unread) return connection();
  if (best.rule == nullptr && later.rule != nullptr) return outcome(later, "upgrade", Held::later);
  Decision out = outcome(best, upgrade ? "upgrade" : "message");
  if (binary && best.rule == nullptr && out.reason == "default-deny") out.reason = "websocket-binary";
  return out;
}

Decision Judge::dns() {
  if (subject_.host.address()) return refuse(reason_);
  const Entry* found = nullptr;
  uint32_t number = 0;
  impl_.hosts.anywhere(subject_.host, [&](uint32_t e) {
    if (admits(entry(e)) && (found == nullptr || e < number)) found = &entry(e), number = e;
    return true;
  });
  if (found == nullptr) return refuse(reason_);
  return {.effect = Effect::allow, .rule = impl_.to_ids[number], .reason = "resolve", .entry = found->name};
}

namespace {

using Judged = Decision (Judge::*)();

Decision decide_target(const Policy::Impl& impl, Subject& subject, Judged judge, Policy::Scratch& scratch) {
  auto refuse = [](Reason reason) { return Decision{.effect = Effect::deny, .reason = reason}; };
  for (Reason reason : {check_head(subject), check_sni(subject), read_target(subject, scratch.target)})
    if (!reason.empty()) return refuse(reason);
  subject.path = scratch.target.path();
  subject.query = scratch.target.query();
  Decision out = (Judge(impl, subject).*judge)();
  // Whatever else a server may read there makes the judgement stricter, never looser.
  other_readings(scratch.target.path(), scratch.readings);
  for (const std::string& reading : scratch.readings.all()) {
    subject.path = reading;
    Decision other = (Judge(impl, subject, Reading::other).*judge)();
    if (!other.rule.empty() && other.effect > out.effect) out = std::move(other);
  }
  std::swap(out.canonical_target, scratch.target.text);
  return out;
}

Decision decide_connection(const Policy::Impl& impl, const Subject& subject) {
  if (Reason reason = check_sni(subject); !reason.empty()) return {.effect = Effect::deny, .reason = reason};
  return Judge(impl, subject).tcp();
}

Decision judge(const Policy::Impl& impl, const Request& request, Policy::Scratch& scratch) {
  auto host = HostName::parse(request.host);
  if (!host) return {.effect = Effect::deny, .reason = host.error()};
  Subject subject{.request = request, .host = *host};
  if (Reason reason = judge_address(subject); !reason.empty())
    return {.effect = Effect::deny, .reason = reason};
  switch (request.kind) {
    case Request::Kind::dns:
      return Judge(impl, subject).dns();
    case Request::Kind::tcp:
      return decide_connection(impl, subject);
    case Request::Kind::websocket:
      return decide_target(impl, subject, &Judge::websocket, scratch);
    case Request::Kind::http:
      return decide_target(impl, subject, &Judge::http, scratch);
  }
  return {.effect = Effect::deny, .reason = "malformed:kind"};
}

}  // namespace

Decision Policy::decide(const Request& request) const {
  Scratch scratch;
  decide(request, scratch);
  return std::move(scratch.decision);
}

const Decision& Policy::decide(const Request& request, Scratch& scratch) const {
  // The room of the last answer's text is the room of this one's, unless the last answer had none.
  if (scratch.decision.canonical_target.capacity() > scratch.target.text.capacity())
    std::swap(scratch.target.text, scratch.decision.canonical_target);
  scratch.decision = judge(*impl_, request, scratch);
  return scratch.decision;
}

bool Policy::offers_tool(const Request& request, std::string_view tool) const {
  auto host = HostName::parse(request.host);
  if (!host) return false;
  Subject subject{.request = request, .host = *host};
  if (!judge_address(subject).empty()) return false;
  Target target;
  if (!read_target(subject, target).empty()) return false;
  subject.path = target.path();
  return Judge(*impl_, subject).offers_tool(tool);
}

}  // namespace saw::policy
