#include "policy/prove/formula.h"

#include <algorithm>
#include <bit>

#include <fmt/format.h>

#include "policy/prove/words.h"

namespace saw::policy::prove {
namespace {

constexpr std::string_view kPrivateSpaces[] = {"10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12",
                                               "192.168.0.0/16", "fc00::/7"};
// Within them, and never reachable (address.cc).
constexpr std::string_view kNeverThere[] = {"100.100.100.200/32", "fd00:ec2::/32", "fd20:ce::/32"};

uint64_t half(const Address& address, size_t from) {
  uint64_t out = 0;
  for (size_t i = from; i < from + 8; ++i) out = out << 8 | address[i];
  return out;
}

unsigned bits_for(size_t values) {
  return std::max(1u, static_cast<unsigned>(std::bit_width(values > 0 ? values - 1 : 0)));
}

z3::expr below(const z3::expr& variable, size_t limit) {
  const unsigned bits = variable.get_sort().bv_size();
  if (bits < 64 && limit >> bits != 0) return variable.ctx().bool_val(true);
  return z3::ult(variable, variable.ctx().bv_val(static_cast<uint64_t>(limit), bits));
}

}  // namespace

// ---- Choice

Choice::Choice(z3::context& c, const HostPart& host_part, const Space& of)
    : context(c),
      part(host_part),
      space(of),
      path(c.bv_const("path", bits_for(of.paths.size()))),
      method(c.bv_const("method", bits_for(of.methods.size()))),
      port(c.bv_const("port", 16)),
      tls(c.bool_const("tls")),
      form(c.bv_const("form", 2)),
      is_private(c.bool_const("private_address")),
      high(c.bv_const("high", 64)),
      low(c.bv_const("low", 64)),
      labelled_private(c.bool_const("label_private")),
      labelled_untrusted(c.bool_const("label_untrusted")),
      well_formed(c.bool_val(true)) {
  for (const auto& [key, values] : of.query)
    for (size_t i = 0; i < values.size(); ++i)
      query[key].push_back(c.bool_const(fmt::format("query_{}_{}", query.size(), i).c_str()));
  for (size_t f = 0; f < of.fields.size(); ++f) {
    headers.emplace_back();
    for (size_t i = 0; i < of.header_group.at(group_of(of.fields[f].name)).size(); ++i)
      headers.back().push_back(c.bool_const(fmt::format("header_{}_{}", f, i).c_str()));
  }
  for (size_t i = 0; i < of.refs.size(); ++i) refs.push_back(c.bool_const(fmt::format("ref_{}", i).c_str()));
  z3::expr space_holds = c.bool_val(false), never = c.bool_val(false);
  for (std::string_view text : kPrivateSpaces) space_holds = space_holds || within(*parse_range(text));
  for (std::string_view text : kNeverThere) never = never || within(*parse_range(text));
  well_formed = below(path, of.paths.size()) && below(method, of.methods.size()) &&
                port != constant(port, 0) && z3::implies(is_private, space_holds && !never) && form_is_kept();
  if (part.address) {
    const bool inside = classify(*part.address) == AddressClass::private_use;
    well_formed = well_formed && is_private == c.bool_val(inside) && is(high, half(*part.address, 0)) &&
                  is(low, half(*part.address, 8));
  }
}

// What parameters each query form has.
z3::expr Choice::form_is_kept() const {
  z3::expr out = context.bool_val(true);
  static const Glob kUpload = *Glob::create("git-upload-pack", Glob::Kind::value),
                    kReceive = *Glob::create("git-receive-pack", Glob::Kind::value);
  for (const auto& [key, present] : query) {
    const Division& values = space.query.at(key);
    const bool possible = query_values().matches(key);
    for (size_t i = 0; i < present.size(); ++i) {
      z3::expr may = context.bool_val(possible) && is(form, kOtherQuery);
      if (key == "service" && space.git) {
        const bool upload = values.in(i, path_key(kUpload)), receive = values.in(i, path_key(kReceive));
        if (upload) out = out && z3::implies(is(form, kUploadQuery), present[i]);
        if (receive) out = out && z3::implies(is(form, kReceiveQuery), present[i]);
        may = may || (is(form, kUploadQuery) && context.bool_val(upload)) ||
              (is(form, kReceiveQuery) && context.bool_val(receive));
      }
      out = out && z3::implies(present[i], may);
    }
  }
  return out;
}

z3::expr Choice::constant(const z3::expr& variable, uint64_t value) const {
  return context.bv_val(value, variable.get_sort().bv_size());
}

z3::expr Choice::path_in(const std::string& key, size_t reading) const {
  auto it = path_in_.find({key, reading});
  if (it != path_in_.end()) return it->second;
  z3::expr_vector parts(context);
  for (size_t i = 0; i < space.paths.size(); ++i)
    if (space.paths.in(i, key, reading)) parts.push_back(is(path, i));
  const z3::expr out = parts.empty()                        ? context.bool_val(false)
                       : parts.size() == space.paths.size() ? context.bool_val(true)
                                                            : z3::mk_or(parts);
  path_in_.emplace(std::pair(key, reading), out);
  return out;
}

z3::expr Choice::method_is(std::string_view wanted) const {
  const auto it = std::ranges::find(space.methods, wanted);
  if (it == space.methods.end()) return context.bool_val(false);
  return is(method, static_cast<uint64_t>(it - space.methods.begin()));
}

z3::expr Choice::within(const AddressRange& range) const {
  auto agrees = [&](const z3::expr& variable, uint64_t base, unsigned bits) {
    if (bits == 0) return context.bool_val(true);
    const uint64_t mask = ~uint64_t{0} << (64 - bits);
    return (variable & constant(variable, mask)) == constant(variable, base & mask);
  };
  const unsigned first = std::min<unsigned>(range.prefix, 64);
  return agrees(high, half(range.base, 0), first) && agrees(low, half(range.base, 8), range.prefix - first);
}

// ---- Judge: rules

void Judge::add(Rules& rules, Effect effect, const z3::expr& holds) {
  z3::expr& place = effect == Effect::deny     ? rules.deny
                    : effect == Effect::review ? rules.review
                                               : rules.allow;
  place = place || holds;
}

z3::expr Judge::any_path(const std::vector<Glob>& globs, size_t reading) const {
  if (globs.empty()) return c_.bool_val(true);
  z3::expr_vector any(c_);
  for (const Glob& glob : globs) any.push_back(choice_.path_in(path_key(glob), reading));
  return z3::mk_or(any);
}

z3::expr Judge::listed(const Entry& entry, size_t reading) const {
  z3::expr_vector ports(c_);
  for (uint16_t port : entry.ports) ports.push_back(choice_.is(choice_.port, port));
  return z3::mk_or(ports) && any_path(entry.paths, reading);
}

// Judge::unfit in decide.cc, for requests of kind http.
z3::expr Judge::fits(const Entry& entry, size_t reading) const {
  if (entry.protocol != Protocol::http && entry.protocol != Protocol::git) return c_.bool_val(false);
  z3::expr address = !choice_.is_private;
  for (const AddressRange& range : entry.addresses) address = address || choice_.within(range);
  return listed(entry, reading) && choice_.tls == c_.bool_val(entry.tls != TlsMode::none) && address;
}

z3::expr Judge::method_holds(const Rule& rule) const {
  if (rule.methods.empty()) return c_.bool_val(true);
  z3::expr out = c_.bool_val(false);
  for (const std::string& method : rule.methods) {
    out = out || choice_.method_is(method);
    if (method == "GET") out = out || choice_.method_is("HEAD");
  }
  return out;
}

// headers_match in decide.cc: a field that might be taken for the named one can break an allow, and can make
// the others hold.
z3::expr Judge::header_holds(const Rule& rule, const ValueRule& wanted) const {
  z3::expr matching = c_.bool_val(false), other = c_.bool_val(false);
  const bool allow = rule.effect == Effect::allow;
  for (size_t f = 0; f < choice_.space.fields.size(); ++f) {
    const FieldName& field = choice_.space.fields[f];
    const bool exact = field.exact == wanted.key, imitates = field.taken_for == wanted.key;
    if (!exact && !imitates) continue;
    const Division& values = choice_.space.header_group.at(group_of(wanted.key));
    for (size_t i = 0; i < values.size(); ++i) {
      const bool matches = values.in(i, path_key(wanted.value));
      if (!exact && matches == allow) continue;
      (matches ? matching : other) = (matches ? matching : other) || choice_.headers[f][i];
    }
  }
  return allow ? matching && !other : matching;
}

// query_matches and headers_match in decide.cc, with its Tally.
z3::expr Judge::values_hold(const Rule& rule) const {
  z3::expr out = c_.bool_val(true);
  for (const ValueRule& wanted : rule.query) {
    z3::expr matching = c_.bool_val(false), other = c_.bool_val(false);
    const Division& values = choice_.space.query.at(wanted.key);
    for (size_t i = 0; i < values.size(); ++i) {
      z3::expr& tally = values.in(i, path_key(wanted.value)) ? matching : other;
      tally = tally || choice_.query.at(wanted.key)[i];
    }
    out = out && (rule.effect == Effect::allow ? matching && !other : matching);
  }
  for (const ValueRule& wanted : rule.headers) out = out && header_holds(rule, wanted);
  return out;
}

z3::expr Judge::external(size_t reading) const {
  z3::expr out = c_.bool_val(false);
  for (uint32_t e : entries_)
    if (document_.network[e].reach == Reach::external) out = out || fits(document_.network[e], reading);
  return out;
}

// ---- Judge: judgements

// Judge::outcome in decide.cc, with the trifecta.
Judgement Judge::outcome(const Rules& rules, size_t reading) const {
  const z3::expr ruled = rules.deny || rules.review || rules.allow;
  z3::expr deny = rules.deny, review = !rules.deny && rules.review;
  const z3::expr both = external(reading) && choice_.labelled_private && choice_.labelled_untrusted && ruled;
  if (document_.trifecta == Effect::review) review = review || (both && !deny);
  if (document_.trifecta == Effect::deny) deny = deny || both;
  return {ruled, deny || !ruled, review && !deny};
}

Judgement Judge::http(size_t reading) const {
  Rules rules = no_rules();
  for (uint32_t e : entries_) {
    const Entry& entry = document_.network[e];
    if (entry.protocol != Protocol::http) continue;
    const z3::expr carries = fits(entry, reading);
    for (const Rule& rule : entry.rules)
      add(rules, rule.effect,
          carries && any_path(rule.paths, reading) && method_holds(rule) && values_hold(rule));
  }
  return outcome(rules, reading);
}

z3::expr Judge::repository_holds(const Rule& rule, size_t reading) const {
  if (rule.repos.empty()) return c_.bool_val(true);
  z3::expr bare = c_.bool_val(false), suffixed = c_.bool_val(false);
  for (const Glob& repo : rule.repos) {
    bare = bare || choice_.path_in(repository_key(repo, ""), reading);
    suffixed = suffixed || choice_.path_in(repository_key(repo, kDotGit), reading);
  }
  return z3::ite(choice_.path_in(std::string(kDotGitKey), reading), suffixed, bare);
}

// Judge::git_rule and git_rule_holds in decide.cc.
Judge::Rules Judge::git_rules(GitOp op, size_t reading,
                              const std::function<z3::expr(const Rule&)>& ref_holds) const {
  Rules rules = no_rules();
  for (uint32_t e : entries_) {
    const Entry& entry = document_.network[e];
    if (entry.protocol != Protocol::git) continue;
    const z3::expr carries = fits(entry, reading);
    for (const Rule& rule : entry.rules) {
      if (rule.everything)
        add(rules, rule.effect, carries);
      else if (rule.op == op)
        add(rules, rule.effect, carries && repository_holds(rule, reading) && ref_holds(rule));
    }
  }
  return rules;
}

// A push's discovery: what needs review is the push itself, unless the trifecta says so.
Judgement Judge::discovery(size_t reading) const {
  Rules rules = git_rules(GitOp::push, reading, [&](const Rule& rule) {
    return c_.bool_val(rule.effect != Effect::deny || rule.refs.empty());
  });
  rules.allow = rules.allow || rules.review;
  rules.review = c_.bool_val(false);
  return outcome(rules, reading);
}

// A push of several refs: the strictest rule decides, and in the path that is sent each ref needs one. A push of none is git's own
// probe.
Judgement Judge::push(size_t reading) const {
  const Judgement probe = discovery(reading);
  if (choice_.refs.empty()) return probe;
  z3::expr all_ruled = c_.bool_val(true), any = c_.bool_val(false);
  Rules worst = no_rules();
  for (size_t i = 0; i < choice_.refs.size(); ++i) {
    const Rules rules = git_rules(GitOp::push, reading, [&](const Rule& rule) {
      const bool holds = rule.refs.empty() || std::ranges::any_of(rule.refs, [&](const Glob& ref) {
                           return choice_.space.refs.in(i, path_key(ref));
                         });
      return c_.bool_val(holds);
    });
    const z3::expr& present = choice_.refs[i];
    any = any || present;
    all_ruled = all_ruled && z3::implies(present, rules.deny || rules.review || rules.allow);
    worst.deny = worst.deny || (present && rules.deny);
    worst.review = worst.review || (present && rules.review);
    worst.allow = worst.allow || (present && rules.allow);
  }
  const Judgement judged = outcome(worst, reading);
  if (reading != 0) all_ruled = c_.bool_val(true);
  return {z3::ite(any, judged.ruled && all_ruled, probe.ruled),
          z3::ite(any, judged.deny || !all_ruled, probe.deny),
          z3::ite(any, judged.review && all_ruled, probe.review)};
}

// GitRequest::classify and Judge::git in decide.cc.
Judgement Judge::git(size_t reading) const {
  auto service = [&](std::string_view ending) { return choice_.path_in(git_key(ending), reading); };
  const z3::expr named = !choice_.path_in(std::string(kNoRepositoryKey), reading);
  const z3::expr get = choice_.method_is("GET"), post = choice_.method_is("POST");
  auto form = [&](QueryForm f) { return choice_.is(choice_.form, f); };
  const z3::expr fetches = named && ((service(kGitInfo) && get && form(kUploadQuery)) ||
                                     (service(kGitUpload) && post && form(kNoQuery)));
  const z3::expr discovers = named && service(kGitInfo) && get && form(kReceiveQuery);
  const z3::expr pushes = named && service(kGitReceive) && post && form(kNoQuery);
  const Judgement fetched =
      outcome(git_rules(GitOp::fetch, reading, [&](const Rule&) { return c_.bool_val(true); }), reading);
  const Judgement discovered = discovery(reading), pushed = push(reading);
  auto pick = [&](const z3::expr& fetch, const z3::expr& discover, const z3::expr& push) {
    return (fetches && fetch) || (discovers && discover) || (pushes && push);
  };
  return {pick(fetched.ruled, discovered.ruled, pushed.ruled),
          pick(fetched.deny, discovered.deny, pushed.deny) || !(fetches || discovers || pushes),
          pick(fetched.review, discovered.review, pushed.review)};
}

// Judge::http in decide.cc: entries that can match one request agree on the protocol.
Judgement Judge::read(size_t reading) const {
  const Judgement plain = http(reading);
  z3::expr is_git = c_.bool_val(false);
  for (uint32_t e : entries_)
    if (document_.network[e].protocol == Protocol::git)
      is_git = is_git || fits(document_.network[e], reading);
  is_git = is_git.simplify();
  if (is_git.is_false()) return plain;
  const Judgement git_like = git(reading);
  return {z3::ite(is_git, git_like.ruled, plain.ruled), z3::ite(is_git, git_like.deny, plain.deny),
          z3::ite(is_git, git_like.review, plain.review)};
}

// decide_http: another reading makes the judgement stricter where a rule decides it, never looser.
Judgement Judge::decide() const {
  Judgement out = read(0);
  for (size_t reading = 1; reading < kReadings; ++reading) {
    const Judgement other = read(reading);
    out.deny = out.deny || (other.ruled && other.deny);
    out.review = out.review || (other.ruled && other.review);
  }
  out.deny = out.deny.simplify();
  out.review = (out.review && !out.deny).simplify();
  return out;
}

// The treatment of a destination: its entries' credential, if they agree on it.
z3::expr Judge::injects(const std::string& credential) const {
  z3::expr some = c_.bool_val(false), others = c_.bool_val(false);
  for (uint32_t e : entries_) {
    const Entry& entry = document_.network[e];
    z3::expr& place = entry.credential == credential ? some : others;
    place = place || listed(entry, 0);
  }
  return some && !others;
}

}  // namespace saw::policy::prove
