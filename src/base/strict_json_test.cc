#include "base/strict_json.h"

#include <gtest/gtest.h>

namespace saw {
namespace {

TEST(StrictJson, takes_only_what_every_parser_reads_alike) {
  for (std::string_view good :
       {"{}", "{\"a\":1,\"b\":{\"a\":1}}", "{\"a\":[{\"b\":1},{\"b\":1}]}", " {\"a\":\"\\u00e9\"} "})
    EXPECT_TRUE(is_strict_json_object(good)) << good;
  for (std::string_view bad :
       {"", "1", "\"a\"", "[]", "[{}]", "null", "{\"a\":1,\"a\":1}", "{\"b\":{\"a\":1,\"a\":2}}",
        "{\"a\":1}{}", "{\"a\":1,}", "{'a':1}", "{\"a\":\"\xff\"}", "{\"a\":[[[[[[[[[[]]]]]]]]]]}",
        "{\"a\":1,\"\\u0061\":1}", "{\"a\":NaN}", "/**/{}"})
    EXPECT_FALSE(is_strict_json_object(bad)) << bad;
  EXPECT_FALSE(is_strict_json_object(std::string_view("{}\0", 3)));
}

TEST(StrictJson, says_what_is_wrong) {
  EXPECT_EQ(strict_json_fault(R"({"a":1,"b":{"c":1}})"), JsonFault::none);
  EXPECT_EQ(strict_json_fault(R"({"a":1,"b":{"c":1,"\u0063":2}})"), JsonFault::duplicate_member);
  EXPECT_EQ(strict_json_fault(R"({"a":[[[[[[[[]]]]]]]]})"), JsonFault::too_deep);
  EXPECT_EQ(strict_json_fault(R"({"a":1)"), JsonFault::malformed);
}

}  // namespace
}  // namespace saw
