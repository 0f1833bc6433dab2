// Tells when something in a few directories has changed (inotify(7)). It does not say what: whoever asks looks again.
//
//   auto watch = SAW_TRY(FileWatch::create(loop, [this] { look_again(); }));
//   watch->follow({"/srv/policy", "/srv/policy/channels"});     // those that exist now; call it again after each change
//
// Changes that come together are told once, after kSettleMs. A directory that does not exist is not watched, so its parent
// must be. Links are not followed.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "os/loop.h"

namespace saw::os {

class FileWatch {
 public:
  static constexpr int64_t kSettleMs = 5;

  static Result<std::unique_ptr<FileWatch>> create(Loop& loop, std::function<void()> on_change);
  FileWatch(const FileWatch&) = delete;
  FileWatch& operator=(const FileWatch&) = delete;

  // Replaces what was watched before.
  void follow(const std::vector<std::string>& directories);

 private:
  FileWatch(Loop& loop, Fd fd, std::function<void()> on_change);
  void on_readable();

  Loop& loop_;
  Fd fd_;
  std::function<void()> on_change_;
  std::map<int, std::string> watched_;
  Loop::Watch watch_;
  Loop::Timer settle_;
  bool settling_ = false;
};

}  // namespace saw::os
