// Starting saw-node and listening to what it says first. The only processes that the cli makes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace saw::cli {

// Starts `program` in the background with stdin from /dev/null, stdout and stderr appended to `log`, the
// write end of a pipe as descriptor 3, and nothing else inherited. Returns what it writes there: the first
// line without its newline, or what came before it closed the pipe. "spawn.timeout" if it stays silent for
// `timeout_ms`; it is left running then.
Result<std::string> start_and_hear(const std::string& program, const std::vector<std::string>& arguments,
                                   const std::string& log, int64_t timeout_ms);
constexpr int kReadyDescriptor = 3;

// Runs `program` and returns its stdout (at most 1 MiB); its stderr is this process's. Fails if it does not
// exit with 0.
Result<std::string> output_of(const std::string& program, const std::vector<std::string>& arguments);

// Runs `program`, gives it `input` and returns its stdout (at most 1 MiB). "spawn.timeout" if it has not
// ended within `timeout_ms`; it is killed then. Fails if it does not exit with 0; its stderr is this
// process's.
Result<std::string> answer_of(const std::string& program, std::string_view input, int64_t timeout_ms);

// Replaces this process. Returns only on failure.
Error become(const std::string& program, const std::vector<std::string>& arguments);

// Whether somebody holds the lock (flock) on the file `path`. unknown: it exists, and we may not look.
enum class Lock { free, held, unknown };
Lock lock_state(const std::string& path);

}  // namespace saw::cli
