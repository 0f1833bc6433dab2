// Expected failures as values.
//
//   Result<Fd> open_log(const Path& path) {
//     Fd fd = SAW_TRY(open_file(path), "opening the audit log");
//     if (!is_regular(fd)) return Error::make("audit.not_a_file", "'{}' is not a regular file", path);
//     return fd;
//   }
//
// Three failures, three tools: expected → Result, absent → std::optional, bug → CHECK (always on, aborts).
// Each layer adds context once, at the front: "starting workspace 'dev': mounting overlay: Permission denied".
#pragma once

#include <cerrno>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace saw {

// What went wrong, in a form that both a program and a person can use.
struct Error {
  std::string code;     // stable, dotted, machine-readable: "sandbox.mount", "policy.unknown_field"
  std::string message;  // for people: what was tried, on what, and why it failed
  int os_errno = 0;     // errno of the failed system call, 0 when there was none

  template <class... Args>
  static std::unexpected<Error> make(std::string_view code, fmt::format_string<Args...> format,
                                     Args&&... args) {
    return std::unexpected(Error{std::string(code), fmt::format(format, std::forward<Args>(args)...), 0});
  }

  // Captures errno. `action` says what was tried: "mounting proc on '/proc'".
  template <class... Args>
  static std::unexpected<Error> system(std::string_view code, fmt::format_string<Args...> action,
                                       Args&&... args) {
    const int saved = errno;
    return std::unexpected(from_errno(code, saved, fmt::format(action, std::forward<Args>(args)...)));
  }

  static Error from_errno(std::string_view code, int error_number, std::string action);

  // The same error with "context: " in front of the message.
  Error within(std::string_view context) &&;
};

// std::expected<T, Error> that the compiler does not let anyone ignore.
template <class T = void> class [[nodiscard]] Result : public std::expected<T, Error> {
 public:
  using std::expected<T, Error>::expected;
  Result(std::expected<T, Error>&& other) : std::expected<T, Error>(std::move(other)) {}
};

namespace detail {
[[noreturn]] void check_failed(const char* expression, const char* file, int line,
                               const std::string& message);
}  // namespace detail

}  // namespace saw

// Evaluates to the value of a Result, or returns its Error from the enclosing function; with a second argument, adds context.
// A GNU statement expression: the one macro that pays for itself in a code base without exceptions.
#define SAW_TRY(expression, ...)                                                                  \
  ({                                                                                              \
    auto saw_try_result = (expression);                                                           \
    if (!saw_try_result) [[unlikely]]                                                             \
      return std::unexpected(std::move(saw_try_result).error() __VA_OPT__(.within(__VA_ARGS__))); \
    ::saw::detail::take(std::move(saw_try_result));                                               \
  })

// A broken invariant is a bug: say where and abort. Extra arguments are a fmt string and its arguments.
#define SAW_CHECK(condition, ...)                                                     \
  do {                                                                                \
    if (!(condition)) [[unlikely]]                                                    \
      ::saw::detail::check_failed(#condition, __FILE__, __LINE__,                     \
                                  std::string{__VA_OPT__(fmt::format(__VA_ARGS__))}); \
  } while (false)

namespace saw::detail {
template <class T> T take(std::expected<T, Error>&& result) {
  return std::move(*result);
}
inline void take(std::expected<void, Error>&&) {}
}  // namespace saw::detail
