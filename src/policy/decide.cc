#include <algorithm>

#include "policy/compiled.h"
#include "policy/git.h"
#include "policy/target.h"

namespace saw::policy {
namespace {

using Reason = std::string_view;  // empty: fine

bool same_letters(std::string_view a, std::string_view lower) {
  return std::ranges::equal(
      a, lower, [](char x, char y) { return (x >= 'A' && x <= 'Z' ? static_cast<char>(x + 32) : x) == y; });
}

// Whether some server may take the field for that one: CGI and its heirs read '_' and '-' alike (RFC 3875
// §4.1.18).
bool may_be_taken_for(std::string_view name, std::string_view lower) {
  return std::ranges::equal(name, lower, [](char x, char y) {
    return (x == '_' ? '-' : x >= 'A' && x <= 'Z' ? static_cast<char>(x + 32) : x) == (y == '_' ? '-' : y);
  });
}

// The strictest rule seen so far; among equals the first of the text.
struct Best {
  const Rule* rule = nullptr;
  uint32_t entry = 0;

  void offer(const Rule& candidate, uint32_t from) {
    if (rule != nullptr) {
      if (candidate.effect < rule->effect) return;
      if (candidate.effect == rule->effect && (from > entry || (from == entry && &candidate >= rule))) return;
    }
    rule = &candidate;
    entry = from;
  }
};

// What a request is judged by, once its host and path are canonical.
struct Subject {
  const Request& request;
  HostName host;
  std::string_view path, query;
  std::optional<Address> address;  // the one that would be dialled, if known
};

// ---- the head of a request

Reason check_method(std::string_view method) {
  constexpr size_t kMaxMethod = 32;
  const bool token =
      !method.empty() && method.size() <= kMaxMethod && std::ranges::all_of(method, [](char c) {
        return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
      });
  return token && method != "CONNECT" ? Reason() : "malformed:method";
}

bool digits_only(std::string_view s) {
  return !s.empty() && std::ranges::all_of(s, [](char c) { return c >= '0' && c <= '9'; });
}

Reason check_authority(std::string_view text, const Subject& s) {
  auto authority = parse_authority(text);
  if (!authority) return authority.error();
  // A client that leaves the port out means the connection's, whatever the scheme's default is.
  const bool same_port = authority->port == 0 || authority->port == s.request.port;
  return authority->host.text() == s.host.text() && same_port ? Reason() : "malformed:host-mismatch";
}

// Fields by which some servers take another method or target than the request's own.
Reason check_override(std::string_view name) {
  constexpr std::string_view kMethod[] = {"x-http-method-override", "x-http-method", "x-method-override"};
  constexpr std::string_view kTarget[] = {"x-original-url", "x-rewrite-url"};
  auto is = [&](std::string_view field) { return may_be_taken_for(name, field); };
  if (std::ranges::any_of(kMethod, is)) return "malformed:method-override";
  return std::ranges::any_of(kTarget, is) ? "malformed:target-override" : Reason();
}

// "Content_Length": to one reader a field of no meaning, to another where the body ends.
bool imitates_framing(std::string_view name) {
  constexpr std::string_view kFields[] = {"content-length", "transfer-encoding"};
  return name.find('_') != std::string_view::npos &&
         std::ranges::any_of(kFields, [&](std::string_view field) { return may_be_taken_for(name, field); });
}

Reason check_headers(const Subject& s) {
  std::string_view length;
  bool host_seen = false, length_seen = false, chunked = false;
  for (const Header& header : s.request.headers) {
    if (same_letters(header.name, "host") || header.name == ":authority") {
      if (host_seen && header.name != ":authority") return "malformed:duplicate-host";
      host_seen = true;
      if (auto reason = check_authority(header.value, s); !reason.empty()) return reason;
    } else if (same_letters(header.name, "content-length")) {
      if (!digits_only(header.value) || (length_seen && header.value != length))
        return "malformed:content-length";
      length = header.value;
      length_seen = true;
    } else if (same_letters(header.name, "transfer-encoding")) {
      chunked = true;
    } else if (imitates_framing(header.name)) {
      return "malformed:header-underscore";
    } else if (auto reason = check_override(header.name); !reason.empty()) {
      return reason;
    } else if (same_letters(header.name, "upgrade") && same_letters(header.value.substr(0, 9), "websocket")) {
      return "protocol-mismatch";
    }
  }
  return length_seen && chunked ? "malformed:content-length" : Reason();
}

// TLS to one name and a request for another.
Reason check_sni(const Subject& s) {
  if (!s.request.tls || s.request.sni.empty()) return {};
  auto sni = HostName::parse(s.request.sni);
  return sni && sni->text() == s.host.text() ? Reason() : "malformed:sni-mismatch";
}

std::expected<Target, Reason> read_target(const Subject& s) {
  const TargetParts parts = split_target(s.request.target);
  if (parts.scheme.empty()) return canonical_target(parts.rest);
  if (!same_letters(parts.scheme, s.request.tls ? "https" : "http"))
    return std::unexpected("malformed:scheme");
  if (auto reason = check_authority(parts.authority, s); !reason.empty()) return std::unexpected(reason);
  return canonical_target(parts.rest.empty() ? std::string_view("/") : parts.rest);
}

// ---- rules

bool method_matches(const Rule& rule, std::string_view method) {
  if (rule.methods.empty()) return true;
  return std::ranges::any_of(
      rule.methods, [&](const std::string& m) { return m == method || (m == "GET" && method == "HEAD"); });
}

// A named key holds where it is present and, in an allow rule, all its values match; in a review or deny rule one matching
// value suffices (docs/decisions/0014).
class Tally {
 public:
  explicit Tally(Effect effect) : any_suffices_(effect != Effect::allow) {}
  void value(bool matches) { (matches ? matching_ : other_) = true; }
  bool holds() const { return matching_ && (any_suffices_ || !other_); }

