// Starts one of SAW's own programs with exactly the descriptors, the identity and the network that it needs,
// and watches it.
//
//   Child child = SAW_TRY(os::spawn({.program = "/usr/lib/saw/sawd", .arguments = {"sawd", "--dir",
//   "/var/lib/saw"},
//                                    .descriptors = std::move(fds), .identity = 720000}));
//   loop.watch(child.pidfd(), Loop::kReadable, [&](uint32_t) { auto end = child.reap(); … });
//
// The program gets stdin from /dev/null, stdout and stderr of the caller, `descriptors` as 3, 4, …, and
// nothing else. It runs in a session of its own, without any capability (bounding set included), with
// no_new_privs, unless `privileges` says otherwise, and dies with the thread that started it (PR_SET_PDEATHSIG). The program file is opened by
// the caller, so that the identity needs no way through the directories above it. Limits: the caller is
// single-threaded; at most kMaxDescriptors descriptors.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"

namespace saw::os {

enum class NetworkView : uint8_t {
  inherited,
  empty
};  // empty: a new network namespace, without even a configured loopback

enum class Privileges : uint8_t { dropped, kept };

struct SpawnSpec {
  std::string program;
  std::vector<std::string> arguments;  // argv[0] included
  std::vector<std::string> environment;
  std::vector<Fd> descriptors;
  std::optional<uint32_t> identity;  // uid and gid; absent: as the caller
  NetworkView network = NetworkView::inherited;
  Privileges privileges = Privileges::dropped;  // kept: capabilities as the caller's, and no no_new_privs
};
constexpr size_t kMaxSpawnDescriptors = 16;

// A process by descriptor: no signal ever goes to a stranger with a recycled number. Destroying it neither
// kills nor waits.
class Child {
 public:
  Child() = default;
  Child(int32_t pid, Fd pidfd) : pid_(pid), pidfd_(std::move(pidfd)) {}
  // Of a process that may not be a child of this one. "os.no_process" when there is none.
  static Result<Child> open(int32_t pid);

  int32_t pid() const { return pid_; }
  int pidfd() const { return pidfd_.get(); }  // readable once the process has ended
  explicit operator bool() const { return static_cast<bool>(pidfd_); }

  void kill(int signal) const;  // a process that is gone is no error
  bool has_ended() const;
  // The wait status once it has ended (and frees the zombie); nullopt before. 0 for a process that was
  // somebody else's child.
  std::optional<int> reap() const;
  // Waits until it has ended, at most so long. For tests and last resorts; a daemon watches pidfd().
  bool wait_ended(int64_t milliseconds) const;
  Fd take() && { return std::move(pidfd_); }

 private:
  int32_t pid_ = 0;
  Fd pidfd_;
};

Result<Child> spawn(const SpawnSpec& spec);

// "exited with status 3", "killed by signal 9".
std::string describe_wait_status(int status);

}  // namespace saw::os
