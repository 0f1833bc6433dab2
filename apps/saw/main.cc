// saw: the command line. Wiring only: the process as it is, handed to src/cli.
#include "cli/main.h"

#include <cstdlib>
#include <filesystem>
#include <thread>

#include <fcntl.h>
#include <pwd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/fd.h"

namespace {

saw::cli::Output::Write writer(int fd) {
  return [fd](std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t put = ::write(fd, bytes.data(), bytes.size());
      if (put < 0 && errno == EINTR) continue;
      if (put < 0 && fd == STDERR_FILENO) return;
      if (put < 0)
        ::_exit(static_cast<int>(
            saw::cli::Exit::saw_failed));  // a result that cannot be delivered (a full disk) is no success
      bytes.remove_prefix(static_cast<size_t>(put));
    }
  };
}

saw::cli::Input standard_input() {
  saw::cli::Input input{STDIN_FILENO, ::isatty(STDIN_FILENO) == 1};
  winsize size{};
  if (input.terminal && ::ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0)
    input.rows = size.ws_row, input.columns = size.ws_col;
  return input;
}

std::string user_name() {
  const passwd* entry = ::getpwuid(::geteuid());
  return entry ? entry->pw_name : "";
}

// A standard descriptor that was closed would become the next file or socket that is opened, and be read or
// written as if it were the user's. Opened the wrong way round, reading and writing it fails as before.
void occupy_closed_descriptors() {
  for (int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (::fcntl(fd, F_GETFD) < 0 && ::open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
      ::_exit(static_cast<int>(saw::cli::Exit::saw_failed));
}

}  // namespace

int main(int argc, char** argv) {
  occupy_closed_descriptors();
  const saw::SystemClock clock;
  std::error_code ec;
  saw::cli::World world;
  world.environment = [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    return value ? std::optional<std::string>(value) : std::nullopt;
  };
  world.connect = saw::cli::connect_to;
  world.out = writer(STDOUT_FILENO);
  world.err = writer(STDERR_FILENO);
  world.out_is_terminal = ::isatty(STDOUT_FILENO) == 1;
  world.err_is_terminal = ::isatty(STDERR_FILENO) == 1;
  world.input = standard_input();
  world.uid = ::geteuid();
  world.user = user_name();
  world.programs = std::filesystem::read_symlink("/proc/self/exe", ec).parent_path().string();
  world.current = std::filesystem::current_path(ec).string();
  world.clock = &clock;
  world.sleep = [](int64_t milliseconds) {
    std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
  };
  return saw::cli::run_saw({argv + 1, argv + argc}, world);
}