 private:
  bool any_suffices_, matching_ = false, other_ = false;
};

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

bool any_matches(const std::vector<Glob>& globs, std::string_view text) {
  return globs.empty() || std::ranges::any_of(globs, [&](const Glob& g) { return g.matches(text); });
}

// ---- judging

class Judge {
 public:
  Judge(const Policy::Impl& impl, const Subject& subject)
      : impl_(impl), subject_(subject), reason_("default-deny") {}

  Decision http();
  Decision tcp();
  Decision dns();

 private:
  const Entry& entry(uint32_t e) const { return impl_.document.network[e]; }
  // Calls visit(entry number) for the entries whose `to` matches and that may carry this request; remembers
  // why others may not.
  template <class Visit> void each_entry(Visit visit);
  Reason unfit(const Entry& candidate) const;
  Decision git();
  Best git_rule(const GitRequest& request, std::string_view ref);
  bool git_rule_holds(const Rule& rule, const GitRequest& request, std::string_view ref) const;
  Decision outcome(const Best& best, Reason action) const;
  static Decision refuse(Reason reason) { return {.effect = Effect::deny, .reason = reason}; }

  const Policy::Impl& impl_;
  const Subject& subject_;
  Reason reason_;          // of the denial when no rule matches
  bool external_ = false;  // some matching entry is an outward communication
};

// Why an entry whose `to` matches cannot carry the request.
Reason Judge::unfit(const Entry& candidate) const {
  const bool raw = subject_.request.kind == Request::Kind::tcp;
  const bool websocket = subject_.request.kind == Request::Kind::websocket;
  if (raw != (candidate.protocol == Protocol::tcp) ||
      websocket != (candidate.protocol == Protocol::websocket))
    return "protocol-mismatch";
  if (!raw && subject_.request.tls != (candidate.tls != TlsMode::none))
    return subject_.request.tls ? "tls-unexpected" : "tls-required";
  const bool listed = !subject_.address || classify(*subject_.address) != AddressClass::private_use ||
                      std::ranges::any_of(candidate.addresses, [&](const AddressRange& range) {
                        return contains(range, *subject_.address);
                      });
  return listed ? Reason() : "address-private";
}

template <class Visit> void Judge::each_entry(Visit visit) {
  impl_.hosts.at(subject_.host, subject_.request.port, [&](uint32_t e) {
    const Entry& candidate = entry(e);
    if (!candidate.paths.empty() && !any_matches(candidate.paths, subject_.path)) return true;
    if (Reason why = unfit(candidate); !why.empty()) {
      reason_ = why;
      return true;
    }
    external_ = external_ || candidate.reach == Reach::external;
    visit(e);
    return true;
  });
}

Decision Judge::outcome(const Best& best, Reason action) const {
  if (best.rule == nullptr) return refuse(reason_);
  Decision out{
      .effect = best.rule->effect, .rule = best.rule->id, .reason = action, .entry = entry(best.entry).name};
  if (out.effect == Effect::deny) out.reason = "denied-by-rule";
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
  bool is_git = false;
  each_entry([&](uint32_t e) {
    const Entry& candidate = entry(e);
    is_git = is_git || candidate.protocol == Protocol::git;
    if (candidate.protocol != Protocol::http) return;
    impl_.rules[e].at(subject_.path, [&](uint32_t r) {
      const Rule& rule = candidate.rules[r];
      if (method_matches(rule, request.method) && query_matches(rule, subject_.query) &&
          headers_match(rule, request.headers))
        best.offer(rule, e);
    });
  });
  // Entries that can match one request agree on the protocol: the compiler made sure.
  if (is_git) return git();
  const bool reads = request.method == "GET" || request.method == "HEAD" || request.method == "OPTIONS";
  return outcome(best, reads ? "read" : "write");
}

// An empty ref stands for the discovery of refs before a push, which every push to the repository begins
// with.
bool Judge::git_rule_holds(const Rule& rule, const GitRequest& request, std::string_view ref) const {
  if (rule.everything) return true;
  const GitOp op = request.kind == GitRequest::Kind::fetch ? GitOp::fetch : GitOp::push;
  if (rule.op != op || !any_matches(rule.repos, request.repository)) return false;
  if (op == GitOp::fetch) return true;
  if (ref.empty()) return rule.effect != Effect::deny || rule.refs.empty();
  return any_matches(rule.refs, ref);
}

Best Judge::git_rule(const GitRequest& request, std::string_view ref) {
  Best best;
  each_entry([&](uint32_t e) {
    if (entry(e).protocol != Protocol::git) return;
    for (const Rule& rule : entry(e).rules)
      if (git_rule_holds(rule, request, ref)) best.offer(rule, e);
  });
  return best;
}

Reason check_push_encoding(std::span<const Header> headers) {
  const bool encoded = std::ranges::any_of(headers, [](const Header& h) {
    return may_be_taken_for(h.name, "content-encoding") && !same_letters(h.value, "identity");
  });
  return encoded ? "malformed:git-compressed" : Reason();
}

Decision Judge::git() {
  auto request = GitRequest::classify(subject_.request.method, subject_.path, subject_.query);
  if (!request) return refuse(request.error());
  // Looking at the refs is not yet a write: what needs review is the push itself.
  auto discovery = [&] {
    Decision out = outcome(git_rule(*request, {}), "push-discovery");
    if (out.effect == Effect::review && out.reason == "push-discovery") out.effect = Effect::allow;
    return out;
  };
  if (request->kind == GitRequest::Kind::fetch) return outcome(git_rule(*request, {}), "fetch");
  if (request->kind == GitRequest::Kind::push_discovery) return discovery();
  if (Reason reason = check_push_encoding(subject_.request.headers); !reason.empty()) return refuse(reason);
  if (!subject_.request.body) return refuse("malformed:body-missing");
  PushCommands commands(*subject_.request.body);
  Best worst;
  while (auto command = commands.next()) {
    if (!*command) return refuse(command->error());
    const Best best = git_rule(*request, (*command)->ref);
    if (best.rule == nullptr) return refuse(reason_);
    worst.offer(*best.rule, best.entry);
  }
  return commands.probe() ? discovery() : outcome(worst, "push");
}

Decision Judge::tcp() {
  Best best;
  each_entry([&](uint32_t e) {
    for (const Rule& rule : entry(e).rules)
      if (rule.everything) best.offer(rule, e);
  });
  return outcome(best, "connect");
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

// The address that would be dialled; an unreadable one is malformed, one of the never-classes is refused
// whatever the rules say (R48).
Reason judge_address(Subject& s) {
  s.address = s.host.address();
  if (!s.request.ip.empty()) {
    auto ip = parse_address(s.request.ip);
    if (!ip || (s.address && *s.address != *ip)) return "malformed:ip";
    s.address = ip;
  }
  return s.address && classify(*s.address) == AddressClass::never ? "address-never" : Reason();
}

Decision decide_http(const Policy::Impl& impl, Subject& subject) {
  auto refuse = [](Reason reason) { return Decision{.effect = Effect::deny, .reason = reason}; };
  for (Reason reason : {check_method(subject.request.method), check_sni(subject), check_headers(subject)})
    if (!reason.empty()) return refuse(reason);
  auto target = read_target(subject);
  if (!target) return refuse(target.error());
  subject.path = target->path();
  subject.query = target->query();
  Decision out = Judge(impl, subject).http();
  // Whatever else a server may read there makes the judgement stricter, never looser.
  for (const std::string& reading : other_readings(target->path())) {
    subject.path = reading;
    Decision other = Judge(impl, subject).http();
    if (!other.rule.empty() && other.effect > out.effect) out = std::move(other);
  }
  out.canonical_target = std::move(target->text);
  return out;
}

}  // namespace

Decision Policy::decide(const Request& request) const {
  auto host = HostName::parse(request.host);
  if (!host) return {.effect = Effect::deny, .reason = host.error()};
  Subject subject{.request = request, .host = *host};
  if (Reason reason = judge_address(subject); !reason.empty())
    return {.effect = Effect::deny, .reason = reason};
  switch (request.kind) {
    case Request::Kind::dns:
      return Judge(*impl_, subject).dns();
    case Request::Kind::tcp:
      return Judge(*impl_, subject).tcp();
    // No entry of protocol websocket compiles yet, so every upgrade is refused with its reason.
    case Request::Kind::websocket:
    case Request::Kind::http:
      return decide_http(*impl_, subject);
  }
  return {.effect = Effect::deny, .reason = "malformed:kind"};
}

}  // namespace saw::policy
