#include "cli/main.h"

#include <csignal>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "cli/commands.h"
#include "cli/fake/fake_api.h"
#include "cli/run.h"

namespace saw::cli {
namespace {

using fake::Ran;
using fake::Rig;
using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

// ---- exit statuses: the contract of docs/cli.md

TEST(ExitStatus, tells_usage_failure_refusal_and_a_failing_saw_apart) {
  struct Case {
    int http, exit;
  };
  for (const Case& c : {Case{200, 0}, Case{400, 2}, Case{401, 126}, Case{403, 126}, Case{404, 1},
                        Case{409, 1}, Case{500, 125}, Case{501, 125}, Case{503, 125}}) {
    Rig rig;
    rig.api.answer("GET /v1/workspaces/dev", c.http,
                   c.http == 200 ? R"({"name":"dev"})" : R"({"error":{"code":"x.y","reason":"because"}})");
    EXPECT_EQ(rig.saw({"workspace", "show", "dev"}).status, c.exit) << c.http;
  }
}

TEST(ExitStatus, of_a_command_is_its_own_or_says_what_killed_it) {
  struct Case {
    const char* end;
    int status, exit;
  };
  for (const Case& c :
       {Case{"exited", 0, 0}, Case{"exited", 7, 7}, Case{"exited", 126, 126}, Case{"signalled", SIGTERM, 143},
        Case{"signalled", SIGSEGV, 139}, Case{"timed_out", 9, 137}, Case{"out_of_memory", 9, 137},
        Case{"file_too_large", SIGXFSZ, 137}, Case{"detached", 0, 0}, Case{"sandbox_gone", 0, 137},
        Case{"not_started", ENOENT, 127}, Case{"not_started", EACCES, 125}, Case{"something new", 0, 125},
        Case{"", 0, 125}})
    EXPECT_EQ(exit_status({.end = c.end, .status = c.status}), c.exit) << c.end;
}

TEST(ExitStatus, says_which_limit_ended_a_command_or_was_met_and_leaves_its_own_status_alone) {
  Rig rig;
  rig.api.exec_result = {.end = "file_too_large", .status = SIGXFSZ, .limit = "file_size"};
  Ran ran = rig.saw({"--json", "run", "dev", "--", "x"});
  EXPECT_EQ(ran.status, 137);
  EXPECT_NE(ran.out.find(R"("limit":"file_size")"), ran.out.npos) << ran.out;
  EXPECT_NE(ran.err.find("beyond the limit of its size"), ran.err.npos) << ran.err;
  rig.api.exec_result = {.end = "exited", .status = 2, .forks_refused = 7};
  ran = rig.saw({"--json", "run", "dev", "--", "x"});
  EXPECT_EQ(ran.status, 2);
  EXPECT_NE(ran.out.find(R"("limits_met":{"pids":7})"), ran.out.npos) << ran.out;
  EXPECT_NE(ran.err.find("7 could not be started"), ran.err.npos) << ran.err;
  rig.api.exec_result = {.end = "exited", .status = 2};
  ran = rig.saw({"--json", "run", "dev", "--", "x"});
  EXPECT_EQ(ran.out.find("limit"), ran.out.npos) << ran.out;
}

TEST(ExitStatus, of_run_is_never_1_unless_the_command_said_so) {
  for (const int http : {404, 409, 500, 503}) {
    Rig rig;
    rig.api.exec_result.refused =
        Reply{http, R"({"error":{"code":"workspace.not_found","reason":"there is no workspace 'dev'"}})"};
    EXPECT_EQ(rig.saw({"run", "dev", "--", "true"}).status, 125) << http;
  }
  Rig rig;
  rig.api.exec_result.status = 1;
  EXPECT_EQ(rig.saw({"run", "dev", "--", "false"}).status, 1);
}

TEST(ExitStatus, of_a_suspended_agents_call_is_126_and_the_reason_is_told) {
  Rig rig;
  rig.api.exec_result.refused = Reply{
      403,
      R"({"error":{"code":"identity.agent_suspended","reason":"agent 'coder' is suspended","layer":"governance","ask":"saw agent resume coder"}})"};
  const Ran ran = rig.saw({"run", "--agent", "coder", "dev", "--", "true"});
  EXPECT_EQ(ran.status, 126);
  EXPECT_THAT(ran.err, HasSubstr("refused: agent 'coder' is suspended"));
  EXPECT_THAT(ran.err, HasSubstr("identity.agent_suspended"));
  EXPECT_THAT(ran.err, HasSubstr("saw agent resume coder"));
  EXPECT_EQ(ran.out, "");
}

// ---- streams

TEST(Output, with_json_stdout_holds_json_lines_and_nothing_else) {
  const std::vector<std::vector<std::string>> commands = {{"workspace", "list"},
                                                          {"workspace", "show", "dev"},
                                                          {"workspace", "stop", "dev"},
                                                          {"agent", "list"},
                                                          {"review", "list"},
                                                          {"secret", "list"},
                                                          {"status"},
                                                          {"version"},
                                                          {"whoami"},
                                                          {"advise"},
                                                          {"help"},
                                                          {"ssh", "dev"},
                                                          {"nonsense"},
                                                          {"workspace", "create"},
                                                          {"run", "dev", "--", "x"},
                                                          {"conform"}};
  for (std::vector<std::string> words : commands) {
    Rig rig;
    rig.api.answer("GET /v1/workspaces", 200,
                   R"({"workspaces":[{"name":"dev","id":"ws-1","state":"running"}]})");
    rig.api.answer("GET /v1/workspaces/dev", 200,
                   R"({"name":"dev","policy":{"name":"p","digest":"sha256:0"}})");
    rig.api.answer("GET /v1/whoami", 200, R"({"sponsor":"uid:1000","role":"user"})");
    rig.api.answer("GET /v1/agents", 200, R"({"agents":[{"name":"a"}]})");
    rig.api.answer("GET /v1/status", 200,
                   R"({"state":"ready","audit":{"ok":true,"entries":3},"programs":[]})");
    rig.api.exec_output = "text\n";
    words.insert(words.begin(), "--json");
    const Ran ran = rig.saw(words);
    EXPECT_FALSE(ran.out.empty()) << words[1];
    for (size_t begin = 0, end; begin < ran.out.size(); begin = end + 1) {
      end = ran.out.find('\n', begin);
      ASSERT_NE(end, std::string::npos) << words[1];
      EXPECT_TRUE(json::accept(ran.out.substr(begin, end - begin)))
          << words[1] << ": " << ran.out.substr(begin, end - begin);
    }
  }
}

TEST(Output, a_refusal_with_json_is_the_error_object_of_the_api) {
  Rig rig;
  rig.api.answer(
      "POST /v1/workspaces/dev/stop", 403,
      R"({"error":{"code":"workspace.not_yours","reason":"it is bob's","layer":"governance","rule":"R1","ask":"bob"}})");
  const Ran ran = rig.saw({"workspace", "stop", "dev", "--json"});
  EXPECT_EQ(ran.status, 126);
  EXPECT_EQ(
      json::parse(ran.out),
      json::parse(
          R"({"error":{"code":"workspace.not_yours","reason":"it is bob's","layer":"governance","rule":"R1","ask":"bob"}})"));
}

TEST(Output, the_agents_side_cannot_send_escape_sequences_to_a_persons_terminal) {
  Rig rig;
  rig.terminal = true;
  rig.environment["NO_COLOR"] = "1";
  rig.api.answer(
      "GET /v1/reviews?state=pending", 200,
      R"({"reviews":[{"id":"rv-1","method":"GET","target":"/\u001b[2J\u009b31m\nrv-2  approved"}]})");
  rig.api.answer("GET /v1/reviews/rv-1", 200,
                 R"({"id":"rv-1","preview":"\u001b]0;title\u0007","why":"a\rb"})");
  for (const auto& words :
       std::vector<std::vector<std::string>>{{"review", "list"}, {"review", "show", "rv-1"}}) {
    const Ran ran = rig.saw(words);
    EXPECT_EQ(ran.status, 0);
    for (const char c : ran.out) EXPECT_TRUE(c == '\n' || (c >= ' ' && c < 0x7f)) << static_cast<int>(c);
    EXPECT_THAT(ran.out, HasSubstr("rv-1"));
  }
  EXPECT_THAT(rig.saw({"review", "list"}).out, Not(HasSubstr("\nrv-2")));
}

TEST(Output, colour_only_on_a_terminal_and_never_with_no_color) {
  for (const bool terminal : {false, true}) {
    Rig rig;
    rig.terminal = terminal;
    rig.api.answer("GET /v1/workspaces", 200, R"({"workspaces":[{"name":"dev","state":"running"}]})");
    EXPECT_EQ(rig.saw({"workspace", "list"}).out.contains('\x1b'), terminal);
    rig.environment["NO_COLOR"] = "1";
    EXPECT_FALSE(rig.saw({"workspace", "list"}).out.contains('\x1b'));
  }
}

TEST(Output, tables_are_aligned) {
  Rig rig;
  rig.api.answer("GET /v1/secrets", 200,
                 R"({"secrets":[{"name":"a","version":1},{"name":"longer-name","version":12}]})");
  EXPECT_EQ(rig.saw({"secret", "list"}).out,
            "NAME         VERSION  CREATED  UPDATED\na            1        -        -\nlonger-name  12       "
            "-        -\n");
}

// ---- the daemon's absence

TEST(NoDaemon, is_said_with_what_to_do_next) {
  Rig rig;
  rig.api.fail_with("client.no_daemon");
  const Ran ran = rig.saw({"workspace", "list"});
  EXPECT_EQ(ran.status, 125);
  EXPECT_THAT(ran.err, HasSubstr("no daemon at"));
  EXPECT_THAT(ran.err, HasSubstr("saw up"));
  EXPECT_EQ(rig.saw({"run", "dev", "--", "true"}).status, 125);
}

TEST(NoDaemon, is_what_status_reports_and_down_wants) {
  Rig rig;
  rig.api.fail_with("client.no_daemon");
  rig.environment["SAW_SOCKET"] = "/nonexistent/saw.sock";
  EXPECT_EQ(rig.saw({"status"}).status, 1);
  EXPECT_EQ(json::parse(rig.saw({"status", "--json"}).out)["state"], "down");
  EXPECT_EQ(rig.saw({"down"}).status, 0);
}

TEST(Up, where_a_daemon_answers_is_done_at_once) {
  Rig rig;
  rig.api.answer("GET /v1/status", 200, R"({"state":"ready"})");
  const Ran ran = rig.saw({"up"});
  EXPECT_EQ(ran.status, 0);
  EXPECT_THAT(ran.err, HasSubstr("already running"));
}

TEST(Recovery, of_the_control_plane_is_waited_for_and_not_forever) {
  Rig rig;
  const std::string recovering =
      R"({"error":{"code":"control.not_ready","reason":"SAW is still recovering"}})";
  rig.api.answer("GET /v1/workspaces", 503, recovering);
  rig.api.after_sleep = [&] { rig.api.answer("GET /v1/workspaces", 200, R"({"workspaces":[]})"); };
  EXPECT_EQ(rig.saw({"workspace", "list"}).status, 0);

  Rig hung;
  hung.api.answer("GET /v1/workspaces", 503, recovering);
  hung.api.exec_result.refused = Reply{503, recovering};
  EXPECT_EQ(hung.saw({"workspace", "list"}).status, 125);
  EXPECT_EQ(hung.saw({"run", "dev", "--", "true"}).status, 125);

  Rig full;  // 503 for another reason is an answer
  full.api.answer("GET /v1/workspaces", 503,
                  R"({"error":{"code":"audit.unavailable","reason":"the disk is full"}})");
  EXPECT_EQ(full.saw({"workspace", "list"}).status, 125);
  EXPECT_EQ(full.api.asked.size(), 1u);
}

// ---- places

TEST(Places, follow_the_option_then_the_environment_then_the_default) {
  Rig rig;
  rig.api.answer("GET /v1/workspaces", 200, R"({"workspaces":[]})");
  rig.saw({"workspace", "list"});
  EXPECT_EQ(rig.socket_asked, "/run/saw/saw.sock");
  rig.environment["XDG_RUNTIME_DIR"] = "/run/user/1000";
  rig.saw({"workspace", "list"});
  EXPECT_EQ(rig.socket_asked, "/run/user/1000/saw/saw.sock");
  rig.environment["SAW_SOCKET"] = "relative.sock";
  rig.saw({"workspace", "list"});
  EXPECT_EQ(rig.socket_asked, "/relative.sock");
  rig.saw({"workspace", "list", "--socket", "/elsewhere"});
  EXPECT_EQ(rig.socket_asked, "/elsewhere");
}

// ---- what is asked of the daemon

TEST(Run, asks_for_exactly_what_was_said) {
  Rig rig;
  EXPECT_EQ(rig.saw({"run", "de/v", "--session", "s", "--agent", "a", "--timeout", "5s", "-e", "A=b=c",
                     "--cwd", "/w", "--", "sh", "-c", "x y"})
                .status,
            0);
  const std::string prefix = "/v1/workspaces/de%2Fv/exec?spec=";
  ASSERT_TRUE(rig.api.exec_target.starts_with(prefix));
  const json spec = json::parse(from_base64url(rig.api.exec_target.substr(prefix.size())).value());
  EXPECT_EQ(
      spec,
      json::parse(
          R"({"kind":"call","session":"s","agent":"a","timeout_ms":5000,"env":{"A":"b=c"},"cwd":"/w","argv":["sh","-c","x y"],"tty":false})"));
}

TEST(Run, relays_output_as_it_is_and_with_json_as_lines) {
  Rig rig;
  rig.api.exec_output = "out\xff";
  rig.api.exec_error = "err";
  const Ran plain = rig.saw({"run", "dev", "--", "x"});
  EXPECT_EQ(plain.out, "out\xff");
  EXPECT_EQ(plain.err, "err");
  const Ran lines = rig.saw({"run", "dev", "--json", "--", "x"});
  EXPECT_THAT(lines.out, HasSubstr(R"({"stdout_base64":"b3V0/w=="})"));
  EXPECT_THAT(lines.out, HasSubstr(R"({"stderr":"err"})"));
  EXPECT_THAT(lines.out, HasSubstr(R"({"exit":{"end":"exited","exit_code":0,"status":0}})"));
}

TEST(Run, says_why_on_stderr_when_a_limit_killed_the_command) {
  Rig rig;
  rig.api.exec_result.end = "timed_out";
  const Ran ran = rig.saw({"run", "dev", "--timeout", "1s", "--", "sleep", "9"});
  EXPECT_EQ(ran.status, 137);
  EXPECT_THAT(ran.err, HasSubstr("time limit"));
}

TEST(Session, is_found_by_id_by_name_and_by_workspace_and_name) {
  Rig rig;
  rig.api.answer("GET /v1/workspaces", 200,
                 R"({"workspaces":[{"id":"ws-1","name":"dev"},{"id":"ws-2","name":"two"}]})");
  rig.api.answer("GET /v1/workspaces/ws-1/sessions", 200, R"({"sessions":[{"id":"se-1","name":"fix"}]})");
  rig.api.answer("GET /v1/workspaces/ws-2/sessions", 200,
                 R"({"sessions":[{"id":"se-2","name":"other"},{"id":"se-3","name":"fix2"}]})");
  rig.api.answer("GET /v1/workspaces/two/sessions", 200, R"({"sessions":[{"id":"se-2","name":"other"}]})");
  rig.api.answer("DELETE /v1/workspaces/ws-1/sessions/se-1", 200, "{}");
  rig.api.answer("DELETE /v1/workspaces/two/sessions/se-2", 200, "{}");
  EXPECT_EQ(rig.saw({"session", "end", "fix"}).status, 0);
  EXPECT_EQ(rig.saw({"session", "end", "se-1"}).status, 0);
  EXPECT_EQ(rig.saw({"session", "end", "two/other"}).status, 0);
  EXPECT_EQ(rig.saw({"session", "end", "none"}).status, 1);
  EXPECT_EQ(rig.saw({"session", "exec", "none", "--", "true"}).status, 125);
}

TEST(Session, of_a_name_that_two_workspaces_use_is_not_guessed) {
  Rig rig;
  rig.api.answer("GET /v1/workspaces", 200, R"({"workspaces":[{"id":"ws-1"},{"id":"ws-2"}]})");
  rig.api.answer("GET /v1/workspaces/ws-1/sessions", 200, R"({"sessions":[{"id":"se-1","name":"fix"}]})");
  rig.api.answer("GET /v1/workspaces/ws-2/sessions", 200, R"({"sessions":[{"id":"se-2","name":"fix"}]})");
  const Ran ran = rig.saw({"session", "end", "fix"});
  EXPECT_EQ(ran.status, 2);
  for (const auto& asked : rig.api.asked) EXPECT_THAT(asked.call, Not(HasSubstr("DELETE")));
}

TEST(Review, approves_only_what_was_shown) {
  Rig rig;
  rig.api.answer(
      "GET /v1/reviews/rv-1", 200,
      R"({"id":"rv-1","method":"POST","scheme":"https","host":"h","port":443,"target":"/x","digest":"sha256:abc"})");
  rig.api.answer("POST /v1/reviews/rv-1/approve", 200, R"({"id":"rv-1","state":"approved"})");
  const Ran ran = rig.saw({"review", "approve", "rv-1"});
  EXPECT_EQ(ran.status, 0);
  EXPECT_THAT(ran.out, HasSubstr("POST https://h/x"));
  EXPECT_EQ(rig.api.asked.back().body, R"({"digest":"sha256:abc"})");
  const size_t asked = rig.api.asked.size();
  EXPECT_EQ(rig.saw({"review", "approve", "rv-1", "--digest", "sha256:other"}).status, 1);
  EXPECT_EQ(rig.api.asked.size(), asked + 1) << "the decision was sent although the digest differs";
}

TEST(Secret, goes_from_stdin_to_the_daemon_and_nowhere_else) {
  Rig rig;
  rig.stdin_text =
      "hunter\xff"
      "two\n";
  rig.api.answer("PUT /v1/secrets/github-token", 200, "{}");
  for (const auto& words : std::vector<std::vector<std::string>>{
           {"secret", "put", "github-token"}, {"secret", "put", "github-token", "--json"}}) {
    const Ran ran = rig.saw(words);
    EXPECT_EQ(ran.status, 0);
    EXPECT_EQ(json::parse(rig.api.asked.back().body)["value_base64"], to_base64("hunter\xff"
                                                                                "two"));
    EXPECT_THAT(ran.out + ran.err, Not(HasSubstr("hunter")));
    EXPECT_THAT(ran.out + ran.err, Not(HasSubstr(to_base64("hunter\xff"
                                                           "two"))));
  }
  rig.stdin_text = "\n";
  EXPECT_EQ(rig.saw({"secret", "put", "github-token"}).status, 2);
}

TEST(Secret, that_does_not_exist_is_not_rotated_into_being) {
  Rig rig;
  rig.stdin_text = "x";
  rig.api.answer("GET /v1/secrets", 200, R"({"secrets":[{"name":"other"}]})");
  EXPECT_EQ(rig.saw({"secret", "rotate", "missing"}).status, 1);
}

TEST(Names, cannot_leave_their_place_in_the_url) {
  Rig rig;
  rig.saw({"agent", "show", "../secrets/x?y#z"});
  EXPECT_EQ(rig.api.asked.back().call, "GET /v1/agents/..%2Fsecrets%2Fx%3Fy%23z");
  rig.saw({"agent", "show", ".."});
  EXPECT_EQ(rig.api.asked.back().call, "GET /v1/agents/%2E%2E");
}

// ---- what is not there yet

TEST(Later, is_known_and_answers_not_available_yet_whatever_its_arguments) {
  for (const Command& command : later_commands()) {
    Rig rig;
    std::vector<std::string> words = {"--json"};
    const size_t space = command.path.find(' ');
    words.push_back(command.path.substr(0, space));
    if (space != std::string::npos) words.push_back(command.path.substr(space + 1));
    words.insert(words.end(), {"anything", "--of", "it"});
    const Ran ran = rig.saw(words);
    EXPECT_EQ(ran.status, 125) << command.path;
    EXPECT_EQ(json::parse(ran.out)["error"]["code"], "not_available_yet") << command.path;
    EXPECT_TRUE(rig.api.asked.empty());
  }
}

}  // namespace
}  // namespace saw::cli
