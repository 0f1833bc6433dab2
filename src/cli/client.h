// The daemon's API, as the commands use it: requests, and one command's streams. Blocking, over the Unix
// socket.
//
//   auto api = connect_to("/run/saw/saw.sock");
//   Reply reply = SAW_TRY(api->request("GET", "/v1/status", ""));
//
// Api is the seam of the cli: commands are tested against a fake Api, the real one against a real server on a
// Unix socket. Errors: "client.no_daemon" (nobody listens), "client.not_permitted", "client.timeout",
// "client.lost" (the connection broke), "client.malformed" (not the API of SAW).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace saw::cli {

struct Reply {
  int status = 0;
  std::string body;
};

enum class Stream : uint8_t {
  input = 0,
  output = 1,
  error = 2,
  control_from_server = 3,
  control_to_server = 4
};
enum class Terminal {
  none,
  raw
};  // raw: `input` is a terminal; it is set to raw mode meanwhile, and its size follows

// By hand: what is typed is looked at, Ctrl-P Ctrl-Q leaves (detach_keys.h), and so does a signal to this process,
// which is not passed on then.
enum class Detach { never, by_hand };

// The near end of a command that runs in a sandbox.
struct ExecLocal {
  int input = -1;  // read until its end; -1: the command gets an empty stdin
  Terminal terminal = Terminal::none;
  Detach detach = Detach::never;
  std::function<void(Stream, std::string_view)>
      output;  // Stream::output or ::error; may block, which slows the command down
  std::function<void(std::string_view)> started;  // the JSON of "started"
};

// How it ended. `refused` instead of the rest: the API answered with an ordinary response and nothing ran.
struct ExecResult {
  std::optional<Reply> refused;
  std::string
      end;  // "exited", "signalled", "timed_out", "out_of_memory", "file_too_large", "not_started", "sandbox_gone"; "detached":
            // it goes on
  int status = 0;                                // exit status, signal number, or errno of not_started
  std::string limit;                             // that ended it
  uint64_t memory_kills = 0, forks_refused = 0;  // in its sandbox, while it ran
};

class Api {
 public:
  virtual ~Api() = default;
  // `body` is JSON text or empty. Waits kRequestTimeoutMs at most.
  virtual Result<Reply> request(const std::string& method, const std::string& target,
                                const std::string& body) = 0;
  // Runs until the command ends. Meanwhile INT, TERM, HUP and QUIT are passed on to the command instead of
  // ending this process.
  virtual Result<ExecResult> exec(const std::string& target, const ExecLocal& local) = 0;
};

constexpr int64_t kRequestTimeoutMs = 120'000;
constexpr size_t kInputChunk = 32u << 10;  // bytes of stdin per frame; one frame is in flight at a time
constexpr size_t kMaxReply = 64u << 20;
constexpr size_t kMaxFrame = 4u << 20;  // largest frame taken from the daemon

// Connects anew for each call: a daemon that was restarted meanwhile goes unnoticed.
std::unique_ptr<Api> connect_to(std::string socket_path);

// One segment of a path or one value of a query, percent-encoded.
std::string url_segment(std::string_view text);

}  // namespace saw::cli
