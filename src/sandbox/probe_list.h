// What is tried inside (and looked at from outside) a sandbox before it may run anything, and what must come of it (R117).
//
//   for (size_t i = 0; i < probe_list().size(); ++i)
//     if (applies(probe_list()[i], subject)) …            // the same question on both sides
//   is_expected(probe_list()[i], outcome)                  // saw-node alone decides
//
// The list is one reviewed file: probe_list.cc. saw-init and saw-node are built from it, so an outcome names its probe by
// position. How a probe is tried: apps/saw-init/probe_*.cc; what is looked at from outside: sandbox/node_probes.cc.
//
// Limits. A proof says that these attempts failed as they must, in this sandbox, at this moment. It is no proof that nothing
// else succeeds. A probe never does harm even where its guard is missing: it creates and removes files of random names, and asks
// the kernel for what it would refuse for another reason next.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace saw::sandbox {

// What a probe must know of the plan, and of what lies outside.
struct ProbeSubject {
  static constexpr size_t kMaxPaths = 256;  // of each kind; a plan's first ones

  bool captured = false;      // Network::captured
  bool landlock = false;      // this kernel has it
  bool first = false;         // nothing of the agent's has run: its processes and sockets are not there yet
  uint32_t uid = 0, gid = 0;  // the agent's, as they are called inside
  uint64_t open_files = 0, file_size_bytes = 0;  // limits of the plan; 0: none
  std::vector<std::string> write_paths, read_paths, deny_paths, generated_files;
  std::vector<std::string> outside_paths;  // exist on the host, must not inside: SAW's own directories
  std::string outside_socket;              // path of a socket that listens on the host
  std::string abstract_socket;             // name of an abstract socket that listens on the host
  template <class A> void members(A& a) {
    a(captured, landlock, first, uid, gid, open_files, file_size_bytes, write_paths, read_paths, deny_paths,
      generated_files, outside_paths, outside_socket, abstract_socket);
  }
};

// How an attempt went.
enum class Ending : uint8_t {
  done,     // it worked
  refused,  // number: errno
  killed,   // number: the signal that ended the process which tried
  hung,     // it was not over in time
  differs,  // what was read back is not what must be there
};
constexpr Ending kEnumLast(Ending) {
  return Ending::differs;
}

struct ProbeOutcome {
  static constexpr size_t kMaxDetail = 160;

  uint16_t probe = 0;  // position in probe_list()
  Ending ending = Ending::done;
  int32_t number = 0;
  std::string detail;  // which path, which value
  template <class A> void members(A& a) { a(probe, ending, number, detail); }
};

enum class Where : uint8_t { inside, outside };
enum class When : uint8_t {
  always,
  captured,        // the network is captured
  captured_first,  // … and nobody but saw-node listens yet
  no_network,
  landlock,
  denied,  // the plan hides paths
  first,   // nothing of the agent's has run yet
};

struct Probe {
  std::string_view id;  // "files.create"
  Where where;
  When when;
  std::string_view what;      // what is tried, in plain words
  std::string_view expected;  // outcomes that are as they must be, as text_of() writes them: "EROFS EACCES"
  std::string_view why;
};

std::span<const Probe> probe_list();

// Where the probes of the captured network go: addresses for documentation (RFC 5737, RFC 3849), and the metadata service's. If
// a connection to one of the former succeeds, then SAW's listener has it.
struct ProbeDestination {
  const char* address;
  uint16_t port;
  std::string_view probe = {};  // the one that connects there
};
constexpr ProbeDestination kProbeConnections[] = {{"192.0.2.1", 443, "network.tcp"},
                                                  {"2001:db8::1", 443, "network.tcp6"},
                                                  {"169.254.169.254", 80, "network.tcp_metadata"}};
constexpr ProbeDestination kProbeResolver = {"192.0.2.53", 53};
constexpr std::string_view kProbeQuestion = "saw-probe";

bool applies(const Probe& probe, const ProbeSubject& subject);
// "ok", "EPERM", "signal-11", "hung", "differs".
std::string text_of(const ProbeOutcome& outcome);
bool is_expected(const Probe& probe, const ProbeOutcome& outcome);

}  // namespace saw::sandbox
