#include "sandbox/storage.h"

#include <algorithm>
#include <filesystem>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crypto.h"
#include "base/file.h"
#include "base/log.h"
#include "base/wire.h"
#include "sandbox/quarantine.h"

namespace saw::sandbox {
namespace {

constexpr std::string_view kUnfinished = ".new-";
constexpr size_t kMaxRecord = 64;

struct Owner {
  uint32_t index = 0;
  template <class A> void members(A& a) { a(index); }
};

Result<> require_valid(std::string_view kind, const std::string& id) {
  if (is_valid_id(id)) return {};
  return Error::make("storage.bad_id", "the {} id is not of the form [a-z0-9-]{{1,64}}", kind);
}

bool exists(const std::string& path) {
  struct stat info{};
  return ::lstat(path.c_str(), &info) == 0;
}

std::vector<std::string> names_in(const std::string& path) {
  std::vector<std::string> names;
  std::error_code error;
  for (auto it = std::filesystem::directory_iterator(path, error);
       !error && it != std::filesystem::directory_iterator(); it.increment(error))
    names.push_back(it->path().filename().string());
  return names;
}

}  // namespace

bool is_valid_id(std::string_view id) {
  constexpr size_t kMaxId = 64;
  const auto allowed = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; };
  return !id.empty() && id.size() <= kMaxId && std::ranges::all_of(id, allowed);
}

Storage::Storage(std::string directory, StorageOptions options, Fd workspaces, Trash trash)
    : directory_(std::move(directory)),
      options_(options),
      workspaces_(std::move(workspaces)),
      trash_(std::move(trash)) {}

Result<Storage> Storage::open(std::string directory, StorageOptions options) {
  const std::string workspaces = directory + "/ws";
  SAW_TRY(make_directories(workspaces, 0700), "opening the storage");
  Fd fd = SAW_TRY(Fd::open(workspaces, O_RDONLY | O_DIRECTORY));
  Trash trash = SAW_TRY(Trash::open(directory + "/trash"));
  Storage storage(std::move(directory), options, std::move(fd), std::move(trash));
  SAW_TRY(storage.drop_unfinished());
  return storage;
}

Result<> Storage::drop_unfinished() {
  for (const std::string& name : names_in(directory_ + "/ws")) {
    if (name.starts_with(kUnfinished))
      SAW_TRY(trash_.take(workspaces_.get(), name));
    else if (is_valid_id(name))
      SAW_TRY(finish_commits(name));
  }
  return {};
}

std::string Storage::workspace_path(const std::string& workspace) const {
  return directory_ + "/ws/" + workspace;
}
std::string Storage::session_path(const std::string& workspace, const std::string& session) const {
  return workspace_path(workspace) + "/sessions/" + session;
}

Result<> Storage::make_owned(const std::string& path, uint32_t index) const {
  SAW_TRY(make_directories(path, 0755));
  if (!options_.first_agent_uid) return {};
  const uint32_t uid = *options_.first_agent_uid + index;
  if (::lchown(path.c_str(), uid, uid) != 0)
    return Error::system("storage.owner", "giving '{}' to uid {}", path, uid);
  return {};
}

Result<uint32_t> Storage::free_index() const {
  std::vector<bool> used(kMaxWorkspaces);
  for (const std::string& name : names_in(directory_ + "/ws"))
    if (is_valid_id(name)) used[SAW_TRY(index(name))] = true;
  const auto found = std::ranges::find(used, false);
  if (found == used.end())
    return Error::make("storage.full", "this host already has {} workspaces", kMaxWorkspaces);
  return static_cast<uint32_t>(found - used.begin());
}

