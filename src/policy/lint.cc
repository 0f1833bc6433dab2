#include "policy/lint.h"

#include <algorithm>
#include <tuple>

#include <fmt/format.h>

#include "base/bytes.h"
#include "base/path.h"
#include "policy/check.h"
#include "policy/cover.h"
#include "policy/projectable.h"

namespace saw::policy {
namespace {

// Rules are compared in pairs; an entry of more rules than this is not.
constexpr size_t kMaxCompared = 600;

class Lint {
 public:
  explicit Lint(const Policy& policy) : policy_(policy), d_(policy.document()) {}

  Diagnostics run() {
    for (const Entry& entry : d_.network) {
      for (const Rule& rule : entry.rules) {
        never_matches(entry, rule);
        globs(rule);
        client_chosen(entry, rule);
      }
      idle_rules(entry);
      for (const HostPattern& host : entry.hosts) surprise(host.place, "host", host.glob);
      for (const Glob& path : entry.paths)
        path_glob(entry.place, fmt::format("network.{}.to", entry.name), path);
    }
    credentials();
    private_ways_out();
    files();
    for (Diagnostic& d : not_enforced(policy_)) out_.push_back(std::move(d));
    std::ranges::sort(out_, {}, [](const Diagnostic& d) { return std::tie(d.line, d.column, d.message); });
    return std::move(out_);
  }

 private:
  void warn(Place place, std::string_view code, std::string message) {
    out_.push_back({Diagnostic::Severity::warning, policy_.file(), place.line, place.column,
                    std::string(code), std::move(message)});
  }

  void never_matches(const Entry& entry, const Rule& rule);
  void idle_rules(const Entry& entry);
  void globs(const Rule& rule);
  void path_glob(Place place, std::string_view what, const Glob& glob);
  void surprise(Place place, std::string_view what, const Glob& glob);
  void client_chosen(const Entry& entry, const Rule& rule);
  void credentials();
  void private_ways_out();
  void files();

