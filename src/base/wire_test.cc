#include "base/wire.h"

#include <gtest/gtest.h>

namespace saw::wire {
namespace {

enum class Colour : uint8_t { red, green };
constexpr Colour kEnumLast(Colour) {
  return Colour::green;
}

struct Inner {
  std::string name;
  std::optional<int32_t> number;
  template <class A> void members(A& a) { a(name, number); }
};
struct Small {
  uint8_t byte = 0;
  template <class A> void members(A& a) { a(byte); }
};
struct Big {
  std::vector<Inner> list;
  std::map<std::string, std::string> map;
  Colour colour = Colour::red;
  bool flag = false;
  template <class A> void members(A& a) { a(list, map, colour, flag); }
};
using Message = std::variant<Small, Big>;

Message sample() {
  return Big{{{"a", -5}, {"b", {}}}, {{"k", "v"}}, Colour::green, true};
}

TEST(Wire, what_is_encoded_is_decoded) {
  auto back = decode<Message>(encode(sample()));
  ASSERT_TRUE(back) << back.error().message;
  const Big& big = std::get<Big>(*back);
  ASSERT_EQ(big.list.size(), 2u);
  EXPECT_EQ(big.list[0].number, -5);
  EXPECT_FALSE(big.list[1].number);
  EXPECT_EQ(big.map.at("k"), "v");
  EXPECT_EQ(big.colour, Colour::green);
  EXPECT_TRUE(big.flag);
}

TEST(Wire, every_truncation_and_any_trailing_byte_is_refused) {
  std::string bytes = encode(sample());
  for (size_t n = 0; n < bytes.size(); ++n)
    EXPECT_FALSE(decode<Message>(std::string_view(bytes).substr(0, n))) << n;
  EXPECT_FALSE(decode<Message>(bytes + "x"));
}

TEST(Wire, unknown_message_numbers_enums_and_flags_are_refused) {
  EXPECT_FALSE(decode<Message>(std::string("\x02\x00\x00", 3)));
  std::string bytes = encode(sample());
  bytes[bytes.size() - 2] = 2;
  EXPECT_FALSE(decode<Message>(bytes));
  bytes = encode(sample());
  bytes.back() = 2;
  EXPECT_FALSE(decode<Message>(bytes));
}

TEST(Wire, a_huge_count_does_not_allocate) {
  EXPECT_FALSE(decode<Message>(std::string("\x01\x00\xff\xff\xff\xff", 6)));
}

}  // namespace
}  // namespace saw::wire
