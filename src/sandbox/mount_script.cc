#include "sandbox/mount_script.h"

#include <algorithm>
#include <map>
#include <set>

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/path.h"
#include "os/landlock.h"

namespace saw::sandbox {
namespace {

constexpr int kMaxLinks = 16;
constexpr uint64_t kStagingBytes = 16u << 20;  // copies of generated files, and mount points
constexpr const char* kDevices[] = {"null", "zero", "full", "random", "urandom", "tty"};
// What the kernel shows of itself and no sandboxed program needs. The agent's uid could not use most of it
// anyway.
constexpr const char* kHiddenProc[] = {
    "/proc/acpi",          "/proc/asound",     "/proc/kcore",       "/proc/keys",        "/proc/key-users",
    "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi",
    "/proc/kallsyms",      "/proc/kmsg",       "/proc/config.gz",   "/proc/vmallocinfo"};
constexpr const char* kReadOnlyProc[] = {"/proc/bus",           "/proc/fs",    "/proc/irq", "/proc/sys",
                                         "/proc/sysrq-trigger", "/proc/driver"};
// Links at the top of a usr-merged image that programs rely on ("#!/bin/sh", the dynamic loader).
constexpr const char* kTopLinks[] = {"/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"};

std::string parent_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == 0 || slash == path.npos ? "/" : path.substr(0, slash);
}

// `target` of a link at `link_path`, as an absolute canonical path.
std::string resolve_link(const std::string& link_path, const std::string& target) {
  std::string joined = target.starts_with('/') ? target : parent_of(link_path) + "/" + target;
  std::vector<std::string> parts;
  for (size_t at = 0; at < joined.size();) {
    size_t end = joined.find('/', at);
    if (end == joined.npos) end = joined.size();
    std::string part = joined.substr(at, end - at);
    at = end + 1;
    if (part == "..") {
      if (!parts.empty()) parts.pop_back();
    } else if (!part.empty() && part != ".") {
      parts.push_back(std::move(part));
    }
  }
  std::string out;
  for (const std::string& part : parts) out += "/" + part;
  return out.empty() ? "/" : out;
}

class ScriptBuilder {
 public:
  ScriptBuilder(const SandboxPlan& plan, const Layers& layers, const ScriptHost& host, const Image& image)
      : plan_(plan), layers_(layers), host_(host), image_(image) {}

  Result<MountScript> build() {
    collect_files();
    for (const std::string& path : plan_.read_paths) SAW_TRY(show_image_path(path, 0));
    drop_covered();
    for (const char* path : kTopLinks) show_top_link(path);
    add_staging();
    SAW_TRY(add_writable_tree());
    add_own_areas();
    for (const HostMount& mount : plan_.mounts)
      place(mount.target, {.kind = StepKind::bind_host,
                           .target = mount.target,
                           .source = mount.source,
                           .access = mount.access});
    add_files();
    for (auto& [path, step] : placed_) deal(std::move(step));
    add_masks();
    out_.shared.push_back({.kind = StepKind::seal, .target = "/dev"});  // rootless, the agent owns it
    out_.own.push_back({.kind = StepKind::detach, .target = std::string(kStaging)});
    return std::move(out_);
  }

 private:
  // A sorted map puts a directory in front of what is mounted below it. The first claim to a path wins,
  // except that a mount or a writable path takes the place of an image path.
  void place(const std::string& path, Step step) { placed_.insert_or_assign(path, std::move(step)); }

  // Below what every sandbox mounts for itself, only the sandbox can mount.
  bool is_own(const std::string& path) const {
    constexpr std::string_view kOwnAreas[] = {"/tmp", "/proc", "/dev/pts", "/dev/shm"};
    return in_own_tree(path) || is_within_any(path, kOwnAreas);
  }

  // Puts a step on the list where it can be carried out. What comes from outside the sandbox is fetched once,
  // into the staging place, while the outside can still be seen.
  void deal(Step step) {
    if (!is_own(step.target)) return out_.shared.push_back(std::move(step));
    if (step.kind == StepKind::bind_image || step.kind == StepKind::bind_host) {
      Step fetch = step;
      fetch.target = staged(fmt::format("fetched-{}", fetched_++));
      step = {.kind = StepKind::bind_own,
              .target = step.target,
              .source = fetch.target,
              .access = step.access,
              .presence = step.presence};
      out_.shared.push_back(std::move(fetch));
    } else if (std::string_view path = step.target; path == "/tmp" || path == "/dev/shm" || path == "/proc" ||
                                                    path == "/dev/pts" || is_write_path(step.target)) {
      // The mount point, while the root and /dev can still be written.
      if (!below_own(step.target))
        out_.shared.push_back({.kind = StepKind::directory, .target = step.target});
    }
    out_.own.push_back(std::move(step));
  }
  bool is_write_path(const std::string& path) const {
    return std::ranges::find(plan_.write_paths, path) != plan_.write_paths.end();
  }
  bool below_own(const std::string& path) const {
    const std::string above = parent_of(path);
    return above != "/" && is_own(above);
  }

