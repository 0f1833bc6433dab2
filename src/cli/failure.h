// How a command ends when it does not do what was asked: the refusal form of the API, and the exit status
// that goes with it.
//
//   return fail(Exit::refused, "identity.agent_suspended", "agent 'coder' is suspended");
//
// Exit statuses are a contract with scripts (docs/cli.md): 0 done, 1 the thing asked for failed, 2 usage, 125
// SAW itself failed, 126 refused.
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "base/result.h"

namespace saw::cli {

enum class Exit : int { done = 0, failed = 1, usage = 2, not_found = 127, saw_failed = 125, refused = 126 };

// Member by member the "error" object that `--json` prints; empty members are left out there.
struct Failure {
  Exit exit = Exit::failed;
  std::string code;    // stable: "review.denied"
  std::string reason;  // a sentence
  std::string layer, rule;
  std::string ask;  // what to do about it
};

// The exit status of a command that ran, or why it did not.
using Outcome = std::expected<int, Failure>;
template <class T> using Attempt = std::expected<T, Failure>;

template <class... A>
std::unexpected<Failure> fail(Exit exit, std::string_view code, fmt::format_string<A...> format,
                              A&&... args) {
  return std::unexpected(
      Failure{exit, std::string(code), fmt::format(format, std::forward<A>(args)...), {}, {}, {}});
}

// What came from below as an Error is, to the user, a failure of the thing asked for.
inline Failure as_failure(Error error, Exit exit = Exit::failed) {
  return {exit, std::move(error.code), std::move(error.message), {}, {}, {}};
}

}  // namespace saw::cli

// SAW_TRY for functions that return Outcome or Attempt<T>.
#define CLI_TRY(expression)                                                              \
  ({                                                                                     \
    auto cli_try_result = (expression);                                                  \
    if (!cli_try_result) [[unlikely]]                                                    \
      return std::unexpected(::saw::cli::to_failure(std::move(cli_try_result).error())); \
    ::saw::detail::take(std::move(cli_try_result));                                      \
  })

namespace saw::cli {
inline Failure to_failure(Failure failure) {
  return failure;
}
inline Failure to_failure(Error error) {
  return as_failure(std::move(error));
}
}  // namespace saw::cli

namespace saw::detail {
template <class T> T take(std::expected<T, cli::Failure>&& result) {
  return std::move(*result);
}
inline void take(std::expected<void, cli::Failure>&&) {}
}  // namespace saw::detail
