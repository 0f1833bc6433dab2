// The two keys that leave a terminal: Ctrl-P, then Ctrl-Q.
//
//   DetachKeys keys;
//   auto typed = keys.take(chunk);                 // typed.pass goes to the command; typed.leaves: nothing after it does
//   if (keys.holding()) …after kHoldMs…  send(keys.release());
//
// A Ctrl-P is held back until it is known what follows, so that one that was meant for the command (the line before,
// in a shell) arrives, at worst kHoldMs late.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace saw::cli {

constexpr int64_t kHoldMs = 300;

class DetachKeys {
 public:
  static constexpr char kFirst = 0x10, kSecond = 0x11;  // Ctrl-P, Ctrl-Q

  struct Typed {
    std::string pass;
    bool leaves = false;
  };
  Typed take(std::string_view chunk) {
    Typed out;
    for (const char key : chunk) {
      if (holding_ && key == kSecond) {
        holding_ = false;
        out.leaves = true;
        return out;
      }
      out.pass += release();
      if (key == kFirst)
        holding_ = true;
      else
        out.pass += key;
    }
    return out;
  }
  bool holding() const { return holding_; }
  std::string release() { return std::exchange(holding_, false) ? std::string(1, kFirst) : std::string(); }

 private:
  bool holding_ = false;
};

}  // namespace saw::cli
