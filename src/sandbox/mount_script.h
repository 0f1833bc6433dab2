// The file system of a sandbox as two lists of steps: a pure function of the plan, decided before anything is
// done, printed by golden tests.
//
//   MountScript script = SAW_TRY(make_mount_script(plan, layers, host_view, image));
//   for (const Step& step : script.shared) puts(describe(step).c_str());
//
// `shared` is what all sandboxes of one mould have in common: it is carried out once, in the mould's mount
// namespace, which each sandbox starts from as a copy (the kernel copies a tree of mounts in one call).
// `own` is carried out in every sandbox: its layers, scratch space, /proc, terminals, and masks over those.
// The steps of each run in order, below the directory that becomes "/" (launch_child.cc). Parents come before
// what is mounted on them; masks come last, so that `deny` wins over everything.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "sandbox/plan.h"

namespace saw::sandbox {

// Where the plan's storage ids lie on this host. Directories exist and belong to `uid`.
struct Layers {
  std::string owner;                // names the workspace: its moulds are dropped by it
  std::string root;                 // holds `upper` and `work`, and nothing of another sandbox
  std::vector<std::string> lower;   // top first; empty for a workspace that was never forked
  std::vector<uint32_t> lower_uid;  // whose the files of each lower are; shorter: the agent's
  std::string upper;  // workspace: the directory itself if it has no lowers; else, and for a session, overlay
                      // upper; call: empty (tmpfs)
  std::string work;   // overlay work directory, if there are lowers and an upper
  uint32_t uid = 0,
           gid =
               0;  // who the agent is outside; inside always kAgentUid when rootless, the same number as root
};

enum class StepKind : uint8_t {
  directory,    // made if missing, with parents, for `owner`
  file,         // new, with `text`
  symlink,      // to `text`
  bind_image,   // `source` of the image, without links: they were resolved when the script was made
  bind_host,    // `source` of the host, without links: the agent may write where it lies
  bind_own,     // `source` of the sandbox itself
  storage,      // mount number `mount` of storage_mounts(), which comes as a descriptor
  bind_device,  // `source` of the host, usable as a device
  tmpfs,        // of `size` bytes
  overlay,      // of `layers`, top first; writable in `upper` with `work`
  proc,
  terminals,       // devpts
  mask,            // becomes a mount of itself with the flags of a mask: what `hide` covers things with
  hide,            // what lies there is not to be seen; absent: nothing to do
  hide_or_create,  // the same, and nobody may make it either
  seal,            // the mount at `target` becomes read-only
  detach,          // the mount goes
};
constexpr StepKind kEnumLast(StepKind) {
  return StepKind::detach;
}
enum class MadeFor : uint8_t { root, agent };
constexpr MadeFor kEnumLast(MadeFor) {
  return MadeFor::agent;
}
enum class Presence : uint8_t { required, optional };  // optional: a source that is not there is skipped
constexpr Presence kEnumLast(Presence) {
  return Presence::optional;
}

struct Step {
  StepKind kind = StepKind::directory;
  std::string target;
  std::string source, text;
  uint32_t mode = 0755;
  MadeFor owner = MadeFor::root;
  Access access = Access::read;
  Presence presence = Presence::required;
  uint64_t size = 0;
  uint32_t mount = 0;
  std::string lower, upper, work;  // overlay: lower directories joined by ':' and escaped
  template <class A> void members(A& a) {
    a(kind, target, source, text, mode, owner, access, presence, size, mount, lower, upper, work);
  }
};

// What a sandbox needs to have mounted of its storage, and nothing beside it: `root` if it writes there, then
// each lower layer.
struct StorageMount {
  std::string directory;
  uint32_t files_of = 0;  // another uid than the agent's: to be shown as the agent's
  Access access = Access::read;
};
constexpr uint32_t kMaxStorageMounts = 10;
std::vector<StorageMount> storage_mounts(const Layers& layers);

struct MountScript {
  std::vector<Step> shared, own;
};

// What lies at a path of the image, without following a last link.
struct ImageEntry {
  enum class Kind : uint8_t { absent, directory, file, symlink } kind = Kind::absent;
  std::string link;
};
using ImageLookup = std::function<ImageEntry(const std::string& path)>;
using ImageListing = std::function<std::vector<std::string>(const std::string& directory)>;
struct Image {
  ImageLookup look;
  ImageListing list;
};
// Of the directory `root` ("/": the host's own files).
Image image_at(const std::string& root);

struct ScriptHost {
  bool rootless = false;
  uint32_t uid = 0, gid = 0;  // of the agent inside: for /etc/passwd
};

Result<MountScript> make_mount_script(const SandboxPlan& plan, const Layers& layers, const ScriptHost& host,
                                      const Image& image);
std::string describe(const Step& step);

// What Landlock allows, path by path.
struct PathRights {
  std::string path;
  uint64_t rights = 0;  // os/landlock.h
  template <class A> void members(A& a) { a(path, rights); }
};
std::vector<PathRights> landlock_rights(const SandboxPlan& plan);

// Where parts wait while the script runs: a directory that every sandbox has, and finds empty.
constexpr std::string_view kStaging = "/sys";
constexpr uint64_t kDefaultScratch = uint64_t{1} << 30;
constexpr uint64_t kDevicesBytes = 1u << 20;

}  // namespace saw::sandbox
