// A request that shows something: owned, and printable as a line for `saw policy decide`.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "policy/policy.h"

namespace saw::policy::prove {

struct Witness {
  Request::Kind kind = Request::Kind::http;
  std::string host;
  uint16_t port = 443;
  bool tls = true;
  std::string method, target;
  std::vector<std::pair<std::string, std::string>> headers;
  std::optional<std::string> body;
  std::string ip;
  Labels labels = 0;
};

// nullopt: some text in it is not UTF-8, so that JSON cannot carry it.
std::optional<std::string> to_line(const Witness& witness);
// "%2Fa": everything but unreserved octets escaped.
std::string query_escaped(std::string_view text);
// The body of a git push that changes these refs.
std::string push_body(const std::vector<std::string>& refs);

}  // namespace saw::policy::prove