  // A link is shown as that link, and what it leads to as well; a directory or file is bound. What the image
  // does not have is not shown.
  Result<> show_image_path(const std::string& path, int depth) {
    if (depth > kMaxLinks)
      return Error::make("sandbox.image", "'{}' of the image has too many symbolic links", path);
    for (size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
      const std::string prefix = path.substr(0, slash);
      const ImageEntry entry = image_.look(prefix);
      if (entry.kind == ImageEntry::Kind::absent) return {};
      if (entry.kind == ImageEntry::Kind::symlink) {
        const std::string rest = slash == path.npos ? "" : path.substr(slash);
        const std::string resolved = resolve_link(prefix, entry.link);
        if (resolved == "/")
          return Error::make("sandbox.image", "'{}' of the image is a link to its root", prefix);
        if (!is_shown(prefix))
          place(prefix, {.kind = StepKind::symlink, .target = prefix, .text = entry.link});
        return show_image_path(resolved + rest, depth + 1);
      }
      if (slash == path.npos) break;
    }
    if (!is_shown(path)) show_real(path);
    return {};
  }

  bool is_shown(const std::string& path) const {
    for (std::string p = path; p != "/"; p = parent_of(p)) {
      auto found = placed_.find(p);
      if (found != placed_.end() && found->second.kind == StepKind::bind_image) return true;
    }
    return false;
  }

  // A link's target may have been bound before the directory above it.
  void drop_covered() {
    std::erase_if(placed_,
                  [&](const auto& entry) { return entry.first != "/" && is_shown(parent_of(entry.first)); });
  }

  // One bind; or, where a file of ours has to lie in that directory and nothing is there to cover, the
  // directory's entries one by one.
  void show_real(const std::string& path) {
    const bool must_open = std::ranges::any_of(files_, [&](const GeneratedFile& file) {
      return file.path != path && is_within(file.path, path) &&
             image_.look(file.path).kind != ImageEntry::Kind::file;
    });
    if (!must_open) return place(path, {.kind = StepKind::bind_image, .target = path, .source = path});
    place(path, {.kind = StepKind::directory, .target = path});
    for (const std::string& name : image_.list(path)) {
      const std::string child = fmt::format("{}/{}", path, name);
      const ImageEntry entry = image_.look(child);
      const bool ours =
          std::ranges::any_of(files_, [&](const GeneratedFile& file) { return file.path == child; });
      if (ours) continue;
      if (entry.kind == ImageEntry::Kind::symlink)
        place(child, {.kind = StepKind::symlink, .target = child, .text = entry.link});
      else if (entry.kind != ImageEntry::Kind::absent)
        show_real(child);
    }
  }

  void show_top_link(const std::string& path) {
    const ImageEntry entry = image_.look(path);
    if (entry.kind != ImageEntry::Kind::symlink || placed_.contains(path)) return;
    if (is_shown(resolve_link(path, entry.link)))
      place(path, {.kind = StepKind::symlink, .target = path, .text = entry.link});
  }

  static std::string staged(std::string_view name) { return fmt::format("{}/{}", kStaging, name); }

