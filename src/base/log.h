// What a daemon tells its operator: one line per event on stderr. Never a place for decisions (those are audit events) nor for
// bytes from the agent's side, except through printable().
//
//   log_info("egress for workspace '{}' started", name);
#pragma once

#include <string_view>

#include <fmt/format.h>

namespace saw {

enum class LogLevel { debug, info, warning, error };

// The name in front of each line, and the least level written. Called once, by main.
void configure_log(std::string_view program, LogLevel least);
void log_line(LogLevel level, std::string_view text);

template <class... A> void log_debug(fmt::format_string<A...> f, A&&... a) {
  log_line(LogLevel::debug, fmt::format(f, std::forward<A>(a)...));
}
template <class... A> void log_info(fmt::format_string<A...> f, A&&... a) {
  log_line(LogLevel::info, fmt::format(f, std::forward<A>(a)...));
}
template <class... A> void log_warning(fmt::format_string<A...> f, A&&... a) {
  log_line(LogLevel::warning, fmt::format(f, std::forward<A>(a)...));
}
template <class... A> void log_error(fmt::format_string<A...> f, A&&... a) {
  log_line(LogLevel::error, fmt::format(f, std::forward<A>(a)...));
}

}  // namespace saw
