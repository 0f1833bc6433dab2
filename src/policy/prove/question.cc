#include "policy/prove/question.h"

#include <algorithm>
#include <set>

#include "policy/prove/formula.h"

namespace saw::policy::prove {

std::string_view name(Matter matter) {
  switch (matter) {
    case Matter::effect:
      return "effect";
    case Matter::credential:
      return "credential";
    case Matter::content:
      return "content";
    case Matter::data:
      return "data";
  }
  return "effect";
}

namespace {

// The n-th way to write a field's name; names of fields have no case. nullopt: there are not so many.
std::optional<std::string> spelling(std::string name, size_t n) {
  for (char& c : name) {
    if (c < 'a' || c > 'z') continue;
    if ((n & 1) != 0) c = static_cast<char>(c - 'a' + 'A');
    n >>= 1;
  }
  return n == 0 ? std::optional(std::move(name)) : std::nullopt;
}

const CredentialSource* find(const Document& document, const std::string& credential) {
  auto it =
      std::ranges::find(document.credentials, credential,
                        [](const CredentialSource& s) -> const std::string& { return s.credential.name; });
  return it == document.credentials.end() ? nullptr : &*it;
}

bool same_injection(const Credential& a, const Credential& b) {
  return a.secret == b.secret && a.header == b.header && a.format == b.format;
}

class Question {
 public:
  Question(const HostPart& part, const Space& space, const Sides& sides, const AskOptions& options)
      : options_(options),
        part_(part),
        space_(space),
        sides_(sides),
        choice_(c_, part, space),
        solver_(c_, "QF_BV") {
    z3::params params(c_);
    params.set("timeout", options.solver_ms);
    solver_.set(params);
  }

  Reply ask();

 private:
  z3::expr escapes(Matter matter) const;
  z3::expr other_credential() const;
  z3::expr weaker_data() const;
  z3::model nicest() const;
  Witness read(const z3::model& model) const;
  bool read_headers(const z3::model& model, Witness& out) const;
  std::string read_query(const z3::model& model) const;
  std::string read_address(const z3::model& model) const;

  uint64_t number(const z3::model& m, const z3::expr& e) const {
    return m.eval(e, true).get_numeral_uint64();
  }
  bool truth(const z3::model& m, const z3::expr& e) const { return m.eval(e, true).is_true(); }

