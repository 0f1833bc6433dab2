#include "base/result.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace saw {

Error Error::from_errno(std::string_view code, int error_number, std::string action) {
  return {std::string(code), fmt::format("{}: {}", action, std::strerror(error_number)), error_number};
}

Error Error::within(std::string_view context) && {
  message.insert(0, ": ").insert(0, context);
  return std::move(*this);
}

void detail::check_failed(const char* expression, const char* file, int line, const std::string& message) {
  std::fprintf(stderr, "%s:%d: CHECK failed: %s %s\n", file, line, expression, message.c_str());
  std::abort();
}

}  // namespace saw
