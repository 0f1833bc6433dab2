#include "sandbox/launch_child.h"

#include <algorithm>
#include <cerrno>
#include <csignal>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/capability.h"
#include "os/landlock.h"
#include "os/mount.h"
#include "os/process.h"

namespace saw::sandbox {
namespace {

constexpr uint64_t kRootBytes = 32u << 20;  // generated files and mount points
constexpr uint64_t kBytesPerInode = 2048, kLeastInodes = 1024;
constexpr const char* kTerminals =
    "256";  // of each sandbox; the host has 4096 for everybody (kernel.pty.max)
constexpr std::string_view kScratch = "/sys/scratch/";
// When the host's memory is used up, sandboxes go before anything of SAW's; inside, whoever takes most.
constexpr const char* kOomScore = "500";
constexpr uint64_t kPlain = os::kNoSuid | os::kNoDevice;

struct Number {
  char text[24];
};
Number number(uint64_t value, unsigned base) {
  char digits[24];
  int n = 0;
  do digits[n++] = static_cast<char>('0' + value % base);
  while (value /= base);
  Number out{};
  for (int at = 0; n;) out.text[at++] = digits[--n];
  return out;
}

// Descriptors are not closed one by one: all but a few are closed at once in the end, and there are fewer than
// the smallest limit on open files allows before that.

// Errors travel as -errno in descriptors; this makes them errno again.
int error_of(int result) {
  return result < 0 ? -result : 0;
}

int new_tmpfs(uint64_t size, uint32_t mode, uint64_t flags) {
  // Empty files have no size and cost the kernel memory all the same.
  const Number bytes = number(size, 10), octal = number(mode, 8),
               inodes = number(std::max(size / kBytesPerInode, kLeastInodes), 10);
  const os::MountOption options[] = {
      {"size", bytes.text}, {"mode", octal.text}, {"nr_inodes", inodes.text}, {}};
  return os::new_filesystem("tmpfs", options, flags);
}

class Script {
 public:
  struct Places {
    int root = -1, image = -1, host = -1;  // where the sandbox's root grows; the image; the host's "/"
    std::span<const int> storage;          // detached mounts
  };
  Script(const MouldSpec& spec, const Places& at) : spec_(spec), at_(at), root_(at.root) {}

  // 0 or errno.
  int run(const Step& step) {
    switch (step.kind) {
      case StepKind::directory:
        return make_directory(step);
      case StepKind::file:
        return make_generated_file(step);
      case StepKind::symlink:
        return make_link(step);
      case StepKind::bind_image:
        return bind(step, os::open_path(at_.image, step.source.c_str(), os::Links::refuse), kPlain);
      case StepKind::bind_host:
        return bind(step, os::open_path(at_.host, step.source.c_str(), os::Links::refuse), kPlain);
      case StepKind::storage:
        return attach_storage(step);
      case StepKind::bind_own:
        if (is_kernels(step.target)) return bind_kernel_file(step);
        return bind(step, os::open_path(root_, step.source.c_str(), os::Links::refuse), kPlain);
      case StepKind::bind_device:
        return bind(step, ::open(step.source.c_str(), O_PATH | O_CLOEXEC), os::kNoSuid | os::kNoExecute);
      case StepKind::tmpfs:
        return mount_at(step, new_tmpfs(step.size, step.mode, kPlain));
      case StepKind::overlay:
        return mount_at(step, new_overlay(step));
      case StepKind::proc:
        return mount_at(step, new_proc());
      case StepKind::terminals:
        return mount_at(step, new_terminals());
      case StepKind::mask:
        return make_mask(step);
      case StepKind::hide:
      case StepKind::hide_or_create:
        return hide(step);
      case StepKind::seal:
        return seal(step);
      case StepKind::detach:
        return error_of(os::detach(root_, step.target.c_str()));
    }
    return EINVAL;
  }

 private:
  os::Owner owner(const Step& step) const {
    return step.owner == MadeFor::agent ? os::Owner{spec_.uid, spec_.gid} : os::Owner{0, 0};
  }

  int make_directory(const Step& step) {
    // In the scratch space nothing is there yet, and nobody else is.
    if (step.target.starts_with(kScratch))
      return error_of(os::make_directory(root_, step.target.c_str(), step.mode, owner(step)));
    const int there = os::open_path(root_, step.target.c_str(), os::Links::refuse);
    return error_of(there == -ENOENT ? os::make_path(root_, step.target.c_str(), step.mode, owner(step))
                                     : there);
  }

  // The place to mount on: in a fork of the mould it is there nearly always.
  int place(const Step& step, os::Owner made_for) {
    const int there = os::open_path(root_, step.target.c_str(), os::Links::refuse);
    return there == -ENOENT ? os::make_path(root_, step.target.c_str(), 0755, made_for) : there;
  }