  const AskOptions& options_;
  const HostPart& part_;
  const Space& space_;
  const Sides& sides_;
  mutable z3::context c_;
  Choice choice_;
  mutable z3::solver solver_;
  const Judge candidate_{*sides_[kCandidate], part_.entries[kCandidate], choice_};
  const Judge ceiling_{*sides_[kCeiling], part_.entries[kCeiling], choice_};
  const Judgement judged_ = candidate_.decide(), limit_ = ceiling_.decide();
};

// Some secret that the candidate's entries inject and the ceiling's, in the same way, do not.
z3::expr Question::other_credential() const {
  z3::expr out = c_.bool_val(false);
  std::set<std::string> mine, theirs;
  for (uint32_t e : part_.entries[kCandidate]) mine.insert(sides_[kCandidate]->network[e].credential);
  for (uint32_t e : part_.entries[kCeiling]) theirs.insert(sides_[kCeiling]->network[e].credential);
  for (const std::string& credential : mine) {
    const CredentialSource* source = find(*sides_[kCandidate], credential);
    if (source == nullptr) continue;
    z3::expr same = c_.bool_val(false);
    for (const std::string& other : theirs) {
      const CredentialSource* twin = find(*sides_[kCeiling], other);
      if (twin != nullptr && same_injection(source->credential, twin->credential))
        same = same || ceiling_.injects(other);
    }
    out = out || (candidate_.injects(credential) && !same);
  }
  return out;
}

z3::expr Question::weaker_data() const {
  z3::expr out = c_.bool_val(false);
  for (DataClass level : {DataClass::internal, DataClass::private_data}) {
    auto at_least = [level](const Entry& entry) { return entry.data >= level; };
    out = out || (ceiling_.carried_by(at_least) && !candidate_.carried_by(at_least));
  }
  return out;
}

z3::expr Question::escapes(Matter matter) const {
  z3::expr passes = !judged_.deny;
  auto untrusted = [](const Entry& entry) { return entry.content == Trust::untrusted; };
  switch (matter) {
    case Matter::effect:
      return passes && (limit_.deny || (limit_.review && !judged_.review));
    case Matter::credential:
      return passes && other_credential();
    case Matter::content:
      return passes && ceiling_.carried_by(untrusted) && !candidate_.carried_by(untrusted);
    case Matter::data:
      return passes && weaker_data();
  }
  return passes;
}

Reply Question::ask() {
  solver_.add(choice_.well_formed);
  for (Matter matter : {Matter::effect, Matter::credential, Matter::content, Matter::data}) {
    const z3::expr escape = escapes(matter).simplify();
    if (escape.is_false()) continue;
    solver_.push();
    solver_.add(escape);
    const z3::check_result result = solver_.check();
    if (result == z3::unknown)
      return {.reason = "the solver gave up on host " + part_.host + ": " + solver_.reason_unknown()};
    if (options_.listener) options_.listener(solver_.to_smt2(), result == z3::sat);
    if (result == z3::sat)
      return {.verdict = Reply::Verdict::found, .matter = matter, .witness = read(nicest())};
    solver_.pop();
  }
  return {.verdict = Reply::Verdict::none};
}

// Among the requests that escape, one without what is beside the point.
z3::model Question::nicest() const {
  z3::expr_vector wishes(c_), kept(c_);
  wishes.push_back(!choice_.labelled_private);
  wishes.push_back(!choice_.labelled_untrusted);
  wishes.push_back(!choice_.is_private);
  wishes.push_back(choice_.tls);
  for (const auto& [key, present] : choice_.query)
    for (const z3::expr& value : present) wishes.push_back(!value);
  for (const auto& present : choice_.headers)
    for (const z3::expr& value : present) wishes.push_back(!value);
  wishes.push_back(choice_.is(choice_.port, 443));
  wishes.push_back(choice_.method_is("GET"));
  wishes.push_back(choice_.is(choice_.form, kNoQuery));
  for (size_t limit : {100, 20, 5, 1})  // parts are in the order of their words' length
    if (limit < space_.paths.size())
      wishes.push_back(z3::ult(choice_.path, choice_.constant(choice_.path, limit)));
  for (const z3::expr& ref : choice_.refs) wishes.push_back(!ref);
  solver_.check();
  z3::model best = solver_.get_model();
  for (unsigned i = 0; i < wishes.size(); ++i) {
    kept.push_back(wishes[static_cast<int>(i)]);
    if (solver_.check(kept) == z3::sat)
      best = solver_.get_model();
    else
      kept.pop_back();
  }
  return best;
}

std::string Question::read_query(const z3::model& model) const {
  const uint64_t form = number(model, choice_.form);
  if (form == kNoQuery) return {};
  if (form == kUploadQuery) return "?service=git-upload-pack";
  if (form == kReceiveQuery) return "?service=git-receive-pack";
  std::string out;
  for (const auto& [key, present] : choice_.query)
    for (size_t i = 0; i < present.size(); ++i)
      if (truth(model, present[i]))
        out += (out.empty() ? "?" : "&") + query_escaped(key) + "=" +
               query_escaped(space_.query.at(key).word(i));
  if (!space_.git) return out;
  // Neither empty nor one of git's own, whatever else is there.
  std::string fresh = "x";
  while (space_.query.contains(fresh)) fresh += 'x';
  return out + (out.empty() ? "?" : "&") + fresh + "=1";
}

bool Question::read_headers(const z3::model& model, Witness& out) const {
  for (size_t f = 0; f < space_.fields.size(); ++f) {
    const FieldName& field = space_.fields[f];
    size_t times = 0;
    for (size_t i = 0; i < choice_.headers[f].size(); ++i) {
      if (!truth(model, choice_.headers[f][i])) continue;
      auto written = spelling(field.name, times++);
      if (!written) return false;
      out.headers.emplace_back(*written, space_.header_group.at(group_of(field.name)).word(i));
    }
  }
  return true;
}

std::string Question::read_address(const z3::model& model) const {
  if (part_.address || !truth(model, choice_.is_private)) return {};
  Address address{};
  const uint64_t halves[] = {number(model, choice_.high), number(model, choice_.low)};
  for (size_t i = 0; i < address.size(); ++i)
    address[i] = static_cast<uint8_t>(halves[i / 8] >> (8 * (7 - i % 8)));
  return to_text(address);
}

Witness Question::read(const z3::model& model) const {
  Witness out{.host = part_.host};
  out.port = static_cast<uint16_t>(number(model, choice_.port));
  out.tls = truth(model, choice_.tls);
  out.method = space_.methods[number(model, choice_.method)];
  out.target = space_.paths.word(number(model, choice_.path)) + read_query(model);
  if (!read_headers(model, out)) out.headers.emplace_back("\xff", "");  // what JSON cannot carry
  std::vector<std::string> refs;
  for (size_t i = 0; i < choice_.refs.size(); ++i)
    if (truth(model, choice_.refs[i])) refs.push_back(space_.refs.word(i));
  if (space_.git && out.method == "POST") out.body = push_body(refs);
  out.ip = read_address(model);
  if (truth(model, choice_.labelled_private)) out.labels |= kPrivate;
  if (truth(model, choice_.labelled_untrusted)) out.labels |= kUntrusted;
  return out;
}

}  // namespace

Reply ask(const HostPart& part, const Space& space, const Sides& sides, const AskOptions& options) {
  if (!space.unknown.empty()) return {.reason = "host " + part.host + ": " + space.unknown};
  if (space.paths.size() == 0) return {.verdict = Reply::Verdict::none};
  try {
    return Question(part, space, sides, options).ask();
  } catch (const z3::exception& e) {
    return {.reason = std::string("the solver failed: ") + e.msg()};
  }
}

}  // namespace saw::policy::prove
