// How many connections each user holds: so that nobody keeps the others, or an operator, from the API.
//
//   if (!connections.enter(uid)) return;   // closed at once
//   …
//   connections.leave(uid);
//
// The last kReserved of kMax are for operators (uid 0, as the kernel tells it here).
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>

namespace saw::api {

class Connections {
 public:
  static constexpr size_t kMax = 512, kReserved = 64, kMaxPerUser = 256;

  bool enter(uint32_t uid) {
    const size_t most = uid == 0 ? kMax : kMax - kReserved;
    size_t& own = by_user_[uid];
    const bool room = all_ < most && (uid == 0 || own < kMaxPerUser);
    if (room) ++all_, ++own;
    if (own == 0) by_user_.erase(uid);
    return room;
  }
  void leave(uint32_t uid) {
    --all_;
    if (--by_user_[uid] == 0) by_user_.erase(uid);
  }

 private:
  size_t all_ = 0;
  std::map<uint32_t, size_t> by_user_;
};

}  // namespace saw::api
