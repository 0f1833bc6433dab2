#include "control/terminal.h"

#include <algorithm>
#include <array>
#include <cerrno>

#include <sys/socket.h>
#include <unistd.h>

namespace saw::control {
namespace {

constexpr size_t kChunk = 16u << 10;
constexpr int kChunksAtOnce = 8;  // then it is the others' turn
constexpr size_t kTypedChunk = 4u << 10;
constexpr size_t kRestChunks = Scrollback::kBytes / kChunk;  // of what is left when the command has ended

}  // namespace

struct Terminal::Viewer {
  std::string key;
  Fd socket;
  os::Loop::Watch watch;  // after the socket
  uint64_t position = 0;  // of the next byte for it
  bool deaf = false;      // its end is closed
  bool told = false;
  std::move_only_function<void(Exit)> on_exit;
};

Terminal::Terminal(os::Loop& loop, Fd pty) : loop_(loop), pty_(std::move(pty)) {
  arrange();
}
Terminal::~Terminal() = default;

// ---- the command's side

bool Terminal::wants_output() const {
  if (silent_ || exit_) return false;
  if (waited_) return true;
  bool somebody = false;
  for (const auto& [key, viewer] : viewers_) {
    if (viewer->deaf) continue;
    if (screen_.end() - viewer->position < kAhead) return true;
    somebody = true;
  }
  return !somebody;
}

// Watches the pty for what there is to do. Not at all when there is nothing: a hangup is always reported.
void Terminal::arrange() {
  const bool wanted = wants_output();
  uint32_t events = wanted ? os::Loop::kReadable : 0;
  if (!typed_.empty()) events |= os::Loop::kWritable;
  if (silent_ || exit_) events = 0;
  if (events == 0)
    watch_.cancel();
  else if (watched_ == 0)
    watch_ = loop_.watch(pty_.get(), events, [this](uint32_t ready) { on_pty(ready); });
  else if (events != watched_)
    watch_.set_events(events);
  watched_ = events;
  const bool held_back = !wanted && !silent_ && !exit_;
  if (!held_back) patience_.cancel();
  if (held_back && !held_back_)
    patience_ = loop_.after(kPatienceMs, [this] {
      waited_ = true;
      arrange();
    });
  held_back_ = held_back;
}

void Terminal::on_pty(uint32_t events) {
  if ((events & (os::Loop::kWritable | os::Loop::kHangup)) != 0) write_pty();
  if ((events & (os::Loop::kReadable | os::Loop::kHangup)) != 0) read_pty();
  arrange();
}

void Terminal::read_pty() {
  for (int chunks = 0; chunks < kChunksAtOnce && wants_output(); ++chunks)
    if (!read_once()) break;
}

// false: there is nothing more for now.
bool Terminal::read_once() {
  std::array<char, kChunk> chunk;
  ssize_t got;
  do got = ::read(pty_.get(), chunk.data(), chunk.size());
  while (got < 0 && errno == EINTR);
  if (got <= 0) {
    if (got == 0 || errno != EAGAIN) silent_ = true;  // EIO: nobody has the other side open
    return false;
  }
  screen_.append({chunk.data(), static_cast<size_t>(got)});
  for (auto& [key, viewer] : viewers_) show(*viewer);
  return true;
}

void Terminal::write_pty() {
  while (!typed_.empty()) {
    const ssize_t put = ::write(pty_.get(), typed_.data(), typed_.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0 && errno == EAGAIN) return;
    typed_.erase(0, put > 0 ? static_cast<size_t>(put) : typed_.size());  // an error: nobody wants it
  }
  for (auto& [key, viewer] : viewers_) arrange(*viewer);
}

// ---- those who look

Result<Fd> Terminal::attach(const std::string& key) {
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
    return Error::system("terminal.socket", "making a stream for a terminal");
  auto viewer = std::make_unique<Viewer>();
  viewer->key = key;
  viewer->socket = Fd(pair[0]);
  Fd theirs(pair[1]);
  SAW_TRY(set_blocking(viewer->socket, Blocking::no));
  viewer->position = screen_.begin();
  viewer->watch = loop_.watch(viewer->socket.get(), os::Loop::kReadable,
                              [this, key](uint32_t events) { on_viewer(key, events); });
  show(*(viewers_[key] = std::move(viewer)));
  arrange();
  return theirs;
}

void Terminal::on_exit(const std::string& key, std::move_only_function<void(Exit)> callback) {
  auto found = viewers_.find(key);
  if (found == viewers_.end()) return;
  found->second->on_exit = std::move(callback);
  show(*found->second);
}

// What was typed before still counts.
void Terminal::detach(const std::string& key) {
  auto found = viewers_.find(key);
  if (found == viewers_.end()) return;
  Viewer& viewer = *found->second;
  for (int chunks = 0; chunks < kChunksAtOnce && typed_.empty() && !viewer.deaf; ++chunks)
    if (!take_typed(viewer)) break;
  viewers_.erase(found);
  arrange();
}

void Terminal::on_viewer(const std::string& key, uint32_t events) {
  Viewer& viewer = *viewers_.at(key);
  if ((events & os::Loop::kReadable) != 0) take_typed(viewer);
  if ((events & os::Loop::kHangup) != 0) viewer.deaf = true;
  show(viewer);
  arrange();
}

// false: there was nothing, or what was typed before is still to be taken.
bool Terminal::take_typed(Viewer& viewer) {
  if (!typed_.empty()) return false;
  typed_.resize(kTypedChunk);
  ssize_t got;
  do got = ::read(viewer.socket.get(), typed_.data(), typed_.size());
  while (got < 0 && errno == EINTR);
  typed_.resize(got > 0 ? static_cast<size_t>(got) : 0);
  if (got == 0 || (got < 0 && errno != EAGAIN)) viewer.deaf = true;
  if (silent_ || exit_) typed_.clear();
  write_pty();
  return got > 0;
}

void Terminal::show(Viewer& viewer) {
  while (!viewer.deaf && viewer.position < screen_.end()) {
    viewer.position = std::max(viewer.position, screen_.begin());
    const std::string_view bytes = screen_.from(viewer.position);
    const ssize_t put = ::send(viewer.socket.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0 && errno == EAGAIN) break;
    if (put < 0) viewer.deaf = true;
    if (put > 0) viewer.position += static_cast<uint64_t>(put), waited_ = false;
  }
  if (exit_ && (viewer.deaf || viewer.position == screen_.end())) tell(viewer);
  arrange(viewer);
}

void Terminal::arrange(Viewer& viewer) {
  if (viewer.deaf) return viewer.watch.cancel();
  uint32_t events = typed_.empty() ? os::Loop::kReadable : 0;
  if (viewer.position < screen_.end()) events |= os::Loop::kWritable;
  viewer.watch.set_events(events);
}

// ---- the end

void Terminal::ended(Exit exit) {
  // Somebody in the background may hold the terminal and write for ever.
  for (size_t chunks = 0; !silent_ && chunks < kRestChunks && read_once(); ++chunks) {
  }
  exit_ = exit;
  typed_.clear();
  arrange();
  pty_.reset();
  for (auto& [key, viewer] : viewers_) show(*viewer);
  linger_ = loop_.after(kLingerMs, [this] {
    for (auto& [key, viewer] : viewers_) tell(*viewer);
  });
}

// Later: whoever is told may be gone by the end of it.
void Terminal::tell(Viewer& viewer) {
  if (viewer.told || !viewer.on_exit) return;
  viewer.told = true;
  loop_.post(alive_.guard([this, key = viewer.key] {
    auto found = viewers_.find(key);
    if (found == viewers_.end()) return;
    auto callback = std::move(found->second->on_exit);
    callback(*exit_);
  }));
}

}  // namespace saw::control
