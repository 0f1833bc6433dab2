// The command line of saw-node. People use `saw up`, which starts it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "sandbox/plan.h"

namespace saw::node_app {

struct Options {
  enum class Mode { serve, probe, help } mode = Mode::serve;
  std::string directory, socket_path, bin_directory;
  enum class Place { background, foreground } place = Place::background;
  sandbox::Strictness strictness = sandbox::Strictness::best_effort;
  std::optional<int> ready_fd;
};

extern const char* const kUsage;

// `bin_directory` defaults to where this program lies. Paths come back absolute and without a trailing slash.
Result<Options> parse_options(const std::vector<std::string>& arguments);

}  // namespace saw::node_app