  void add_staging() {
    out_.shared.push_back({.kind = StepKind::tmpfs,
                           .target = std::string(kStaging),
                           .mode = 0700,
                           .access = Access::write,
                           .size = kStagingBytes});
    out_.shared.push_back({.kind = StepKind::directory, .target = staged("no-directory"), .mode = 0});
    out_.shared.push_back({.kind = StepKind::file, .target = staged("no-file"), .mode = 0});
    for (const char* name : {"no-directory", "no-file"})
      out_.shared.push_back({.kind = StepKind::mask, .target = staged(name)});
    for (const char* name : {"scratch", "storage", "tree"})
      out_.shared.push_back({.kind = StepKind::directory, .target = staged(name)});
    for (uint32_t mount = 0; mount < kMaxStorageMounts; ++mount)  // as many for each: one mould serves all
      out_.shared.push_back({.kind = StepKind::directory, .target = storage_place(mount)});
    // In a user namespace the kernel allows a new /proc only where one is in sight (mnt_already_visible()).
    if (host_.rootless)
      out_.shared.push_back(
          {.kind = StepKind::bind_host, .target = staged("proc-of-host"), .source = "/proc"});
    // One file system, and so one limit, for everything that the agent writes and that does not stay.
    out_.own.push_back({.kind = StepKind::tmpfs,
                        .target = staged("scratch"),
                        .mode = 0700,
                        .access = Access::write,
                        .size = plan_.limits.scratch_bytes ? plan_.limits.scratch_bytes : kDefaultScratch});
    for (const char* name : {"scratch/tmp", "scratch/shm"})
      out_.own.push_back({.kind = StepKind::directory, .target = staged(name), .mode = 01777});
    for (uint32_t mount = 0; const StorageMount& each : storage_mounts(layers_)) {
      const std::string place = storage_place(mount);
      out_.own.push_back(
          {.kind = StepKind::storage, .target = place, .access = each.access, .mount = mount++});
    }
  }

  static std::string storage_place(uint32_t mount) { return staged(fmt::format("storage/{}", mount)); }

  // A path of the upper layer, where the sandbox finds it while the script runs.
  Result<std::string> in_storage(const std::string& path) const {
    if (!is_within(path, layers_.root))
      return Error::make("sandbox.layers", "the layer '{}' is not in the storage '{}'", path, layers_.root);
    return storage_place(0) + path.substr(layers_.root.size());
  }

  // Where the writable tree is assembled, and from there onto each write path. Of a path below another one
  // the outer bind is enough.
  Result<> add_writable_tree() {
    const std::string tree = staged("tree");
    if (storage_mounts(layers_).size() > kMaxStorageMounts)
      return Error::make("sandbox.layers", "{} layers are too many for one sandbox", layers_.lower.size());
    if (layers_.lower.empty()) {
      if (layers_.upper.empty())
        return Error::make("sandbox.layers", "a sandbox with neither lower nor upper directory");
      out_.own.push_back({.kind = StepKind::bind_own,
                          .target = tree,
                          .source = SAW_TRY(in_storage(layers_.upper)),
                          .access = Access::write});
    } else {
      out_.own.push_back(SAW_TRY(overlay_at(tree)));
    }
    std::string outer;
    for (const std::string& path : sorted(plan_.write_paths)) {
      out_.own.push_back({.kind = StepKind::directory, .target = tree + path, .owner = MadeFor::agent});
      if (!outer.empty() && is_within(path, outer)) continue;
      outer = path;
      place(path,
            {.kind = StepKind::bind_own, .target = path, .source = tree + path, .access = Access::write});
    }
    return {};
  }

  Result<Step> overlay_at(const std::string& tree) {
    Step overlay{.kind = StepKind::overlay, .target = tree, .access = Access::write};
    uint32_t mount = layers_.upper.empty() ? 0 : 1;
    for (size_t i = 0; i < layers_.lower.size(); ++i)
      overlay.lower += (overlay.lower.empty() ? "" : ":") + storage_place(mount++);
    if (!layers_.upper.empty()) {
      overlay.upper = SAW_TRY(in_storage(layers_.upper));
      overlay.work = SAW_TRY(in_storage(layers_.work));
      return overlay;
    }
    overlay.upper = staged("scratch/upper");
    overlay.work = staged("scratch/work");
    out_.own.push_back({.kind = StepKind::directory, .target = overlay.upper, .owner = MadeFor::agent});
    out_.own.push_back({.kind = StepKind::directory, .target = overlay.work});
    return overlay;
  }

  static std::vector<std::string> sorted(std::vector<std::string> paths) {
    std::ranges::sort(paths);
    return paths;
  }

