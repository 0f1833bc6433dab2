#include "control/terminal.h"

#include <csignal>

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace saw::control {
namespace {

// A stream socket stands for the pty: both ways, non-blocking, its other side is the command's.
class TerminalTest : public testing::Test {
 protected:
  TerminalTest() {
    std::signal(SIGPIPE, SIG_IGN);  // as sawd does
    int pair[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
    command_ = Fd(pair[0]);
    terminal_ = std::make_unique<Terminal>(loop_, Fd(pair[1]));
  }
  void turn(int quiet_ms = 20) {
    pollfd ready{.fd = loop_.fd(), .events = POLLIN, .revents = 0};
    while (::poll(&ready, 1, quiet_ms) > 0) loop_.run_ready();
  }
  static std::string take(const Fd& fd, size_t most = 1u << 20) {
    std::string out;
    std::string chunk(65536, '\0');
    while (out.size() < most) {
      const ssize_t got =
          ::recv(fd.get(), chunk.data(), std::min(chunk.size(), most - out.size()), MSG_DONTWAIT);
      if (got <= 0) break;
      out.append(chunk, 0, static_cast<size_t>(got));
    }
    return out;
  }
  void say(std::string_view bytes) { ASSERT_TRUE(write_all(command_, bytes)); }
  // As much as the terminal takes while nobody makes it wait.
  size_t say_all(std::string_view bytes) {
    size_t said = 0;
    for (int idle = 0; said < bytes.size() && idle < 3;) {
      const ssize_t put = ::send(command_.get(), bytes.data() + said, bytes.size() - said, MSG_DONTWAIT);
      idle = put > 0 ? 0 : idle + 1;
      if (put > 0) said += static_cast<size_t>(put);
      turn(5);
    }
    return said;
  }
  std::optional<Exit> watch_exit(const std::string& key, std::optional<Exit>& slot) {
    terminal_->on_exit(key, [&slot](Exit exit) { slot = exit; });
    return slot;
  }

  os::Loop loop_ = std::move(*os::Loop::create());
  Fd command_;
  std::unique_ptr<Terminal> terminal_;
};

TEST_F(TerminalTest, what_was_shown_while_nobody_looked_is_shown_to_who_comes) {
  say("before\x1b[1m");
  turn();
  const Fd one = *terminal_->attach("one");
  EXPECT_EQ(take(one), "before\x1b[1m");
  say(" after");
  turn();
  EXPECT_EQ(take(one), " after");
}

TEST_F(TerminalTest, all_who_look_see_the_same_and_all_may_type) {
  const Fd one = *terminal_->attach("one"), two = *terminal_->attach("two");
  say("prompt$ ");
  turn();
  EXPECT_EQ(take(one), "prompt$ ");
  EXPECT_EQ(take(two), "prompt$ ");
  ASSERT_TRUE(write_all(one, "ls"));
  turn();
  ASSERT_TRUE(write_all(two, "\n"));
  turn();
  EXPECT_EQ(take(command_), "ls\n");
}

TEST_F(TerminalTest, who_leaves_is_missed_by_nobody_and_what_he_typed_last_arrives) {
  Fd one = *terminal_->attach("one");
  const Fd two = *terminal_->attach("two");
  ASSERT_TRUE(write_all(one, "last words\n"));
  one.reset();
  terminal_->detach("one");
  say("still here");
  turn();
  EXPECT_EQ(take(two), "still here");
  EXPECT_EQ(take(command_), "last words\n");
}

TEST_F(TerminalTest, a_command_that_says_much_to_nobody_is_not_held_up_and_the_last_of_it_is_kept) {
  std::string much;
  while (much.size() < (3u << 20)) much += fmt::format("line {}\n", much.size());
  EXPECT_EQ(say_all(much), much.size());
  const Fd one = *terminal_->attach("one");
  std::string seen;
  for (std::string part; !(part = take(one)).empty(); turn()) seen += part;
  EXPECT_EQ(seen, much.substr(much.size() - Scrollback::kBytes));
}

TEST_F(TerminalTest, a_command_is_held_up_by_who_looks_and_nothing_is_lost) {
  const Fd one = *terminal_->attach("one");
  const std::string much(2u << 20, 'x');
  const size_t first = say_all(much);
  EXPECT_LT(first, much.size()) << "nobody has read a byte";
  std::string seen;
  size_t said = first;
  for (std::string part; !(part = take(one)).empty();) {
    seen += part;
    said += say_all(std::string_view(much).substr(said));
    turn(5);
  }
  EXPECT_EQ(said, much.size());
  EXPECT_EQ(seen.size(), much.size());
}

TEST_F(TerminalTest, who_is_slow_misses_the_middle_and_holds_up_nobody_else) {
  const Fd slow = *terminal_->attach("slow"), quick = *terminal_->attach("quick");
  std::string much, seen;
  while (much.size() < (2u << 20)) much += fmt::format("line {}\n", much.size());
  size_t said = 0;
  while (said < much.size()) {
    const size_t more = say_all(std::string_view(much).substr(said));
    const std::string part = take(quick);
    if (more == 0 && part.empty()) break;
    said += more, seen += part;
  }
  turn();
  seen += take(quick);
  EXPECT_EQ(said, much.size());
  EXPECT_EQ(seen, much);
  std::string missed;
  for (std::string part; !(part = take(slow)).empty(); turn()) missed += part;
  EXPECT_LT(missed.size(), much.size());
  EXPECT_TRUE(missed.ends_with(much.substr(much.size() - 1000))) << "but has the end";
}

TEST_F(TerminalTest, who_does_not_read_at_all_holds_the_command_up_for_a_moment_only) {
  const Fd stopped = *terminal_->attach("stopped");
  const std::string much(2u << 20, 'x');
  const size_t before = say_all(much);
  ASSERT_LT(before, much.size());
  turn(static_cast<int>(Terminal::kPatienceMs) + 200);
  EXPECT_EQ(before + say_all(std::string_view(much).substr(before)), much.size());
}

TEST_F(TerminalTest, the_exit_is_told_after_the_last_byte) {
  const Fd one = *terminal_->attach("one");
  std::optional<Exit> exit;
  watch_exit("one", exit);
  say("last line");
  terminal_->ended({ExitKind::exited, 3});
  EXPECT_FALSE(exit) << "never from inside";
  turn();
  ASSERT_TRUE(exit);
  EXPECT_EQ(exit->status, 3);
  EXPECT_EQ(take(one), "last line");
}

TEST_F(TerminalTest, who_comes_after_the_end_gets_the_output_and_the_exit) {
  say("result");
  terminal_->ended({ExitKind::signalled, 9});
  const Fd one = *terminal_->attach("one");
  std::optional<Exit> exit;
  watch_exit("one", exit);
  turn();
  EXPECT_EQ(take(one), "result");
  ASSERT_TRUE(exit);
  EXPECT_EQ(exit->kind, ExitKind::signalled);
  ASSERT_TRUE(write_all(one, "typed into nothing"));
  turn();
}

TEST_F(TerminalTest, a_background_process_that_writes_on_does_not_keep_the_end_from_being_told) {
  const Fd one = *terminal_->attach("one");
  std::optional<Exit> exit;
  watch_exit("one", exit);
  std::string noise(1u << 20, 'n');
  ::send(command_.get(), noise.data(), noise.size(), MSG_DONTWAIT);
  terminal_->ended({ExitKind::exited, 0});
  for (int i = 0; i < 50 && !exit; ++i) take(one), turn(5);
  EXPECT_TRUE(exit);
}

TEST_F(TerminalTest, who_closed_his_end_is_told_the_exit_too_and_a_pty_that_hung_up_is_quiet) {
  Fd one = *terminal_->attach("one");
  std::optional<Exit> exit;
  watch_exit("one", exit);
  one.reset();
  say("to nobody");
  turn();
  command_.reset();
  turn();
  pollfd ready{.fd = loop_.fd(), .events = POLLIN, .revents = 0};
  EXPECT_EQ(::poll(&ready, 1, 50), 0) << "nothing spins";
  terminal_->ended({ExitKind::exited, 0});
  turn();
  EXPECT_TRUE(exit);
}

TEST_F(TerminalTest, who_types_more_than_the_command_reads_waits_and_loses_nothing) {
  const Fd one = *terminal_->attach("one");
  ASSERT_TRUE(set_blocking(one, Blocking::no));
  const std::string text(1u << 20, 't');
  size_t typed = 0, read = 0;
  for (int idle = 0; idle < 3;) {
    const ssize_t put = ::send(one.get(), text.data() + typed, text.size() - typed, MSG_DONTWAIT);
    idle = put > 0 ? 0 : idle + 1;
    if (put > 0) typed += static_cast<size_t>(put);
    turn(5);
  }
  EXPECT_LT(typed, text.size());
  for (int idle = 0; read < typed && idle < 5;) {
    const size_t got = take(command_).size();
    idle = got > 0 ? 0 : idle + 1;
    read += got;
    turn(5);
  }
  EXPECT_EQ(read, typed);
}

}  // namespace
}  // namespace saw::control