  int make_parent(const Step& step) {
    char directory[4096];
    const size_t slash = step.target.rfind('/');
    if (slash >= sizeof directory) return ENAMETOOLONG;  // or none
    step.target.copy(directory, slash);
    directory[slash] = '\0';
    const int made = os::make_path(root_, directory, 0755, {});
    return error_of(made);
  }

  int make_generated_file(const Step& step) {
    if (int error = make_parent(step)) return error;
    return error_of(
        os::write_new_file(root_, step.target.c_str(), step.text.data(), step.text.size(), step.mode));
  }

  int make_link(const Step& step) {
    if (int error = make_parent(step)) return error;
    return error_of(os::make_symlink(root_, step.target.c_str(), step.text.c_str()));
  }

  // The mount point is of the source's kind.
  int bind(const Step& step, int source_fd, uint64_t flags) {
    if (source_fd == -1) source_fd = -errno;
    const int source = source_fd;
    if (step.presence == Presence::optional && (source == -ENOENT || source == -EACCES)) return 0;
    if (source < 0) return -source;
    const int tree = os::clone_tree(source);
    if (tree < 0) return -tree;
    if (step.access == Access::read) flags |= os::kReadOnly;
    if (int error = error_of(os::set_mount_flags(tree, flags, os::Reach::recursive))) return error;
    int target = os::open_path(root_, step.target.c_str(), os::Links::refuse);
    if (target == -ENOENT) target = mount_point(step, os::kind_of(source));
    return target < 0 ? -target : error_of(os::attach(tree, target));
  }

  int mount_point(const Step& step, os::PathKind kind) {
    if (kind == os::PathKind::directory) return os::make_path(root_, step.target.c_str(), 0755, owner(step));
    if (int error = make_parent(step)) return -error;
    return os::make_file(root_, step.target.c_str());
  }

  int mount_at(const Step& step, int raw) {
    const int mount = raw;
    if (mount < 0) return -mount;
    const int target = place(step, {});
    return target < 0 ? -target : error_of(os::attach(mount, target));
  }

  // Out of the way again at the end of the script; overlays and binds keep what they need of it.
  int attach_storage(const Step& step) {
    if (step.mount >= at_.storage.size()) return EINVAL;
    const int mount = at_.storage[step.mount];
    const uint64_t flags = step.access == Access::read ? kPlain | os::kReadOnly : kPlain;
    if (int error = error_of(os::set_mount_flags(mount, flags, os::Reach::recursive))) return error;
    const int target = os::open_path(root_, step.target.c_str(), os::Links::refuse);
    return target < 0 ? -target : error_of(os::attach(mount, target));
  }

  int new_overlay(const Step& step) {
    // Directories keep their names between layers, so that a layer can be listed by itself; nothing of the
    // agent's may redirect a lookup.
    const os::MountOption options[] = {{"lowerdir", step.lower.c_str()},
                                       {"upperdir", step.upper.c_str()},
                                       {"workdir", step.work.c_str()},
                                       {"redirect_dir", "nofollow"},
                                       {"index", "off"},
                                       {"metacopy", "off"},
                                       {spec_.rootless ? "userxattr" : nullptr, nullptr},
                                       {}};
    return os::new_filesystem("overlay", options, kPlain);
  }

  int new_proc() {
    const os::MountOption options[] = {{"hidepid", "ptraceable"}, {}};
    return os::new_filesystem("proc", options, kPlain | os::kNoExecute);
  }

  int new_terminals() {
    const os::MountOption options[] = {
        {"newinstance", nullptr}, {"ptmxmode", "0666"}, {"mode", "0600"}, {"max", kTerminals}, {}};
    return os::new_filesystem("devpts", options, os::kNoSuid | os::kNoExecute);
  }

  // Onto itself, so that it is a mount.
  int make_mask(const Step& step) {
    const int at = os::open_path(root_, step.target.c_str(), os::Links::refuse);
    if (at < 0) return -at;
    const int mount = os::clone_mount(at);
    if (mount < 0) return -mount;
    if (int error = error_of(
            os::set_mount_flags(mount, kPlain | os::kReadOnly | os::kNoExecute, os::Reach::this_mount)))
      return error;
    return error_of(os::attach(mount, at));
  }

  // Of /proc, which the kernel has just made: no link in it is the agent's, and a path says the same twice.
  static bool is_kernels(const std::string& path) { return path.starts_with("/proc/"); }

  int bind_kernel_file(const Step& step) {
    const int error = os::bind_path(step.target.c_str(), step.target.c_str());
    if (error == -ENOENT || error == -EACCES) return 0;
    if (error < 0) return -error;
    return error_of(os::set_path_flags(step.target.c_str(), kPlain | os::kReadOnly));
  }

