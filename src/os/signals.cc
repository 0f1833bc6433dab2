#include "os/signals.h"

#include <csignal>

#include <sys/signalfd.h>
#include <unistd.h>

namespace saw::os {

Result<Signals> Signals::open(Loop& loop, std::initializer_list<int> signals,
                              std::move_only_function<void(int)> callback) {
  sigset_t set;
  sigemptyset(&set);
  for (int signal : signals) sigaddset(&set, signal);
  if (::sigprocmask(SIG_BLOCK, &set, nullptr) != 0) return Error::system("os.signals", "blocking signals");
  Fd fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd) return Error::system("os.signals", "watching signals");
  auto on_readable = [raw = fd.get(), callback = std::move(callback)](uint32_t) mutable {
    signalfd_siginfo info{};
    while (::read(raw, &info, sizeof info) == static_cast<ssize_t>(sizeof info))
      callback(static_cast<int>(info.ssi_signo));
  };
  Loop::Watch watch = loop.watch(fd.get(), Loop::kReadable, std::move(on_readable));
  return Signals(std::move(fd), std::move(watch));
}

}  // namespace saw::os