Result<> Storage::create_workspace(const std::string& workspace) {
  SAW_TRY(require_valid("workspace", workspace));
  if (exists(workspace_path(workspace))) return {};
  const uint32_t index = SAW_TRY(free_index());
  const std::string name = random_id(kUnfinished), path = directory_ + "/ws/" + name;
  SAW_TRY(make_directories(path + "/sessions", 0700));
  SAW_TRY(make_owned(path + "/fs", index));
  SAW_TRY(replace_file(path + "/owner", wire::encode_struct(Owner{index}), 0600, Durability::fsync));
  if (::renameat(workspaces_.get(), name.c_str(), workspaces_.get(), workspace.c_str()) != 0 ||
      ::fsync(workspaces_.get()) != 0)
    return Error::system("storage.create", "creating the storage of workspace '{}'", workspace);
  return {};
}

Result<> Storage::create_session(const std::string& workspace, const std::string& session) {
  SAW_TRY(require_valid("session", session));
  const uint32_t owner = SAW_TRY(index(workspace));
  const std::string path = session_path(workspace, session);
  if (exists(path)) return {};
  Fd sessions = SAW_TRY(Fd::open(workspace_path(workspace) + "/sessions", O_RDONLY | O_DIRECTORY));
  const std::string name = random_id(kUnfinished);
  SAW_TRY(make_session_directory(sessions.get(), name, owner_of(owner)));
  if (::renameat(sessions.get(), name.c_str(), sessions.get(), session.c_str()) != 0)
    return Error::system("storage.create", "creating the storage of session '{}'", session);
  return {};
}

Result<> Storage::remove_workspace(const std::string& workspace) {
  SAW_TRY(require_valid("workspace", workspace));
  return trash_.take(workspaces_.get(), workspace);
}

Result<> Storage::remove_session(const std::string& workspace, const std::string& session) {
  SAW_TRY(require_valid("workspace", workspace));
  SAW_TRY(require_valid("session", session));
  if (!exists(workspace_path(workspace))) return {};
  Fd sessions = SAW_TRY(Fd::open(workspace_path(workspace) + "/sessions", O_RDONLY | O_DIRECTORY));
  return trash_.take(sessions.get(), session);
}

Result<uint32_t> Storage::index(const std::string& workspace) const {
  SAW_TRY(require_valid("workspace", workspace));
  if (!exists(workspace_path(workspace)))
    return Error::make("storage.unknown", "there is no storage of workspace '{}'", workspace);
  const std::string bytes = SAW_TRY(read_file(workspace_path(workspace) + "/owner", kMaxRecord));
  const Owner owner = SAW_TRY(wire::decode_struct<Owner>(bytes));
  if (owner.index >= kMaxWorkspaces)
    return Error::make("storage.owner", "workspace '{}' has index {}", workspace, owner.index);
  return owner.index;
}

Result<Layers> Storage::layers(const SandboxPlan& plan) const {
  if (is_quarantine_id(plan.session))
    return Error::make("storage.bad_id", "nothing runs in quarantine item '{}'", plan.session);
  const uint32_t owner = SAW_TRY(index(plan.workspace));
  Layers layers{.root = workspace_path(plan.workspace)};
  if (options_.first_agent_uid) layers.uid = layers.gid = *options_.first_agent_uid + owner;
  const std::string persistent = workspace_path(plan.workspace) + "/fs";
  const std::string session = plan.session.empty() ? "" : session_path(plan.workspace, plan.session);
  if (!session.empty()) {
    SAW_TRY(require_valid("session", plan.session));
    if (!exists(session))
      return Error::make("storage.unknown", "there is no storage of session '{}'", plan.session);
    SAW_TRY(require_settled(plan.workspace, plan.session));
  }
  switch (plan.depth) {
    case Depth::workspace:
      layers.upper = persistent;
      break;
    case Depth::session:
      layers.lower = {persistent};
      layers.upper = session + "/upper";
      layers.work = session + "/work";
      break;
    case Depth::call:
      if (!session.empty()) layers.lower.push_back(session + "/upper");
      layers.lower.push_back(persistent);
      break;
  }
  return layers;
}

}  // namespace saw::sandbox