  int hide_kernel_file(const Step& step) {
    // Looked at first: a bind that fails costs as much as unmounting, a grace period of the kernel.
    struct stat there{};
    if (::lstat(step.target.c_str(), &there) != 0) return errno == ENOENT ? 0 : errno;
    return error_of(
        os::bind_path(S_ISDIR(there.st_mode) ? "/sys/no-directory" : "/sys/no-file", step.target.c_str()));
  }

  int hide(const Step& step) {
    if (is_kernels(step.target)) return hide_kernel_file(step);
    int raw = os::open_path(root_, step.target.c_str(), os::Links::refuse);
    if (raw == -ENOENT || raw == -ENOTDIR) {
      if (step.kind == StepKind::hide) return 0;
      raw = os::make_path(root_, step.target.c_str(), 0755, {spec_.uid, spec_.gid});
    }
    const int target = raw;
    if (target < 0) return -target;
    // Mounts of these two, with all flags, were made with the staging place: copies have the same flags.
    const bool directory = os::kind_of(target) == os::PathKind::directory;
    const int source =
        os::open_path(root_, directory ? "/sys/no-directory" : "/sys/no-file", os::Links::refuse);
    if (source < 0) return -source;
    const int mask = os::clone_mount(source);
    return mask < 0 ? -mask : error_of(os::attach(mask, target));
  }

  int seal(const Step& step) {
    const int at = os::open_path(root_, step.target.c_str(), os::Links::refuse);
    return at < 0 ? -at : error_of(os::set_mount_flags(at, os::kReadOnly, os::Reach::this_mount));
  }

  const MouldSpec& spec_;
  Places at_;
  int root_;
};

// The root that all sandboxes of a mould start from.
class Mould {
 public:
  explicit Mould(const MouldSpec& spec) : spec_(spec) {}

  MouldFailure build() {
    constexpr uint32_t kBefore = ~0u;  // no step
    ::umask(0);                        // modes are meant as they are written
    if (int error = os::new_mount_namespace()) return {error, kBefore};
    if (int error = error_of(os::make_all_private())) return {error, kBefore};
    const int mount = new_tmpfs(kRootBytes, 0755, kPlain);
    if (mount < 0) return {-mount, kBefore};
    const int scratch = ::open(spec_.scratch.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (scratch < 0) return {errno, kBefore};
    if (int error = error_of(os::attach(mount, scratch))) return {error, kBefore};
    const int root = ::open(spec_.scratch.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC),
              image = ::open(spec_.image.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC),
              host = ::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0 || image < 0 || host < 0) return {errno, kBefore};
    Script script(spec_, {.root = root, .image = image, .host = host});
    for (uint32_t i = 0; i < spec_.shared.size(); ++i)
      if (int error = script.run(spec_.shared[i])) return {error, i};
    if (int error = error_of(os::enter_root(root))) return {error, kBefore};
    // The root's own mount only: what is mounted below has its own flags.
    if (int error = error_of(os::set_mount_flags(mount, os::kReadOnly, os::Reach::this_mount)))
      return {error, kBefore};
    if (int error = os::close_above(kInitControl)) return {error, kBefore};  // that one is the channel
    if (int error = os::reset_signals()) return {error, kBefore};
    return {limit_privileges(), kBefore};
  }

 private:
  // A user namespace, which comes later, would give all of it back.
  int limit_privileges() {
    if (spec_.rootless) return 0;
    if (int error = os::lock_securebits()) return error;
    if (int error = os::drop_bounding_set()) return error;
    return os::check_bounding_set_empty();  // once, for every fork
  }

  const MouldSpec& spec_;
};

class Child {
 public:
  Child(const MouldState& mould, const SandboxSpec& spec, std::span<const int> fds)
      : mould_(mould.spec), filter_(mould.filter), spec_(spec), fds_(fds), report_(fds[0]) {}

  void run() {
    check(Stage::die_with_parent, os::die_with_parent());
    join();
    mount_own();
    check(Stage::host_name, os::set_host_name(mould_.hostname.c_str()));
    check(Stage::session, os::new_session());
    check(Stage::streams, os::null_standard_streams());
    // While it is privileged: then nobody inside can take it back, and afterwards its /proc files are root's.
    check(Stage::limits, os::set_oom_score(kOomScore));
    drop_privileges();
    check(Stage::parent_again, os::die_with_parent());  // the change of uid made the kernel forget it
    confine_paths();
    arrange_descriptors();
    set_limits();
    check(Stage::filter, os::load_seccomp(filter_));
  }

 private:
  static constexpr size_t kNetwork = 1, kControl = 2, kGo = 3;
  size_t streams() const { return spec_.serve == Serve::once ? kStreamDescriptors : 0; }
  size_t scripts() const { return spec_.first == First::runtime ? 1 : 0; }

