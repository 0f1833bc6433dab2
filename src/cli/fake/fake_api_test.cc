#include "cli/fake/fake_api.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/fd.h"
#include "cli/main.h"

namespace saw::cli::fake {
namespace {

// The seam is owned by the rig and outlives each command.
class Borrowed final : public Api {
 public:
  explicit Borrowed(Api& api) : api_(api) {}
  Result<Reply> request(const std::string& method, const std::string& target,
                        const std::string& body) override {
    return api_.request(method, target, body);
  }
  Result<ExecResult> exec(const std::string& target, const ExecLocal& local) override {
    return api_.exec(target, local);
  }

 private:
  Api& api_;
};

}  // namespace

Result<Reply> FakeApi::request(const std::string& method, const std::string& target,
                               const std::string& body) {
  asked.push_back({method + " " + target, body});
  if (!broken_.empty()) return Error::make(broken_, "no daemon at /nowhere");
  const auto found = answers_.find(method + " " + target);
  if (found == answers_.end())
    return Reply{404, R"({"error":{"code":"not_found","reason":"nothing of that name"}})"};
  return found->second;
}

Result<ExecResult> FakeApi::exec(const std::string& target, const ExecLocal& local) {
  exec_target = target;
  if (!broken_.empty()) return Error::make(broken_, "no daemon at /nowhere");
  if (exec_result.refused) return exec_result;
  if (local.started) local.started(started);
  if (!exec_output.empty()) local.output(Stream::output, exec_output);
  if (!exec_error.empty()) local.output(Stream::error, exec_error);
  return exec_result;
}

Ran Rig::saw(const std::vector<std::string>& words) {
  Ran ran;
  auto pipe = Pipe::create();
  SAW_CHECK(pipe.has_value() && write_all(pipe->write, stdin_text).has_value());
  pipe->write.reset();
  World world;
  world.environment = [this](const std::string& name) -> std::optional<std::string> {
    const auto found = environment.find(name);
    return found == environment.end() ? std::nullopt : std::optional(found->second);
  };
  world.connect = [this](const std::string& socket) {
    socket_asked = socket;
    return std::make_unique<Borrowed>(api);
  };
  world.out = [&](std::string_view text) { ran.out += text; };
  world.err = [&](std::string_view text) { ran.err += text; };
  world.out_is_terminal = world.err_is_terminal = terminal;
  world.input = {pipe->read.get(), input_terminal};
  world.uid = uid;
  world.user = "tester";
  world.programs = programs;
  world.current = current;
  world.clock = &clock;
  world.sleep = [this](int64_t milliseconds) {
    clock.time += milliseconds * kMillisecond;
    api.after_sleep();
  };
  ran.status = run_saw(words, world);
  return ran;
}

TEST(FakeApi, remembers_what_it_was_asked_and_knows_only_what_it_was_told) {
  Rig rig;
  rig.api.answer("GET /v1/agents", 200, R"({"agents":[]})");
  EXPECT_EQ(rig.saw({"agent", "list"}).status, 0);
  EXPECT_EQ(rig.saw({"agent", "show", "a"}).status, 1);
  ASSERT_EQ(rig.api.asked.size(), 2u);
  EXPECT_EQ(rig.api.asked[1].call, "GET /v1/agents/a");
}

}  // namespace saw::cli::fake
