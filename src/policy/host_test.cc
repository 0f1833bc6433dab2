#include "policy/host.h"

#include <gtest/gtest.h>

namespace saw::policy {
namespace {

std::string canonical(std::string_view text) {
  auto host = HostName::parse(text);
  return host ? std::string(host->text()) : std::string(host.error());
}

TEST(HostName, has_one_form) {
  EXPECT_EQ(canonical("API.Example.COM."), "api.example.com");
  EXPECT_EQ(canonical("xn--bcher-kva.example"), "xn--bcher-kva.example");
  EXPECT_EQ(canonical("_dmarc.example"), "_dmarc.example");
  EXPECT_EQ(canonical("[::FFFF:1.2.3.4]"), "1.2.3.4");
  EXPECT_EQ(canonical("[2001:DB8::0:1]"), "2001:db8::1");
  EXPECT_EQ(canonical("0x7f.1"), "127.0.0.1");
  EXPECT_EQ(canonical(std::string(63, 'a') + ".b"), std::string(63, 'a') + ".b");
}

TEST(HostName, refuses_everything_else) {
  for (std::string bad : {"",
                          ".",
                          "a..b",
                          ".a",
                          "a..",
                          "-a.b",
                          "a-.b",
                          "a b",
                          "a/b",
                          "a@b",
                          "a:80",
                          "b\xc3\xbc"
                          "cher.example",
                          "a%2eb",
                          "*.a",
                          "1.2.3.4.5",
                          "a.1",
                          "a.0x1",
                          "256.256.256.256",
                          "::1%eth0",
                          "[::1",
                          "a\n"})
    EXPECT_EQ(canonical(bad), "malformed:host") << bad;
  EXPECT_EQ(canonical(std::string(64, 'a') + ".b"), "malformed:host");
  std::string longest;
  for (int i = 0; i < 126; ++i) longest += "a.";
  EXPECT_EQ(canonical(longest + "b"), longest + "b");
  EXPECT_EQ(canonical(longest + "bb"), "malformed:host");
}

TEST(Authority, is_a_host_and_perhaps_a_port) {
  EXPECT_EQ(parse_authority("a.b:8080")->port, 8080);
  EXPECT_EQ(parse_authority("[::1]:80")->host.text(), "::1");
  EXPECT_EQ(parse_authority("a.b")->port, 0);
  for (std::string_view bad : {"a:", "a:0", "a:65536", "a:+1", "a:8o", "a:1:2", "u@a", "u:p@a:80", "", ":80"})
    EXPECT_FALSE(parse_authority(bad)) << bad;
}

TEST(PublicSuffix, is_where_anybody_can_register) {
  for (std::string suffix : {"", "com", "co.uk", "github.io", "unlisted"})
    EXPECT_TRUE(is_public_suffix(suffix)) << suffix;
  for (std::string suffix : {"example.com", "bbc.co.uk", "me.github.io", "corp.unlisted"})
    EXPECT_FALSE(is_public_suffix(suffix)) << suffix;
}

}  // namespace
}  // namespace saw::policy