  void check(Stage stage, int error, uint32_t index = 0) {
    if (error == 0) return;
    const Report failure{.kind = ReportKind::failed, .stage = stage, .error = error, .index = index};
    [[maybe_unused]] ssize_t ignored = ::write(report_, &failure, sizeof failure);
    ::_exit(1);
  }

  void join() {
    const size_t first = kFixedDescriptors + spec_.mounts + streams() + scripts();
    for (size_t i = first; i < fds_.size(); ++i)
      check(Stage::join_cgroup, ::write(fds_[i], "0", 1) == 1 ? 0 : errno, static_cast<uint32_t>(i - first));
    check(Stage::join_cgroup, os::leave_cgroup_view());
    check(Stage::join_network, os::join_network_namespace(fds_[kNetwork]));
  }

  void mount_own() {
    const int root = ::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    check(Stage::mounts, root < 0 ? errno : 0);
    Script script(mould_, {.root = root, .storage = fds_.subspan(kFixedDescriptors, spec_.mounts)});
    for (uint32_t i = 0; i < spec_.own.size(); ++i) check(Stage::mounts, script.run(spec_.own[i]), i);
    ::umask(022);
  }

  void set_limits() {
    const LimitSet& l = spec_.limits;
    check(Stage::limits, os::set_limit(os::Limit::core, os::kNoCore));
    if (l.open_files) check(Stage::limits, os::set_limit(os::Limit::open_files, l.open_files));
    if (l.file_size_bytes) check(Stage::limits, os::set_limit(os::Limit::file_size, l.file_size_bytes));
  }

  void drop_privileges() {
    if (mould_.rootless) {
      check(Stage::user_namespace, os::enter_user_namespace_as(mould_.inside_uid));
      check(Stage::securebits, os::lock_securebits());
      check(Stage::bounding_set, os::drop_bounding_set());
    } else {
      check(Stage::securebits, os::check_securebits_locked());  // by the mould
      check(Stage::identity, os::become(mould_.uid, mould_.gid));
    }
    check(Stage::capabilities, os::drop_capabilities());
    if (spec_.process_limit) check(Stage::limits, os::set_limit(os::Limit::processes, spec_.process_limit));
    check(Stage::no_new_privileges, os::set_no_new_privileges());
    check(Stage::no_new_privileges, os::set_undumpable());
  }

  void confine_paths() {
    const os::LandlockRuleset rules{mould_.landlock_handled, mould_.landlock_scoped};
    if (rules.handled == 0) return;
    const int ruleset = os::landlock_create(rules);
    check(Stage::landlock, error_of(ruleset));
    const int top = ::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    check(Stage::landlock, top < 0 ? errno : 0);
    for (uint32_t i = 0; i < spec_.rights.size(); ++i) {
      const PathRights& allowed = spec_.rights[i];
      const int place = os::open_path(top, allowed.path.c_str(), os::Links::follow_inside);
      if (place == -ENOENT || place == -EACCES)
        continue;  // not shown, or hidden: then nothing is allowed there
      check(Stage::landlock, error_of(place), i);
      const uint64_t rights = allowed.rights & rules.handled;
      int error = os::landlock_allow(ruleset, place, rights);
      // Of a file the kernel takes only the rights that mean something on one.
      if (error == EINVAL && os::kind_of(place) != os::PathKind::directory)
        error = os::landlock_allow(ruleset, place, rights & os::kLandlockOnFile);
      check(Stage::landlock, error, i);
    }
    check(Stage::landlock, os::landlock_enforce(ruleset));
  }

  void arrange_descriptors() {
    int kept[os::kMaxKept] = {fds_[kControl], fds_[kGo], report_};
    int count = 3;
    for (size_t i = 0; i < streams() + scripts(); ++i)
      kept[count++] = fds_[kFixedDescriptors + spec_.mounts + i];
    check(Stage::descriptors, os::keep_only(kept, count));
    report_ = kInitReport;
  }

  const MouldSpec& mould_;
  const os::SeccompProgram& filter_;
  const SandboxSpec& spec_;
  std::span<const int> fds_;
  int report_;
};

}  // namespace

MouldFailure build_mould(const MouldSpec& spec) noexcept {
  return Mould(spec).build();
}

void confine(const MouldState& mould, const SandboxSpec& spec, std::span<const int> fds) noexcept {
  Child(mould, spec, fds).run();
}

void report_built(int report) noexcept {
  const Report built{.kind = ReportKind::built};
  [[maybe_unused]] ssize_t ignored = ::write(report, &built, sizeof built);
  ::close(report);
}

}  // namespace saw::sandbox
