#include "os/confine.h"

#include <cstring>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "os/capability.h"

namespace saw::os {
namespace {

// Runs in a process of its own; the attempt's errno, or 0. Confinement cannot be undone.
template <class Attempt> int confined(const Confinement& confinement, Attempt attempt) {
  const pid_t child = ::fork();
  if (child == 0) {
    auto done = confine_self(confinement);
    if (!done) ::_exit(254);
    errno = 0;
    ::_exit(attempt() ? 0 : errno);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

bool socket_works() {
  return ::socket(AF_INET, SOCK_STREAM, 0) >= 0;
}

TEST(Confine, sockets_cannot_be_opened_and_inherited_ones_work) {
  const Confinement egress{.sockets = SocketUse::inherited_only, .files = FileUse::none};
  EXPECT_EQ(confined(egress, socket_works), EPERM);
  EXPECT_EQ(confined({.sockets = SocketUse::any}, socket_works), 0);  // the guard is missing here
  int pair[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
  EXPECT_EQ(
      confined(egress, [&] { return ::send(pair[0], "x", 1, 0) == 1 && ::recv(pair[1], &pair, 1, 0) == 1; }),
      0);
  EXPECT_EQ(confined(egress, [&] { return ::socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0; }), 0);
  EXPECT_EQ(confined(egress,
                     [&] {
                       sockaddr a{};
                       return ::connect(pair[0], &a, sizeof a) == 0;
                     }),
            EPERM);
  EXPECT_EQ(confined({.sockets = SocketUse::any}, [] { return ::socket(AF_INET, SOCK_RAW, 1) >= 0; }), EPERM);
}

TEST(Confine, files_are_reached_as_far_as_they_are_listed) {
  auto read_passwd = [] { return ::open("/etc/passwd", O_RDONLY) >= 0; };
  auto write_tmp = [] { return ::open("/tmp", O_TMPFILE | O_WRONLY, 0600) >= 0; };
  EXPECT_EQ(confined({.files = FileUse::none}, read_passwd), EACCES);
  EXPECT_EQ(confined({.files = FileUse::any}, read_passwd), 0);
  EXPECT_EQ(confined({.files = FileUse::listed, .read = {"/etc", "/nonexistent"}}, read_passwd), 0);
  EXPECT_EQ(confined({.files = FileUse::listed, .read = {"/etc/passwd"}}, read_passwd), 0);
  EXPECT_EQ(confined({.files = FileUse::listed, .read = {"/etc/ssl"}}, read_passwd), EACCES);
  EXPECT_EQ(confined({.files = FileUse::listed, .write = {"/tmp"}}, write_tmp), 0);
  EXPECT_EQ(confined({.files = FileUse::listed, .read = {"/tmp"}}, write_tmp), EACCES);
}

TEST(Confine, programs_processes_tracing_and_namespaces_are_gone) {
  const Confinement any{.sockets = SocketUse::any, .files = FileUse::any};
  EXPECT_EQ(confined(any,
                     [] {
                       char* none[] = {nullptr};
                       return ::execve("/bin/true", none, none) == 0;
                     }),
            EPERM);
  EXPECT_EQ(confined(any, [] { return ::fork() >= 0; }), EPERM);
  EXPECT_EQ(confined(any, [] { return ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) == 0; }), EPERM);
  EXPECT_EQ(confined(any, [] { return ::unshare(CLONE_NEWUSER) == 0; }), EPERM);
  EXPECT_EQ(confined(any, [] { return ::mount(nullptr, "/", nullptr, MS_PRIVATE, nullptr) == 0; }), EPERM);
  EXPECT_EQ(confined(any, [] { return capability_state() == CapabilityState::none; }), 0);
  EXPECT_EQ(confined(any, [] { return ::kill(::getpid(), 0) == 0; }), 0);
}

}  // namespace
}  // namespace saw::os
