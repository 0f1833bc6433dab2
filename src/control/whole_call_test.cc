#include "control/whole_call.h"

#include <csignal>

#include "control/control_fixture_test.h"

namespace saw::control {
namespace {

class WholeCallTest : public ControlTest {
 protected:
  void SetUp() override {
    ::signal(SIGPIPE, SIG_IGN);  // as sawd does
    boot_ready();
    put_secret();
    ASSERT_TRUE(create());
  }
  void run(WholeRequest whole, ExecRequest request = call()) {
    control_->run_call(kOwner, "dev", std::move(request), std::move(whole),
                       [this](Result<WholeResult> result) { result_ = std::move(result); });
    run_until([&] { return result_ || !node_->execs.empty(); });
  }
  // The node's side of the only command.
  std::string sandbox() const { return node_->execs.begin()->second.sandbox; }
  std::vector<Fd>& pipes() { return node_->pipes.begin()->second; }
  const WholeResult* finish(int status) {
    run_quiet();
    node_->exit(sandbox(), node_->execs.begin()->first, status);
    run_until([&] { return result_.has_value(); });
    return result_ && *result_ ? &**result_ : nullptr;
  }

  std::optional<Result<WholeResult>> result_;
};

TEST_F(WholeCallTest, what_a_call_wrote_comes_with_its_end) {
  run({.input = "in", .max_output = 100});
  ASSERT_TRUE(write_all(pipes()[1], "to output"));
  ASSERT_TRUE(write_all(pipes()[2], "to error"));
  const WholeResult* result = finish(3);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->output.text, "to output");
  EXPECT_EQ(result->error.text, "to error");
  EXPECT_EQ(result->exit.status, 3);
  EXPECT_EQ(result->output.dropped, 0u);
  EXPECT_FALSE(result->call.empty());
  EXPECT_FALSE(result->credential.empty());
}

TEST_F(WholeCallTest, the_input_reaches_the_command_and_then_ends) {
  run({.input = "line\n", .max_output = 100});
  run_quiet();
  EXPECT_EQ(read_all(pipes()[0], 100).value(), "line\n");
  EXPECT_TRUE(finish(0));
}

TEST_F(WholeCallTest, what_is_too_much_is_counted_and_the_command_ends_by_itself) {
  run({.max_output = 4});
  ASSERT_TRUE(write_all(pipes()[1], "0123456789"));
  const WholeResult* result = finish(0);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->output.text, "0123");
  EXPECT_EQ(result->output.dropped, 6u);
}

TEST_F(WholeCallTest, a_command_that_reads_nothing_ends_all_the_same) {
  run({.input = std::string(4u << 20, 'x'), .max_output = 4});
  EXPECT_TRUE(finish(0));
}

TEST_F(WholeCallTest, a_refusal_is_the_answer) {
  run({.max_output = 4}, call("nobody"));
  ASSERT_TRUE(result_);
  EXPECT_FALSE(*result_);
}

}  // namespace
}  // namespace saw::control
