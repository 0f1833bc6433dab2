#include "policy/cover.h"

#include <algorithm>

namespace saw::policy {
namespace {

bool globs_cover(const std::vector<Glob>& outer, const std::vector<Glob>& inner) {
  if (outer.empty()) return true;
  return !inner.empty() && std::ranges::all_of(inner, [&](const Glob& i) {
    return std::ranges::any_of(outer, [&](const Glob& o) { return o.covers(i); });
  });
}

bool methods_cover(const std::vector<std::string>& outer, const std::vector<std::string>& inner) {
  if (outer.empty()) return true;
  auto has = [&](std::string_view method) { return std::ranges::find(outer, method) != outer.end(); };
  return !inner.empty() && std::ranges::all_of(inner, [&](const std::string& method) {
    return has(method) || (method == "HEAD" && has("GET"));
  });
}

// Each of outer's conditions follows from one of inner's.
bool values_cover(const std::vector<ValueRule>& outer, const std::vector<ValueRule>& inner) {
  return std::ranges::all_of(outer, [&](const ValueRule& o) {
    return std::ranges::any_of(inner,
                               [&](const ValueRule& i) { return i.key == o.key && o.value.covers(i.value); });
  });
}

template <class T> bool words_cover(const std::vector<T>& outer, const std::vector<T>& inner) {
  if (outer.empty()) return true;
  return !inner.empty() &&
         std::ranges::all_of(inner, [&](T t) { return std::ranges::find(outer, t) != outer.end(); });
}

bool labels_cover(const LabelCondition& outer, const LabelCondition& inner) {
  for (Labels labels = 0; labels <= (kPrivate | kUntrusted); ++labels)
    if (inner.holds(labels) && !outer.holds(labels)) return false;
  return true;
}

bool http_covers(const Rule& outer, const Rule& inner) {
  return methods_cover(outer.methods, inner.methods) && globs_cover(outer.paths, inner.paths) &&
         values_cover(outer.query, inner.query) && values_cover(outer.headers, inner.headers);
}

bool calls_cover(const Rule& outer, const Rule& inner) {
  return globs_cover(outer.calls, inner.calls) && globs_cover(outer.tools, inner.tools) &&
         values_cover(outer.arguments, inner.arguments);
}

// What is said of messages says nothing, or something else, of upgrades.
bool websocket_covers(const Rule& outer, const Rule& inner) {
  const bool about_upgrades =
      outer.messages.empty() || (outer.effect == Effect::allow && !inner.messages.empty());
  return about_upgrades && globs_cover(outer.paths, inner.paths) &&
         globs_cover(outer.messages, inner.messages) &&
         (outer.effect == Effect::deny || outer.binary >= inner.binary);
}

bool registry_covers(const Rule& outer, const Rule& inner) {
  const bool as_old = outer.min_age_days <= inner.min_age_days;
  return outer.ecosystem == inner.ecosystem && outer.registry_op == inner.registry_op && as_old &&
         globs_cover(outer.packages, inner.packages);
}

}  // namespace

bool covers(const Rule& outer, const Rule& inner, Protocol protocol) {
  if (!labels_cover(outer.when, inner.when)) return false;
  if (outer.everything || inner.everything) return outer.everything;
  // An allow needs all values of a key to match, the others one: that one may be among some that do not.
  if (outer.effect == Effect::allow && inner.effect != Effect::allow) return false;
  switch (protocol) {
    case Protocol::http:
      return http_covers(outer, inner);
    case Protocol::git:
      return outer.op == inner.op && globs_cover(outer.repos, inner.repos) &&
             globs_cover(outer.refs, inner.refs);
    case Protocol::graphql:
      return words_cover(outer.types, inner.types) && globs_cover(outer.names, inner.names) &&
             globs_cover(outer.fields, inner.fields);
    case Protocol::jsonrpc:
    case Protocol::mcp:
      return calls_cover(outer, inner);
    case Protocol::websocket:
      return websocket_covers(outer, inner);
    case Protocol::registry:
      return registry_covers(outer, inner);
    case Protocol::tcp:
      return true;
  }
  return false;
}

}  // namespace saw::policy
