#include "sandbox/launch.h"

#include <algorithm>
#include <csignal>
#include <cstring>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/crypto.h"
#include "os/channel.h"
#include "os/landlock.h"
#include "os/memory_file.h"
#include "os/mount.h"
#include "os/netns.h"
#include "os/process.h"
#include "os/sandbox_syscalls.h"
#include "os/spawn.h"
#include "os/unix_path.h"
#include "sandbox/moulds.h"
#include "sandbox/spares.h"

namespace saw::sandbox {
namespace {

constexpr size_t kInstanceBytes = 6;

std::string_view name(Stage stage) {
  constexpr std::string_view kNames[] = {"mounting what such sandboxes share",
                                         "creating its namespaces",
                                         "asking to die with its parent",
                                         "joining its control groups",
                                         "joining its network",
                                         "mounting",
                                         "setting the host name",
                                         "starting a session",
                                         "emptying its streams",
                                         "setting limits",
                                         "entering a user namespace",
                                         "locking securebits",
                                         "emptying the bounding set",
                                         "changing the user",
                                         "dropping capabilities",
                                         "setting no_new_privs",
                                         "asking again to die with its parent",
                                         "enforcing Landlock",
                                         "arranging descriptors",
                                         "loading the system call filter",
                                         "starting to serve"};
  return kNames[static_cast<int>(stage)];
}

Error explain(const Report& report, const Prepared& prepared) {
  std::string what = fmt::format("the new sandbox, {}", name(report.stage));
  if (report.stage == Stage::mounts && report.index < prepared.spec.own.size())
    what += " (" + describe(prepared.spec.own[report.index]) + ")";
  if (report.stage == Stage::mould_mounts)
    if (auto mould = wire::decode_struct<MouldSpec>(prepared.mould_message);
        mould && report.index < mould->shared.size())
      what += " (" + describe(mould->shared[report.index]) + ")";
  if (report.stage == Stage::landlock && report.index < prepared.spec.rights.size())
    what += " (" + prepared.spec.rights[report.index].path + ")";
  return Error::from_errno("sandbox.build", report.error, std::move(what));
}

// The sandbox's ends of what it talks through; ours go into `out`.
struct Ends {
  Fd control, go, script;
  std::vector<Fd> streams;
};

// A pipe made by root could not be reopened by the agent as /dev/stdout.
Result<> give_away(const Fd& fd, uint32_t uid) {
  if (::fchown(fd.get(), uid, uid) != 0) return Error::system("sandbox.pipe", "giving a pipe away");
  return {};
}

Result<Ends> connect_once(const LaunchSpec& spec, uint32_t uid, Launched& out) {
  Ends ends;
  auto [ours, theirs] = SAW_TRY(os::Channel::pair());
  out.control = std::move(ours).take();
  ends.control = std::move(theirs).take();
  if (spec.first != First::runtime) {
    auto [start, started] = SAW_TRY(os::Channel::pair());
    out.go_pipe = std::move(start).take();
    ends.go = std::move(started).take();
  } else {
    Pipe go = SAW_TRY(Pipe::create());
    out.go_pipe = std::move(go.write);
    ends.go = std::move(go.read);
    out.script = SAW_TRY(os::memory_file("saw-script"), "creating a runtime's script");
    // Its own descriptor, at its own position.
    ends.script = SAW_TRY(Fd::open(fmt::format("/proc/self/fd/{}", out.script.get()), O_RDONLY));
    SAW_TRY(give_away(ends.script, uid));
  }
  for (int stream = STDIN_FILENO; stream <= STDERR_FILENO; ++stream) {
    Pipe pipe = SAW_TRY(Pipe::create());
    const bool in = stream == STDIN_FILENO;
    ends.streams.push_back(std::move(in ? pipe.read : pipe.write));
    out.streams.push_back(std::move(in ? pipe.write : pipe.read));
    SAW_TRY(give_away(ends.streams.back(), uid));
  }
  return ends;
}

Result<Ends> listen_for_many(const std::string& path, Launched& out) {
  Ends ends;
  out.control_socket = path;
  ends.control =
      SAW_TRY(os::listen_unix(path, os::SocketKind::seqpacket, 0600), "creating the control socket");
  Pipe go = SAW_TRY(Pipe::create());
  out.go_pipe = std::move(go.write);
  ends.go = std::move(go.read);
  return ends;
}

struct Told {
  enum class State : uint8_t { report, nothing_yet, end } state = State::end;
  Report report;
  int32_t sender = 0;  // as the kernel says
};
Told receive_report(const Fd& socket) {
  Told out;
  iovec place{&out.report, sizeof out.report};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(ucred))];
  msghdr message{};
  message.msg_iov = &place, message.msg_iovlen = 1;
  message.msg_control = control, message.msg_controllen = sizeof control;
  ssize_t n;
  do n = ::recvmsg(socket.get(), &message, MSG_DONTWAIT);
  while (n < 0 && errno == EINTR);
  if (n < 0 && errno == EAGAIN) return {.state = Told::State::nothing_yet};
  if (n != sizeof out.report || out.report.kind > kEnumLast(ReportKind{}) ||
      out.report.stage > kEnumLast(Stage{}))
    return {};
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part; part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_CREDENTIALS) continue;
    ucred sender{};
    std::memcpy(&sender, CMSG_DATA(part), sizeof sender);
    out.sender = sender.pid;
  }
  out.state = Told::State::report;
  return out;
}

