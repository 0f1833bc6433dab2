#include <set>
#include <sstream>

#include <gtest/gtest.h>

#include "api/exec_spec.h"
#include "api/http.h"
#include "api/json.h"
#include "api/routes.h"
#include "base/bytes.h"

namespace saw::api {
namespace {

// "METHOD /path" of every operation in the document, which is written with a path at two and a method at four
// spaces.
std::set<std::string> documented() {
  std::set<std::string> out;
  std::string path;
  std::istringstream lines{std::string(openapi_document())};
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("components:")) break;
    if (line.starts_with("  /")) path = line.substr(2, line.rfind(':') - 2);
    for (std::string_view method : {"get", "post", "put", "delete", "patch"})
      if (line.starts_with("    " + std::string(method) + ":")) {
        std::string upper(method);
        for (char& c : upper) c = static_cast<char>(std::toupper(c));
        out.insert(upper + " " + path);
      }
  }
  return out;
}

TEST(Routes, every_route_is_documented_and_every_documented_operation_is_a_route) {
  std::set<std::string> routed;
  for (const Route& route : routes())
    routed.insert(std::string(route.method) + " " + std::string(route.pattern));
  EXPECT_GT(routed.size(), 20u);
  EXPECT_EQ(routed, documented());
}

TEST(Errors, each_kind_of_code_has_its_status_and_an_unknown_one_is_our_fault) {
  const std::pair<const char*, unsigned> cases[] = {
      {"request.member", 400},      {"policy.invalid", 400},
      {"access.denied", 403},       {"identity.agent_suspended", 403},
      {"workspace.not_found", 404}, {"workspace.conflict", 409},
      {"review.conflict", 409},     {"review.not_found", 404},
      {"review.same_person", 403},  {"review.expired", 409},
      {"audit.unavailable", 503},   {"control.not_ready", 503},
      {"not_available_yet", 501},   {"secret.missing", 409},
      {"sandbox.mount", 500},       {"", 500}};
  for (const auto& [code, status] : cases) EXPECT_EQ(status_of(code), status) << code;
}

TEST(Errors, a_refusal_says_code_reason_layer_rule_and_how_to_ask) {
  HttpResponse response = to_response(Error{"identity.agent_suspended", "agent 'x' is \xff suspended", 0});
  EXPECT_EQ(response.status, 403u);
  Json body = Json::parse(response.body);
  for (const char* member : {"code", "reason", "layer", "rule", "ask"})
    EXPECT_TRUE(body["error"].contains(member)) << member;
  EXPECT_EQ(body["error"]["code"], "identity.agent_suspended");
  EXPECT_NE(body["error"]["ask"], "");
}

