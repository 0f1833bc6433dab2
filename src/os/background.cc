#include "os/background.h"

#include <algorithm>
#include <csignal>

#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace saw::os {
namespace {

constexpr int kFirstOther = 3;  // after stdin, stdout, stderr
constexpr int64_t kDeathMs = 5'000;

// A descriptor of the caller's that stays open here keeps somebody else waiting for its end.
void close_others(std::vector<int> keep) {
  std::ranges::sort(keep);
  int from = kFirstOther;
  for (int fd : keep) {
    if (fd > from) ::syscall(SYS_close_range, from, fd - 1, 0);
    from = std::max(from, fd + 1);
  }
  ::syscall(SYS_close_range, from, ~0U, 0);
}

[[noreturn]] void run(pid_t parent, const std::function<std::string()>& work, const Channel& report,
                      std::vector<int> keep) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);
  keep.push_back(report.fd());
  close_others(std::move(keep));
  const bool sent = report.send(work()).has_value();
  ::_exit(sent ? 0 : 1);
}

}  // namespace

Result<std::unique_ptr<Background>> Background::start(Loop& loop, const Options& options,
                                                      const std::function<std::string()>& work, Done done) {
  auto [ours, theirs] = SAW_TRY(Channel::pair());
  const pid_t parent = ::getpid(), pid = ::fork();
  if (pid < 0) return Error::system("os.fork", "starting a background process");
  if (pid == 0) run(parent, work, theirs, options.keep);
  auto child = Child::open(pid);
  if (!child) {
    ::kill(pid, SIGKILL);  // our child, not yet waited for: the number is still its own
    ::waitpid(pid, nullptr, 0);
    return std::unexpected(std::move(child).error());
  }
  std::unique_ptr<Background> job(new Background(std::move(ours), std::move(*child), std::move(done)));
  Background* raw = job.get();
  job->watch_ = loop.watch(raw->child_.pidfd(), Loop::kReadable, [raw](uint32_t) { raw->on_ended(); });
  job->timer_ = loop.after(options.limit_ms, [raw] {
    raw->late_ = true;
    raw->child_.kill(SIGKILL);
  });
  return job;
}

Background::~Background() {
  if (!done_) return;
  child_.kill(SIGKILL);
  child_.wait_ended(kDeathMs);
  child_.reap();
}

void Background::on_ended() {
  watch_.cancel();
  timer_.cancel();
  const std::optional<int> status = child_.reap();
  Done done = std::exchange(done_, {});
  auto got = channel_.receive();
  if (got && got->state == Channel::State::message) return done(std::move(got->payload));
  if (late_) return done(Error::make("os.background", "a background process took too long and was ended"));
  done(Error::make("os.background", "a background process ended without an answer: {}",
                   describe_wait_status(status.value_or(0))));
}

}  // namespace saw::os