std::string bytes_of(const os::SeccompProgram& filter) {
  return {reinterpret_cast<const char*>(filter.data()), filter.size() * sizeof(os::BpfInstruction)};
}

}  // namespace

Result<> Launched::go() {
  SAW_TRY(write_all(go_pipe, "g"), "releasing the sandbox");
  go_pipe.reset();
  return {};
}

Launcher::Launcher(Host host, std::unique_ptr<os::CgroupTree> cgroups)
    : host_(std::move(host)),
      cgroups_(std::move(cgroups)),
      filter_(os::compile_seccomp(os::sandbox_syscalls(), os::Verdict::unknown)),
      landlock_abi_(os::landlock_abi()),
      moulds_(std::make_unique<Moulds>(host_.init_path)),
      spares_(std::make_unique<Spares>(*cgroups_)),
      maps_(std::make_unique<os::IdMaps>()) {}
Launcher::Launcher(Launcher&&) noexcept = default;
Launcher::~Launcher() {
  if (spares_) spares_->forget("");  // nullptr: moved from
}

Result<Launcher> Launcher::create(Host host) {
  SAW_TRY(Fd::open(host.init_path, O_PATH), "looking for saw-init");
  SAW_TRY(Fd::open(host.scratch_directory, O_PATH | O_DIRECTORY), "looking for the scratch directory");
  SAW_TRY(Fd::open(host.run_directory, O_PATH | O_DIRECTORY), "looking for the run directory");
  // One directory of control groups per instance of SAW: two on one host must not clean up each other's.
  const std::string instance = "saw-" + to_hex(view(sha256(host.run_directory)).substr(0, kInstanceBytes));
  return Launcher(std::move(host), std::make_unique<os::CgroupTree>(os::CgroupTree::find(instance)));
}

// What this sandbox will not have. With Strictness::strict that is an error.
Result<std::vector<std::string>> Launcher::check_features(Strictness strictness,
                                                          const os::Cgroup& cgroup) const {
  std::vector<std::string> degraded;
  if (landlock_abi_ == 0)
    degraded.push_back("landlock: paths are confined by mounts and permissions only");
  else if (landlock_abi_ < os::kLandlockAbiScopes)
    degraded.push_back("landlock-scopes: this kernel cannot scope signals and abstract sockets");
  for (const std::string& missing : cgroup.missing)
    degraded.push_back(fmt::format("cgroup-{}: that limit is not enforced by the kernel", missing));
  if (!degraded.empty() && strictness == Strictness::strict)
    return Error::make("sandbox.missing_feature", "the policy is strict and this host lacks {}",
                       fmt::join(degraded, "; "));
  return degraded;
}

Result<std::shared_ptr<const Prepared>> Launcher::prepare(const SandboxPlan& plan,
                                                          const Layers& layers) const {
  const uint32_t inside = host_.rootless ? kAgentUid : layers.uid;
  MountScript script = SAW_TRY(make_mount_script(
      plan, layers,
      {.rootless = host_.rootless, .uid = inside, .gid = host_.rootless ? kAgentUid : layers.gid},
      image_at(plan.image_root)));
  const os::LandlockRuleset rules = os::landlock_everything(landlock_abi_);
  const MouldSpec mould{.rootless = host_.rootless,
                        .image = plan.image_root,
                        .scratch = host_.scratch_directory,
                        .shared = std::move(script.shared),
                        .filter = bytes_of(filter_),
                        .landlock_handled = rules.handled,
                        .landlock_scoped = rules.scoped,
                        .uid = host_.rootless ? 0 : layers.uid,
                        .gid = host_.rootless ? 0 : layers.gid,
                        .inside_uid = kAgentUid,
                        .hostname = plan.hostname};
  Prepared out{.mould_message = wire::encode_struct(mould),
               .storage = layers.owner,
               .mounts = storage_mounts(layers),
               .spec = {.own = std::move(script.own), .rights = landlock_rights(plan), .limits = plan.limits},
               .limits = {plan.limits.memory_bytes, plan.limits.pids, plan.limits.cpu_millis_per_second},
               .network = plan.network,
               .strictness = plan.strictness,
               .uid = host_.rootless ? 0 : layers.uid};
  out.mould = std::string(view(sha256(out.mould_message + out.storage)));
  return std::make_shared<const Prepared>(std::move(out));
}

