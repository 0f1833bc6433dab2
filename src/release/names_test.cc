#include "release/names.h"

#include <string>

#include <gtest/gtest.h>

namespace saw::release {
namespace {

TEST(Names, of_a_tree_are_single_segments) {
  for (const char* good : {"stable", "a", "team-2"}) EXPECT_TRUE(is_channel_name(good)) << good;
  for (const char* bad : {"", "2", "-a", "Stable", "a.b", "a/b", "..", "a\n"})
    EXPECT_FALSE(is_channel_name(bad)) << bad;
  EXPECT_FALSE(is_channel_name(std::string(41, 'a')));
  for (const char* good : {"2026-11-24.1", "2026-02-28.9999"}) EXPECT_TRUE(is_version(good)) << good;
  for (const char* bad :
       {"", "2026-11-24", "2026-11-24.", "2026-11-24.0", "2026-11-24.01", "2026-11-24.10000", "2026-02-30.1",
        "2026-11-24.1/", "2026-11-24.+1", "../2026-11-24", "2026-1--24.1"})
    EXPECT_FALSE(is_version(bad)) << bad;
  for (const char* good : {"policy.yaml", "a", "a_b-c.d"}) EXPECT_TRUE(is_member_name(good)) << good;
  for (const char* bad : {"", ".", "..", ".a", "a/b", "A", "a b", "\xc3\xa9"})
    EXPECT_FALSE(is_member_name(bad)) << bad;
  EXPECT_TRUE(is_digest("sha256:" + std::string(64, 'a')));
  for (const char* bad : {"", "sha256:", "sha512:aa"}) EXPECT_FALSE(is_digest(bad)) << bad;
  EXPECT_FALSE(is_digest("sha256:" + std::string(64, 'A')));
  EXPECT_FALSE(is_digest("sha256:" + std::string(65, 'a')));
}

}  // namespace
}  // namespace saw::release
