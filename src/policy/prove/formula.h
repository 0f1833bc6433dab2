// A policy's judgement of the requests at one part of the hosts, as formulas over what a request chooses.
// Only for question.cc: the one header of the project that shows Z3.
//
// It follows decide.cc rule for rule; each function here names the one it mirrors. A test compares the two
// on thousands of random policies.
#pragma once

#include <map>
#include <string>
#include <vector>

#include <z3++.h>

#include "policy/prove/space.h"

namespace saw::policy::prove {

// What a request chooses, as variables. Indexes count parts of the Space's divisions.
struct Choice {
  Choice(z3::context& c, const HostPart& part, const Space& space);

  z3::expr is(const z3::expr& variable, uint64_t value) const {
    return variable == constant(variable, value);
  }
  z3::expr constant(const z3::expr& variable, uint64_t value) const;
  z3::expr path_in(const std::string& key, size_t reading) const;
  z3::expr method_is(std::string_view method) const;
  z3::expr within(const AddressRange& range) const;

  z3::context& context;
  const HostPart& part;
  const Space& space;
  z3::expr path, method, port, tls, form;
  z3::expr is_private, high, low;  // the address that is dialled, where it is a private one
  z3::expr labelled_private, labelled_untrusted;
  std::map<std::string, std::vector<z3::expr>> query;  // by key and part: some value of that part is present
  std::vector<std::vector<z3::expr>> headers;          // by field and part
  std::vector<z3::expr> refs;                          // by part: the push changes such a ref
  z3::expr well_formed;                                // what holds for every request

 private:
  z3::expr form_is_kept() const;
  mutable std::map<std::pair<std::string, size_t>, z3::expr> path_in_;
};

// Query strings that git's services stand for, and all others.
enum QueryForm : uint64_t { kNoQuery, kUploadQuery, kReceiveQuery, kOtherQuery };
constexpr size_t kReadings = 3;

struct Judgement {
  z3::expr ruled, deny, review;  // ruled: some rule decided; not deny and not review: allow
};

class Judge {
 public:
  Judge(const Document& document, const std::vector<uint32_t>& entries, const Choice& choice)
      : document_(document), entries_(entries), choice_(choice), c_(choice.context) {}

  Judgement decide() const;                               // Policy::decide
  z3::expr injects(const std::string& credential) const;  // Policy::endpoint
  // Some entry that carries the request is like that.
  template <class Is> z3::expr carried_by(Is is) const {
    z3::expr out = c_.bool_val(false);
    for (uint32_t e : entries_)
      if (is(document_.network[e])) out = out || fits(document_.network[e], 0);
    return out.simplify();
  }

 private:
  struct Rules {
    z3::expr deny, review, allow;  // some rule of that effect holds
  };
  Rules no_rules() const { return {c_.bool_val(false), c_.bool_val(false), c_.bool_val(false)}; }
  static void add(Rules& rules, Effect effect, const z3::expr& holds);

  z3::expr listed(const Entry& entry, size_t reading) const;  // host, port and path
  z3::expr fits(const Entry& entry, size_t reading) const;
  z3::expr any_path(const std::vector<Glob>& globs, size_t reading) const;
  z3::expr method_holds(const Rule& rule) const;
  z3::expr values_hold(const Rule& rule) const;
  z3::expr header_holds(const Rule& rule, const ValueRule& wanted) const;
  z3::expr external(size_t reading) const;
  Judgement outcome(const Rules& rules, size_t reading) const;
  Judgement read(size_t reading) const;
  Judgement http(size_t reading) const;
  Judgement git(size_t reading) const;
  Judgement push(size_t reading) const;
  Judgement discovery(size_t reading) const;
  Rules git_rules(GitOp op, size_t reading, const std::function<z3::expr(const Rule&)>& ref_holds) const;
  z3::expr repository_holds(const Rule& rule, size_t reading) const;

  const Document& document_;
  const std::vector<uint32_t>& entries_;
  const Choice& choice_;
  z3::context& c_;
};

}  // namespace saw::policy::prove
