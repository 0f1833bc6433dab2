#include "cli/spawn.h"

#include <cerrno>
#include <csignal>

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"

extern char** environ;

namespace saw::cli {
namespace {

std::vector<char*> pointers(const std::string& program, const std::vector<std::string>& arguments) {
  std::vector<char*> out{const_cast<char*>(program.c_str())};
  for (const std::string& a : arguments) out.push_back(const_cast<char*>(a.c_str()));
  out.push_back(nullptr);
  return out;
}

struct FileActions {
  posix_spawn_file_actions_t actions;
  FileActions() { posix_spawn_file_actions_init(&actions); }
  ~FileActions() { posix_spawn_file_actions_destroy(&actions); }
  FileActions(const FileActions&) = delete;
  FileActions& operator=(const FileActions&) = delete;
};

Result<pid_t> spawn(const std::string& program, const std::vector<std::string>& arguments,
                    const FileActions& files) {
  pid_t pid = -1;
  const int error = ::posix_spawn(&pid, program.c_str(), &files.actions, nullptr,
                                  pointers(program, arguments).data(), environ);
  if (error != 0)
    return std::unexpected(Error::from_errno("spawn.failed", error, fmt::format("starting {}", program)));
  return pid;
}

// Collects the child. What it said counts only if it ended well.
Result<std::string> with_good_end(const std::string& program, pid_t pid, Result<std::string> said) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (!said) return said;
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    return Error::make("spawn.failed", "{} ended with {} {}", program,
                       WIFEXITED(status) ? "status" : "signal",
                       WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
  return said;
}

}  // namespace

Result<std::string> start_and_hear(const std::string& program, const std::vector<std::string>& arguments,
                                   const std::string& log, int64_t timeout_ms) {
  Pipe pipe = SAW_TRY(Pipe::create());
  Fd log_file = SAW_TRY(Fd::open(log, O_WRONLY | O_CREAT | O_APPEND, 0640), "opening the log");
  FileActions files;
  posix_spawn_file_actions_addopen(&files.actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&files.actions, log_file.get(), 1);
  posix_spawn_file_actions_adddup2(&files.actions, log_file.get(), 2);
  posix_spawn_file_actions_adddup2(&files.actions, pipe.write.get(), kReadyDescriptor);
  posix_spawn_file_actions_addclosefrom_np(&files.actions, kReadyDescriptor + 1);
  SAW_TRY(spawn(program, arguments, files));
  pipe.write.reset();

  const SystemClock clock;
  const Nanos deadline = clock.monotonic() + timeout_ms * kMillisecond;
  constexpr size_t kMaxLine = 4096;
  std::string heard;
  while (heard.find('\n') == std::string::npos && heard.size() < kMaxLine) {
    const int64_t left = (deadline - clock.monotonic()) / kMillisecond;
    pollfd watched{pipe.read.get(), POLLIN, 0};
    if (left <= 0)
      return Error::make("spawn.timeout", "{} was not ready within {} s", program, timeout_ms / 1000);
    const int ready = ::poll(&watched, 1, static_cast<int>(left));
    if (ready < 0 && errno != EINTR) return Error::system("spawn.failed", "waiting for {}", program);
    if (ready <= 0) continue;
    char buffer[512];
    const ssize_t got = ::read(pipe.read.get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    heard.append(buffer, static_cast<size_t>(got));
  }
  heard.resize(std::min(heard.find('\n'), heard.size()));
  return heard;
}

Result<std::string> output_of(const std::string& program, const std::vector<std::string>& arguments) {
  constexpr size_t kMaxOutput = 1u << 20;
  Pipe pipe = SAW_TRY(Pipe::create());
  FileActions files;
  posix_spawn_file_actions_addopen(&files.actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&files.actions, pipe.write.get(), 1);
  posix_spawn_file_actions_addclosefrom_np(&files.actions, 3);
  const pid_t pid = SAW_TRY(spawn(program, arguments, files));
  pipe.write.reset();
  auto output = read_all(pipe.read, kMaxOutput);
  pipe.read.reset();
  return with_good_end(program, pid, std::move(output));
}

namespace {

// Writes `input` to the child and reads its answer, whichever is possible; until it closes its end.
Result<std::string> converse(const Fd& socket, std::string_view input, int64_t timeout_ms) {
  constexpr size_t kMaxAnswer = 1u << 20;
  const SystemClock clock;
  const Nanos deadline = clock.monotonic() + timeout_ms * kMillisecond;
  std::string answer;
  while (answer.size() <= kMaxAnswer) {
    const int64_t left = (deadline - clock.monotonic()) / kMillisecond;
    if (left <= 0) return Error::make("spawn.timeout", "no answer within {} s", timeout_ms / 1000);
    pollfd watched{socket.get(), static_cast<short>(input.empty() ? POLLIN : POLLIN | POLLOUT), 0};
    const int ready = ::poll(&watched, 1, static_cast<int>(left));
    if (ready < 0 && errno != EINTR) return Error::system("spawn.failed", "waiting for an answer");
    if (ready <= 0) continue;
    if ((watched.revents & POLLOUT) != 0 && !input.empty()) {
      const ssize_t put = ::send(socket.get(), input.data(), input.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (put < 0 && errno != EAGAIN && errno != EINTR)
        return Error::system("spawn.failed", "putting the question");
      if (put > 0) input.remove_prefix(static_cast<size_t>(put));
      if (input.empty()) ::shutdown(socket.get(), SHUT_WR);
    }
    if ((watched.revents & (POLLIN | POLLHUP)) == 0) continue;
    char buffer[4096];
    const ssize_t got = ::recv(socket.get(), buffer, sizeof buffer, MSG_DONTWAIT);
    if (got == 0) return answer;
    if (got < 0 && errno != EAGAIN && errno != EINTR)
      return Error::system("spawn.failed", "reading the answer");
    if (got > 0) answer.append(buffer, static_cast<size_t>(got));
  }
  return Error::make("spawn.failed", "the answer is too long");
}

}  // namespace

Result<std::string> answer_of(const std::string& program, std::string_view input, int64_t timeout_ms) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    return Error::system("spawn.failed", "making a socket pair");
  Fd mine(ends[0]), theirs(ends[1]);
  FileActions files;
  posix_spawn_file_actions_adddup2(&files.actions, theirs.get(), 0);
  posix_spawn_file_actions_adddup2(&files.actions, theirs.get(), 1);
  posix_spawn_file_actions_addclosefrom_np(&files.actions, 3);
  const pid_t pid = SAW_TRY(spawn(program, {}, files));
  theirs.reset();
  auto answer = converse(mine, input, timeout_ms);
  if (!answer) ::kill(pid, SIGKILL);
  return with_good_end(program, pid, std::move(answer));
}

Error become(const std::string& program, const std::vector<std::string>& arguments) {
  ::execv(program.c_str(), pointers(program, arguments).data());
  return Error::from_errno("spawn.failed", errno, fmt::format("starting {}", program));
}

Lock lock_state(const std::string& path) {
  auto file = Fd::open(path, O_RDONLY);
  if (!file)
    return file.error().os_errno == ENOENT || file.error().os_errno == ENOTDIR ? Lock::free : Lock::unknown;
  // A shared lock: two that look at once do not take each other for the holder.
  if (::flock(file->get(), LOCK_SH | LOCK_NB) == 0) return Lock::free;
  return errno == EWOULDBLOCK ? Lock::held : Lock::unknown;
}

}  // namespace saw::cli
