// The file system of a sandbox as a list of steps: a pure function of the plan, decided before anything is
// done, printed by golden tests.
//
//   std::vector<Step> script = SAW_TRY(make_mount_script(plan, layers, host_view, image));
//   for (const Step& step : script) puts(describe(step).c_str());
//
// The steps run in the new mount namespace, in order, below the directory that becomes "/" (launch_child.cc).
// Parents come before what is mounted on them; masks come last, so that `deny` wins over everything.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "sandbox/launch.h"

namespace saw::sandbox {

enum class StepKind : uint8_t {
  directory,    // made if missing, with parents, for `owner`
  file,         // new, with `text`
  symlink,      // to `text`
  bind_image,   // `source` of the image, without links: they were resolved when the script was made
  bind_host,    // `source` of the host, without links: the agent may write where it lies
  bind_layer,   // `source` of SAW's own storage
  bind_own,     // `source` of the sandbox itself
  bind_device,  // `source` of the host, usable as a device
  tmpfs,        // of `size` bytes
  overlay,      // of `layers`, top first; writable in `upper` with `work`
  proc,
  terminals,       // devpts
  hide,            // what lies there is not to be seen; absent: nothing to do
  hide_or_create,  // the same, and nobody may make it either
  seal,            // the mount at `target` becomes read-only
  detach,          // the mount goes, with its mount point
};
enum class Owner : uint8_t { root, agent };
enum class Presence : uint8_t { required, optional };  // optional: a source that is not there is skipped

struct Step {
  StepKind kind = StepKind::directory;
  std::string target;
  std::string source, text;
  uint32_t mode = 0755;
  Owner owner = Owner::root;
  Access access = Access::read;
  Presence presence = Presence::required;
  uint64_t size = 0;
  std::string lower, upper, work;  // overlay: lower directories joined by ':' and escaped
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
  std::string scratch_directory;  // where the new root is while the script runs
  uint32_t uid = 0, gid = 0;      // of the agent inside: for /etc/passwd
};

Result<std::vector<Step>> make_mount_script(const SandboxPlan& plan, const Layers& layers,
                                            const ScriptHost& host, const Image& image);
std::string describe(const Step& step);

// What Landlock allows, path by path.
struct PathRights {
  std::string path;
  uint64_t rights = 0;  // os/landlock.h
};
std::vector<PathRights> landlock_rights(const SandboxPlan& plan);

constexpr std::string_view kHiddenDirectory = "/.saw";  // inside, while the script runs
constexpr uint64_t kDefaultScratch = uint64_t{1} << 30;
constexpr uint64_t kDevicesBytes = 1u << 20;

}  // namespace saw::sandbox
