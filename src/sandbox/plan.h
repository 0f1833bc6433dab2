// What a sandbox is: a pure value, made from a compiled policy, printed by golden tests, executed by
// saw-node.
//
// A workspace, a session and a call are the same object at three depths. Only the layers of the writable tree
// and the lifetime differ:
//
//   depth      lower layers                     writable layer                       ends by
//   workspace  –                                the workspace's directory            decommission
//   session    workspace                        the session's directory              discard
//   call       [session,] workspace             tmpfs                                the end of the command
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "policy/policy.h"

namespace saw::sandbox {

enum class Depth : uint8_t { workspace, session, call };
constexpr Depth kEnumLast(Depth) {
  return Depth::call;
}
enum class Network : uint8_t { captured, none };
constexpr Network kEnumLast(Network) {
  return Network::none;
}
enum class Strictness : uint8_t {
  best_effort,
  strict
};  // strict: a missing kernel feature aborts the start (R86)
constexpr Strictness kEnumLast(Strictness) {
  return Strictness::strict;
}
enum class Access : uint8_t { read, write };
constexpr Access kEnumLast(Access) {
  return Access::write;
}

// Where every sandbox finds the CA bundle that includes its workspace's CA, whatever the image looks like.
constexpr std::string_view kCaBundlePath = "/etc/saw/ca-bundle.pem";

// A file that SAW makes inside the sandbox (read-only there): /etc/hosts, /etc/resolv.conf, the CA bundle.
// The launcher adds /etc/passwd and /etc/group, because only it knows the uid. In a directory that comes from
// the image, what lies there under that name is covered.
struct GeneratedFile {
  std::string path, content;
  template <class A> void members(A& a) { a(path, content); }
};

// A host directory shown inside (saw workspace create --mount).
struct HostMount {
  std::string source, target;
  Access access = Access::read;
  template <class A> void members(A& a) { a(source, target, access); }
};

struct LimitSet {  // 0: no limit
  uint64_t memory_bytes = 0, pids = 0, open_files = 0, file_size_bytes = 0, cpu_millis_per_second = 0,
           scratch_bytes = 0;
  template <class A> void members(A& a) {
    a(memory_bytes, pids, open_files, file_size_bytes, cpu_millis_per_second, scratch_bytes);
  }
};

struct SandboxPlan {
  std::string id;  // unique, name-safe: random_id("sb-")
  Depth depth = Depth::call;
  std::string workspace,
      session;             // storage ids; session empty for a workspace and for a call outside any session
  std::string image_root;  // "/" for the host's own files, or a directory that holds an image
  std::vector<std::string> read_paths;  // of the image: read and execute, with everything below
  std::vector<std::string>
      write_paths;  // the persistent or layered tree; "/tmp" and "/dev/shm" are always fresh tmpfs
  std::vector<std::string> deny_paths;  // hidden even where a parent is listed
  std::vector<GeneratedFile> files;
  std::vector<HostMount> mounts;
  LimitSet limits;
  std::string hostname;
  Network network = Network::captured;
  Strictness strictness = Strictness::strict;
  template <class A> void members(A& a) {
    a(id, depth, workspace, session, image_root, read_paths, write_paths, deny_paths, files, mounts, limits,
      hostname, network, strictness);
  }
};

// What the policy does not say.
struct PlanRequest {
  std::string id;
  Depth depth = Depth::call;
  std::string workspace, session, image_root = "/", hostname;
  std::string ca_pem;            // the workspace's CA certificate, added to the image's own CA bundle
  std::string system_ca_bundle;  // PEM text of that bundle
  std::vector<HostMount> mounts;
};

// Fails ("plan.…") where a rule of the policy cannot be projected (R71).
Result<SandboxPlan> make_plan(const policy::Policy& policy, const PlanRequest& request);

// The plan as stable text, for golden tests and `saw workspace show`.
std::string describe(const SandboxPlan& plan);

// "sha256:<hex>" over everything but the id: two sandboxes with one digest are confined alike.
std::string plan_digest(const SandboxPlan& plan);

// The environment of every command: HOME, USER, PATH, LANG, the CA variables that curl, git, python, node and
// cargo read.
std::vector<std::string> base_environment();

}  // namespace saw::sandbox
