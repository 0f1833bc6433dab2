// What a call costs through the API and from the shell, against a bare spawn of the same program.
//
//   api_bench [N]           N (1,000) rounds; every contender once a round, shuffled
//
// `saw run` is compared with a bare spawn of the saw binary itself, which does nothing but print its version.
// The exec stream of the API is a WebSocket: each call takes a connection of its own. POST …/calls is answered
// with the call's end, once its sandbox is gone, over a connection that stays open; so is "status": what the
// API adds without any sandbox.
#include <cstdio>
#include <cstdlib>

#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "cli/client.h"
#include "support/installation.h"

namespace {

using namespace saw;
using namespace saw::bench;

const Command kCommand = {"/bin/true"};

class ApiExec : public Contender {
 public:
  explicit ApiExec(const Installation& saw) : api_(cli::connect_to(saw.socket())) {
    const std::string spec = nlohmann::json{{"kind", "call"}, {"argv", kCommand}}.dump();
    target_ = "/v1/workspaces/dev/exec?spec=" + to_base64url(spec);
  }
  std::string name() const override { return "API: exec, a connection per call"; }
  Result<Timing> run() override {
    const double start = now_us();
    const cli::ExecResult result =
        SAW_TRY(api_->exec(target_, {.output = [](auto, auto) {}, .started = [](auto) {}}));
    const Timing timing{.result_us = now_us() - start};
    if (result.refused) return Error::make("bench.refused", "{}", result.refused->body);
    if (result.end != "exited" || result.status != 0)
      return Error::make("bench.status", "the command {} with {}", result.end, result.status);
    return timing;
  }

 private:
  std::unique_ptr<cli::Api> api_;
  std::string target_;
};

class ApiStatus : public Contender {
 public:
  explicit ApiStatus(Installation& saw) : saw_(saw) {}
  std::string name() const override { return "API: status, connection kept"; }
  Result<Timing> run() override {
    const double start = now_us();
    SAW_TRY(saw_.ask("GET", "/v1/status"));
    return Timing{.result_us = now_us() - start};
  }

 private:
  Installation& saw_;
};

class ApiCall : public Contender {
 public:
  explicit ApiCall(Installation& saw) : saw_(saw) {}
  std::string name() const override { return "API: a call, connection kept"; }
  Result<Timing> run() override {
    const double start = now_us();
    const std::string answer = SAW_TRY(saw_.ask("POST", "/v1/workspaces/dev/calls", body_));
    const Timing timing{.result_us = now_us() - start};
    const auto end = nlohmann::json::parse(answer, nullptr, false);
    if (!end.is_object() || end.value("end", "") != "exited" || end.value("status", -1) != 0)
      return Error::make("bench.status", "the call ended as {}", answer);
    return timing;
  }

 private:
  Installation& saw_;
  const std::string body_ = nlohmann::json{{"argv", kCommand}}.dump();
};

class Named : public Contender {
 public:
  Named(std::string name, Command command) : name_(std::move(name)), inner_(bare_spawn(std::move(command))) {}
  std::string name() const override { return name_; }
  Result<Timing> run() override { return inner_->run(); }

 private:
  std::string name_;
  std::unique_ptr<Contender> inner_;
};

Result<> run(int rounds) {
  auto saw = SAW_TRY(Installation::start());
  SAW_TRY(saw->ask("POST", "/v1/workspaces", workspace_spec("dev")));
  Report report({.bench = "api",
                 .method = "'/bin/true' in a workspace without network rules; every contender once a round, "
                           "shuffled; the audit log of the local profile"});
  std::vector<std::unique_ptr<Contender>> api;
  api.push_back(bare_spawn(kCommand));
  api.push_back(std::make_unique<ApiCall>(*saw));
  api.push_back(std::make_unique<ApiExec>(*saw));
  api.push_back(std::make_unique<ApiStatus>(*saw));
  SAW_TRY(race({.rounds = rounds}, api, report, "through the API"));
  std::vector<std::unique_ptr<Contender>> shell;
  shell.push_back(std::make_unique<Named>("bare 'saw --version'", saw->command({"--version"})));
  shell.push_back(
      std::make_unique<Named>("'saw run dev -- /bin/true'", saw->command({"run", "dev", "--", "/bin/true"})));
  SAW_TRY(race({.rounds = rounds}, shell, report, "from the shell"));
  report.print();
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 1000;
  if (rounds <= 0) return std::fputs("usage: api_bench [N]\n", stderr), 2;
  if (auto done = run(rounds); !done) {
    std::fprintf(stderr, "api_bench: %s\n", done.error().message.c_str());
    return 1;
  }
  return 0;
}
