// The requests that two policies tell apart, without a solver: for each part of the host names, which paths,
// values and refs there are to the rules that apply there.
//
//   HostParts hosts = host_parts(candidate, ceiling, automata, bounds);
//   Space space = space_of(hosts.parts[0], sides, automata, bounds);
//
// A Division names the parts of one set of words. Within a part no rule of either policy tells two words
// apart, and each part has a word to show for it.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/automaton.h"
#include "policy/address.h"
#include "policy/document.h"

namespace saw::policy::prove {

enum Side : uint8_t { kCandidate, kCeiling };
using Sides = std::array<const Document*, 2>;

// Automata of globs, each made once.
class Automata {
 public:
  const Automaton* of(const Glob& glob);  // nullptr: too many states
  // git's repository globs as they stand in a whole path, with and without ".git"
  const Automaton* of_repository(const Glob& glob, std::string_view ending);
  const Automaton* named(const std::string& name, const std::function<std::optional<Automaton>()>& make);

 private:
  std::map<std::string, std::optional<Automaton>> made_;
};

struct HostPart {
  std::string host;
  std::optional<Address> address;                // the host is an address literal
  std::array<std::vector<uint32_t>, 2> entries;  // by side: which entries list the host
};
struct HostParts {
  std::vector<HostPart> parts;
  bool complete = true;
};
// Hosts at which the candidate could admit something; everywhere else it denies.
HostParts host_parts(const Sides& sides, Automata& automata, const Bounds& bounds);

// Words of one kind, divided. A track's key says what accepts: "path /repos/**".
class Division {
 public:
  void add(std::string key, const Automaton* automaton);  // nullptr makes the division incomplete
  void divide(const Language& language, const Bounds& bounds);

  size_t size() const { return classes_.size(); }
  const std::string& word(size_t part) const { return classes_[part].word; }
  bool in(size_t part, const std::string& key, size_t reading = 0) const;
  bool complete() const { return complete_; }
  template <class Keep> void keep(Keep keep) {
    std::vector<WordClass> kept;
    for (size_t i = 0; i < classes_.size(); ++i)
      if (keep(i)) kept.push_back(classes_[i]);
    classes_ = std::move(kept);
  }

 private:
  std::map<std::string, size_t> number_;
  std::vector<const Automaton*> automata_;
  std::vector<WordClass> classes_;
  size_t readings_ = 1;
  bool complete_ = true;
};

// One name that a request may give a header field, and the keys of rules that it stands for: `exact`, and as
// an imitation (CGI reads '_' as '-') `taken_for`; empty: none.
struct FieldName {
  std::string name, exact, taken_for;
};

struct Space {
  Division paths;  // three readings: as it is, decoded, plain
  Division refs;
  std::map<std::string, Division> query;         // by key
  std::map<std::string, Division> header_group;  // by key with '-' for '_'
  std::vector<FieldName> fields;
  std::vector<std::string> methods;  // those that rules name, and one that none does
  bool git = false;                  // an entry of protocol git applies
  std::string unknown;               // why the space is not whole; empty: it is
};
Space space_of(const HostPart& part, const Sides& sides, Automata& automata, const Bounds& bounds);

std::string path_key(const Glob& glob);
std::string repository_key(const Glob& glob, std::string_view ending);
constexpr std::string_view kDotGit = ".git";
// Keys of what git's services look like: a path's service by its ending, whether its repository's name ends
// in ".git", and paths that name no repository.
std::string git_key(std::string_view ending);
constexpr std::string_view kDotGitKey = "git .git", kNoRepositoryKey = "git no repository";
std::string group_of(std::string_view header);

}  // namespace saw::policy::prove
