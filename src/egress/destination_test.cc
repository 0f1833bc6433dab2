#include "egress/destination.h"

#include <gtest/gtest.h>

namespace saw::egress {
namespace {

TEST(Destination, a_host_field_must_name_it) {
  Destination d{.host = "api.example.com", .port = 8443, .tls = true};
  EXPECT_TRUE(d.is_named_by("api.example.com:8443"));
  EXPECT_TRUE(d.is_named_by("API.example.com"));
  for (std::string_view other :
       {"", "evil.example", "api.example.com:443", "api.example.com:8443:1",
        "api.example.com:", "api.example.com.", "x@api.example.com", "api.example.com/"})
    EXPECT_FALSE(d.is_named_by(other)) << other;
}

TEST(Destination, a_literal_is_named_by_any_spelling_of_the_same_address) {
  Destination d{.host = "2001:db8::1", .port = 80, .literal = true};
  EXPECT_TRUE(d.is_named_by("[2001:db8::1]:80"));
  EXPECT_TRUE(d.is_named_by("[2001:db8:0::1]"));
  EXPECT_FALSE(d.is_named_by("[2001:db8::2]"));
  EXPECT_EQ(d.authority(), "[2001:db8::1]");
  EXPECT_EQ((Destination{.host = "a.b", .port = 8080}).url("/x"), "http://a.b:8080/x");
}

}  // namespace
}  // namespace saw::egress