  void add_own_areas() {
    place("/tmp", {.kind = StepKind::bind_own,
                   .target = "/tmp",
                   .source = staged("scratch/tmp"),
                   .access = Access::write});
    place("/run", {.kind = StepKind::directory, .target = "/run"});
    place("/root", {.kind = StepKind::directory, .target = "/root", .mode = 0700});
    place("/var/tmp", {.kind = StepKind::symlink, .target = "/var/tmp", .text = "../tmp"});
    if (is_shown("/var")) placed_.erase("/var/tmp");
    place("/proc", {.kind = StepKind::proc, .target = "/proc"});
    place("/dev",
          {.kind = StepKind::tmpfs, .target = "/dev", .access = Access::write, .size = kDevicesBytes});
    for (const char* device : kDevices) {
      const std::string path = fmt::format("/dev/{}", device);
      place(path, {.kind = StepKind::bind_device, .target = path, .source = path, .access = Access::write});
    }
    place("/dev/pts", {.kind = StepKind::terminals, .target = "/dev/pts", .access = Access::write});
    place("/dev/shm", {.kind = StepKind::bind_own,
                       .target = "/dev/shm",
                       .source = staged("scratch/shm"),
                       .access = Access::write});
    for (auto [link, target] : {std::pair{"/dev/ptmx", "pts/ptmx"},
                                {"/dev/fd", "/proc/self/fd"},
                                {"/dev/stdin", "/proc/self/fd/0"},
                                {"/dev/stdout", "/proc/self/fd/1"},
                                {"/dev/stderr", "/proc/self/fd/2"}})
      place(link, {.kind = StepKind::symlink, .target = link, .text = target});
  }

  void collect_files() {
    files_ = plan_.files;
    auto add = [&](std::string path, std::string content) {
      const bool given =
          std::ranges::any_of(files_, [&](const GeneratedFile& file) { return file.path == path; });
      if (!given) files_.push_back({std::move(path), std::move(content)});
    };
    add("/etc/passwd",
        fmt::format("root:x:0:0:root:/root:/usr/sbin/nologin\nagent:x:{}:{}:agent:/home/agent:/bin/sh\n"
                    "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
                    host_.uid, host_.gid));
    add("/etc/group", fmt::format("root:x:0:\nagent:x:{}:\ntty:x:5:\nnogroup:x:65534:\n", host_.gid));
  }

  // Covered where the image's directory is bound; made where the directory is ours.
  void add_files() {
    size_t number = 0;
    for (const GeneratedFile& file : files_) {
      if (is_shown(parent_of(file.path))) {
        const std::string copy = staged(fmt::format("file-{}", number++));
        out_.shared.push_back({.kind = StepKind::file, .target = copy, .text = file.content, .mode = 0444});
        place(file.path, {.kind = StepKind::bind_own, .target = file.path, .source = copy});
      } else {
        place(file.path, {.kind = StepKind::file, .target = file.path, .text = file.content, .mode = 0444});
      }
    }
  }

  void add_masks() {
    for (const char* path : kReadOnlyProc)
      out_.own.push_back(
          {.kind = StepKind::bind_own, .target = path, .source = path, .presence = Presence::optional});
    for (const char* path : kHiddenProc) out_.own.push_back({.kind = StepKind::hide, .target = path});
    pin_ways_to_denied();
    for (const std::string& path : sorted(plan_.deny_paths)) {
      Step mask{.kind = in_own_tree(path) ? StepKind::hide_or_create : StepKind::hide, .target = path};
      (is_own(path) ? out_.own : out_.shared).push_back(std::move(mask));
    }
  }

  bool in_own_tree(const std::string& path) const { return is_within_any(path, plan_.write_paths); }
  bool is_writable(const std::string& path) const {
    return in_own_tree(path) || std::ranges::any_of(plan_.mounts, [&](const HostMount& mount) {
             return mount.access == Access::write && is_within(path, mount.target);
           });
  }

  // A mask covers a path, and only in this sandbox. If the agent renamed a directory on the way to it, the
  // next sandbox would put its mask at the old name and show what it hides under the new one. Mount points
  // cannot be renamed: each such directory becomes one, mounted on itself.
  void pin_ways_to_denied() {
    std::set<std::string> ways;
    for (const std::string& path : plan_.deny_paths)
      for (std::string way = parent_of(path); is_writable(way); way = parent_of(way))
        if (!placed_.contains(way)) ways.insert(way);  // else it is a mount point already
    for (const std::string& way : ways) {
      const bool own = in_own_tree(way);
      std::vector<Step>& list = is_own(way) ? out_.own : out_.shared;
      if (own) list.push_back({.kind = StepKind::directory, .target = way, .owner = MadeFor::agent});
      list.push_back({.kind = StepKind::bind_own,
                      .target = way,
                      .source = way,
                      .access = Access::write,
                      .presence = own ? Presence::required : Presence::optional});
    }
  }

