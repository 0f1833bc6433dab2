// A real saw-node in a directory of its own, with the test as its sawd.
//
//   NodeUnderTest node(As::root);
//   node.start();                                    // waits for the link; node.tell_ready() ends the start
//   node.send(CreateStorage{…}); auto* done = node.await<Done>(1);
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <poll.h>

#include "os/link.h"
#include "os/spawn.h"
#include "sandbox/node_protocol.h"

namespace saw::testing_support {

enum class As : uint8_t { root, user };

// Whether As::user can work here, and reach the programs.
bool user_namespaces_work();

class NodeUnderTest {
 public:
  explicit NodeUnderTest(As as);
  ~NodeUnderTest();

  // Starts saw-node in the foreground; true once it has linked with the test.
  [[nodiscard]] bool start(sandbox::Strictness strictness = sandbox::Strictness::best_effort);
  // What a start printed on its ready descriptor, waited for.
  std::string ready_line();
  // A start beside a running one: its output and exit status.
  std::pair<std::string, int> start_again();
  void kill_node();
  [[nodiscard]] bool wait_node_ended();
  // Where the next start's saw-node writes, instead of this program's own output.
  void log_to(Fd file) { log_ = std::move(file); }
  int32_t pid() const { return node_.pid(); }

  void send(const sandbox::ToNode& message) { link_->send(wire::encode(message)); }
  template <class T> T* await(uint64_t request = 0);
  // The first message of the type that `fits`, if it has come.
  template <class T, class Fits> T* peek(Fits fits) {
    for (Told& told : told_)
      if (auto* message = std::get_if<T>(&told.message); message != nullptr && fits(*message)) return message;
    return nullptr;
  }
  // The descriptors that came with it.
  template <class T> std::vector<Fd> take_fds(uint64_t request = 0);
  // The first message of the type that `fits`, with its descriptors, taken out; nullopt if none has come.
  template <class T> struct Taken {
    T message;
    std::vector<Fd> fds;
  };
  template <class T, class Fits> std::optional<Taken<T>> take(Fits fits) {
    for (auto told = told_.begin(); told != told_.end(); ++told)
      if (auto* message = std::get_if<T>(&told->message); message != nullptr && fits(*message)) {
        Taken<T> out{std::move(*message), std::move(told->fds)};
        told_.erase(told);
        return out;
      }
    return std::nullopt;
  }
  void forget() { told_.clear(); }
  template <class Done> bool run_until(Done done);

  const std::string& directory() const { return directory_; }
  std::string run_directory() const { return directory_ + "/run"; }
  std::vector<std::string> files_in_run() const;
  std::vector<std::string> cgroups() const;  // of this instance, in any hierarchy
  bool is_running() const { return node_ && !node_.has_ended(); }

 private:
  struct Told {
    sandbox::FromNode message;
    std::vector<Fd> fds;
  };
  template <class T> Told* find(uint64_t request);
  void accept_sawd();

  void spawn_node(Fd output, Fd ready);

  As as_;
  sandbox::Strictness strictness_ = sandbox::Strictness::best_effort;
  os::Loop loop_;
  std::string directory_;
  Fd listener_, ready_;  // ready_: where saw-node announces itself
  Fd log_;
  os::Loop::Watch accepting_;
  os::Child node_;
  std::unique_ptr<os::Link> link_;
  Fd api_listener_;
  std::vector<Told> told_;
};

template <class Done> bool NodeUnderTest::run_until(Done done) {
  constexpr int kRounds = 2'000, kRoundMs = 10;
  for (int i = 0; i < kRounds; ++i) {
    if (done()) return true;
    pollfd ready{.fd = loop_.fd(), .events = POLLIN};
    ::poll(&ready, 1, kRoundMs);
    loop_.run_ready();
  }
  return false;
}

template <class T> NodeUnderTest::Told* NodeUnderTest::find(uint64_t request) {
  for (Told& told : told_)
    if (auto* message = std::get_if<T>(&told.message)) {
      if constexpr (requires { message->request; }) {
        if (request != 0 && message->request != request) continue;
      }
      return &told;
    }
  return nullptr;
}

template <class T> T* NodeUnderTest::await(uint64_t request) {
  if (!run_until([&] { return find<T>(request) != nullptr; })) return nullptr;
  return &std::get<T>(find<T>(request)->message);
}

template <class T> std::vector<Fd> NodeUnderTest::take_fds(uint64_t request) {
  return std::move(find<T>(request)->fds);
}

}  // namespace saw::testing_support
