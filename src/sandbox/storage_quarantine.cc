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
  records.reserve(members.size());
  for (size_t member : members) records.push_back(changes[member]);
  return digest_text(merkle_root(records));
}

}  // namespace

std::string Storage::item_path(const SessionRecord& record) const {
  return layers_.directory(record.upper) + "/" + kItemName;
}

Result<std::vector<QuarantineItem>> Storage::quarantine(const std::string& workspace) const {
  SAW_TRY(index(workspace));
  std::vector<QuarantineItem> out;
  for (const auto& [id, record] : SAW_TRY(records_.workspace(workspace))->sessions) {
    // Without its description it has been released, and what is left of it is about to go.
    if (!is_quarantine_id(id) || !exists(item_path(record))) continue;
    const std::string bytes =
        SAW_TRY(read_file(item_path(record), kMaxItem), fmt::format("quarantine item '{}'", id));
    out.push_back(SAW_TRY(wire::decode_struct<QuarantineItem>(bytes), "reading a quarantine item"));
    out.back().id = id;
  }
  return out;
}

// Into a new layer, that nothing names before publish_items().
Result<> Storage::fill_item(const std::string& layer, const ChangeSources& sources,
                            const std::vector<ChangeRecord>& changes, const std::vector<size_t>& members,
                            const QuarantineItem& item, uint32_t index) const {
  const Fd upper = SAW_TRY(Fd::open(layers_.files(layer), kOpenDirectory));
  SAW_TRY(fill_layer(upper, sources, changes, members, owner_of(index)));
  ChangeSources own{.mounter = sources.mounter};
  own.layers.push_back(SAW_TRY(upper.duplicate()));
  own.base = SAW_TRY(sources.base.duplicate());
  for (const Fd& below : sources.below) own.below.push_back(SAW_TRY(below.duplicate()));
  const ChangeList list = SAW_TRY(list_changes(own));
  // What a person will look at is what the session asked for, or there is no item.
  if (!list.root || digest_text(*list.root) != item.root)
    return Error::make("quarantine.differs", "the copy of '{}' is not what the session has",
                       printable(item.place));
  return replace_file(layers_.directory(layer) + "/" + kItemName, wire::encode_struct(item), 0600,
                      Durability::none);
}

Result<> Storage::drop_unfinished_items(const std::string& workspace) {
  std::vector<std::string> found;
  for (const auto& [id, record] : SAW_TRY(records_.workspace(workspace))->sessions)
    if (is_quarantine_id(id) && !exists(item_path(record))) found.push_back(id);
  for (const std::string& id : found) SAW_TRY(remove_session(workspace, id));
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
  ItemRound round{.sources = sources, .changes = list.changes, .present = present};
  auto staged = stage_items(workspace, session, groups, round);
  if (!staged) {  // whatever else could not be staged: nothing is kept of it
    for (const StagedItem& item : round.staged) SAW_TRY(layers_.remove(item.layer, trash_));
    return std::unexpected(std::move(staged).error());
  }
  SAW_TRY(publish_items(workspace, round.staged));
  for (const std::string& id : round.replaced) SAW_TRY(remove_session(workspace, id));
  return std::move(round.items);
}

Result<> Storage::stage_items(const std::string& workspace, const std::string& session,
                              const std::vector<QuarantineGroup>& groups, ItemRound& round) const {
  const uint32_t owner = SAW_TRY(index(workspace));
  size_t room = kMaxQuarantined - std::min(kMaxQuarantined, round.present.size());
  for (const QuarantineGroup& group : groups) {
    QuarantineItem item = describe_group(group, session);
    item.root = root_of(round.changes, group.members);
    const auto earlier = std::ranges::find_if(round.present, [&](const QuarantineItem& p) {
      return p.session == session && p.place == group.place;
    });
    if (earlier != round.present.end() && earlier->root == item.root) {
      round.items.push_back(*earlier);
      continue;
    }
    if (earlier == round.present.end() && room-- == 0)
      return Error::make("quarantine.full",
                         "{} changes of this workspace wait in quarantine already, and {} places more would: "
                         "release or reject some, then commit again",
                         round.present.size(), groups.size());
    const std::string layer = SAW_TRY(make_session_layer(owner));
    round.staged.push_back({.id = item.id, .layer = layer});
    SAW_TRY(fill_item(layer, round.sources, round.changes, group.members, item, owner));
    if (earlier != round.present.end()) round.replaced.push_back(earlier->id);
    round.items.push_back(std::move(item));
  }
  return {};
}

Result<> Storage::release_quarantine(const std::string& workspace, const std::string& item,
                                     const std::string& root) {
  if (!is_quarantine_id(item) || root.empty())
    return Error::make("storage.bad_id", "a release names a quarantine item and the root that was looked at");
  SAW_TRY(session_sources(workspace, item));
  const SessionRecord& record = *SAW_TRY(records_.session(workspace, item));
  const std::string bytes = SAW_TRY(read_file(item_path(record), kMaxItem), "reading a quarantine item");
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
    const std::string rewritten = item_path(*SAW_TRY(records_.session(workspace, item)));
    SAW_TRY(replace_file(rewritten, wire::encode_struct(description), 0600, Durability::fsync));
    return Error::make("quarantine.partly",
                       "'{}' was changed in the workspace at that moment; it still waits",
                       printable(outcome.failed.front()));
  }
  return remove_session(workspace, item);
}

// All on the disk first, then named: an item is there whole, or not at all.
Result<> Storage::publish_items(const std::string& workspace, const std::vector<StagedItem>& staged) {
  if (staged.empty()) return {};
  SAW_TRY(sync_file_system(layers_.descriptor()));
  const WorkspaceRecord& below = *SAW_TRY(records_.workspace(workspace));
  LayerList base = {below.upper};
  base.insert(base.end(), below.frozen.begin(), below.frozen.end());
  for (const auto& [id, layer] : staged)
    SAW_TRY(records_.put(workspace, id, SessionRecord{.upper = layer, .base = base}),
            "keeping a quarantine item");
  return sync_file_system(records_.descriptor());
}

}  // namespace saw::sandbox
