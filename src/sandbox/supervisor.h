// Starts the other programs, keeps sawd and saw-perimeter running, and takes everything down in order.
//
//   Supervisor supervisor(loop, {.bin_directory = …}, os::spawn, {.on_control = …});
//   supervisor.start();
//
//   program        descriptor 3         4                     ends when
//   sawd           link to saw-node     API listener          its link closes
//   saw-perimeter  link to sawd         audit link to sawd    sawd does
//   saw-egress     link to sawd         audit link to sawd    sawd does, or StopEgress
//
// sawd also inherits 5: its lock, to be left alone.
// A dead sawd takes the links of all others with it, so they are killed too and start again with the next
// sawd. Restarts wait 50 ms, then twice as long each time, at most kMaxBackoffMs, and never give up; a
// program that ran for kStableMs counts as healthy again.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "os/channel.h"
#include "os/loop.h"
#include "os/spawn.h"

namespace saw::sandbox {

class Supervisor {
 public:
  static constexpr int64_t kFirstBackoffMs = 50, kMaxBackoffMs = 5'000, kStableMs = 10'000;
  static constexpr int64_t kPatienceMs = 2'000;  // between asking a program to end and killing it

  struct Config {
    std::string bin_directory, state_directory, socket_path;
    std::string control_lock;  // a file that sawd keeps locked as long as it lives: there are never two
    Fd api_listener;
    enum class Identities : uint8_t {
      separate,
      shared
    } identities = Identities::separate;  // shared: rootless
    std::vector<std::string> environment;
  };
  struct Callbacks {
    std::move_only_function<void(os::Channel control)> on_control;  // a new sawd
    std::move_only_function<void(std::string why, int failures)>
        on_control_lost;  // failures: in a row, without a stable run
    std::move_only_function<void(std::vector<Fd> links)>
        on_perimeter;  // a new saw-perimeter: [control, audit] for sawd
    std::move_only_function<void(std::string workspace)>
        on_egress_lost;  // ended without having been asked to
  };
  using Spawn = std::move_only_function<Result<os::Child>(const os::SpawnSpec&)>;

  Supervisor(os::Loop& loop, Config config, Spawn spawn, Callbacks callbacks);
  ~Supervisor();

  void start();
  // Ends sawd, which starts it anew: it broke the protocol.
  void restart_control();
  // [control, audit] for sawd. Replaces one that runs. `index`: of the workspace's storage, decides the uid.
  Result<std::vector<Fd>> start_egress(const std::string& workspace, uint32_t index);
  void stop_egress(const std::string& workspace, std::move_only_function<void()> done);
  // saw-egress of every workspace, then saw-perimeter, then sawd, whose link the owner closes in
  // `close_control`.
  void shutdown(std::move_only_function<void()> close_control, std::move_only_function<void()> done);

 private:
  struct Program;
  using OnEnd = std::move_only_function<void(const std::string& why)>;
  struct Links {
    std::vector<Fd> for_program, for_control;  // two pairs: control and audit
  };
  static Result<Links> make_links();
  Result<> run(Program& program, std::vector<std::string> arguments, os::SpawnSpec spec, OnEnd on_end);
  std::optional<uint32_t> identity(uint32_t uid) const;
  void start_control();
  Result<> try_start_control();
  void start_perimeter();
  Result<> try_start_perimeter();
  void control_ended(const std::string& why);
  void egress_ended(const std::string& workspace, const std::string& why);
  void end(Program& program, int signal, std::move_only_function<void()> done);
  void retire(std::unique_ptr<Program> program, int signal, std::move_only_function<void()> done);
  int64_t next_backoff(Program& program) const;
  void end_perimeter();
  void end_control();

  os::Loop& loop_;
  Config config_;
  Spawn spawn_;
  Callbacks callbacks_;
  std::unique_ptr<Program> control_, perimeter_;
  std::map<std::string, std::unique_ptr<Program>>
      egresses_;                                   // also one that ended, until sawd is told and asks anew
  std::vector<std::unique_ptr<Program>> retired_;  // killed, replaced, not yet reaped
  bool shutting_down_ = false;
  std::move_only_function<void()> close_control_, shutdown_done_;
};

}  // namespace saw::sandbox
