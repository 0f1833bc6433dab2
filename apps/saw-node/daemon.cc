#include "daemon.h"

#include <csignal>
#include <cstdio>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/file.h"
#include "base/lock_file.h"
#include "base/log.h"
#include "os/signals.h"
#include "os/unix_path.h"
#include "sandbox/node.h"

namespace saw::node_app {
namespace {

using sandbox::HostFeature;

// Whoever started us waits at the other end: one line, then the end.
class Herald {
 public:
  explicit Herald(std::optional<int> fd) {
    if (!fd) return;
    pipe_ = Fd(*fd);
    ::fcntl(*fd, F_SETFD, FD_CLOEXEC);
  }
  void tell(const std::string& line) {
    if (!pipe_) return;
    std::signal(SIGPIPE, SIG_IGN);  // it may have stopped waiting
    if (auto written = write_all(pipe_, line + "\n"); !written) log_debug("nobody waits for the start");
    pipe_.reset();
  }

 private:
  Fd pipe_;
};

struct Paths {
  std::string directory, run, records, control, node, log;
  explicit Paths(const Options& options)
      : directory(options.directory),
        run(options.socket_path.substr(0, std::max<size_t>(1, options.socket_path.rfind('/')))),
        records(run + "/records"),
        control(directory + "/control"),
        node(directory + "/node"),
        log(directory + "/log") {}
};

// Makes a directory of ours, or takes one that only we can have made.
Result<> own_directory(const std::string& path, unsigned mode) {
  SAW_TRY(make_directories(path, mode));
  struct stat info{};
  if (::lstat(path.c_str(), &info) != 0) return Error::system("node.directory", "inspecting '{}'", path);
  if (!S_ISDIR(info.st_mode) || info.st_uid != ::geteuid() || (info.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    return Error::make("node.directory",
                       "'{}' must be a directory of the user who runs SAW, writable by nobody else", path);
  if ((info.st_mode & 07777) != mode && ::chmod(path.c_str(), mode) != 0)
    return Error::system("node.directory", "setting the mode of '{}'", path);
  return {};
}

Result<> make_layout(const Paths& paths) {
  const bool root = ::geteuid() == 0;
  SAW_TRY(own_directory(paths.directory, root ? 0711 : 0700));
  SAW_TRY(own_directory(paths.run, root ? 0711 : 0700));
  SAW_TRY(own_directory(paths.node, 0700));
  SAW_TRY(own_directory(paths.node + "/scratch", 0700));
  SAW_TRY(own_directory(paths.log, 0700));
  SAW_TRY(make_directories(paths.control, 0700));
  return {};
}

// Records of sandboxes end with the kernel that runs them, and are written and removed all day: they live
// beside the socket, which is on tmpfs where there is one. <node>/state leads there, and leads the next
// saw-node to the records of this one even when it listens on another socket.
Result<std::string> records_directory(const Paths& paths) {
  const std::string link = paths.node + "/state";
  ::rmdir(link.c_str());  // an empty one of its own, as earlier versions made
  struct stat info{};
  if (::stat(link.c_str(), &info) == 0 && S_ISDIR(info.st_mode) && info.st_uid == ::geteuid() &&
      (info.st_mode & (S_IWGRP | S_IWOTH)) == 0)
    return link;
  SAW_TRY(own_directory(paths.records, 0700));
  if (::unlink(link.c_str()) != 0 && errno != ENOENT)
    return Error::system("node.directory", "removing the link '{}'", link);
  if (::symlink(paths.records.c_str(), link.c_str()) != 0)
    return Error::system("node.directory", "linking '{}'", link);
  return link;
}

// sawd, with a uid of its own, must find its way to its directory.
Result<> give_control_directory(const std::string& control) {
  for (size_t slash = control.find('/', 1); slash != control.npos; slash = control.find('/', slash + 1)) {
    const std::string parent = control.substr(0, slash);
    struct stat info{};
    if (::stat(parent.c_str(), &info) != 0) return Error::system("node.directory", "inspecting '{}'", parent);
    if ((info.st_mode & S_IXOTH) == 0)
      return Error::make(
          "node.directory",
          "sawd runs as uid {} and cannot get through '{}' (mode {:o}); choose another --dir, or chmod o+x",
          sandbox::kControlUid, parent, info.st_mode & 07777);
  }
  if (::lchown(control.c_str(), sandbox::kControlUid, sandbox::kControlUid) != 0)
    return Error::system("node.directory", "giving '{}' to sawd", control);
  return {};
}

Result<> detach(const Paths& paths) {
  Fd log = SAW_TRY(Fd::open(paths.log + "/saw.log", O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0640));
  Fd null = SAW_TRY(Fd::open("/dev/null", O_RDWR));
  std::fflush(nullptr);
  const pid_t pid = ::fork();
  if (pid < 0) return Error::system("node.detach", "detaching");
  if (pid > 0) ::_exit(0);
  ::setsid();
  if (::dup2(null.get(), STDIN_FILENO) < 0 || ::dup2(log.get(), STDOUT_FILENO) < 0 ||
      ::dup2(log.get(), STDERR_FILENO) < 0)
    return Error::system("node.detach", "redirecting the output");
  if (::chdir("/") != 0) return Error::system("node.detach", "changing to /");
  return {};
}

// Four descriptors a sandbox, two a directory level being compared: the default soft limit of 1024 is soon
// reached.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

Result<std::string> node_id(const Paths& paths) {
  constexpr size_t kMaxId = 64;
  const std::string path = paths.node + "/id";
  if (auto id = read_file(path, kMaxId)) return *id;
  std::string fresh = random_id("node-");
  SAW_TRY(replace_file(path, fresh, 0600, Durability::fsync));
  return fresh;
}

// What this node signs its proofs with.
Result<SigningKey> proof_key(const Paths& paths) {
  constexpr size_t kSeed = 32;
  const std::string path = paths.node + "/proof.key";
  if (::access(path.c_str(), F_OK) != 0)
    SAW_TRY(replace_file(path, random_bytes(kSeed), 0600, Durability::fsync), "making the key of proofs");
  return SigningKey::from_seed(SAW_TRY(read_file(path, kSeed), "reading the key of proofs"));
}

Result<> check_strict(const std::vector<HostFeature>& features) {
  std::string missing;
  for (const HostFeature& feature : features)
    if (feature.state != HostFeature::State::ok && feature.name != sandbox::kOwnKernel)
      missing += fmt::format("\n  {}: {}", feature.name, feature.consequence);
  if (missing.empty()) return {};
  return Error::make("node.strict", "this host does not give every guarantee that --strict asks for:{}",
                     missing);
}

sandbox::Node::Config configure(const Options& options, const Paths& paths, const os::DaemonView& view,
                                const std::string& id, SigningKey key, std::vector<HostFeature> features,
                                Fd api_listener) {
  using Identities = sandbox::Supervisor::Config::Identities;
  return {.version = SAW_VERSION,
          .node_id = id,
          .view = view,
          .features = std::move(features),
          .sandboxes = {.run_directory = paths.run,
                        .bounds = {.own_directories = {sandbox::real_path_of(paths.directory),
                                                       sandbox::real_path_of(paths.run)}},
                        .least = options.strictness,
                        // Greater than any number that an earlier saw-node of this boot gave out one by one.
                        .first_exec = static_cast<uint64_t>(SystemClock().monotonic()),
                        .node_id = id,
                        .proof_key = std::move(key)},
          .programs = {.bin_directory = options.bin_directory,
                       .state_directory = paths.directory,
                       .socket_path = options.socket_path,
                       .control_lock = paths.node + "/sawd.lock",
                       .api_listener = std::move(api_listener),
                       .identities = view.rootless ? Identities::shared : Identities::separate,
                       .environment = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"}}};
}

// The user namespace of an earlier saw-node in which sandboxes still live, if any. All that live are in the
// same one.
Result<Fd> earlier_user_namespace(const sandbox::StateDirectory& state) {
  for (const sandbox::SandboxRecord& record : SAW_TRY(state.load())) {
    if (!sandbox::find_init(record, state.boot())) continue;
    auto above = os::user_namespace_above(record.init_pid);
    if (above) return above;
    log_warning("sandbox '{}' cannot be taken over: {}", record.sandbox,
                above.error().message);  // it may have died just now
  }
  return Fd();
}

Result<int> run(const Options& options, const Paths& paths, Herald& herald) {
  const std::string records = SAW_TRY(records_directory(paths));
  sandbox::StateDirectory state = SAW_TRY(sandbox::StateDirectory::open(records));
  Fd earlier;
  if (::geteuid() != 0) earlier = SAW_TRY(earlier_user_namespace(state));
  const os::DaemonView view = SAW_TRY(os::enter_daemon_namespaces(std::move(earlier)));
  raise_descriptor_limit();
  if (!view.rootless) SAW_TRY(give_control_directory(paths.control));
  const sandbox::Host host{.rootless = view.rootless,
                           .run_directory = paths.run,
                           .scratch_directory = paths.node + "/scratch",
                           .init_path = options.bin_directory + "/saw-init"};
  std::vector<HostFeature> features = sandbox::probe_host(host);
  if (options.strictness == sandbox::Strictness::strict) SAW_TRY(check_strict(features));
  auto runtime = sandbox::make_runtime(SAW_TRY(sandbox::Launcher::create(host)));
  sandbox::StorageOptions storage_options;
  if (!view.rootless) storage_options.first_agent_uid = sandbox::kFirstAgentUid;
  sandbox::Storage storage = SAW_TRY(sandbox::Storage::open(paths.node, storage_options));
  Fd listener =
      SAW_TRY(os::listen_unix(options.socket_path, os::SocketKind::stream, view.rootless ? 0600 : 0666));

  os::Loop loop = SAW_TRY(os::Loop::create());
  int status = 0;
  sandbox::Node node(loop,
                     configure(options, paths, view, SAW_TRY(node_id(paths)), SAW_TRY(proof_key(paths)),
                               std::move(features), std::move(listener)),
                     {.runtime = *runtime,
                      .storage = storage,
                      .state = std::move(state),
                      .spawn = os::spawn,
                      .on_ready = [&] { herald.tell("ready"); },
                      .on_start_failed =
                          [&](const std::string& why) {
                            status = 1;
                            log_error("giving up: {}", why);
                            herald.tell("error: " + why);
                          }});
  os::Signals signals = SAW_TRY(os::Signals::open(loop, {SIGTERM, SIGINT}, [&](int) { node.shutdown(); }));
  SAW_TRY(node.start());
  loop.run();
  ::unlink(options.socket_path.c_str());
  ::rmdir(paths.records.c_str());  // unless sandboxes live on
  log_info("stopped");
  return status;
}

}  // namespace

int serve(const Options& options) {
  const Paths paths(options);
  Herald herald(options.ready_fd);
  ::umask(022);
  const auto failed = [&](const Error& error) {
    log_error("{}", error.message);
    herald.tell("error: " + error.message);
    return 1;
  };
  if (auto made = make_layout(paths); !made) return failed(made.error());
  auto run_lock = lock_file(paths.run + "/node.lock");
  if (!run_lock && run_lock.error().code == "io.locked") {
    std::fputs("already running\n", stdout);
    herald.tell("already running");
    return 0;
  }
  if (!run_lock) return failed(run_lock.error());
  auto state_lock = lock_file(paths.node + "/lock");
  if (!state_lock)
    return failed(std::move(state_lock)
                      .error()
                      .within("the state directory belongs to a saw-node with another socket"));
  if (options.place == Options::Place::background)
    if (auto detached = detach(paths); !detached) return failed(detached.error());
  auto status = run(options, paths, herald);
  // Still locked: nobody else can have made the file anew.
  ::unlink((paths.run + "/node.lock").c_str());
  return status ? *status : failed(status.error());
}

}  // namespace saw::node_app
