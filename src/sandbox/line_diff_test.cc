#include "sandbox/line_diff.h"

#include <random>
#include <sstream>
#include <vector>

#include <gtest/gtest.h>

namespace saw::sandbox {
namespace {

TEST(LineDiff, is_what_diff_u_writes) {
  EXPECT_EQ(unified_diff("a\nb\n", "a\nc\n"), "@@ -1,2 +1,2 @@\n a\n-b\n+c\n");
  EXPECT_EQ(unified_diff("", "a\n"), "@@ -0,0 +1 @@\n+a\n");
  EXPECT_EQ(unified_diff("a\n", ""), "@@ -1 +0,0 @@\n-a\n");
  EXPECT_EQ(unified_diff("same\n", "same\n"), "");
  EXPECT_EQ(unified_diff("a", "a\n"), "@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+a\n");
}

TEST(LineDiff, distant_edits_are_hunks_of_their_own_with_context) {
  std::string before, after;
  for (int i = 1; i <= 30; ++i) {
    before += std::to_string(i) + "\n";
    after += (i == 5 || i == 25 ? "x" : std::to_string(i)) + "\n";
  }
  EXPECT_EQ(unified_diff(before, after),
            "@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+x\n 6\n 7\n 8\n"
            "@@ -22,7 +22,7 @@\n 22\n 23\n 24\n-25\n+x\n 26\n 27\n 28\n");
}

TEST(LineDiff, what_is_no_text_or_too_large_has_no_lines) {
  EXPECT_FALSE(unified_diff(std::string("a\0b", 3), "a"));
  EXPECT_FALSE(unified_diff("a", std::string(kMaxText + 1, 'x')));
  EXPECT_TRUE(unified_diff("\xff\x1b[31m\n", "caf\xc3\xa9\n"));
}

// Applies a unified diff; test code.
std::string patched(const std::string& before, const std::string& diff) {
  std::vector<std::string> lines;
  std::istringstream in(before);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  std::string out;
  size_t at = 0;
  std::istringstream hunks(diff);
  for (std::string line; std::getline(hunks, line);) {
    if (line.starts_with("@@")) {
      size_t start = std::stoul(line.substr(4));
      if (line.substr(4, line.find(' ', 4) - 4).ends_with(",0")) ++start;
      for (; at + 1 < start; ++at) out += lines[at] + "\n";
    } else if (line[0] == ' ' || line[0] == '-') {
      EXPECT_EQ(lines.at(at), line.substr(1));
      if (line[0] == ' ') out += lines[at] + "\n";
      ++at;
    } else {
      out += line.substr(1) + "\n";
    }
  }
  for (; at < lines.size(); ++at) out += lines[at] + "\n";
  return out;
}

TEST(LineDiff, applied_to_the_old_text_it_gives_the_new_one) {
  std::mt19937 random(7);
  for (int round = 0; round < 300; ++round) {
    std::string before, after;
    for (size_t i = random() % 40; i > 0; --i)
      before += std::string(1, static_cast<char>('a' + random() % 5)) + "\n";
    for (size_t i = random() % 40; i > 0; --i)
      after += std::string(1, static_cast<char>('a' + random() % 5)) + "\n";
    ASSERT_EQ(patched(before, *unified_diff(before, after)), after) << before << "→\n" << after;
  }
}

TEST(LineDiff, texts_with_nothing_in_common_are_replaced_whole_within_bounds) {
  std::string before, after;
  for (int i = 0; i < 20'000; ++i)
    before += "a" + std::to_string(i) + "\n", after += "b" + std::to_string(i) + "\n";
  EXPECT_EQ(patched(before, *unified_diff(before, after)), after);
}

}  // namespace
}  // namespace saw::sandbox
