#include "policy/address.h"

#include <gtest/gtest.h>

namespace saw::policy {
namespace {

std::string text(std::string_view spelled) {
  auto a = parse_address(spelled);
  return a ? to_text(*a) : "-";
}
AddressClass class_of(std::string_view spelled) {
  auto a = parse_address(spelled);
  EXPECT_TRUE(a) << spelled;
  return a ? classify(*a) : AddressClass::never;
}

TEST(Address, reads_every_textual_form) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"127.0.0.1", "127.0.0.1"},
      {"127.1", "127.0.0.1"},
      {"0x7f.1", "127.0.0.1"},
      {"0177.0.0.01", "127.0.0.1"},
      {"2130706433", "127.0.0.1"},
      {"0x7F000001", "127.0.0.1"},
      {"017700000001", "127.0.0.1"},
      {"10.1.258", "10.1.1.2"},
      {"1.2.3.4.", "1.2.3.4"},
      {"0", "0.0.0.0"},
      {"[::1]", "::1"},
      {"::", "::"},
      {"2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
      {"::ffff:1.2.3.4", "1.2.3.4"},
      {"::FFFF:0102:0304", "1.2.3.4"},
      {"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"},
      {"64:ff9b::192.0.2.1", "64:ff9b::c000:201"},
      {"1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"}};
  for (const auto& [spelled, expected] : cases) EXPECT_EQ(text(spelled), expected) << spelled;
}

TEST(Address, is_not_made_of_anything_else) {
  for (std::string_view bad : {"",
                               ".",
                               "a",
                               "1.2.3.4.5",
                               "256.1.1.1",
                               "1.2.3.256",
                               "1..2",
                               "08",
                               "0xg",
                               "4294967296",
                               "1.2.65536",
                               "-1",
                               "+1",
                               " 1",
                               "1 ",
                               "[1.2.3.4]",
                               "::1%lo",
                               "[::1",
                               "1:2",
                               ":::",
                               "1::2::3",
                               "1:2:3:4:5:6:7:8:9",
                               "12345::",
                               "::1.2.3",
                               "::01.2.3.4",
                               "1.2.3.4::",
                               "1:2:3:4:5:6:7:8::",
                               "api.example.com"})
    EXPECT_FALSE(parse_address(bad)) << bad;
}

TEST(Address, classes_follow_the_registries) {
  for (std::string_view a :
       {"127.0.0.1",    "127.255.255.255", "0.0.0.0",         "0.1.2.3",         "169.254.169.254",
        "224.0.0.1",    "239.1.1.1",       "240.0.0.1",       "255.255.255.255", "192.0.0.1",
        "198.18.0.1",   "198.19.255.255",  "100.100.100.200", "168.63.129.16",   "::1",
        "::",           "fe80::1",         "fec0::1",         "ff02::1",         "fd00:ec2::254",
        "fd20:ce::254", "100::1",          "4000::1",         "2001:10::1"})
    EXPECT_EQ(class_of(a), AddressClass::never) << a;
  for (std::string_view a : {"10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1",
                             "100.127.255.255", "fc00::1", "fdff::1"})
    EXPECT_EQ(class_of(a), AddressClass::private_use) << a;
  for (std::string_view a : {"93.184.216.34", "8.8.8.8", "9.255.255.255", "11.0.0.0", "172.15.255.255",
                             "172.32.0.0", "100.128.0.0", "128.0.0.1", "223.255.255.255", "203.0.113.7",
                             "2606:2800:220::1", "2001:db8::1", "2a00::1"})
    EXPECT_EQ(class_of(a), AddressClass::global) << a;
}

TEST(Address, what_is_embedded_counts) {
  for (std::string_view a :
       {"::ffff:127.0.0.1", "::127.0.0.1", "64:ff9b::127.0.0.1", "64:ff9b:1::127.0.0.1",
        "64:ff9b:1:7f00:0:100::", "2002:7f00:1::", "2001:0:7f00:1::", "2001:0:5db8:d822:0:0:80ff:fffe",
        "64:ff9b::169.254.169.254", "64:ff9b:2::1", "::ffff:0:127.0.0.1"})
    EXPECT_EQ(class_of(a), AddressClass::never) << a;
  for (std::string_view a :
       {"::ffff:10.1.1.1", "64:ff9b::10.1.1.1", "2002:a01:101::", "64:ff9b:1::192.168.0.1"})
    EXPECT_EQ(class_of(a), AddressClass::private_use) << a;
  for (std::string_view a : {"::ffff:93.184.216.34", "64:ff9b::93.184.216.34", "2002:5db8:d822::1"})
    EXPECT_EQ(class_of(a), AddressClass::global) << a;
}

TEST(AddressRange, needs_zero_host_bits) {
  EXPECT_TRUE(parse_range("10.20.0.0/16"));
  EXPECT_TRUE(parse_range("fd00::/8"));
  EXPECT_TRUE(parse_range("10.1.2.3/32"));
  for (std::string_view bad :
       {"10.20.0.1/16", "10.0.0.0", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/08", "10/8", "0x0a.0.0.0/8",
        "[fd00::]/8", "fd00::1/8", "fd00::/129", "/8", "10.0.0.0/"})
    EXPECT_FALSE(parse_range(bad)) << bad;
}

TEST(AddressRange, contains_what_shares_its_prefix) {
  auto in = [](std::string_view range, std::string_view a) {
    return contains(*parse_range(range), *parse_address(a));
  };
  EXPECT_TRUE(in("10.20.0.0/15", "10.21.255.255"));
  EXPECT_FALSE(in("10.20.0.0/15", "10.22.0.0"));
  EXPECT_TRUE(in("10.1.2.3/32", "::ffff:10.1.2.3"));
  EXPECT_FALSE(in("fc00::/7", "10.1.2.3"));
  EXPECT_TRUE(in("fc00::/7", "fdab::1"));
}

}  // namespace
}  // namespace saw::policy
