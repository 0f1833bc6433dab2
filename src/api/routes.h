// The REST contract as one table: method, path pattern, function. openapi.yaml describes the same table; a
// test compares the two.
//
//   Router router(control);
//   router.handle(std::move(request), [](HttpResponse response) { … });
//
// In a pattern {x} matches one segment. The routes of streams (exec, attach) answer here only when there is no
// upgrade: the server recognises it before.
#pragma once

#include <span>
#include <string_view>

#include "api/http.h"
#include "control/control.h"

namespace saw::api {

struct Route {
  std::string_view method, pattern;
  void (*handle)(control::Control& control, const HttpRequest& request, std::span<const std::string> segments,
                 Respond respond);
};
std::span<const Route> routes();

class Router {
 public:
  explicit Router(control::Control& control) : control_(control) {}
  void handle(const HttpRequest& request, Respond respond);

  // What "GET /v1/workspaces/{w}/exec" or "…/attach" asks for; nullopt for every other request.
  struct Streams {
    enum class Of : uint8_t { command, terminal } of = Of::command;
    std::string workspace;
  };
  static std::optional<Streams> streams(const HttpRequest& request);

 private:
  control::Control& control_;
};

std::string_view openapi_document();

}  // namespace saw::api
