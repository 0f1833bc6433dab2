// A few calls in a process of their own, because namespaces belong to a process: the descriptors that they
// make come back.
//
//   std::vector<Fd> fds = SAW_TRY(in_short_lived_process([] -> Result<std::vector<Fd>> { …unshare, sockets…
//   }));
//
// The caller is single-threaded, so that the child may allocate. Its time is bounded (kShortLivedMs); then it
// is killed.
#pragma once

#include <functional>
#include <vector>

#include "base/fd.h"

namespace saw::os {

constexpr int64_t kShortLivedMs = 10'000;

Result<std::vector<Fd>> in_short_lived_process(const std::function<Result<std::vector<Fd>>()>& work);

}  // namespace saw::os
