// The last bytes that a terminal showed, at the positions that they had in all of its output. Bytes only: what
// they mean is between the program and the terminal at the far end, and nothing here looks.
//
//   Scrollback screen;
//   screen.append("…");
//   for (uint64_t at = screen.begin(); at < screen.end();) at += take(screen.from(at));
//
// Holds kBytes at most, and no more memory than was ever written to it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace saw::control {

class Scrollback {
 public:
  static constexpr size_t kBytes = 256u << 10;

  void append(std::string_view bytes);
  // Positions: of the oldest byte that is kept, and behind the newest one.
  uint64_t begin() const { return end_ - ring_.size(); }
  uint64_t end() const { return end_; }
  // A run of bytes from `position` on, empty only at end(). What is no longer kept reads as the oldest.
  std::string_view from(uint64_t position) const;

 private:
  std::string ring_;  // byte n lies at n % kBytes
  uint64_t end_ = 0;
};

}  // namespace saw::control
