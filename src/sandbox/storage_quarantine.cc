// The part of Storage that keeps what waits in the quarantine lane.
#include <algorithm>
#include <filesystem>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/crypto.h"
#include "base/file.h"
#include "sandbox/commit_journal.h"
#include "sandbox/quarantine.h"
#include "sandbox/storage.h"

namespace saw::sandbox {
namespace {

constexpr int kOpenDirectory = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
constexpr const char* kItemName = "item";
constexpr size_t kMaxItem = 64u << 10;
constexpr std::string_view kUnfinishedItem = ".quarantine-";

bool has_description(const std::string& item) {
  struct stat info{};
  return ::lstat((item + "/" + kItemName).c_str(), &info) == 0;
}

QuarantineItem describe_group(const QuarantineGroup& group, const std::string& session) {
  return {.id = random_id(kQuarantinePrefix),
          .session = session,
          .place = group.place,
          .rule = std::string(group.finding.rule),
          .why = std::string(group.finding.why),
          .detail = group.finding.detail,
          .changes = group.members.size()};
}

std::string root_of(const std::vector<ChangeRecord>& changes, const std::vector<size_t>& members) {
  std::vector<ChangeRecord> records;
  for (size_t member : members) records.push_back(changes[member]);
  return digest_text(merkle_root(records));
}

}  // namespace

Result<std::vector<QuarantineItem>> Storage::quarantine(const std::string& workspace) const {
  SAW_TRY(index(workspace));
  const std::string sessions = workspace_path(workspace) + "/sessions";
  std::vector<QuarantineItem> out;
  std::error_code error;
  for (auto it = std::filesystem::directory_iterator(sessions, error);
       !error && it != std::filesystem::directory_iterator(); it.increment(error)) {
    const std::string id = it->path().filename().string();
    // Without its description it has been released, and what is left of it is about to go.
    if (!is_quarantine_id(id) || !is_valid_id(id) || !has_description(sessions + "/" + id)) continue;
    const std::string bytes = SAW_TRY(read_file(sessions + "/" + id + "/" + kItemName, kMaxItem),
                                      fmt::format("quarantine item '{}'", id));
    out.push_back(SAW_TRY(wire::decode_struct<QuarantineItem>(bytes), "reading a quarantine item"));
    out.back().id = id;
  }
  if (error) return Error::make("storage.list", "listing '{}': {}", sessions, error.message());
  std::ranges::sort(out, {}, &QuarantineItem::id);
  return out;
}

// Under a name of its own, which drop_unfinished_items() knows; returned with the item.
Result<std::string> Storage::stage_item(const std::string& workspace, const ChangeSources& sources,
                                        const std::vector<ChangeRecord>& changes,
                                        const std::vector<size_t>& members, const QuarantineItem& item) {
  const Fd sessions = SAW_TRY(Fd::open(workspace_path(workspace) + "/sessions", kOpenDirectory));
  const std::string staged = random_id(kUnfinishedItem), path = session_path(workspace, staged);
  const auto owner = owner_of(SAW_TRY(index(workspace)));
  SAW_TRY(make_session_directory(sessions.get(), staged, owner));
  const Fd upper = SAW_TRY(Fd::open(path + "/upper", kOpenDirectory));
  SAW_TRY(fill_layer(upper, sources, changes, members, owner));
  ChangeSources own{.mounter = sources.mounter};
  own.layers.push_back(SAW_TRY(upper.duplicate()));
  own.base = SAW_TRY(sources.base.duplicate());
  const ChangeList list = SAW_TRY(list_changes(own));
  // What a person will look at is what the session asked for, or there is no item.
  if (!list.root || digest_text(*list.root) != item.root)
    return Error::make("quarantine.differs", "the copy of '{}' is not what the session has",
                       printable(item.place));
  SAW_TRY(replace_file(path + "/" + kItemName, wire::encode_struct(item), 0600, Durability::none));
  return staged;
}

Result<> Storage::drop_unfinished_items(const std::string& workspace) {
  const std::string path = workspace_path(workspace) + "/sessions";
  const Fd sessions = SAW_TRY(Fd::open(path, kOpenDirectory));
  std::error_code error;
  std::vector<std::string> found;
  for (auto it = std::filesystem::directory_iterator(path, error);
       !error && it != std::filesystem::directory_iterator(); it.increment(error))
    if (const std::string name = it->path().filename();
        name.starts_with(kUnfinishedItem) || (is_quarantine_id(name) && !has_description(it->path())))
      found.push_back(name);
  for (const std::string& name : found) SAW_TRY(trash_.take(sessions.get(), name));
  return {};
}

Result<std::vector<QuarantineItem>> Storage::update_quarantine(const std::string& workspace,
                                                               const std::string& session) {
  if (is_quarantine_id(session))
    return Error::make("storage.bad_id", "'{}' is in quarantine itself", session);
  SAW_TRY(drop_unfinished_items(workspace));
  const ChangeSources sources = SAW_TRY(session_sources(workspace, session));
  const ChangeList list = SAW_TRY(list_changes(sources), "listing what the session holds back");
  if (!list.root) return Error::make("commit.too_much", "its changes cannot be listed: {}", list.limit);
  const std::vector<QuarantineGroup> groups = SAW_TRY(group_run_later(sources, list.changes));
  const std::vector<QuarantineItem> present = SAW_TRY(quarantine(workspace));
  std::vector<QuarantineItem> out;
  std::vector<std::pair<std::string, std::string>> staged;  // name now, id
  std::vector<std::string> replaced;
  size_t room = kMaxQuarantined - std::min(kMaxQuarantined, present.size());
  for (const QuarantineGroup& group : groups) {
    QuarantineItem item = describe_group(group, session);
    item.root = root_of(list.changes, group.members);
    const auto earlier = std::ranges::find_if(
        present, [&](const QuarantineItem& p) { return p.session == session && p.place == group.place; });
    if (earlier != present.end() && earlier->root == item.root) {
      out.push_back(*earlier);
      continue;
    }
    if (earlier == present.end() && room-- == 0)
      return Error::make("quarantine.full",
                         "{} changes of this workspace wait in quarantine already, and {} places more would: "
                         "release or reject some, then commit again",
                         present.size(), groups.size());
    staged.emplace_back(SAW_TRY(stage_item(workspace, sources, list.changes, group.members, item)), item.id);
    if (earlier != present.end()) replaced.push_back(earlier->id);
    out.push_back(std::move(item));
  }
  SAW_TRY(publish_items(workspace, staged));
  for (const std::string& id : replaced) SAW_TRY(remove_session(workspace, id));
  return out;
}

Result<> Storage::release_quarantine(const std::string& workspace, const std::string& item,
                                     const std::string& root) {
  if (!is_quarantine_id(item) || root.empty())
    return Error::make("storage.bad_id", "a release names a quarantine item and the root that was looked at");
  SAW_TRY(session_sources(workspace, item));
  const std::string path = session_path(workspace, item) + "/" + kItemName;
  const std::string bytes = SAW_TRY(read_file(path, kMaxItem), "reading a quarantine item");
  auto description = SAW_TRY(wire::decode_struct<QuarantineItem>(bytes), "reading a quarantine item");
  const CommitOutcome outcome = SAW_TRY(commit(workspace, item, {.root = root}), "releasing from quarantine");
  if (!outcome.conflicts.empty())
    return Error::make(
        "commit.conflict",
        "'{}' was changed in the workspace since it was put into quarantine: reject it, and let "
        "the session commit again",
        printable(outcome.conflicts.front()));
  if (!outcome.failed.empty()) {  // the item's next layer holds the rest, and gets the description again
    const ChangeList rest = SAW_TRY(changes(workspace, item));
    description.root = rest.root ? digest_text(*rest.root) : "";
    description.changes = rest.changes.size();
    SAW_TRY(replace_file(path, wire::encode_struct(description), 0600, Durability::fsync));
    return Error::make("quarantine.partly",
                       "'{}' was changed in the workspace at that moment; it still waits",
                       printable(outcome.failed.front()));
  }
  return remove_session(workspace, item);
}

// All on the disk first, then renamed: an item is there whole, or not at all.
Result<> Storage::publish_items(const std::string& workspace,
                                const std::vector<std::pair<std::string, std::string>>& staged) {
  if (staged.empty()) return {};
  const Fd sessions = SAW_TRY(Fd::open(workspace_path(workspace) + "/sessions", kOpenDirectory));
  SAW_TRY(sync_file_system(sessions.get()));
  for (const auto& [name, id] : staged)
    if (::renameat(sessions.get(), name.c_str(), sessions.get(), id.c_str()) != 0)
      return Error::system("quarantine.keep", "keeping a quarantine item");
  if (::fsync(sessions.get()) != 0) return Error::system("quarantine.keep", "keeping quarantine items");
  return {};
}

}  // namespace saw::sandbox
