#include "base/bytes.h"

#include <gtest/gtest.h>

namespace saw {
namespace {

TEST(Bytes, rfc4648_vectors_round_trip) {
  for (auto [plain, text] :
       {std::pair{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foobar", "Zm9vYmFy"}}) {
    EXPECT_EQ(to_base64(plain), text);
    EXPECT_EQ(from_base64(text), plain);
  }
  EXPECT_EQ(to_base64url("\xfb\xff"), "-_8");
  EXPECT_EQ(from_base64url("-_8"), "\xfb\xff");
}

TEST(Bytes, non_canonical_base64_is_refused) {
  EXPECT_FALSE(from_base64("Zh=="));  // left-over bits set
  EXPECT_FALSE(from_base64("Zg="));
  EXPECT_FALSE(from_base64url("Zg=="));
  EXPECT_FALSE(from_base64("Zg\n="));
}

TEST(Bytes, hex_round_trips_and_refuses_odd_lengths) {
  EXPECT_EQ(to_hex(std::string("\x00\xff", 2)), "00ff");
  EXPECT_EQ(from_hex("00fF"), std::string("\x00\xff", 2));
  EXPECT_FALSE(from_hex("0"));
  EXPECT_FALSE(from_hex("0g"));
}

TEST(Bytes, printable_escapes_what_would_move_a_terminal) {
  EXPECT_EQ(printable("a\nb\x1b[0m"), "a\\x0ab\\x1b[0m");
  EXPECT_EQ(printable("abcdef", 3), "abc…");
}

}  // namespace
}  // namespace saw
