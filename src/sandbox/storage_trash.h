// Removes directory trees that an agent filled, whatever it put there: names of any bytes, trees of any
// depth, directories without permissions, links to elsewhere.
//
//   Trash trash = SAW_TRY(Trash::open("/var/lib/saw/node/trash"));
//   SAW_TRY(trash.take(workspaces.get(), "ws-1"));  // gone from where it was, at once and atomically
//   while (SAW_TRY(trash.empty_some(250))) …;       // the work itself, in slices: an event loop goes on
//
// Nothing is ever followed: each name is unlinked below a directory descriptor. A subdirectory found is moved
// up into the trash directory instead of descended into, so depth costs neither stack nor descriptors. The
// state is the directory itself: after a crash, go on. Limits: same file system as what is taken.
#pragma once

#include <cstddef>
#include <string>

#include "base/fd.h"

namespace saw::sandbox {

class Trash {
 public:
  static Result<Trash> open(const std::string& path);

  // A name that is not there is fine.
  Result<> take(int parent, const std::string& name);
  // Removes about `budget` entries. true: there is more.
  Result<bool> empty_some(size_t budget);
  int descriptor() const { return directory_.get(); }

 private:
  explicit Trash(Fd directory) : directory_(std::move(directory)) {}
  Result<> empty_directory(const std::string& name, size_t& budget);
  Result<> discard(int parent, const std::string& name);

  Fd directory_;
};

}  // namespace saw::sandbox