Error Launcher::undo(Launched& out, Error error) const {
  if (out.init_pid != 0) {
    const os::Child child(out.init_pid, std::move(out.init_pidfd));
    child.kill(SIGKILL);
    child.wait_ended(kBuildDeadlineMs);
    child.reap();
  }
  if (!out.control_socket.empty()) ::unlink(out.control_socket.c_str());
  if (auto removed = release_cgroup(out.cgroup); !removed) error.message += "; " + removed.error().message;
  return error;
}

Result<Launching> Launcher::begin(std::shared_ptr<const Prepared> prepared, const LaunchSpec& spec) const {
  Launching launching;
  Launched& out = launching.out;
  os::Cgroup cgroup;
  if (spec.serve == Serve::once) {
    Spares::CallCgroup lent =
        SAW_TRY(spares_->call_cgroup(prepared->storage, prepared->limits), "setting limits");
    out.cgroup = std::move(lent.name);
    cgroup = std::move(lent.group);
  } else {
    cgroup = SAW_TRY(cgroups_->create(spec.id, prepared->limits), "setting limits");
    out.cgroup = spec.id;
  }
  launching.prepared = std::move(prepared);
  auto degraded = check_features(launching.prepared->strictness, cgroup);
  if (!degraded) return std::unexpected(undo(out, std::move(degraded).error()));
  out.degraded = std::move(*degraded);
  auto filled = fill(*launching.prepared, spec, cgroup, launching);
  if (!filled)
    return std::unexpected(
        undo(out, std::move(filled).error().within(fmt::format("launching sandbox '{}'", spec.id))));
  return launching;
}

// The sandbox gets its own layers and no directory that holds anything else.
Result<std::vector<Fd>> Launcher::mount_storage(const Prepared& prepared) const {
  std::vector<Fd> out;
  for (const StorageMount& mount : prepared.mounts) {
    if (host_.rootless || mount.files_of == prepared.uid)  // one user owns all of them there
      out.push_back(SAW_TRY(os::detached_mount(mount.directory)));
    else
      out.push_back(
          SAW_TRY(maps_->clone(mount.directory, {.on_disk = mount.files_of, .shown = prepared.uid})));
  }
  return out;
}

Result<> Launcher::fill(const Prepared& prepared, const LaunchSpec& spec, const os::Cgroup& cgroup,
                        Launching& launching) const {
  Launched& out = launching.out;
  SandboxNetwork network = SAW_TRY(spares_->network(prepared.network));
  const std::vector<Fd> storage = SAW_TRY(mount_storage(prepared));
  const Ends ends = SAW_TRY(spec.serve == Serve::once
                                ? connect_once(spec, prepared.uid, out)
                                : listen_for_many(host_.run_directory + "/" + spec.id + ".sock", out));
  auto [report, theirs] = SAW_TRY(os::Channel::pair());
  const int yes = 1;
  if (::setsockopt(report.fd(), SOL_SOCKET, SO_PASSCRED, &yes, sizeof yes) != 0)
    return Error::system("sandbox.report", "asking for the sender of each report");
  std::vector<int> fds = {theirs.fd(), network.netns.get(), ends.control.get(), ends.go.get()};
  for (const Fd& mount : storage) fds.push_back(mount.get());
  for (const Fd& stream : ends.streams) fds.push_back(stream.get());
  if (ends.script) fds.push_back(ends.script.get());
  for (const Fd& file : cgroup.join) fds.push_back(file.get());
  SandboxSpec request = prepared.spec;
  request.serve = spec.serve;
  request.first = spec.first;
  request.command = spec.command;
  request.mounts = static_cast<uint32_t>(storage.size());
  request.environment = spec.environment;
  request.directory = spec.directory;
  const bool counted =
      std::ranges::none_of(cgroup.missing, [](const std::string& m) { return m.starts_with("pids"); });
  if (!counted) request.process_limit = prepared.limits.pids;
  SAW_TRY(moulds_->send({prepared.mould, prepared.mould_message, prepared.storage},
                        wire::encode_struct(request), fds));
  out.capture_listener = std::move(network.sockets.listener);
  out.dns_socket = std::move(network.sockets.dns);
  launching.report = std::move(report).take();
  return {};
}

