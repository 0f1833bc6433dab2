// The REST contract as one table: method, path pattern, function. openapi.yaml describes the same table; a
// test compares the two.
//
//   Router router(control);
//   router.handle(std::move(request), [](HttpResponse response) { … });
//
// In a pattern {x} matches one segment. The exec route answers here only when it is refused: the server
// recognises its upgrade before.
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

  // The workspace of "GET /v1/workspaces/{w}/exec"; nullopt for every other request.
  static std::optional<std::string> exec_workspace(const HttpRequest& request);

 private:
  control::Control& control_;
};

std::string_view openapi_document();

}  // namespace saw::api
