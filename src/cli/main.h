// The whole of `saw` but for the process around it: argv to exit status.
//
//   int status = run_saw(words, world);
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/client.h"
#include "cli/context.h"

namespace saw::cli {

// The process and the host as main.cc found them, or a test made them.
struct World {
  std::function<std::optional<std::string>(const std::string& name)> environment;
  std::function<std::unique_ptr<Api>(const std::string& socket)> connect;
  Output::Write out, err;
  bool out_is_terminal = false, err_is_terminal = false;
  Input input;
  uint32_t uid = 0;
  std::string user, programs, current;
  const Clock* clock = nullptr;
  std::function<void(int64_t milliseconds)> sleep;
};

int run_saw(const std::vector<std::string>& words, const World& world);

// --socket and --dir, then the environment, then the defaults of docs/cli.md.
Places find_places(const Args& args, const World& world);

}  // namespace saw::cli
