#include "policy/json.h"

#include <gtest/gtest.h>

#include "policy/rpc.h"

namespace saw::policy {
namespace {

std::string reason(std::string_view text) {
  auto json = parse_json(text);
  return json ? "ok" : std::string(json.error());
}

bool matches(std::string_view text, std::string_view pointer, std::string_view glob,
             Effect effect = Effect::allow) {
  return match_values(parse_json(text).value(), pointer, effect,
                      Glob::create(glob, Glob::Kind::value).value());
}

TEST(Json, refuses_what_two_readers_could_read_differently) {
  EXPECT_EQ(reason(R"({"a":{"b":[1,2,null,true,"x"]}})"), "ok");
  EXPECT_EQ(reason(R"({"a":1,"a":2})"), "malformed:json-duplicate");
  EXPECT_EQ(reason(R"({"x":{"a":1,"\u0061":2}})"), "malformed:json-duplicate");
  EXPECT_EQ(reason(std::string_view("{}\0{}", 5)), "malformed:json");
  for (std::string_view text :
       {"", "{", "{}{}", "{a:1}", "{'a':1}", "[1,]", "// c\n{}", "\"\xff\"", "NaN", "1e999", "{\"a\"}"})
    EXPECT_EQ(reason(text), "malformed:json") << text;
}

TEST(Json, is_bounded) {
  EXPECT_EQ(reason(std::string(Json::kMaxDepth, '[') + std::string(Json::kMaxDepth, ']')), "ok");
  EXPECT_EQ(reason(std::string(1'000'000, '[')), "malformed:json-oversized");
  std::string wide = "[0";
  for (size_t i = 0; i < Json::kMaxNodes; ++i) wide += ",0";
  EXPECT_EQ(reason(wide + "]"), "malformed:json-oversized");
}

TEST(Json, values_at_a_pointer_are_globbed_whole) {
  EXPECT_TRUE(matches(R"({"path":"/public/a/b"})", "/path", "/public/*"));
  EXPECT_FALSE(matches(R"({"path":"/etc"})", "/path", "/public/*"));
  EXPECT_FALSE(matches(R"({"other":1})", "/path", "*"));
  EXPECT_TRUE(matches(R"({"a":{"b/c":[{"~":"x"}]}})", "/a/b~1c/0/~0", "x"));
  EXPECT_FALSE(matches(R"({"a":["x"]})", "/a/00", "x"));
  EXPECT_TRUE(matches(R"({"n":1e2})", "/n", "100"));
  EXPECT_TRUE(matches(R"({"n":100.0})", "/n", "100"));
  EXPECT_TRUE(matches(R"({"b":true,"z":null})", "/b", "true"));
}

TEST(Json, a_list_counts_as_all_its_values) {
  EXPECT_TRUE(matches(R"({"p":["/public/a","/public/b"]})", "/p", "/public/*"));
  EXPECT_FALSE(matches(R"({"p":["/public/a","/etc"]})", "/p", "/public/*"));
  EXPECT_FALSE(matches(R"({"p":[]})", "/p", "*"));
  EXPECT_TRUE(matches(R"({"p":["/public/a","/etc"]})", "/p", "/etc", Effect::deny));
  EXPECT_TRUE(matches(R"({"p":{"x":["/etc"]}})", "/p", "/etc", Effect::review));
  EXPECT_FALSE(matches(R"({"p":["/public/a"]})", "/p", "/etc", Effect::deny));
}

TEST(Json, a_member_that_a_case_blind_reader_takes_breaks_an_allow_and_meets_a_deny) {
  EXPECT_FALSE(matches(R"({"path":"/public/a","Path":"/etc"})", "/path", "/public/*"));
  EXPECT_FALSE(matches(R"({"Path":"/public/a"})", "/path", "/public/*"));
  EXPECT_TRUE(matches(R"({"PATH":"/etc"})", "/path", "/etc", Effect::deny));
  EXPECT_FALSE(matches("{\"disk\":\"a\",\"di\xc5\xbf\xe2\x84\xaa\":\"b\"}", "/disk", "a"));
  EXPECT_TRUE(matches(R"({"path":"/public/a","pathology":"/etc"})", "/path", "/public/*"));
}

std::string calls(std::string_view text, RpcDialect dialect = RpcDialect::mcp) {
  const Json body = parse_json(text).value();
  auto all = rpc_calls(body, dialect);
  if (!all) return std::string(all.error());
  std::string out;
  for (const RpcCall& call : *all) {
    out += out.empty() ? "" : " ";
    out += call.method;
    if (!call.tool.empty()) out += "(" + std::string(call.tool) + ")";
  }
  return out;
}

TEST(Rpc, reads_requests_notifications_and_batches) {
  EXPECT_EQ(calls(R"({"jsonrpc":"2.0","id":1,"method":"tools/list"})"), "tools/list");
  EXPECT_EQ(calls(R"({"jsonrpc":"2.0","method":"a","params":[1]})", RpcDialect::jsonrpc), "a");
  EXPECT_EQ(
      calls(
          R"([{"jsonrpc":"2.0","id":"x","method":"a"},{"jsonrpc":"2.0","method":"tools/call","params":{"name":"t","arguments":{}}}])"),
      "a tools/call(t)");
  EXPECT_EQ(calls(R"({"jsonrpc":"2.0","method":"tools/call","params":{"name":"t"}})", RpcDialect::jsonrpc),
            "tools/call");
  EXPECT_EQ(calls(R"({"jsonrpc":"2.0","id":1,"result":{"a":1}})"), "");
  EXPECT_EQ(calls(R"({"jsonrpc":"2.0","id":1,"result":{}})"), "ping");
}

TEST(Rpc, refuses_what_is_no_message_or_could_be_two) {
  for (std::string_view text :
       {"[]",
        "{}",
        "1",
        "[1]",
        R"({"jsonrpc":"1.0","method":"a"})",
        R"({"method":"a"})",
        R"({"jsonrpc":"2.0","method":""})",
        R"({"jsonrpc":"2.0","method":1})",
        R"({"jsonrpc":"2.0","method":"a","params":"x"})",
        R"({"jsonrpc":"2.0","method":"a","Method":"b"})",
        R"({"jsonrpc":"2.0","method":"a","id":{}})",
        R"({"jsonrpc":"2.0","method":"a","result":1})",
        R"({"jsonrpc":"2.0","id":1,"result":1,"error":{}})",
        R"({"jsonrpc":"2.0","result":1})",
        R"({"jsonrpc":"2.0","method":"tools/call"})",
        R"({"jsonrpc":"2.0","method":"tools/call","params":["t"]})",
        R"({"jsonrpc":"2.0","method":"tools/call","params":{"name":1}})",
        R"({"jsonrpc":"2.0","method":"tools/call","params":{"name":"ok","Name":"bad"}})",
        R"({"jsonrpc":"2.0","method":"tools/call","params":{"name":"ok","arguments":[]}})",
        R"({"jsonrpc":"2.0","method":"tools/call","params":{"name":"ok","arguments":{},"ARGUMENTS":{}}})"})
    EXPECT_EQ(calls(text), "malformed:rpc") << text;
  EXPECT_EQ(calls(R"({"jsonrpc":"2.0","id":1,"result":{}})", RpcDialect::jsonrpc), "malformed:rpc");
  std::string many = "[";
  for (size_t i = 0; i <= RpcCall::kMaxCalls; ++i) many += R"({"jsonrpc":"2.0","method":"a"},)";
  many.back() = ']';
  EXPECT_EQ(calls(many), "malformed:rpc-oversized");
}

}  // namespace
}  // namespace saw::policy
