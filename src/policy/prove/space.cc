#include "policy/prove/space.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "policy/compiled.h"
#include "policy/glob_automaton.h"
#include "policy/prove/words.h"

namespace saw::policy::prove {
namespace {

using State = Automaton::State;
using Builder = Automaton::Builder;

constexpr std::string_view kServices[] = {kGitInfo, kGitUpload, kGitReceive};

void append_services(Builder& b, State from, State to) {
  for (std::string_view service : kServices) b.silent(b.literal(from, service), to);
}

// A state behind `from` and any text.
State any_text(Builder& b, State from) {
  const State any = b.add();
  b.silent(from, any);
  b.edge(any, Automaton::Bytes().set(), any);
  return any;
}

// Paths that end in `middle` and one of git's services.
std::optional<Automaton> ending(std::string_view middle, std::span<const std::string_view> services) {
  Builder b;
  const State start = b.add(), to = b.add();
  const State any = any_text(b, start);
  const State at = b.literal(any, middle);
  for (std::string_view service : services) b.silent(b.literal(at, service), to);
  return b.build(start, to);
}

// "/info/refs", "//info/refs", "/.git/info/refs", …: what is left of them names nothing.
std::optional<Automaton> no_repository() {
  Builder b;
  const State start = b.add(), to = b.add();
  const State any = any_text(b, start);
  append_services(b, b.literal(any, "/"), to);
  append_services(b, b.literal(any, "/.git"), to);
  append_services(b, start, to);
  return b.build(start, to);
}

bool lists(const Entry& entry, std::string_view host, bool address) {
  return std::ranges::any_of(entry.hosts, [&](const HostPattern& pattern) {
    if (pattern.address || address) return pattern.glob.text() == host;
    return pattern.glob.matches(host);
  });
}

std::array<std::vector<uint32_t>, 2> entries_at(const Sides& sides, std::string_view host, bool address) {
  std::array<std::vector<uint32_t>, 2> out;
  for (Side side : {kCandidate, kCeiling})
    for (uint32_t e = 0; e < sides[side]->network.size(); ++e)
      if (lists(sides[side]->network[e], host, address)) out[side].push_back(e);
  return out;
}

void divide_all(Division& division, const Automaton& words, const Bounds& bounds) {
  const Automaton* within[] = {&words};
  division.divide({within, {}, {}}, bounds);
}

// Calls visit(entry) for the entries of both sides that apply in a part.
template <class Visit> void each_entry(const HostPart& part, const Sides& sides, Visit visit) {
  for (Side side : {kCandidate, kCeiling})
    for (uint32_t e : part.entries[side]) visit(sides[side]->network[e]);
}

}  // namespace

const Automaton* Automata::named(const std::string& name,
                                 const std::function<std::optional<Automaton>()>& make) {
  auto it = made_.find(name);
  if (it == made_.end()) it = made_.emplace(name, make()).first;
  return it->second ? &*it->second : nullptr;
}

const Automaton* Automata::of(const Glob& glob) {
  return named(fmt::format("{} {}", static_cast<int>(glob.kind()), glob.text()),
               [&] { return automaton_of(glob); });
}

const Automaton* Automata::of_repository(const Glob& glob, std::string_view end) {
  return named(repository_key(glob, end), [&] {
    Builder b;
    const State from = b.add(), behind = b.add(), to = b.add();
    append(b, glob, b.literal(from, "/"), behind);
    append_services(b, b.literal(behind, end), to);
    return b.build(from, to);
  });
}

std::string path_key(const Glob& glob) {
  return "path " + glob.text();
}
std::string repository_key(const Glob& glob, std::string_view end) {
  return fmt::format("repository{} {}", end, glob.text());
}
std::string git_key(std::string_view end) {
  return fmt::format("git {}", end);
}
std::string group_of(std::string_view header) {
  std::string out(header);
  std::ranges::replace(out, '_', '-');
  return out;
}

// ---- hosts

HostParts host_parts(const Sides& sides, Automata& automata, const Bounds& bounds) {
  HostParts out;
  std::set<std::array<std::vector<uint32_t>, 2>> seen;
  auto offer = [&](const std::string& host, const std::optional<Address>& address) {
    HostPart part{host, address, entries_at(sides, host, address.has_value())};
    if (address && classify(*address) == AddressClass::never) return;
    const bool admitted = std::ranges::any_of(
        part.entries[kCandidate], [&](uint32_t e) { return admits(sides[kCandidate]->network[e]); });
    if (admitted && (address || seen.insert(part.entries).second)) out.parts.push_back(std::move(part));
  };
  std::set<std::string> literals, addresses;
  Division wild;
  for (const Document* document : sides)
    for (const Entry& entry : document->network)
      for (const HostPattern& host : entry.hosts) {
        if (host.glob.literal())
          (host.address ? addresses : literals).insert(host.glob.text());
        else
          wild.add("host " + host.glob.text(), automata.of(host.glob));
      }
  for (const std::string& host : literals) offer(host, {});
  for (const std::string& host : addresses) offer(host, parse_address(host));
  // The names that no policy spells out: what is left to wildcards.
  Builder b;
  const State from = b.add(), to = b.add();
  for (const std::string& host : literals) b.silent(b.literal(from, host), to);
  const auto spelled = b.build(from, to);
  wild.add("spelled", spelled ? &*spelled : nullptr);
  divide_all(wild, host_names(), bounds);
  for (size_t i = 0; i < wild.size(); ++i)
    if (!wild.in(i, "spelled")) offer(wild.word(i), {});
  out.complete = wild.complete();
  return out;
}

// ---- divisions

void Division::add(std::string key, const Automaton* automaton) {
  if (automaton == nullptr) complete_ = false;
  if (automaton == nullptr || !number_.emplace(std::move(key), automata_.size()).second) return;
  automata_.push_back(automaton);
}

void Division::divide(const Language& language, const Bounds& bounds) {
  readings_ = language.readings.size() + 1;
  std::vector<Track> tracks;
  for (const Automaton* a : automata_)
    for (size_t r = 0; r < readings_; ++r) tracks.push_back({a, r});
  if (!complete_) return;
  Classes found = saw::classes(language, tracks, bounds);
  classes_ = std::move(found.classes);
  complete_ = found.complete;
}

bool Division::in(size_t part, const std::string& key, size_t reading) const {
  auto it = number_.find(key);
  return it != number_.end() && classes_[part].in[it->second * readings_ + reading];
}

// ---- the space of one part of the hosts

namespace {

void add_globs(Division& division, const std::vector<Glob>& globs, Automata& automata) {
  for (const Glob& glob : globs) division.add(path_key(glob), automata.of(glob));
}

void add_git(Division& paths, Automata& automata) {
  for (const std::string_view& service : kServices)
    paths.add(git_key(service),
              automata.named(git_key(service), [&] { return ending("", std::span(&service, 1)); }));
  paths.add(std::string(kDotGitKey),
            automata.named(std::string(kDotGitKey), [] { return ending(kDotGit, kServices); }));
  paths.add(std::string(kNoRepositoryKey), automata.named(std::string(kNoRepositoryKey), no_repository));
}

// Whether the path, as it is, comes to an entry and a rule of the candidate that could let it pass.
bool may_pass(const Division& paths, size_t i, const HostPart& part, const Sides& sides) {
  auto within = [&](const std::vector<Glob>& globs) {
    return globs.empty() ||
           std::ranges::any_of(globs, [&](const Glob& g) { return paths.in(i, path_key(g)); });
  };
  return std::ranges::any_of(part.entries[kCandidate], [&](uint32_t e) {
    const Entry& entry = sides[kCandidate]->network[e];
    if (!within(entry.paths)) return false;
    return entry.protocol == Protocol::git || std::ranges::any_of(entry.rules, [&](const Rule& rule) {
             return rule.effect != Effect::deny && within(rule.paths);
           });
  });
}

// The paths at which a rule of the candidate could let something pass; nullopt: they need too many states, or
// are all paths. Only there is anything to ask.
std::optional<Automaton> passing_paths(const HostPart& part, const Sides& sides) {
  Builder b;
  const State from = b.add(), to = b.add();
  for (uint32_t e : part.entries[kCandidate]) {
    const Entry& entry = sides[kCandidate]->network[e];
    if (entry.protocol == Protocol::git) append_services(b, any_text(b, from), to);
    for (const Rule& rule : entry.rules) {
      if (rule.effect == Effect::deny || entry.protocol == Protocol::git) continue;
      if (rule.paths.empty() && entry.paths.empty()) return {};
      for (const Glob& glob : rule.paths.empty() ? entry.paths : rule.paths) append(b, glob, from, to);
    }
  }
  return b.build(from, to);
}

void divide_paths(Space& space, const HostPart& part, const Sides& sides, Automata& automata,
                  const Bounds& bounds) {
  each_entry(part, sides, [&](const Entry& entry) {
    add_globs(space.paths, entry.paths, automata);
    for (const Rule& rule : entry.rules) {
      add_globs(space.paths, rule.paths, automata);
      for (const Glob& repo : rule.repos)
        for (std::string_view end : {std::string_view(), kDotGit})
          space.paths.add(repository_key(repo, end), automata.of_repository(repo, end));
    }
    space.git = space.git || entry.protocol == Protocol::git;
  });
  if (space.git) add_git(space.paths, automata);
  const Rewriter* readings[] = {&decoded_path(), &plain_path()};
  const std::vector<std::string> escapes = path_escapes();
  const Automaton all = canonical_paths();
  const std::optional<Automaton> passing = passing_paths(part, sides);
  const Automaton* within[] = {&all, passing ? &*passing : &all};
  space.paths.divide({within, readings, escapes}, bounds);
  space.paths.keep([&](size_t i) { return may_pass(space.paths, i, part, sides); });
  if (!space.paths.complete()) space.unknown = "the path globs divide the paths into too many parts";
}

void divide_values(Space& space, const HostPart& part, const Sides& sides, Automata& automata,
                   const Bounds& bounds) {
  std::set<std::string> header_keys;
  each_entry(part, sides, [&](const Entry& entry) {
    for (const Rule& rule : entry.rules) {
      for (const ValueRule& v : rule.query) space.query[v.key].add(path_key(v.value), automata.of(v.value));
      for (const ValueRule& v : rule.headers) {
        space.header_group[group_of(v.key)].add(path_key(v.value), automata.of(v.value));
        header_keys.insert(v.key);
      }
      for (const Glob& ref : rule.refs) space.refs.add(path_key(ref), automata.of(ref));
    }
  });
  const Glob upload = *Glob::create("git-upload-pack", Glob::Kind::value),
             receive = *Glob::create("git-receive-pack", Glob::Kind::value);
  if (space.git && space.query.contains("service"))
    for (const Glob* service : {&upload, &receive})
      space.query["service"].add(path_key(*service), automata.of(*service));
  for (auto& [key, values] : space.query) divide_all(values, query_values(), bounds);
  for (auto& [key, values] : space.header_group) divide_all(values, header_values(), bounds);
  if (space.git) divide_all(space.refs, prove::refs(), bounds);
  auto whole = [](const auto& divisions) {
    return std::ranges::all_of(divisions, [](const auto& d) { return d.second.complete(); });
  };
  if (!whole(space.query) || !whole(space.header_group) || !space.refs.complete())
    space.unknown = "the value globs divide the values into too many parts";
}

// Fields whose values say what the request is: check_headers() reads them, so a rule's glob is not free.
bool is_framing(std::string_view key) {
  constexpr std::string_view kFraming[] = {"host",    ":authority",        "content-length",
                                           "upgrade", "transfer-encoding", "content-encoding"};
  return std::ranges::find(kFraming, group_of(key)) != std::end(kFraming);
}
// Requests with these are refused before a rule is looked at.
bool is_override(std::string_view key) {
  constexpr std::string_view kOverride[] = {"x-http-method-override", "x-http-method", "x-method-override",
                                            "x-original-url", "x-rewrite-url"};
  return std::ranges::find(kOverride, group_of(key)) != std::end(kOverride);
}

void name_fields(Space& space, const HostPart& part, const Sides& sides) {
  std::set<std::string> keys;
  each_entry(part, sides, [&](const Entry& entry) {
    for (const Rule& rule : entry.rules)
      for (const ValueRule& v : rule.headers) keys.insert(v.key);
  });
  for (const std::string& key : keys) {
    if (is_framing(key)) space.unknown = fmt::format("a rule on the header '{}' is not analysed", key);
    if (is_override(key)) continue;
    const std::string group = group_of(key);
    space.fields.push_back({key, key, key != group && keys.contains(group) ? group : ""});
    // The same with some of its '-' as '_': taken for the key and not itself one.
    for (size_t dash = key.find('-'); dash != std::string::npos; dash = key.find('-', dash + 1)) {
      std::string imitation = key;
      imitation[dash] = '_';
      if (key != group || keys.contains(imitation)) continue;
      space.fields.push_back({imitation, "", key});
      break;
    }
  }
}

}  // namespace

Space space_of(const HostPart& part, const Sides& sides, Automata& automata, const Bounds& bounds) {
  Space out;
  divide_paths(out, part, sides, automata, bounds);
  divide_values(out, part, sides, automata, bounds);
  name_fields(out, part, sides);
  std::set<std::string> methods = {"GET", "HEAD", "POST"};
  each_entry(part, sides, [&](const Entry& entry) {
    for (const Rule& rule : entry.rules) methods.insert(rule.methods.begin(), rule.methods.end());
  });
  constexpr size_t kMaxMethod = 32;  // decide refuses longer ones
  std::erase_if(methods, [](const std::string& m) { return m.size() > kMaxMethod || m == "CONNECT"; });
  std::string other = "OTHER";
  while (methods.contains(other)) other += 'X';
  out.methods.assign(methods.begin(), methods.end());
  out.methods.push_back(other);
  return out;
}

}  // namespace saw::policy::prove
