#include "os/file_watch.h"

#include <sys/inotify.h>
#include <unistd.h>

namespace saw::os {
namespace {

constexpr uint32_t kChanges = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_CLOSE_WRITE |
                              IN_DELETE_SELF | IN_MOVE_SELF | IN_ATTRIB;

}  // namespace

Result<std::unique_ptr<FileWatch>> FileWatch::create(Loop& loop, std::function<void()> on_change) {
  Fd fd(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (!fd) return Error::system("os.watch", "making an inotify descriptor");
  return std::unique_ptr<FileWatch>(new FileWatch(loop, std::move(fd), std::move(on_change)));
}

FileWatch::FileWatch(Loop& loop, Fd fd, std::function<void()> on_change)
    : loop_(loop), fd_(std::move(fd)), on_change_(std::move(on_change)) {
  watch_ = loop_.watch(fd_.get(), Loop::kReadable, [this](uint32_t) { on_readable(); });
}

void FileWatch::follow(const std::vector<std::string>& directories) {
  std::map<int, std::string> now;
  for (const std::string& directory : directories) {
    const int id = ::inotify_add_watch(fd_.get(), directory.c_str(), kChanges | IN_ONLYDIR | IN_DONT_FOLLOW);
    if (id >= 0) now[id] = directory;
  }
  for (const auto& [id, directory] : watched_)
    if (!now.contains(id)) ::inotify_rm_watch(fd_.get(), id);
  watched_ = std::move(now);
}

void FileWatch::on_readable() {
  alignas(inotify_event) char buffer[16 << 10];
  while (::read(fd_.get(), buffer, sizeof buffer) > 0) {
    // What happened does not matter, an overflow of the queue neither.
  }
  if (settling_) return;
  settling_ = true;
  settle_ = loop_.after(kSettleMs, [this] {
    settling_ = false;
    on_change_();
  });
}

}  // namespace saw::os
