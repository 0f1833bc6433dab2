// What a command works with: what was asked, where to answer, and the world, all given by main. Nothing of
// the cli reads the environment, the clock or a path of its own choosing.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "base/clock.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/output.h"

namespace saw::cli {

struct Places {
  std::string socket;     // the API's socket; its directory is the run directory
  std::string directory;  // $SAW_DIR
  std::string programs;   // where this binary lies, and saw-node beside it
  std::string current;    // working directory, for relative paths
};

// stdin as commands use it: whole (a secret, a request per line) or as a descriptor (the stdin of a command
// in a sandbox).
struct Input {
  int fd = -1;
  bool terminal = false;
  uint16_t rows = 24, columns = 80;  // of the terminal
};

struct Context {
  const Args& args;
  const Output& out;
  Api& api;
  const Places& places;
  const Clock& clock;
  const std::vector<Command>& table;
  Input input;
  uint32_t uid = 0;
  std::string user;
  std::function<void(int64_t milliseconds)> sleep;
};

// A request whose answer is 2xx JSON; anything else is a Failure with the exit status of the contract: 400 →
// usage, 403 → refused, 404 and 409 → failed, 5xx and no daemon → SAW itself failed.
Attempt<nlohmann::json> call(Context& context, const std::string& method, const std::string& target);
Attempt<nlohmann::json> call(Context& context, const std::string& method, const std::string& target,
                             const nlohmann::json& body);
// Does `ask` again while the daemon says that it is still recovering, for kRecoveryWithinMs: a restart of the
// control plane is over in a moment, and no command needs to fail for it. Nothing was done where that was the
// answer, so asking again is safe.
constexpr int64_t kRecoveryWithinMs = 5'000;
bool still_recovering(const Result<Reply>& reply);
bool still_recovering(const Result<ExecResult>& result);
template <class Ask> auto when_recovered(Context& context, Ask ask) {
  constexpr int64_t kAskEveryMs = 50;
  auto answer = ask();
  for (int64_t waited = 0; waited < kRecoveryWithinMs && still_recovering(answer); waited += kAskEveryMs) {
    context.sleep(kAskEveryMs);
    answer = ask();
  }
  return answer;
}

// The Failure that an answer outside 2xx stands for.
Failure failure_of(const Reply& reply);
// The Failure of a request that got no answer, with what to do about it.
Failure failure_of(const Error& error, const Places& places);

// A member as text whatever its type; empty if absent or null. Total on any JSON.
std::string text_of(const nlohmann::json& object, std::string_view member);
// The array in a member; empty if absent or of another type.
const nlohmann::json& list_of(const nlohmann::json& object, std::string_view member);

// Relative paths are relative to where the user stands.
std::string absolute(const Places& places, std::string_view path);

}  // namespace saw::cli
