// Tests of commands: the whole of `saw` with a fake daemon behind it, and what came out of it.
//
//   Rig rig;
//   rig.api.answer("GET /v1/workspaces", 200, R"({"workspaces":[]})");
//   Ran ran = rig.saw({"workspace", "list"});          // ran.status, ran.out, ran.err
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/clock.h"
#include "cli/client.h"

namespace saw::cli::fake {

// Answers what it was told to; anything else is 404. Remembers what it was asked.
class FakeApi final : public Api {
 public:
  void answer(const std::string& call, int status, std::string body) {
    answers_[call] = {status, std::move(body)};
  }
  void fail_with(std::string code) { broken_ = std::move(code); }

  Result<Reply> request(const std::string& method, const std::string& target,
                        const std::string& body) override;
  Result<ExecResult> exec(const std::string& target, const ExecLocal& local) override;

  struct Asked {
    std::string call, body;
  };
  std::vector<Asked> asked;
  ExecResult exec_result{.end = "exited"};
  std::string exec_output, exec_error;  // what the command "writes"
  std::string exec_target, started = R"({"call":"c-1"})";
  std::function<void()> after_sleep = [] {};  // what happens while a command waits

 private:
  std::map<std::string, Reply> answers_;
  std::string broken_;
};

class FakeClock final : public Clock {
 public:
  Nanos now() const override { return time; }
  Nanos monotonic() const override { return time; }
  Nanos time = 1'764'000'000 * kSecond;
};

struct Ran {
  int status = 0;
  std::string out, err;
};

struct Rig {
  FakeApi api;
  FakeClock clock;
  std::map<std::string, std::string> environment;
  std::string stdin_text;
  uint32_t uid = 1000;
  std::string programs = "/nonexistent", current = "/";
  bool terminal = false;        // stdout and stderr
  bool input_terminal = false;  // stdin
  std::string socket_asked;     // where the last command would have connected

  Ran saw(const std::vector<std::string>& words);
};

}  // namespace saw::cli::fake
