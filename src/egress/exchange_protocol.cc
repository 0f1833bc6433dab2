#include <fmt/format.h>

#include "egress/exchange.h"

namespace saw::egress {

void Exchange::read_operation() {
  judged_.operation = describe_operation({.protocol = judged_.protocol,
                                          .method = head_.method,
                                          .target = judged_.target,
                                          .body = whole_body_ ? *whole_body_ : std::string_view()});
}

// What the agent can do about a refusal: put the request right where it was unreadable, ask for more otherwise.
std::string Exchange::ask_for(std::string_view reason) const {
  if (std::string_view known = remedy(reason); !known.empty()) return std::string(known);
  if (reason.starts_with("malformed:")) return "send an unambiguous HTTP/1.1 request";
  std::string_view path = std::string_view(target_).substr(0, target_.find('?'));
  const std::string entry = judged_.entry.empty() ? std::string("in a network entry of its own")
                                                  : fmt::format("network entry '{}'", judged_.entry);
  if (!judged_.operation.summary.empty())
    return fmt::format("ask the workspace's owner to allow '{}' at host {} port {} path {} in the policy, {}",
                       judged_.operation.summary, to_.host, to_.port, path, entry);
  return fmt::format("ask the workspace's owner to add host {} port {} method {} path {} to the policy, {}",
                     to_.host, to_.port, head_.method, path, entry);
}

}  // namespace saw::egress
