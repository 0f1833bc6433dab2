#include "saw-init/probes.h"

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstring>
#include <ctime>
#include <new>

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"

namespace saw::init {
namespace {

using sandbox::Ending;
using sandbox::Probe;
using sandbox::ProbeOutcome;
using sandbox::ProbeSubject;

constexpr int kEnd = 3;  // the child's only descriptor beyond the three: a pipe that closes with it
constexpr int kLookedAtDescriptors = 256;

// What the child says about one probe.
struct Record {
  Ending ending;
  int32_t number;
  char detail[ProbeOutcome::kMaxDetail];
};

// Memory that the child shares with saw-init: it tells of a hundred probes without waking anybody.
class Board {
 public:
  explicit Board(size_t size) : bytes_(sizeof(Head) + size * sizeof(Record)) {
    void* memory = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory != MAP_FAILED) head_ = new (memory) Head;
  }
  Board(const Board&) = delete;
  Board& operator=(const Board&) = delete;
  ~Board() {
    if (head_) ::munmap(head_, bytes_);
  }
  bool is_there() const { return head_ != nullptr; }
  size_t told() const { return head_->told.load(std::memory_order_acquire); }
  Record read(size_t index) const { return records()[index]; }
  void tell(const Seen& seen) {
    Record& record = records()[head_->told.load(std::memory_order_relaxed)];
    record = {.ending = seen.ending, .number = seen.number};
    seen.detail.copy(record.detail, sizeof record.detail - 1);
    head_->told.fetch_add(1, std::memory_order_release);
  }

