#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "cli/fake/fake_api.h"

namespace saw::cli {
namespace {

using fake::Ran;
using fake::Rig;
using nlohmann::json;

constexpr const char* kTerminals = "/v1/workspaces/dev/terminals";

json spec_of(const std::string& target) {
  const size_t at = target.find("?spec=");
  return json::parse(from_base64url(target.substr(at + 6)).value_or("null"));
}

TEST(Attach, asks_for_the_terminal_that_was_named_and_for_what_is_to_be_started) {
  Rig rig;
  rig.input_terminal = true;
  rig.saw({"attach", "dev"});
  EXPECT_TRUE(rig.api.exec_target.starts_with("/v1/workspaces/dev/attach?spec=")) << rig.api.exec_target;
  EXPECT_FALSE(spec_of(rig.api.exec_target).contains("name"));
  rig.saw({"attach", "dev", "--session", "s", "--name", "build"});
  json spec = spec_of(rig.api.exec_target);
  EXPECT_EQ(spec["name"], "build");
  EXPECT_EQ(spec["which"], "existing");
  EXPECT_EQ(spec["session"], "s");
  rig.saw({"attach", "dev", "--new", "build", "-e", "A=b", "--", "make", "-j8"});
  spec = spec_of(rig.api.exec_target);
  EXPECT_EQ(spec["which"], "new");
  EXPECT_EQ(spec["argv"], (json{"make", "-j8"}));
  EXPECT_EQ(spec["env"]["A"], "b");
}

TEST(Attach, says_how_to_leave_before_anything_is_shown_and_passes_the_exit_status_on) {
  Rig rig;
  rig.input_terminal = true;
  rig.api.started = R"({"call":"c-1","terminal":{"name":"main","state":"running"}})";
  rig.api.exec_output = "\x1b[31mhello";
  rig.api.exec_result = {.end = "exited", .status = 7};
  Ran ran = rig.saw({"attach", "dev"});
  EXPECT_EQ(ran.status, 7);
  EXPECT_EQ(ran.out, "\x1b[31mhello");
  EXPECT_NE(ran.err.find("Ctrl-P Ctrl-Q"), ran.err.npos);
  rig.api.exec_result = {.end = "detached"};
  ran = rig.saw({"attach", "dev"});
  EXPECT_EQ(ran.status, 0);
  EXPECT_NE(ran.err.find("terminal 'main' goes on"), ran.err.npos) << ran.err;
  rig.api.started = R"({"terminal":{"name":"\u001b[2Jx","state":"ended"}})";
  rig.api.exec_result = {.end = "timed_out", .status = 9, .limit = "wall_clock"};
  ran = rig.saw({"attach", "dev"});
  EXPECT_EQ(ran.status, 137);
  EXPECT_NE(ran.err.find("ended while nobody was attached"), ran.err.npos);
  EXPECT_EQ(ran.err.find('\x1b'), ran.err.npos) << "no name of a terminal draws on ours";
}

TEST(Attach, a_refusal_is_never_taken_for_the_commands_status) {
  Rig rig;
  rig.input_terminal = true;
  rig.api.exec_result.refused =
      Reply{404, R"({"error":{"code":"terminal.not_found","reason":"there is no terminal 'x'"}})"};
  EXPECT_EQ(rig.saw({"attach", "dev", "--name", "x"}).status, 125);
  rig.api.exec_result.refused =
      Reply{403, R"({"error":{"code":"access.denied","reason":"somebody else's"}})"};
  EXPECT_EQ(rig.saw({"attach", "dev"}).status, 126);
}

TEST(Attach, what_contradicts_itself_is_a_usage_error_and_nothing_is_asked) {
  Rig rig;
  EXPECT_EQ(rig.saw({"attach", "dev"}).status, 2) << "stdin is no terminal";
  rig.input_terminal = true;
  for (const std::vector<std::string>& bad :
       std::vector<std::vector<std::string>>{{"--list", "--end"},
                                             {"--new", "a", "--end"},
                                             {"--new", "a", "--name", "b"},
                                             {"--name", "a", "--", "ls"},
                                             {"--end", "--", "ls"},
                                             {"-e", "novalue"}}) {
    std::vector<std::string> words = {"attach", "dev"};
    words.insert(words.end(), bad.begin(), bad.end());
    EXPECT_EQ(rig.saw(words).status, 2) << bad[0];
  }
  EXPECT_TRUE(rig.api.exec_target.empty());
  EXPECT_TRUE(rig.api.asked.empty());
}

TEST(Attach, lists_and_ends_without_a_terminal) {
  Rig rig;
  rig.api.answer(std::string("GET ") + kTerminals, 200,
                 R"({"terminals":[{"name":"build","state":"ended","attached":0,"command":"x\u001b[2J",)"
                 R"("exit":{"end":"exited","status":3}}]})");
  Ran ran = rig.saw({"attach", "dev", "--list"});
  EXPECT_EQ(ran.status, 0);
  EXPECT_NE(ran.out.find("exited 3"), ran.out.npos) << ran.out;
  EXPECT_EQ(ran.out.find('\x1b'), ran.out.npos);
  rig.api.answer(std::string("DELETE ") + kTerminals + "/build?session=s", 200, "{}");
  EXPECT_EQ(rig.saw({"attach", "dev", "--end", "--name", "build", "--session", "s"}).status, 0);
  EXPECT_EQ(rig.saw({"attach", "dev", "--end"}).status, 1) << "there is no 'main'";
}

}  // namespace
}  // namespace saw::cli
