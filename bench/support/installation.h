// A whole SAW of its own: its programs, its state in a temporary directory, its API. As root, or as an
// ordinary user.
//
//   auto saw = SAW_TRY(Installation::start());                   // saw up; saw down when it is destroyed
//   SAW_TRY(saw->ask("POST", "/v1/workspaces", workspace_spec("dev")));
//   SAW_TRY(spawn_and_wait(saw->command({"run", "dev", "--", "true"})));
//
// SAW_DIR and SAW_SOCKET are set in this program's environment, and it becomes the reaper of what it starts.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/fd.h"
#include "support/peers.h"

namespace saw::bench {

// HTTP over one Unix socket connection that stays open.
class KeptConnection {
 public:
  static Result<KeptConnection> open(const std::string& socket_path);
  // The body of a 2xx answer; any other is an error with the body as its message.
  Result<std::string> ask(const std::string& method, const std::string& target, const std::string& body = "");

 private:
  explicit KeptConnection(Fd socket) : socket_(std::move(socket)) {}
  Result<> receive();  // more into received_

  Fd socket_;
  std::string received_;
};

class Installation {
 public:
  // `perimeter`: the operator's file; "": none, and nothing is reachable.
  static Result<std::unique_ptr<Installation>> start(const std::string& perimeter = "");
  ~Installation();

  Command command(Command arguments) const;  // `saw` with these
  std::string socket() const { return directory_ + "/run/saw.sock"; }
  Result<std::string> ask(const std::string& method, const std::string& target,
                          const std::string& body = "") {
    return connection_->ask(method, target, body);
  }

 private:
  explicit Installation(std::string directory, std::string programs)
      : directory_(std::move(directory)), programs_(std::move(programs)) {}

  std::string directory_, programs_;
  std::unique_ptr<KeptConnection> connection_;
};

// The body that creates a workspace with that policy.
std::string workspace_spec(const std::string& name, const std::string& policy_yaml);
// The body that creates a workspace without network, with the usual limits.
std::string workspace_spec(const std::string& name);

}  // namespace saw::bench
