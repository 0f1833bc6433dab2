#include "api/connections.h"

#include <gtest/gtest.h>

namespace saw::api {
namespace {

TEST(Connections, one_user_leaves_room_for_others_and_all_users_leave_room_for_operators) {
  Connections connections;
  for (size_t i = 0; i < Connections::kMaxPerUser; ++i) ASSERT_TRUE(connections.enter(1001));
  EXPECT_FALSE(connections.enter(1001));
  EXPECT_TRUE(connections.enter(1002));
  while (connections.enter(1003)) {
  }
  EXPECT_FALSE(connections.enter(1004));
  for (size_t i = 0; i < Connections::kReserved; ++i) EXPECT_TRUE(connections.enter(0)) << i;
  EXPECT_FALSE(connections.enter(0)) << "there is an end to it";
}

TEST(Connections, what_leaves_makes_room_again) {
  Connections connections;
  for (size_t i = 0; i < Connections::kMaxPerUser; ++i) connections.enter(1001);
  connections.leave(1001);
  EXPECT_TRUE(connections.enter(1001));
  EXPECT_FALSE(connections.enter(1001));
}

}  // namespace
}  // namespace saw::api
