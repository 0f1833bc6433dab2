#include "control/scrollback.h"

#include <gtest/gtest.h>

namespace saw::control {
namespace {

std::string all(const Scrollback& screen) {
  std::string out;
  for (uint64_t at = screen.begin(); at < screen.end();) {
    const std::string_view run = screen.from(at);
    if (run.empty()) return "an empty run before the end";
    out += run, at += run.size();
  }
  return out;
}

std::string pattern(size_t bytes) {
  std::string out;
  for (size_t i = 0; out.size() < bytes; ++i) out += std::to_string(i) + "\x1b[31m\n";
  out.resize(bytes);
  return out;
}

TEST(Scrollback, little_output_is_kept_whole_byte_by_byte) {
  Scrollback screen;
  EXPECT_EQ(all(screen), "");
  screen.append("");
  screen.append(std::string_view("a\0\xff\x1b", 4));
  screen.append("b");
  EXPECT_EQ(all(screen), std::string("a\0\xff\x1b"
                                     "b",
                                     5));
  EXPECT_EQ(screen.from(3),
            "\x1b"
            "b");
  EXPECT_EQ(screen.from(5), "");
  EXPECT_EQ(screen.from(99), "") << "beyond the end there is nothing";
}

TEST(Scrollback, of_much_output_the_last_bytes_are_kept_and_no_more) {
  for (const size_t piece : {size_t{1} << 20, size_t{1000}, Scrollback::kBytes, Scrollback::kBytes + 1}) {
    const std::string written = pattern(5 * Scrollback::kBytes + 17);
    Scrollback screen;
    for (size_t at = 0; at < written.size(); at += piece)
      screen.append(std::string_view(written).substr(at, piece));
    EXPECT_EQ(screen.end(), written.size());
    EXPECT_EQ(screen.end() - screen.begin(), Scrollback::kBytes);
    EXPECT_EQ(all(screen), written.substr(written.size() - Scrollback::kBytes)) << piece;
    EXPECT_EQ(screen.from(0), screen.from(screen.begin())) << "what is gone reads as the oldest";
  }
}

}  // namespace
}  // namespace saw::control
