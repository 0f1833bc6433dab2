// Registries: the age of what is asked for, and lists without what is too young.
#include "egress/exchange.h"
#include "egress/registry_answer.h"
#include "policy/target.h"

namespace saw::egress {
namespace {

std::string place_of(std::string_view host, uint16_t port, std::string_view path) {
  return fmt::format("{}:{}{}", host, port, path);
}

// Where a URL of a registry's answer leads, if that is the way this exchange came: scheme and port are its own.
struct Place {
  std::string host, path;
};
std::optional<Place> resolve(std::string_view url, const Destination& from, std::string_view base) {
  Place out{.host = from.host, .path = {}};
  std::string reference(url.substr(0, url.find('#')));
  if (const size_t colon = reference.find("://"); colon != std::string::npos) {
    if (reference.substr(0, colon) != from.scheme()) return std::nullopt;
    const size_t slash = reference.find('/', colon + 3);
    if (slash == std::string::npos) return std::nullopt;
    const std::string authority = reference.substr(colon + 3, slash - colon - 3);
    const std::string port = fmt::format(":{}", from.port);
    out.host = authority.ends_with(port) ? authority.substr(0, authority.size() - port.size()) : authority;
    reference.erase(0, slash);
  } else if (!reference.starts_with('/')) {
    reference.insert(0, base.substr(0, base.rfind('/') + 1));
  }
  policy::Target target;
  if (!policy::canonicalise(reference, target).empty()) return std::nullopt;
  out.path = target.path();
  return out;
}

}  // namespace

policy::Decision Exchange::decide() {
  std::vector<policy::Header> headers;
  policy::Request asked = request(headers);
  policy::Decision decision = config_->policy.decide(asked);
  if (decision.reason != "registry-age-unknown") return decision;
  const std::string_view path =
      std::string_view(decision.canonical_target).substr(0, decision.canonical_target.find('?'));
  asked.published = services_.ages.find(place_of(to_.host, to_.port, path));
  return asked.published ? config_->policy.decide(asked) : decision;
}

// A registry tells the ages of what it has itself, or has at another host of its own entry.
void Exchange::learn_age(std::string_view url, Nanos published) {
  auto place = resolve(url, to_, path());
  if (!place) return;
  if (place->host != to_.host) {
    auto there = config_->policy.endpoint(place->host, to_.port, place->path);
    if (!there || there->entry != judged_.entry) return;
  }
  services_.ages.learn(place_of(place->host, to_.port, place->path), published);
}

std::optional<Denial> Exchange::filter_registry(std::string_view type) {
  if (answer_.status >= 300) return std::nullopt;
  const bool json =
      type == "application/json" || (type.starts_with("application/") && type.ends_with("+json"));
  if (!json)
    return unreadable_answer("upstream.unreadable_answer",
                             "the registry's answer is no JSON, so the ages of versions cannot be told");
  constexpr Nanos kDay = Nanos{24} * 60 * kMinute;
  filter_ =
      version_filter({.before = services_.net.clock.now() - judged_.min_age_days * kDay,
                      .learn = [this](std::string_view url, Nanos published) { learn_age(url, published); }});
  return std::nullopt;
}

// Only if it is a registry's that the plain spelling leads to.
void Exchange::spell_scope_plainly() {
  std::string plain = plain_scope(target_);
  if (plain == target_) return;
  policy::Target canonical;
  if (!policy::canonicalise(plain, canonical).empty()) return;
  auto endpoint = config_->policy.endpoint(to_.host, to_.port, canonical.path());
  if (endpoint && endpoint->protocol == policy::Protocol::registry) target_ = std::move(plain);
}

std::string plain_scope(std::string target) {
  const size_t query = std::min(target.find('?'), target.size());
  const size_t scope = target.find("/@");
  if (scope == std::string::npos || scope > query) return target;
  const size_t end = std::min(target.find('/', scope + 1), query);
  for (std::string_view slash : {"%2f", "%2F"}) {
    const size_t at = target.find(slash, scope);
    if (at == std::string::npos || at + slash.size() >= end || at == scope + 2) continue;
    target.replace(at, slash.size(), "/");
    return target;
  }
  return target;
}

}  // namespace saw::egress
