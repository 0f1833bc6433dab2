// The yardsticks: a bare spawn, and the sandbox programs of Debian, each by its own command line.
//
//   auto bare = bare_spawn({"/bin/true"});
//   auto bwrap = bubblewrap({"/bin/true"});      // absent() says when it is not installed
//
// Each run is posix_spawn and waitpid, with stdin and stdout at /dev/null.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "support/contender.h"

namespace saw::bench {

using Command = std::vector<std::string>;

// Host directories that a sandbox shows read-only, for every contender the same.
std::vector<std::string> shown_directories();

// Starts `command` (found in PATH) and waits for its end; an exit status other than 0 is an error.
Result<> spawn_and_wait(const Command& command);
Result<int32_t> spawn(const Command& command);
Result<> expect_success(int32_t pid, int status);

std::unique_ptr<Contender> bare_spawn(Command command);
// New user, pid, network, ipc, uts and mount namespaces, read-only binds, tmpfs, /proc, /dev.
std::unique_ptr<Contender> bubblewrap(Command command);
// What `crun spec` writes (pid, network, ipc, uts and mount namespaces, few capabilities, masked paths), with
// the host's directories bound read-only. `directory`: an empty one, for the bundle.
std::unique_ptr<Contender> crun(Command command, std::string directory);

Command bubblewrap_command(Command command);

}  // namespace saw::bench
