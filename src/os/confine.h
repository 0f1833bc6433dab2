// A SAW program gives up what it does not need, for good: saw-egress, saw-perimeter and sawd call this once,
// at start, single-threaded.
//
//   SAW_TRY(os::confine_self({.sockets = os::SocketUse::inherited_only, .files = os::FileUse::none}));
//
// Done in this order: all capabilities dropped (bounding and ambient too), no_new_privs, not dumpable (no
// ptrace or core by others of the same uid), Landlock, seccomp. What stays impossible afterwards in every
// case: executing a program, tracing, mounting, entering or making namespaces, BPF, keys, io_uring, kernel
// modules, creating processes other than threads. Refused calls give EPERM. Limits: descriptors that are open
// stay open; Landlock needs kernel 5.13 (with Requirement::best_effort its absence is returned as text).
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace saw::os {

enum class SocketUse : uint8_t {
  inherited_only,  // no socket(), connect(), bind(), listen(); accept() on inherited listeners, socketpair()
                   // and received sockets work
  any,             // dials and listens (not raw, packet, netlink or vsock)
};
enum class FileUse : uint8_t {
  none,    // no path can be opened, made, removed or renamed
  listed,  // only below Confinement::read and ::write
  any,
};
enum class Requirement : uint8_t { required, best_effort };

struct Confinement {
  SocketUse sockets = SocketUse::inherited_only;
  FileUse files = FileUse::none;
  std::vector<std::string> read, write;  // write includes read, create and remove; absent paths are skipped
  Requirement landlock = Requirement::required;
};

// The names of what could not be had (only with best_effort); empty: everything holds.
Result<std::vector<std::string>> confine_self(const Confinement& confinement);

}  // namespace saw::os
