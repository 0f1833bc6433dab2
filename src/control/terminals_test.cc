#include "control/terminals.h"

#include <csignal>

#include <sys/socket.h>

#include "control/control_fixture_test.h"

namespace saw::control {
namespace {

using Which = AttachRequest::Which;

class TerminalsTest : public ControlTest {
 protected:
  void SetUp() override {
    std::signal(SIGPIPE, SIG_IGN);  // as sawd does
    boot_ready();
    put_secret();
    auto created = create();
    ASSERT_TRUE(created) << created.error().message;
    workspace_ = created->workspace;
  }
  // Somebody who is attached.
  struct Person {
    std::unique_ptr<CommandHandle> handle;
    std::shared_ptr<std::optional<Exit>> exit = std::make_shared<std::optional<Exit>>();
    std::string code;  // of the refusal
  };
  Person attach(AttachRequest request = {}, const Caller& by = kOwner) {
    auto person = std::make_shared<Person>();
    bool answered = false;
    control_->attach(by, "dev", std::move(request), [&](Result<std::unique_ptr<CommandHandle>> r) {
      answered = true;
      if (!r) return void(person->code = r.error().code);
      person->handle = std::move(*r);
      person->handle->on_exit([exit = person->exit](Exit e) { *exit = e; });
    });
    EXPECT_TRUE(run_until([&] { return answered; }));
    return std::move(*person);
  }
  static AttachRequest running(std::string command, std::string name = "", Which which = Which::either) {
    return {.name = std::move(name), .which = which, .exec = {.argv = {std::move(command)}}};
  }
  static std::string shown(const Person& person) {
    std::string out(65536, '\0');
    const ssize_t got = ::recv(person.handle->input.get(), out.data(), out.size(), MSG_DONTWAIT);
    out.resize(got > 0 ? static_cast<size_t>(got) : 0);
    return out;
  }
  // The command's side of terminal `exec`.
  void say(uint64_t exec, std::string_view bytes) {
    ASSERT_TRUE(write_all(node_->pipes.at(exec)[0], bytes));
    run_quiet();
  }
  std::vector<TerminalView> list() { return control_->list_terminals(kOwner, "dev").value(); }

