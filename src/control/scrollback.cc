#include "control/scrollback.h"

#include <algorithm>

namespace saw::control {

void Scrollback::append(std::string_view bytes) {
  while (!bytes.empty()) {
    const size_t at = end_ % kBytes;
    const size_t run = std::min(bytes.size(), kBytes - at);
    if (ring_.size() < at + run) ring_.resize(at + run);
    bytes.copy(ring_.data() + at, run);
    bytes.remove_prefix(run);
    end_ += run;
  }
}

std::string_view Scrollback::from(uint64_t position) const {
  position = std::clamp(position, begin(), end_);
  const size_t at = position % kBytes;
  const size_t left = end_ - position;
  return std::string_view(ring_).substr(at, left);  // to the end of the ring at most
}

}  // namespace saw::control