 private:
  struct Head {
    std::atomic<uint32_t> told = 0;
  };
  Record* records() const { return reinterpret_cast<Record*>(head_ + 1); }
  size_t bytes_;
  Head* head_ = nullptr;
};

int64_t now_ms() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

std::string inherited_descriptors() {
  std::string out;
  for (int fd = STDERR_FILENO + 1; fd < kLookedAtDescriptors; ++fd)
    if (const int flags = ::fcntl(fd, F_GETFD); flags >= 0 && !(flags & FD_CLOEXEC))
      out += (out.empty() ? "" : " ") + std::to_string(fd);
  return out;
}

// In the child. Goes through `probes` until one of them makes this process unfit for the next.
[[noreturn]] void try_each(const ProbeSubject& subject, std::span<const uint16_t> probes, int end,
                           Board& board) {
  for (int signal = 1; signal < NSIG; ++signal) ::signal(signal, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::setsid();
  const std::string inherited = inherited_descriptors();
  // Whatever a probe sets loose, saw-init's sockets are not with it.
  if (end != kEnd && ::dup2(end, kEnd) < 0) ::_exit(1);
  ::fcntl(kEnd, F_SETFD, FD_CLOEXEC);
  ::close_range(kEnd + 1, ~0u, 0);
  for (const uint16_t position : probes) {
    const Probe& probe = sandbox::probe_list()[position];
    const Context context{.subject = subject, .probe = probe, .inherited = inherited};
    const Attempt* attempt = find_attempt(probe.id);
    const Seen seen = attempt ? attempt->run(context) : differs("saw-init does not know this probe");
    board.tell(seen);
    if (!context.expects(seen) || attempt->process == Attempt::Leaves::changed) break;
  }
  ::_exit(0);
}

// One child and what it found out about the probes it got to.
class Trial {
 public:
  Trial(std::span<const uint16_t> probes, int64_t run_deadline)
      : probes_(probes), run_deadline_(run_deadline), board_(probes.size()) {}

  // At least one outcome, at most as many as there are probes.
  std::vector<ProbeOutcome> run(const ProbeSubject& subject) {
    auto pipe = Pipe::create();
    if (!pipe || !board_.is_there()) return with({Ending::refused, errno, "no memory or pipe for the probe"});
    const pid_t child = ::fork();
    if (child < 0) return with({Ending::refused, errno, "no process for the probe"});
    if (child == 0) try_each(subject, probes_, pipe->write.get(), board_);
    pipe->write.reset();
    const bool in_time = await_end(pipe->read.get());
    ::kill(-child,
           SIGKILL);  // its session, if it got that far; it is not reaped yet, so the number is its own
    ::kill(child, SIGKILL);
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    const size_t told = std::min(board_.told(), probes_.size());
    for (size_t i = 0; i < told; ++i) {
      Record record = board_.read(i);
      record.detail[sizeof record.detail - 1] = '\0';
      outcomes_.push_back({probes_[i], record.ending, record.number, record.detail});
    }
    if (told == probes_.size() || (told > 0 && ends_the_child(outcomes_.back()))) return std::move(outcomes_);
    if (!in_time) return with({Ending::hung, 0, ""});
    if (WIFSIGNALED(status)) return with({Ending::killed, WTERMSIG(status), ""});
    return with({Ending::differs, 0, "the probe ended without a word"});
  }

 private:
  // About the probe that the child was at.
  std::vector<ProbeOutcome> with(const Seen& seen) {
    outcomes_.push_back({probes_[outcomes_.size()], seen.ending, seen.number, seen.detail});
    return std::move(outcomes_);
  }

  static bool ends_the_child(const ProbeOutcome& outcome) {
    const Probe& probe = sandbox::probe_list()[outcome.probe];
    const Attempt* attempt = find_attempt(probe.id);
    return !sandbox::is_expected(probe, outcome) || attempt->process == Attempt::Leaves::changed;
  }

  // False: one probe took too long, or all of them together.
  bool await_end(int pipe) {
    size_t told = 0;
    while (true) {
      const int64_t left = std::min<int64_t>(kProbeMs, run_deadline_ - now_ms());
      pollfd ready{pipe, POLLIN, 0};
      const int polled = ::poll(&ready, 1, static_cast<int>(std::max<int64_t>(left, 0)));
      if (polled < 0 && errno == EINTR) continue;
      if (polled != 0) return true;
      if (board_.told() == told || now_ms() >= run_deadline_) return false;
      told = board_.told();
    }
  }

  std::span<const uint16_t> probes_;
  int64_t run_deadline_;
  Board board_;
  std::vector<ProbeOutcome> outcomes_;
};

}  // namespace

std::string fresh_name(std::string_view directory) {
  unsigned char random[16];
  std::string name(directory);
  if (name.empty() || name.back() != '/') name += '/';
  name += ".saw-probe-";
  if (::getrandom(random, sizeof random, 0) != sizeof random) std::memset(random, 0, sizeof random);
  constexpr char kDigits[] = "0123456789abcdef";
  for (const unsigned char byte : random) name += {kDigits[byte >> 4], kDigits[byte & 15]};
  return name;
}

const Attempt* find_attempt(std::string_view probe) {
  for (const auto& attempts : {file_attempts(), network_attempts(), process_attempts(), kernel_attempts()})
    for (const Attempt& attempt : attempts)
      if (attempt.probe == probe) return &attempt;
  return nullptr;
}

std::vector<ProbeOutcome> run_probes(const ProbeSubject& subject, const std::vector<uint16_t>& probes) {
  const int64_t deadline = now_ms() + kProbeRunMs;
  std::vector<ProbeOutcome> out;
  while (out.size() < probes.size()) {
    const std::span<const uint16_t> rest = std::span(probes).subspan(out.size());
    for (ProbeOutcome& outcome : Trial(rest, deadline).run(subject)) out.push_back(std::move(outcome));
  }
  return out;
}

std::vector<ProbeOutcome> run_probes(const ProbeSubject& subject) {
  std::vector<uint16_t> probes;
  for (size_t i = 0; i < sandbox::probe_list().size(); ++i) {
    const Probe& probe = sandbox::probe_list()[i];
    if (probe.where == sandbox::Where::inside && sandbox::applies(probe, subject))
      probes.push_back(static_cast<uint16_t>(i));
  }
  return run_probes(subject, probes);
}

}  // namespace saw::init