  const SandboxPlan& plan_;
  const Layers& layers_;
  const ScriptHost& host_;
  const Image& image_;
  std::vector<GeneratedFile> files_;
  std::map<std::string, Step> placed_;
  MountScript out_;
  size_t fetched_ = 0;
};

std::string_view name(StepKind kind) {
  constexpr std::string_view kNames[] = {
      "directory", "file",        "symlink",        "bind-image", "bind-host", "bind-own",
      "storage",   "bind-device", "tmpfs",          "overlay",    "proc",      "terminals",
      "mask",      "hide",        "hide-or-create", "seal",       "detach"};
  return kNames[static_cast<int>(kind)];
}

}  // namespace

std::vector<StorageMount> storage_mounts(const Layers& layers) {
  std::vector<StorageMount> out;
  if (!layers.upper.empty())
    out.push_back({.directory = layers.root, .files_of = layers.uid, .access = Access::write});
  for (size_t i = 0; i < layers.lower.size(); ++i)
    out.push_back({.directory = layers.lower[i],
                   .files_of = i < layers.lower_uid.size() ? layers.lower_uid[i] : layers.uid});
  return out;
}

Result<MountScript> make_mount_script(const SandboxPlan& plan, const Layers& layers, const ScriptHost& host,
                                      const Image& image) {
  return ScriptBuilder(plan, layers, host, image).build();
}

std::string describe(const Step& step) {
  std::string out = fmt::format("{} {}", name(step.kind), step.target);
  if (!step.source.empty()) out += fmt::format(" from {}", step.source);
  if (step.kind == StepKind::symlink) out += fmt::format(" to {}", step.text);
  if (step.kind == StepKind::file) out += fmt::format(" {} bytes", step.text.size());
  if (step.kind == StepKind::tmpfs) out += fmt::format(" size {}", step.size);
  if (step.kind == StepKind::overlay)
    out += fmt::format(" lower {} upper {} work {}", step.lower, step.upper, step.work);
  if (step.access == Access::write) out += " rw";
  if (step.mode != 0755) out += fmt::format(" mode {:o}", step.mode);
  if (step.owner == MadeFor::agent) out += " for agent";
  return out;
}

Image image_at(const std::string& root) {
  const std::string prefix = root == "/" ? "" : root;
  return {.look = [prefix](const std::string& path) -> ImageEntry {
            struct stat info{};
            if (::lstat((prefix + path).c_str(), &info) != 0) return {};
            if (S_ISDIR(info.st_mode)) return {ImageEntry::Kind::directory, ""};
            if (!S_ISLNK(info.st_mode)) return {ImageEntry::Kind::file, ""};
            std::string link(4096, '\0');
            const ssize_t n = ::readlink((prefix + path).c_str(), link.data(), link.size());
            if (n <= 0) return {};
            link.resize(static_cast<size_t>(n));
            return {ImageEntry::Kind::symlink, std::move(link)};
          },
          .list =
              [prefix](const std::string& directory) {
                std::vector<std::string> out;
                DIR* open = ::opendir((prefix + directory).c_str());
                if (!open) return out;
                while (const dirent* entry = ::readdir(open))
                  if (std::string_view name = entry->d_name; name != "." && name != "..")
                    out.emplace_back(name);
                ::closedir(open);
                std::ranges::sort(out);
                return out;
              }};
}

std::vector<PathRights> landlock_rights(const SandboxPlan& plan) {
  using namespace os;
  constexpr uint64_t kUse = kLandlockRead | kLandlockExecute, kChange = kUse | kLandlockWrite;
  // The root itself holds nothing but mount points and generated files: listing it tells what the plan shows.
  std::vector<PathRights> out = {
      {"/", kLandlockReadDirectory},
      {"/etc", kLandlockRead},
      {"/proc", kLandlockRead | kLandlockWriteFile},
      {"/dev", kLandlockRead | kLandlockWriteFile | kLandlockTruncate | kLandlockIoctlDevice},
      {"/dev/shm", kChange},
      {"/tmp", kChange}};
  for (const std::string& path : plan.read_paths) out.push_back({path, kUse});
  for (const std::string& path : plan.write_paths) out.push_back({path, kChange});
  for (const HostMount& mount : plan.mounts)
    out.push_back({mount.target, mount.access == Access::write ? kChange : kUse});
  return out;
}

}  // namespace saw::sandbox
