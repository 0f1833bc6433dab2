#include "identity/chain.h"

#include <algorithm>

#include "base/bytes.h"

namespace saw::identity {
namespace {

std::unexpected<Error> refuse(std::string_view code, std::string message) {
  return std::unexpected(Error{fmt::format("identity.delegation_{}", code), std::move(message), 0});
}

struct Walk {
  std::vector<Delegation> links;  // from the leaf on
  std::string digest;             // of the leaf's record
  size_t bytes = 0;
};

// The one record of that id; `wanted`: what the link below says it is, empty for the leaf.
Result<std::string> find(Walk& walk, const ParentRef& wanted, const DelegationSource& source) {
  if (std::ranges::find(walk.links, wanted.id, &Delegation::id) != walk.links.end())
    return refuse("cycle", fmt::format("delegation {} is its own ancestor", printable(wanted.id, 80)));
  if (walk.links.size() == kMaxDelegationDepth)
    return refuse("too_deep", fmt::format("the chain has more than {} delegations", kMaxDelegationDepth));
  std::vector<std::string> records = source.records(wanted.id);
  if (records.empty())
    return walk.links.empty()
               ? refuse("unknown", fmt::format("there is no delegation '{}'", printable(wanted.id, 80)))
               : refuse("truncated", fmt::format("delegation {} is gone, from which {} comes",
                                                 printable(wanted.id, 80), walk.links.back().id));
  if (records.size() > 1)
    return refuse("ambiguous",
                  fmt::format("there are {} delegations '{}'", records.size(), printable(wanted.id, 80)));
  walk.bytes += records.front().size();
  if (walk.bytes > kMaxChainBytes)
    return refuse("too_large", fmt::format("the chain has more than {} bytes", kMaxChainBytes));
  const std::string digest = digest_text(sha256(records.front()));
  if (walk.links.empty()) walk.digest = digest;
  if (!walk.links.empty() && digest != wanted.digest)
    return refuse("splice", fmt::format("delegation {} is not the one that {} was made from",
                                        printable(wanted.id, 80), walk.links.back().id));
  return std::move(records.front());
}

Result<Walk> collect(std::string_view id, const DelegationSource& source, std::string_view public_key) {
  Walk walk;
  ParentRef next{.id = std::string(id)};
  do {
    const std::string record = SAW_TRY(find(walk, next, source));
    Delegation link = SAW_TRY(open_delegation(record, public_key));
    if (link.id != next.id)
      return refuse("ambiguous", fmt::format("the record kept as delegation '{}' is '{}'",
                                             printable(next.id, 80), link.id));
    next = link.parent;
    walk.links.push_back(std::move(link));
  } while (!next.id.empty());
  return walk;
}

Result<> check_root(const Delegation& root) {
  if (root.issuer != root.sponsor)
    return refuse("root",
                  fmt::format("delegation {} has no parent, and was not issued by its sponsor", root.id));
  if (root.agent.contains('/'))
    return refuse("root",
                  fmt::format("delegation {} gives a sub-agent authority that no agent held", root.id));
  return {};
}

}  // namespace

Chain::Chain(std::vector<Delegation> links, Scope scope, std::string digest)
    : links_(std::move(links)), scope_(std::move(scope)), digest_(std::move(digest)) {
  for (const Delegation& link : links_) actors_.push_back(link.issuer);
}

Result<std::shared_ptr<const Chain>> resolve_chain(std::string_view id, const DelegationSource& source,
                                                   std::string_view public_key) {
  Walk walk = SAW_TRY(collect(id, source, public_key));
  SAW_TRY(check_root(walk.links.back()));
  Scope leaf = SAW_TRY(Scope::create(walk.links.front().grants), walk.links.front().id);
  Scope below = leaf;
  for (size_t i = 1; i < walk.links.size(); ++i) {
    Scope above = SAW_TRY(Scope::create(walk.links[i].grants), walk.links[i].id);
    SAW_TRY(check_narrower(walk.links[i - 1], below, walk.links[i], above));
    below = std::move(above);
  }
  return std::make_shared<const Chain>(std::move(walk.links), std::move(leaf), std::move(walk.digest));
}

}  // namespace saw::identity
