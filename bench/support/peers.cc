#include "support/peers.h"

#include <cstdlib>
#include <filesystem>
#include <optional>

#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <sched.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/file.h"

extern char** environ;

namespace saw::bench {
namespace {

std::string in_path(const std::string& program) {
  const char* path = std::getenv("PATH");
  std::string rest = path ? path : "";
  for (size_t end = 0; end != std::string::npos;
       rest = end == std::string::npos ? "" : rest.substr(end + 1)) {
    end = rest.find(':');
    const std::string candidate = rest.substr(0, end) + "/" + program;
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return {};
}

class Program : public Contender {
 public:
  Program(std::string name, Command command, std::string absent)
      : name_(std::move(name)), command_(std::move(command)), absent_(std::move(absent)) {}
  std::string name() const override { return name_; }
  std::string absent() const override { return absent_; }
  Result<Timing> run() override {
    const double start = now_us();
    SAW_TRY(spawn_and_wait(command_));
    return Timing{.result_us = now_us() - start};
  }

 protected:
  std::string name_;
  Command command_;
  std::string absent_;
};

// A mount namespace in which some of this host is hidden; entered around a run, outside of its time.
class MountView {
 public:
  static Result<MountView> hiding(const char* mount_point) {
    MountView out;
    out.home_ = SAW_TRY(Fd::open("/proc/thread-self/ns/mnt", O_RDONLY));
    if (::unshare(CLONE_NEWNS) != 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
      return Error::system("bench.mounts", "making a mount namespace");
    const bool hidden = ::umount2(mount_point, MNT_DETACH) == 0;
    out.view_ = SAW_TRY(Fd::open("/proc/thread-self/ns/mnt", O_RDONLY));
    out.leave();
    if (!hidden) return Error::make("bench.mounts", "cannot hide '{}'", mount_point);
    return out;
  }
  void enter() const { go(view_); }
  void leave() const { go(home_); }

 private:
  static void go(const Fd& where) {
    SAW_CHECK(::setns(where.get(), CLONE_NEWNS) == 0, "changing the mount namespace");
  }
  Fd home_, view_;
};

class Crun : public Program {
 public:
  Crun(std::string name, std::string bundle, std::optional<MountView> view)
      : Program(std::move(name), {"crun", "run", "--bundle", std::move(bundle), "an id of its own"}, ""),
        view_(std::move(view)) {}
  Result<Timing> run() override {
    command_.back() = fmt::format("saw-bench-{}-{}", ::getpid(), ++calls_);
    if (view_) view_->enter();
    auto timing = Program::run();
    if (view_) view_->leave();
    return timing;
  }

 private:
  std::optional<MountView> view_;
  uint64_t calls_ = 0;
};

Result<> write_bundle(const Command& command, const std::string& directory) {
  for (const std::string& shown : shown_directories())
    SAW_TRY(make_directories(directory + "/rootfs" + shown, 0755));
  // crun completes a root that is read-only only if its mount points are there.
  for (const char* place : {"/proc", "/dev", "/sys", "/tmp", "/workspace"})
    SAW_TRY(make_directories(directory + "/rootfs" + place, 0755));
  SAW_TRY(spawn_and_wait({"crun", "spec", "--bundle", directory}));
  auto config = nlohmann::json::parse(SAW_TRY(read_file(directory + "/config.json")), nullptr, false);
  if (!config.is_object()) return Error::make("bench.crun", "'crun spec' wrote no JSON");
  config["process"]["terminal"] = false;
  config["process"]["args"] = command;
  for (const std::string& shown : shown_directories())
    config["mounts"].push_back({{"destination", shown},
                                {"type", "bind"},
                                {"source", shown},
                                {"options", {"rbind", "ro", "nosuid"}}});
  for (const char* fresh : {"/tmp", "/workspace"})
    config["mounts"].push_back({{"destination", fresh}, {"type", "tmpfs"}, {"source", "tmpfs"}});
  return replace_file(directory + "/config.json", config.dump(), 0644, Durability::none);
}

}  // namespace

std::vector<std::string> shown_directories() {
  std::vector<std::string> out;
  for (const char* path : {"/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc"})
    if (std::filesystem::is_directory(path)) out.push_back(path);
  return out;
}

Result<int32_t> spawn(const Command& command) {
  std::vector<char*> arguments;
  for (const std::string& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  pid_t pid = 0;
  const int error = ::posix_spawnp(&pid, arguments[0], &actions, nullptr, arguments.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (error) return std::unexpected(Error::from_errno("bench.spawn", error, "starting '" + command[0] + "'"));
  return pid;
}

Result<> expect_success(int32_t pid, int status) {
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  return Error::make("bench.status", "process {} ended with status {:#x}", pid, status);
}

Result<> spawn_and_wait(const Command& command) {
  const pid_t pid = SAW_TRY(spawn(command));
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return expect_success(pid, status);
}

std::unique_ptr<Contender> bare_spawn(Command command) {
  return std::make_unique<Program>("bare spawn", std::move(command), "");
}

Command bubblewrap_command(Command command) {
  Command out = {"bwrap",         "--unshare-user", "--unshare-pid", "--unshare-net",
                 "--unshare-ipc", "--unshare-uts",  "--new-session", "--die-with-parent",
                 "--tmpfs",       "/tmp",           "--tmpfs",       "/workspace",
                 "--proc",        "/proc",          "--dev",         "/dev"};
  for (const std::string& shown : shown_directories()) {
    out.insert(out.end(), {"--ro-bind", shown, shown});
  }
  out.insert(out.end(), command.begin(), command.end());
  return out;
}

std::unique_ptr<Contender> bubblewrap(Command command) {
  const bool there = !in_path("bwrap").empty();
  return std::make_unique<Program>("bubblewrap", bubblewrap_command(std::move(command)),
                                   there ? "" : "not installed (package bubblewrap)");
}

std::unique_ptr<Contender> crun(Command command, std::string directory) {
  const auto absent = [&](std::string why) {
    return std::make_unique<Program>("crun", Command{}, std::move(why));
  };
  if (in_path("crun").empty()) return absent("not installed (package crun)");
  if (auto made = write_bundle(command, directory); !made) return absent("unusable: " + made.error().message);
  // It refuses a host where both versions of control groups are mounted, unless it sees only the first.
  std::optional<MountView> view;
  const char* name = "crun";
  if (std::filesystem::exists("/sys/fs/cgroup/unified"))
    if (auto hidden = MountView::hiding("/sys/fs/cgroup/unified"))
      view = std::move(*hidden), name = "crun (cgroup v2 hidden from it)";
  auto out = std::make_unique<Crun>(name, directory, std::move(view));
  if (out->run()) return out;
  return absent("installed, but it runs nothing on this host");
}

}  // namespace saw::bench
