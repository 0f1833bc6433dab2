#include "os/loop.h"

#include <map>
#include <unordered_map>
#include <utility>
#include <vector>

#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"

namespace saw::os {

static_assert(Loop::kReadable == EPOLLIN && Loop::kWritable == EPOLLOUT && Loop::kHangup == EPOLLHUP);

namespace {
constexpr uint64_t kTimerKey = 0;
constexpr int kBatch = 64;

struct Watched {
  int fd;
  // Shared with the dispatcher, so that a callback may cancel its own watch while it runs.
  std::shared_ptr<std::move_only_function<void(uint32_t)>> callback;
};
struct Due {
  Nanos when;
  uint64_t key;
  auto operator<=>(const Due&) const = default;
};
}  // namespace

struct Loop::State {
  Fd epoll, timer;
  uint64_t next_key = kTimerKey + 1;
  bool stopped = false;
  std::unordered_map<uint64_t, Watched> watches;
  std::map<Due, std::move_only_function<void()>> timers;
  std::unordered_map<uint64_t, Nanos> deadlines;  // timer key → its place in `timers`
  std::vector<std::move_only_function<void()>> posted;

  // Arms the timerfd for the nearest deadline, or at once when something is posted.
  void arm() {
    itimerspec spec{};
    Nanos when = 0;
    if (!posted.empty())
      when = 1;
    else if (!timers.empty())
      when = std::max<Nanos>(timers.begin()->first.when, 1);
    spec.it_value = {.tv_sec = static_cast<time_t>(when / kSecond),
                     .tv_nsec = static_cast<long>(when % kSecond)};
    SAW_CHECK(::timerfd_settime(timer.get(), TFD_TIMER_ABSTIME, &spec, nullptr) == 0);
  }

  void run_due() {
    const Nanos now = SystemClock().monotonic();
    while (!timers.empty() && timers.begin()->first.when <= now) {
      auto node = timers.extract(timers.begin());
      deadlines.erase(node.key().key);
      node.mapped()();
    }
    for (auto& callback : std::exchange(posted, {})) callback();
    arm();
  }

  void dispatch(int timeout_ms) {
    epoll_event events[kBatch];
    int n = ::epoll_wait(epoll.get(), events, kBatch, timeout_ms);
    SAW_CHECK(n >= 0 || errno == EINTR, "epoll_wait failed");
    for (int i = 0; i < n; ++i) {
      const uint64_t key =
          events[i].data.u64;  // a copy: epoll_event is packed, and references need alignment
      if (key == kTimerKey) {
        run_due();
        continue;
      }
      auto found = watches.find(key);
      if (found == watches.end()) continue;  // cancelled by an earlier callback of this batch
      auto callback = found->second.callback;
      (*callback)(events[i].events);
    }
  }
};

Loop::Loop(std::unique_ptr<State> state) : state_(std::move(state)) {}
Loop::Loop(Loop&&) noexcept = default;
Loop::~Loop() = default;

Result<Loop> Loop::create() {
  auto state = std::make_unique<State>();
  state->epoll = Fd(::epoll_create1(EPOLL_CLOEXEC));
  if (!state->epoll) return Error::system("os.epoll", "creating an epoll instance");
  state->timer = Fd(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  if (!state->timer) return Error::system("os.timerfd", "creating a timer");
  epoll_event event{.events = EPOLLIN, .data = {.u64 = kTimerKey}};
  if (::epoll_ctl(state->epoll.get(), EPOLL_CTL_ADD, state->timer.get(), &event) != 0)
    return Error::system("os.epoll", "watching the timer");
  return Loop(std::move(state));
}

Loop::Watch Loop::watch(int fd, uint32_t events, std::move_only_function<void(uint32_t)> callback) {
  uint64_t key = state_->next_key++;
  epoll_event event{.events = events, .data = {.u64 = key}};
  SAW_CHECK(::epoll_ctl(state_->epoll.get(), EPOLL_CTL_ADD, fd, &event) == 0,
            "watching descriptor {}: errno {}", fd, errno);
  state_->watches.emplace(
      key, Watched{fd, std::make_shared<std::move_only_function<void(uint32_t)>>(std::move(callback))});
  return Watch(state_.get(), key);
}

Loop::Timer Loop::after(int64_t milliseconds, std::move_only_function<void()> callback) {
  uint64_t key = state_->next_key++;
  Nanos when = SystemClock().monotonic() + milliseconds * kMillisecond;
  state_->timers.emplace(Due{when, key}, std::move(callback));
  state_->deadlines.emplace(key, when);
  state_->arm();
  return Timer(state_.get(), key);
}

void Loop::post(std::move_only_function<void()> callback) {
  state_->posted.push_back(std::move(callback));
  state_->arm();
}

void Loop::run() {
  while (!state_->stopped) state_->dispatch(-1);
}
void Loop::stop() {
  state_->stopped = true;
}
bool Loop::run_ready() {
  state_->dispatch(0);
  return !state_->stopped;
}
int Loop::fd() const {
  return state_->epoll.get();
}

Loop::Watch::Watch(Watch&& other) noexcept : state_(std::exchange(other.state_, nullptr)), key_(other.key_) {}
Loop::Watch& Loop::Watch::operator=(Watch&& other) noexcept {
  if (this != &other) {
    cancel();
    state_ = std::exchange(other.state_, nullptr);
    key_ = other.key_;
  }
  return *this;
}
void Loop::Watch::cancel() {
  if (State* state = std::exchange(state_, nullptr)) {
    auto node = state->watches.extract(key_);
    if (!node.empty()) ::epoll_ctl(state->epoll.get(), EPOLL_CTL_DEL, node.mapped().fd, nullptr);
  }
}
void Loop::Watch::set_events(uint32_t events) {
  if (!state_) return;
  epoll_event event{.events = events, .data = {.u64 = key_}};
  SAW_CHECK(::epoll_ctl(state_->epoll.get(), EPOLL_CTL_MOD, state_->watches.at(key_).fd, &event) == 0);
}

Loop::Timer::Timer(Timer&& other) noexcept : state_(std::exchange(other.state_, nullptr)), key_(other.key_) {}
Loop::Timer& Loop::Timer::operator=(Timer&& other) noexcept {
  if (this != &other) {
    cancel();
    state_ = std::exchange(other.state_, nullptr);
    key_ = other.key_;
  }
  return *this;
}
void Loop::Timer::cancel() {
  if (State* state = std::exchange(state_, nullptr)) {
    auto found = state->deadlines.find(key_);
    if (found == state->deadlines.end()) return;  // has run
    state->timers.erase(Due{found->second, key_});
    state->deadlines.erase(found);
    state->arm();
  }
}

}  // namespace saw::os