  WorkspaceView workspace_;
};

TEST_F(TerminalsTest, who_leaves_finds_the_same_command_again_and_what_it_showed) {
  Person one = attach();
  ASSERT_TRUE(one.handle) << one.code;
  EXPECT_EQ(one.handle->terminal->name, "main");
  EXPECT_TRUE(node_->execs.at(1).spec.terminal);
  EXPECT_EQ(node_->execs.at(1).sandbox, workspace_.sandbox);
  const std::string call = one.handle->call;
  say(1, "hello ");
  EXPECT_EQ(shown(one), "hello ");
  one.handle.reset();
  say(1, "again");
  EXPECT_TRUE(node_->signals.empty()) << "the command was not hung up";
  Person two = attach();
  EXPECT_EQ(two.handle->call, call);
  EXPECT_EQ(node_->execs.size(), 1u);
  run_quiet();
  EXPECT_EQ(shown(two), "hello again");
}

TEST_F(TerminalsTest, without_a_command_it_is_a_login_shell_and_with_one_it_is_that) {
  attach();
  EXPECT_EQ(node_->execs.at(1).spec.argv.front(), "/bin/sh");
  EXPECT_NE(node_->execs.at(1).spec.argv.back().find("-l"), std::string::npos);
  attach(running("top", "watch"));
  EXPECT_EQ(node_->execs.at(2).spec.argv, std::vector<std::string>{"top"});
}

TEST_F(TerminalsTest, only_the_owner_is_let_in_and_not_even_an_operator) {
  Person own = attach();
  ASSERT_TRUE(own.handle);
  for (const Caller& other : {kStranger, kOperator}) {
    EXPECT_EQ(attach({}, other).code, "access.denied");
    EXPECT_EQ(attach(running("sh", "theirs"), other).code, "access.denied");
  }
  run_quiet();
  EXPECT_EQ(events("was denied attach"), 4u);
  EXPECT_EQ(node_->execs.size(), 1u);
  EXPECT_FALSE(control_->list_terminals(kStranger, "dev"));
  auto ended =
      wait<void>([&](auto r) { control_->end_terminal(kStranger, "dev", "", "main", std::move(r)); });
  EXPECT_EQ(ended.error().code, "access.denied");
  EXPECT_EQ(list().size(), 1u);
}

TEST_F(TerminalsTest, every_attach_and_detach_is_recorded_and_none_is_let_in_unrecorded) {
  Person one = attach(), two = attach();
  EXPECT_EQ(events("uid:1001 attached to terminal 'main' of workspace 'dev'"), 2u);
  one.handle.reset();
  run_quiet();
  EXPECT_EQ(events("uid:1001 detached from terminal 'main'"), 1u);
  disk_.full = true;
  two.handle.reset();
  run_quiet();
  EXPECT_EQ(attach().code, "audit.unavailable");
  EXPECT_EQ(list().at(0).attached, 0u);
}

TEST_F(TerminalsTest, when_the_command_ends_all_are_told_and_the_next_one_is_new) {
  Person one = attach(), two = attach();
  say(1, "bye");
  node_->send(sandbox::ExecExited{.sandbox = workspace_.sandbox, .exec = 1, .status = 3});
  ASSERT_TRUE(run_until([&] { return one.exit->has_value() && two.exit->has_value(); }));
  EXPECT_EQ((*one.exit)->status, 3);
  EXPECT_EQ(shown(two), "bye");
  EXPECT_TRUE(list().empty()) << "its name is free, whoever still looks at it";
  one.handle.reset();
  two.handle.reset();
  EXPECT_TRUE(list().empty());
  EXPECT_TRUE(attach().handle);
  EXPECT_EQ(node_->execs.size(), 2u);
}

TEST_F(TerminalsTest, what_ended_unseen_waits_for_the_next_attach_and_is_then_gone) {
  attach(running("make", "build"));  // and leaves at once
  run_quiet();
  say(1, "2 errors");
  node_->send(sandbox::ExecExited{.sandbox = workspace_.sandbox, .exec = 1, .status = 2});
  run_quiet();
  ASSERT_EQ(list().size(), 1u);
  EXPECT_EQ(list()[0].state, "ended");
  EXPECT_EQ(list()[0].exit.status, 2);
  Person late = attach({.name = "build", .which = Which::existing});
  ASSERT_TRUE(run_until([&] { return late.exit->has_value(); }));
  EXPECT_EQ((*late.exit)->status, 2);
  EXPECT_EQ(shown(late), "2 errors");
  late.handle.reset();
  EXPECT_TRUE(list().empty());
  EXPECT_EQ(attach({.name = "build", .which = Which::existing}).code, "terminal.not_found");
}

TEST_F(TerminalsTest, a_new_one_is_not_taken_for_one_that_runs_and_names_are_names) {
  Person one = attach(running("vi", "edit"));
  EXPECT_EQ(attach(running("vi", "edit")).code, "terminal.conflict");
  EXPECT_EQ(attach({.name = "edit", .which = Which::fresh}).code, "terminal.conflict");
  EXPECT_TRUE(attach({.name = "edit"}).handle) << "without a command it is the one that runs";
  EXPECT_TRUE(attach({.name = "other", .which = Which::fresh}).handle);
  for (const char* bad : {"../x", "A", "a b", "\x1b[2J"})
    EXPECT_EQ(attach({.name = bad}).code, "request.name") << bad;
}

TEST_F(TerminalsTest, it_has_the_size_of_who_came_last_and_draws_itself_anew_for_him) {
  auto sized = [&](uint16_t rows, uint16_t columns) {
    return attach({.exec = {.rows = rows, .columns = columns}});
  };
  Person one = sized(24, 80);
  run_quiet();
  EXPECT_TRUE(node_->resizes.empty()) << "it was made this size";
  Person two = sized(50, 120);
  run_quiet();
  ASSERT_EQ(node_->resizes.size(), 1u);
  EXPECT_EQ(node_->resizes.back().columns, 120);
  one.handle->resize(10, 10);
  run_quiet();
  EXPECT_EQ(node_->resizes.size(), 1u) << "not the last one";
  two.handle->resize(51, 121);
  run_quiet();
  EXPECT_EQ(node_->resizes.back().rows, 51);
  two.handle.reset();
  run_quiet();
  EXPECT_EQ(node_->resizes.back().rows, 10) << "now the other one is the last";
  Person three = sized(10, 10);
  run_quiet();
  ASSERT_EQ(node_->resizes.size(), 5u);
  EXPECT_EQ(node_->resizes[3].columns, 9) << "the same size again would draw nothing";
  EXPECT_EQ(node_->resizes[4].columns, 10);
}

TEST_F(TerminalsTest, ending_one_hangs_it_up_and_kills_what_does_not_listen) {
  Person one = attach();
  std::optional<Result<>> ended;
  control_->end_terminal(kOwner, "dev", "", "main", [&](Result<> r) { ended = std::move(r); });
  run_quiet();
  ASSERT_EQ(node_->signals.size(), 2u);
  EXPECT_EQ(node_->signals[0].signal, SIGHUP);
  EXPECT_FALSE(ended) << "it answers when the command has ended";
  run_until([&] { return node_->signals.size() > 2; });
  EXPECT_EQ(node_->signals.back().signal, SIGKILL);
  node_->send(sandbox::ExecExited{
      .sandbox = workspace_.sandbox, .exec = 1, .end = sandbox::ExecEnd::signalled, .status = SIGKILL});
  ASSERT_TRUE(run_until([&] { return ended && one.exit->has_value(); }));
  EXPECT_TRUE(*ended);
  EXPECT_EQ(events("ended terminal 'main'"), 1u);
  one.handle.reset();
  EXPECT_TRUE(list().empty());
}

TEST_F(TerminalsTest, it_goes_with_its_workspace_and_nothing_is_kept) {
  Person one = attach();
  attach(running("make", "build"));
  run_quiet();
  node_->send(sandbox::ExecExited{.sandbox = workspace_.sandbox, .exec = 2, .status = 0});
  run_quiet();
  ASSERT_EQ(list().size(), 2u);
  ASSERT_TRUE(wait<WorkspaceView>([&](auto r) { control_->stop_workspace(kOwner, "dev", std::move(r)); }));
  ASSERT_TRUE(run_until([&] { return one.exit->has_value(); }));
  EXPECT_EQ((*one.exit)->kind, ExitKind::sandbox_gone);
  one.handle.reset();
  EXPECT_TRUE(list().empty());
  EXPECT_EQ(attach().code, "workspace.conflict");
}

TEST_F(TerminalsTest, rebuilding_its_workspace_leaves_nothing_of_what_it_showed) {
  Person one = attach();
  attach(running("make", "build"));
  run_quiet();
  say(2, "from before");
  node_->send(sandbox::ExecExited{.sandbox = workspace_.sandbox, .exec = 2, .status = 0});
  run_quiet();
  ASSERT_EQ(list().size(), 2u);
  ASSERT_TRUE(
      wait<WorkspaceView>([&](auto r) { control_->rebuild_workspace(kOwner, "dev", "", std::move(r)); }));
  ASSERT_TRUE(run_until([&] { return one.exit->has_value(); }));
  one.handle.reset();
  EXPECT_TRUE(list().empty());
  EXPECT_TRUE(attach().handle) << "a new one";
}

TEST_F(TerminalsTest, one_in_a_session_is_another_than_one_of_the_same_name_outside) {
  auto session =
      wait<SessionView>([&](auto r) { control_->start_session(kOwner, "dev", "fix", std::move(r)); });
  ASSERT_TRUE(session);
  Person outside = attach(), inside = attach({.exec = {.session = "fix"}});
  ASSERT_TRUE(inside.handle);
  EXPECT_EQ(node_->execs.at(2).sandbox, session->sandbox);
  EXPECT_EQ(attach({.exec = {.session = "nope"}}).code, "session.not_found");
  inside.handle.reset();
  ASSERT_TRUE(wait<void>([&](auto r) { control_->end_session(kOwner, "dev", "fix", std::move(r)); }));
  run_quiet();
  ASSERT_EQ(list().size(), 1u);
  EXPECT_EQ(list()[0].session, "");
}

TEST_F(TerminalsTest, nobody_types_for_an_agent_that_may_not_act_and_a_revoked_ones_terminal_ends) {
  ASSERT_TRUE(control_->register_agent(kOwner, "coder", "codes"));
  Person one = attach({.exec = {.agent = "coder"}});
  ASSERT_TRUE(one.handle) << one.code;
  ASSERT_TRUE(control_->change_agent(kOwner, "coder", AgentVerb::suspend));
  EXPECT_EQ(attach().code, "identity.agent_suspended");
  EXPECT_EQ(attach({.name = "two", .exec = {.agent = "coder"}}).code, "identity.agent_suspended");
  ASSERT_TRUE(control_->change_agent(kOwner, "coder", AgentVerb::resume));
  EXPECT_TRUE(attach().handle);
  ASSERT_TRUE(control_->change_agent(kOwner, "coder", AgentVerb::revoke));
  ASSERT_TRUE(run_until([&] { return !node_->signals.empty(); }));
  EXPECT_EQ(node_->signals.back().signal, SIGKILL);
}

TEST_F(TerminalsTest, there_is_an_end_to_them_and_to_those_attached_and_what_ended_makes_room) {
  std::vector<Person> people;
  for (size_t i = 0; i < Terminals::kMaxAttached; ++i) ASSERT_TRUE(people.emplace_back(attach()).handle);
  EXPECT_EQ(attach().code, "terminal.busy");
  people.pop_back();
  EXPECT_TRUE(attach().handle);
  for (size_t i = 1; i < Terminals::kMaxPerWorkspace; ++i)
    ASSERT_TRUE(attach({.name = fmt::format("t{}", i)}).handle) << i;
  EXPECT_EQ(attach({.name = "one-more"}).code, "terminal.busy");
  node_->send(sandbox::ExecExited{.sandbox = workspace_.sandbox, .exec = 2, .status = 0});
  run_quiet();
  EXPECT_TRUE(attach({.name = "one-more"}).handle);
}

TEST_F(TerminalsTest, two_who_come_at_once_share_one_command) {
  std::vector<std::unique_ptr<CommandHandle>> handles;
  for (int i = 0; i < 2; ++i)
    control_->attach(kOwner, "dev", {}, [&](Result<std::unique_ptr<CommandHandle>> r) {
      ASSERT_TRUE(r);
      handles.push_back(std::move(*r));
      handles.back()->on_exit([](Exit) {});
    });
  ASSERT_TRUE(run_until([&] { return handles.size() == 2; }));
  EXPECT_EQ(node_->execs.size(), 1u);
}

TEST_F(TerminalsTest, sawd_ending_hangs_it_up_and_the_next_sawd_knows_nothing_of_it) {
  Person one = attach();
  one.handle.reset();
  Fd command = std::move(node_->pipes.at(1)[0]);
  boot_ready();
  EXPECT_TRUE(list().empty());
  EXPECT_EQ(read_all(command, 10).value_or("still open"), "") << "the pty has no other side any more";
}

}  // namespace
}  // namespace saw::control
