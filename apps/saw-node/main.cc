// saw-node: the only privileged program of SAW. See src/sandbox/node.h for what it does, daemon.h for how it
// lives.
#include <csignal>
#include <cstdio>

#include <malloc.h>

#include "base/log.h"
#include "daemon.h"
#include "options.h"
#include "probe.h"

int main(int argc, char** argv) {
  using saw::node_app::Options;
  saw::configure_log("saw-node", saw::LogLevel::info);
  // A plan is half a megabyte with its generated files: what one start used, the next finds mapped.
  constexpr int kKeptHeapBytes = 4 << 20;
  ::mallopt(M_TRIM_THRESHOLD, kKeptHeapBytes);
  ::mallopt(M_MMAP_THRESHOLD, kKeptHeapBytes);
  auto options = saw::node_app::parse_options({argv + 1, argv + argc});
  if (!options) {
    std::fprintf(stderr, "saw-node: %s\n%s", options.error().message.c_str(), saw::node_app::kUsage);
    return 2;
  }
  // Whoever starts it may have ignored this, and then children vanish unwaited for, and their numbers with them.
  std::signal(SIGCHLD, SIG_DFL);
  switch (options->mode) {
    case Options::Mode::help:
      std::fputs(saw::node_app::kUsage, stdout);
      return 0;
    case Options::Mode::probe:
      return saw::node_app::probe(options->bin_directory);
    case Options::Mode::serve:
      return saw::node_app::serve(*options);
  }
  return 2;
}