// Not reaped yet: the number is its own.
Result<> Launcher::know(int32_t pid, Launched& out) {
  if (out.init_pid != 0) return {};
  os::Child child = SAW_TRY(os::Child::open(pid));
  out.init_pid = pid;
  out.init_pidfd = std::move(child).take();
  out.init_start_time = os::start_time_of(pid).value_or(0);
  return {};
}

Result<std::optional<Launched>> Launcher::finish(Launching& launching) const {
  Launched& out = launching.out;
  while (true) {
    const Told told = receive_report(launching.report);
    if (told.state == Told::State::nothing_yet) return std::optional<Launched>();
    // The end: whatever has not been told by now never will.
    if (told.state == Told::State::end) break;
    const Report& report = told.report;
    if (report.kind == ReportKind::failed) launching.failed = explain(report, *launching.prepared);
    if (report.kind == ReportKind::built) launching.built = true;
    if (report.kind != ReportKind::cloned && report.stage <= Stage::clone) continue;  // of the mould itself
    // The mould may have died before it could tell; then the sandbox's own word has its number on it.
    const int32_t pid = report.kind == ReportKind::cloned ? report.pid : told.sender;
    if (auto known = know(pid, out); !known) return std::unexpected(undo(out, std::move(known).error()));
    if (launching.built) return std::optional(std::move(out));
  }
  Error error = launching.failed ? *launching.failed
                                 : Error{"sandbox.build",
                                         "the new sandbox ended before it was confined, without a word", 0};
  return std::unexpected(undo(out, std::move(error)));
}

Result<Launched> Launcher::launch(const SandboxPlan& plan, const Layers& layers) const {
  auto prepared = SAW_TRY(prepare(plan, layers));
  Launching launching = SAW_TRY(begin(std::move(prepared), {.id = plan.id}));
  while (true) {
    pollfd ready{launching.report.get(), POLLIN, 0};
    int polled;
    do polled = ::poll(&ready, 1, kBuildDeadlineMs);
    while (polled < 0 && errno == EINTR);
    if (polled == 0) {
      // It must not make this sandbox later, when nobody knows it, nor keep the next launch waiting.
      drop_moulds(launching.prepared->storage);
      return std::unexpected(undo(
          launching.out,
          {"sandbox.build", fmt::format("the new sandbox was not ready after {} ms", kBuildDeadlineMs), 0}));
    }
    if (auto launched = SAW_TRY(finish(launching))) return std::move(*launched);
  }
}

void Launcher::drop_moulds(const std::string& storage) const {
  moulds_->drop(storage);
  spares_->forget(storage);
}

bool Launcher::restock() const {
  return spares_->restock();
}

Result<Launcher::Sockets> Launcher::reopen_sockets(int32_t init_pid) const {
  os::CapturedSockets sockets = SAW_TRY(os::reopen_captured_sockets(init_pid));
  return Sockets{std::move(sockets.listener), std::move(sockets.dns)};
}

Result<> Launcher::release_cgroup(const std::string& name) const {
  return spares_->give_back(name);
}
Result<> Launcher::check_limits(const std::string& cgroup, const LimitSet& limits, int32_t pid,
                                const std::vector<std::string>& degraded) const {
  std::vector<std::string> missing;
  for (const char* controller : {"memory", "pids", "cpu"})
    if (std::ranges::any_of(degraded, [&](const std::string& line) {
          return line.starts_with(fmt::format("cgroup-{}", controller));
        }))
      missing.emplace_back(controller);
  return cgroups_->check(cgroup, {limits.memory_bytes, limits.pids, limits.cpu_millis_per_second}, pid,
                         missing);
}
std::vector<std::string> Launcher::existing_cgroups() const {
  return cgroups_->names();
}
uint64_t Launcher::oom_kills(const std::string& cgroup) const {
  return cgroups_->oom_kills(cgroup);
}
uint64_t Launcher::forks_refused(const std::string& cgroup) const {
  return cgroups_->forks_refused(cgroup);
}

}  // namespace saw::sandbox