  const Policy& policy_;
  const Document& d_;
  Diagnostics out_;
};

void Lint::never_matches(const Entry& entry, const Rule& rule) {
  if (!rule.when.possible())
    warn(rule.place, "policy.never_matches",
         fmt::format("{} never matches: no labels satisfy its 'when'", rule.id));
  if (entry.paths.empty()) return;
  for (const Glob& path : rule.paths)
    if (std::ranges::none_of(entry.paths, [&](const Glob& to) { return to.overlaps(path); }))
      warn(rule.place, "policy.never_matches",
           fmt::format("{}: '{}' never matches, because to.paths of '{}' admits no such path", rule.id,
                       path.text(), entry.name));
}

void Lint::idle_rules(const Entry& entry) {
  if (entry.rules.size() > kMaxCompared)
    return warn(entry.place, "policy.not_compared",
                fmt::format("entry '{}' has more than {} rules, which are not compared with each other",
                            entry.name, kMaxCompared));
  for (size_t i = 0; i < entry.rules.size(); ++i) {
    const Rule& inner = entry.rules[i];
    for (size_t o = 0; o < entry.rules.size(); ++o) {
      const Rule& outer = entry.rules[o];
      const bool same = outer.effect == inner.effect;
      // Of two equal ones the later is reported.
      if (o == i || outer.effect < inner.effect || !covers(outer, inner, entry.protocol)) continue;
      if (same && o > i && covers(inner, outer, entry.protocol)) continue;
      if (same)
        warn(inner.place, "policy.redundant", fmt::format("{} adds nothing to {}", inner.id, outer.id));
      else
        warn(inner.place, "policy.shadowed",
             fmt::format("{} never decides: {} ({}) holds for everything it names", inner.id, outer.id,
                         name(outer.effect)));
      break;
    }
  }
}

void Lint::surprise(Place place, std::string_view what, const Glob& glob) {
  const std::string& text = glob.text();
  const std::string shown = printable(text, 80);
  if (text.find(".*") != std::string::npos && what != "host")
    warn(place, "policy.glob",
         fmt::format("{}: '{}' is a glob, not a regular expression: '.' is a '.'", what, shown));
  if (text.front() == '^' || text.ends_with('$'))
    warn(place, "policy.glob",
         fmt::format("{}: '{}' is matched whole as it is: '^' and '$' are ordinary characters", what, shown));
  if (text.find('{') != std::string::npos && text.find(',') != std::string::npos &&
      text.find('}') != std::string::npos)
    warn(place, "policy.glob",
         fmt::format("{}: '{}': there are no alternatives in braces; list them", what, shown));
  if (glob.has_class())
    warn(place, "policy.glob", fmt::format("{}: '{}': '[…]' is one character of a class", what, shown));
}

void Lint::path_glob(Place place, std::string_view what, const Glob& glob) {
  surprise(place, what, glob);
  const std::string& text = glob.text();
  if (text.find('?') != std::string::npos)
    warn(place, "policy.glob",
         fmt::format("{}: '{}': '?' is any one character; parameters are named in 'query'", what,
                     printable(text, 80)));
  const size_t middle = text.find("/**/");
  if (middle != std::string::npos)
    warn(place, "policy.glob",
         fmt::format("{}: '{}' also matches with nothing for its '**' ('{}') and with any depth there", what,
                     printable(text, 80), printable(text.substr(0, middle) + text.substr(middle + 3), 80)));
}

void Lint::globs(const Rule& rule) {
  for (const Glob& glob : rule.paths) path_glob(rule.place, rule.id, glob);
  for (const auto* list :
       {&rule.repos, &rule.refs, &rule.names, &rule.fields, &rule.calls, &rule.tools, &rule.packages})
    for (const Glob& glob : *list) surprise(rule.place, rule.id, glob);
  for (const Glob& ref : rule.refs) {
    const std::string head = ref.text().substr(0, ref.text().find('/'));
    if (head != "refs" && head.find_first_of("*?[") == std::string::npos)
      warn(rule.place, "policy.never_matches",
           fmt::format("{}: '{}' never matches: refs have their full names, such as refs/heads/{}", rule.id,
                       ref.text(), ref.text()));
  }
}

void Lint::client_chosen(const Entry& entry, const Rule& rule) {
  if (entry.protocol == Protocol::graphql && !rule.names.empty() &&
      (rule.fields.empty() || rule.effect == Effect::deny))
    warn(rule.place, "policy.client_chosen",
         fmt::format(
             "{}: the client names its operations as it likes; only 'fields' and 'types' say what is done",
             rule.id));
}

void Lint::credentials() {
  for (const CredentialSource& source : d_.credentials) {
    std::vector<std::string_view> users;
    for (const Entry& entry : d_.network)
      if (entry.credential == source.credential.name) users.push_back(entry.name);
    if (users.empty())
      warn(source.place, "policy.unused_credential",
           fmt::format("no entry uses credential '{}'", source.credential.name));
    else if (users.size() > 1)
      warn(
          source.place, "policy.shared_credential",
          fmt::format(
              "credential '{}' is reachable from {} entries ('{}', '{}'…): each can spend what was meant for "
              "the other",
              source.credential.name, users.size(), users[0], users[1]));
  }
}

// Leg a of the trifecta and a leg c that no label narrows.
void Lint::private_ways_out() {
  const bool files =
      std::ranges::any_of(d_.filesystem.labels, [](const FileLabel& l) { return l.add == kPrivate; });
  const bool entries =
      std::ranges::any_of(d_.network, [](const Entry& e) { return e.data == DataClass::private_data; });
  if (!files && !entries) return;
  for (const Entry& entry : d_.network) {
    if (entry.reach == Reach::internal || entry.data == DataClass::private_data) continue;
    for (const Rule& rule : entry.rules)
      if (rule.effect == Effect::allow && rule.when.holds(kPrivate) && writes_freely(entry, rule))
        warn(
            rule.place, "policy.private_way_out",
            fmt::format(
                "there is private data here, and {} lets trees that read it write to the outside; add 'when: "
                "{{labels: {{none: [private]}}}}' or review",
                rule.id));
  }
  for (const InferenceRule& rule : d_.inference)
    if (std::ranges::find(rule.data, DataClass::private_data) != rule.data.end())
      for (const Entry& entry : d_.network)
        if (entry.name == rule.via && entry.reach == Reach::external)
          warn(rule.place, "policy.private_way_out",
               fmt::format("private data may be sent to models outside, through entry '{}'", entry.name));
}

void Lint::files() {
  const Filesystem& fs = d_.filesystem;
  for (const FileLabel& label : fs.labels)
    if (!is_within_any(label.path, fs.read) && !is_within_any(label.path, fs.write))
      warn(d_.labels_place, "policy.no_effect",
           fmt::format("'{}' gives a label, but nothing there can be read", label.path));
  for (const std::string& deny : fs.deny)
    if (!is_within_any(deny, fs.read) && !is_within_any(deny, fs.write))
      warn(d_.filesystem_place, "policy.no_effect",
           fmt::format("filesystem.deny: '{}' is below nothing that read or write names", deny));
}

}  // namespace

Diagnostics lint(const Policy& policy) {
  return Lint(policy).run();
}

}  // namespace saw::policy
