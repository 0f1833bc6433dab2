// One terminal that several people look at, and that goes on when nobody does: the pty of a command on one
// side, a stream socket for each of them on the other.
//
//   Terminal terminal(loop, std::move(pty));
//   Fd theirs = SAW_TRY(terminal.attach("at-1"));      // reads what was shown last, then what comes
//   terminal.on_exit("at-1", [](Exit exit) { … });     // after the last byte
//   terminal.ended(exit);                              // when the command has
//
// Output is read whether or not somebody looks. While somebody does, it is read no faster than the fastest of
// them takes it (kAhead), for kPatienceMs at most: a terminal that was suspended does not stop the command for
// good. Whoever is slower misses what Scrollback no longer has. What people type is passed on in the order in
// which it comes. Nothing here parses a byte.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/fd.h"
#include "control/alive.h"
#include "control/scrollback.h"
#include "control/types.h"
#include "os/loop.h"

namespace saw::control {

class Terminal {
 public:
  static constexpr size_t kAhead = 64u << 10;
  static constexpr int64_t kPatienceMs = 2'000;
  static constexpr int64_t kLingerMs = 10'000;  // for somebody who does not read, after the command's end

  // `pty`: non-blocking, both ways.
  Terminal(os::Loop& loop, Fd pty);
  ~Terminal();

  // Somebody's end of a new stream. `key` is of the caller's choosing.
  Result<Fd> attach(const std::string& key);
  void on_exit(const std::string& key, std::move_only_function<void(Exit)> callback);
  void detach(const std::string& key);
  void ended(Exit exit);

 private:
  struct Viewer;
  void on_pty(uint32_t events);
  void read_pty();
  bool read_once();
  void write_pty();
  bool wants_output() const;
  void arrange();
  void on_viewer(const std::string& key, uint32_t events);
  bool take_typed(Viewer& viewer);
  void show(Viewer& viewer);
  void arrange(Viewer& viewer);
  void tell(Viewer& viewer);

  os::Loop& loop_;
  Fd pty_;
  os::Loop::Watch watch_;
  uint32_t watched_ = 0;
  Scrollback screen_;
  std::string typed_;                        // not taken by the pty yet: at most one chunk
  bool silent_ = false;                      // the pty has no other side any more
  bool held_back_ = false, waited_ = false;  // for those who look; long enough
  os::Loop::Timer patience_, linger_;
  std::map<std::string, std::unique_ptr<Viewer>> viewers_;
  std::optional<Exit> exit_;
  Alive alive_;
};

}  // namespace saw::control
