// One request and one answer of the REST API, as values: what the router works on. No socket, no Boost.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "control/types.h"

namespace saw::api {

constexpr size_t kMaxBody = 4u << 20;

struct HttpRequest {
  std::string method, path, body;            // path: as sent, without the query
  std::map<std::string, std::string> query;  // decoded
  control::Caller caller;
};
struct HttpResponse {
  unsigned status = 200;
  std::string body;
  std::string content_type = "application/json";
};
using Respond = std::move_only_function<void(HttpResponse)>;

// Splits "/a/b?x=1&y=%20". Error "request.target": a bad escape, a name that comes twice, something that is
// no origin-form target.
struct Target {
  std::string path;
  std::map<std::string, std::string> query;
};
Result<Target> parse_target(std::string_view target);
Result<std::string> percent_decode(std::string_view text);

// {"error":{"code","reason","layer","rule","ask"}} with the status that the code stands for.
HttpResponse to_response(const Error& error);
unsigned status_of(std::string_view code);

}  // namespace saw::api
