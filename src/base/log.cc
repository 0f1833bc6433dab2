#include "base/log.h"

#include <unistd.h>

#include "base/clock.h"

namespace saw {
namespace {
struct Settings {
  std::string program = "saw";
  LogLevel least = LogLevel::info;
};
Settings& settings() {
  static Settings instance;
  return instance;
}
}  // namespace

void configure_log(std::string_view program, LogLevel least) {
  settings() = {std::string(program), least};
}

void log_line(LogLevel level, std::string_view text) {
  if (level < settings().least) return;
  static constexpr std::string_view kNames[] = {"debug", "info", "warning", "error"};
  std::string line = fmt::format("{} {}[{}] {}: {}\n", rfc3339(SystemClock().now()), settings().program,
                                 ::getpid(), kNames[static_cast<int>(level)], text);
  // One write per line keeps lines of several processes whole in a shared log file; a full disk must not stop the daemon.
  [[maybe_unused]] ssize_t ignored = ::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace saw
