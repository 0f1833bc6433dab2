#include "cli/detach_keys.h"

#include <gtest/gtest.h>

namespace saw::cli {
namespace {

TEST(DetachKeys, the_two_keys_leave_and_what_was_typed_before_is_passed_on) {
  DetachKeys keys;
  auto typed = keys.take("ls\n\x10\x11rm -rf /\n");
  EXPECT_EQ(typed.pass, "ls\n");
  EXPECT_TRUE(typed.leaves);
  EXPECT_FALSE(keys.holding());
}

TEST(DetachKeys, they_leave_however_they_are_cut_into_chunks) {
  DetachKeys keys;
  auto first = keys.take("x\x10");
  EXPECT_EQ(first.pass, "x");
  EXPECT_FALSE(first.leaves);
  EXPECT_TRUE(keys.holding());
  EXPECT_TRUE(keys.take("\x11").leaves);
}

TEST(DetachKeys, one_of_them_alone_is_the_commands) {
  DetachKeys keys;
  EXPECT_EQ(keys.take("\x11").pass, "\x11");
  auto typed = keys.take("\x10\x10");
  EXPECT_EQ(typed.pass, "\x10");
  EXPECT_EQ(keys.take("a\x11").pass,
            "\x10"
            "a\x11");
  keys.take("\x10");
  EXPECT_EQ(keys.release(), "\x10");
  EXPECT_EQ(keys.release(), "");
  auto late = keys.take("\x11");
  EXPECT_EQ(late.pass, "\x11") << "too late: the first one has gone to the command";
  EXPECT_FALSE(late.leaves);
}

TEST(DetachKeys, pressing_the_first_key_twice_still_leaves) {
  DetachKeys keys;
  auto typed = keys.take("\x10\x10\x11");
  EXPECT_EQ(typed.pass, "\x10");
  EXPECT_TRUE(typed.leaves);
}

TEST(DetachKeys, any_bytes_are_passed_on_as_they_are) {
  DetachKeys keys;
  const std::string bytes("\0\xff\x1b[A\x03", 6);
  EXPECT_EQ(keys.take(bytes).pass, bytes);
}

}  // namespace
}  // namespace saw::cli
