#include "egress/proxy_request.h"

#include <gtest/gtest.h>

namespace saw::egress {
namespace {

using State = ProxyTarget::State;

std::string text(const ProxyTarget& t) {
  if (t.state == State::incomplete) return "incomplete";
  if (t.state == State::malformed) return "malformed";
  if (t.state == State::unsupported) return "unsupported";
  return t.host + " " + std::to_string(t.port);
}
std::string socks(char command, std::string address) {
  return std::string("\x05", 1) + command + std::string("\0", 1) + address;
}

TEST(ProxyRequest, socks_names_a_host_in_three_ways) {
  const std::string name =
      socks(1, std::string("\x03\x0f", 2) + "API.example.com" + std::string("\x01\xbb", 2));
  EXPECT_EQ(text(parse_socks_request(name)), "api.example.com 443");
  EXPECT_EQ(parse_socks_request(name + "more").consumed, name.size());
  EXPECT_EQ(text(parse_socks_request(socks(1, std::string("\x01\x5d\xb8\xd8\x22\0\x50", 7)))),
            "93.184.216.34 80");
  EXPECT_EQ(text(parse_socks_request(
                socks(1, "\x04 \x01\x0d\xb8" + std::string(11, '\0') + std::string("\x01\0\x50", 3)))),
            "2001:db8::1 80");
  for (size_t n = 0; n < name.size(); ++n)
    EXPECT_EQ(text(parse_socks_request(name.substr(0, n))), "incomplete") << n;
}

TEST(ProxyRequest, what_is_no_connect_of_socks5_is_refused) {
  EXPECT_EQ(text(parse_socks_request(socks(2, std::string("\x01\x5d\xb8\xd8\x22\0\x50", 7)))), "unsupported");
  EXPECT_EQ(text(parse_socks_request(socks(3, std::string("\x01\x5d\xb8\xd8\x22\0\x50", 7)))), "unsupported");
  EXPECT_EQ(text(parse_socks_request(socks(1, std::string("\x01\x5d\xb8\xd8\x22\0\0", 7)))), "malformed")
      << "port 0";
  EXPECT_EQ(text(parse_socks_request(socks(1, std::string("\x02\x5d\xb8\xd8\x22\0\x50", 7)))), "malformed");
  EXPECT_EQ(text(parse_socks_request(socks(1, std::string("\x03\0\0\x50", 4)))), "malformed");
  EXPECT_EQ(text(parse_socks_request(socks(1, std::string("\x03\x03"
                                                          "a\0b\0\x50",
                                                          7)))),
            "malformed")
      << "a NUL in a name";
  EXPECT_EQ(text(parse_socks_request("\x04\x01")), "malformed") << "SOCKS4";
}

TEST(ProxyRequest, a_greeting_must_offer_no_authentication) {
  EXPECT_TRUE(parse_socks_greeting(std::string("\x05\x02\x02\x00", 4)).accepted);
  EXPECT_FALSE(parse_socks_greeting("\x05\x01\x02").accepted);
  EXPECT_EQ(parse_socks_greeting("\x05\x01\x02").consumed, 3u);
  EXPECT_EQ(parse_socks_greeting("\x05\x02\x02").state, SocksGreeting::State::incomplete);
  EXPECT_EQ(parse_socks_greeting(std::string("\x05\0", 2)).state, SocksGreeting::State::malformed);
  EXPECT_EQ(parse_socks_greeting("G").state, SocksGreeting::State::malformed);
}

TEST(ProxyRequest, connect_and_absolute_targets) {
  EXPECT_EQ(text(parse_connect_target("Api.Example.com:443")), "api.example.com 443");
  EXPECT_EQ(text(parse_connect_target("[2001:DB8::1]:443")), "2001:db8::1 443");
  EXPECT_EQ(text(parse_connect_target("0x7f.1:80")), "127.0.0.1 80");
  EXPECT_EQ(text(parse_absolute_target("http://api.example.com/a?b")), "api.example.com 80");
  EXPECT_EQ(text(parse_absolute_target("HTTP://api.example.com:8080")), "api.example.com 8080");
  for (std::string_view bad :
       {"api.example.com", "api.example.com:", "api.example.com:0", "api.example.com:99999", "u@h:1",
        "http://h:1", ":443", "", "[::1]443", "a b:1"})
    EXPECT_EQ(text(parse_connect_target(bad)), "malformed") << bad;
  for (std::string_view bad :
       {"/a", "https://api.example.com/", "http://", "http:///a", "http://u:p@h/", "ftp://h/", "*"})
    EXPECT_EQ(text(parse_absolute_target(bad)), "malformed") << bad;
}

}  // namespace
}  // namespace saw::egress