TEST(Json, what_is_ambiguous_or_unknown_is_refused) {
  EXPECT_TRUE(parse_object(R"({"a":1,"b":{"a":2},"c":[{"a":1},{"a":1}]})"));
  for (const char* bad :
       {R"({"a":1,"a":2})", R"({"b":{"a":1,"a":1}})", R"({"a":1} x)", "[1]", "", "{", R"({"a":01})", "nul"})
    EXPECT_EQ(parse_object(bad).error().code, "request.json") << bad;
  EXPECT_EQ(parse_object(std::string_view("{\"a\":1}\0{}", 10)).error().code, "request.json")
      << "read to a NUL only";
  std::string deep = "{\"a\":" + std::string(100'000, '[') + std::string(100'000, ']') + "}";
  EXPECT_EQ(parse_object(deep).error().code, "request.json");
}

TEST(Json, members_are_checked_for_presence_type_and_name) {
  auto read = [](const char* text) {
    Json json = parse_object(text).value();
    Members members(json);
    std::string name;
    uint64_t number = 0;
    members.text("name", name, Need::required);
    members.number("n", number, 10);
    return members.finish();
  };
  EXPECT_TRUE(read(R"({"name":"x","n":10})"));
  for (const char* bad : {R"({})", R"({"name":1})", R"({"name":"x","n":11})", R"({"name":"x","n":-1})",
                          R"({"name":"x","n":1.5})", R"({"name":"x","other":1})"})
    EXPECT_EQ(read(bad).error().code, "request.member") << bad;
}

TEST(Target, a_query_is_decoded_once_and_a_repeated_name_is_refused) {
  Target target = parse_target("/v1/a%20b?x=1%2B2&y=").value();
  EXPECT_EQ(target.path, "/v1/a%20b");
  EXPECT_EQ(target.query.at("x"), "1+2");
  EXPECT_EQ(target.query.at("y"), "");
  for (const char* bad : {"v1", "http://x/", "/a?x=1&x=2", "/a?x=%zz", "/a?x=%2", "/a?x=%00", "/a#b"})
    EXPECT_EQ(parse_target(bad).error().code, "request.target") << bad;
}

TEST(ExecSpec, a_full_spec_is_understood_and_each_flaw_is_named) {
  auto parse = [](const std::string& json) { return parse_exec_spec(to_base64url(json)); };
  auto spec = parse(
      R"({"kind":"call","session":"s","agent":"a","argv":["ls","-l"],"env":{"A":"b"},"cwd":"/workspace","tty":true,"rows":10,"cols":20,)"
      R"("timeout_ms":5})");
  ASSERT_TRUE(spec);
  EXPECT_EQ(spec->kind, control::ExecKind::call);
  EXPECT_EQ(spec->argv, (std::vector<std::string>{"ls", "-l"}));
  EXPECT_EQ(spec->environment.at("A"), "b");
  EXPECT_TRUE(spec->terminal);
  EXPECT_EQ(spec->timeout_ms, 5);
  for (const char* bad :
       {R"({"kind":"vm","argv":["x"]})", R"({"kind":"call"})", R"({"kind":"call","argv":[1]})",
        R"({"kind":"call","argv":["x"],"rows":99999})", R"({"kind":"workspace","session":"s","argv":["x"]})",
        R"({"kind":"call","argv":["x"],"root":true})", R"([])"})
    EXPECT_FALSE(parse(bad)) << bad;
  EXPECT_EQ(parse_exec_spec("!!").error().code, "request.spec");
}

TEST(ExecSpec, control_frames_are_a_signal_or_a_size_and_nothing_else) {
  EXPECT_EQ(std::get<SignalFrame>(*parse_control_frame(R"({"signal":"TERM"})")).number, 15);
  EXPECT_EQ(std::get<ResizeFrame>(*parse_control_frame(R"({"resize":[10,20]})")).columns, 20);
  for (const char* bad : {R"({})", R"({"signal":"SEGV"})", R"({"signal":9})", R"({"resize":[1]})",
                          R"({"resize":[1,-2]})", R"({"signal":"TERM","resize":[1,2]})", "x"})
    EXPECT_FALSE(parse_control_frame(bad)) << bad;
}

TEST(AttachSpec, which_terminal_and_what_to_start_is_understood_and_each_flaw_is_named) {
  using Which = control::AttachRequest::Which;
  auto parse = [](const std::string& json) { return parse_attach_spec(to_base64url(json)); };
  auto spec = parse(R"({"name":"build","which":"new","session":"s","argv":["make"],"rows":10,"cols":20})");
  ASSERT_TRUE(spec);
  EXPECT_EQ(spec->name, "build");
  EXPECT_EQ(spec->which, Which::fresh);
  EXPECT_EQ(spec->exec.session, "s");
  EXPECT_EQ(spec->exec.columns, 20);
  EXPECT_EQ(parse("{}")->which, Which::either);
  for (const char* bad : {R"({"which":"any"})", R"({"which":"existing","argv":["x"]})", R"({"tty":true})",
                          R"({"kind":"call"})", R"({"rows":-1})", R"({"argv":"x"})"})
    EXPECT_EQ(parse(bad).error().code, "request.member") << bad;
  EXPECT_EQ(parse_attach_spec("!!").error().code, "request.spec");
}

TEST(ExitFrame, names_the_limit_that_ended_a_command_and_those_that_it_met) {
  using control::ExitKind;
  EXPECT_EQ(exit_frame({ExitKind::exited, 3}).substr(1), R"({"exit":{"end":"exited","status":3}})");
  EXPECT_EQ(exit_frame({ExitKind::timed_out, 9}).substr(1),
            R"({"exit":{"end":"timed_out","limit":"wall_clock","status":9}})");
  EXPECT_EQ(exit_frame({ExitKind::file_too_large, 25}).substr(1),
            R"({"exit":{"end":"file_too_large","limit":"file_size","status":25}})");
  EXPECT_EQ(exit_frame({ExitKind::exited, 2, 1, 7}).substr(1),
            R"({"exit":{"end":"exited","limits_met":{"memory":1,"pids":7},"status":2}})");
}

}  // namespace
}  // namespace saw::api
