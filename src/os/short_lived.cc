#include "os/short_lived.h"

#include <csignal>

#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/wire.h"
#include "os/channel.h"

namespace saw::os {
namespace {

struct Outcome {
  std::string code, message;
  int32_t os_errno = 0;
  template <class A> void members(A& a) { a(code, message, os_errno); }
};

[[noreturn]] void run(const std::function<Result<std::vector<Fd>>()>& work, const Channel& report) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  auto result = work();
  Outcome outcome;
  std::vector<int> raw;
  if (result)
    for (const Fd& fd : *result) raw.push_back(fd.get());
  else
    outcome = {result.error().code, result.error().message, result.error().os_errno};
  [[maybe_unused]] auto sent =
      report.send(wire::encode_struct(outcome), raw);  // the parent sees the end of the channel otherwise
  ::_exit(0);
}

}  // namespace

Result<std::vector<Fd>> in_short_lived_process(const std::function<Result<std::vector<Fd>>()>& work) {
  auto [ours, theirs] = SAW_TRY(Channel::pair());
  const pid_t child = ::fork();
  if (child < 0) return Error::system("os.fork", "starting a short-lived process");
  if (child == 0) run(work, theirs);
  std::move(theirs).take().reset();
  pollfd ready{ours.fd(), POLLIN, 0};
  int polled;
  do polled = ::poll(&ready, 1, static_cast<int>(kShortLivedMs));
  while (polled < 0 && errno == EINTR);
  auto got = ours.receive();
  ::kill(child, SIGKILL);  // our child, not yet waited for: the number is still its own
  while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
  }
  if (polled == 0)
    return Error::make("os.short_lived", "a short-lived process took more than {} ms", kShortLivedMs);
  if (!got) return std::unexpected(std::move(got).error());
  if (got->state != Channel::State::message)
    return Error::make("os.short_lived", "a short-lived process ended without an answer");
  Outcome outcome = SAW_TRY(wire::decode_struct<Outcome>(got->payload));
  if (!outcome.code.empty()) return std::unexpected(Error{outcome.code, outcome.message, outcome.os_errno});
  return std::move(got->fds);
}

}  // namespace saw::os
