#include "sandbox/quarantine.h"

#include <algorithm>
#include <map>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/path.h"
#include "sandbox/changed_files.h"
#include "sandbox/commit_journal.h"

namespace saw::sandbox {
namespace {

constexpr size_t kMaxNamed = 20;  // paths in a message
constexpr int kOpenDirectory = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;

// "" where there is nothing; nullopt where there is something that cannot be read whole.
std::optional<std::string> read_side(const std::optional<FileState>& state,
                                     const std::function<Result<Fd>()>& open) {
  if (!state) return "";
  if (state->type != FileType::file || state->size > kMaxJudgedBytes) return std::nullopt;
  auto file = open();
  if (!file) return std::nullopt;
  auto text = read_all(*file, kMaxJudgedBytes);
  if (!text) return std::nullopt;
  return std::move(*text);
}

// Opens the files of a list for the judge.
class Judging {
 public:
  explicit Judging(const ChangeSources& sources) : files_(sources) {}
  Result<std::optional<RunLaterFinding>> judge(const ChangeRecord& change) {
    return judge_change({.change = change,
                         .open_before = [&] { return files_.before(change); },
                         .open_after = [&] { return files_.after(change); }});
  }

 private:
  ChangedFiles files_;
};

class LayerWriter {
 public:
  LayerWriter(const Fd& upper, const ChangeSources& sources, const std::optional<FileOwner>& owner)
      : upper_(upper.get()), base_(sources.base.get()), owner_(owner) {
    for (const Fd& layer : sources.layers) layers_.emplace_back(layer.get());
  }

  Result<> write(const ChangeRecord& change) {
    for (size_t end = change.path.find('/', 1); end != change.path.npos; end = change.path.find('/', end + 1))
      if (!SAW_TRY(make_parent(change.path.substr(0, end)))) return {};
    const auto to = SAW_TRY(upper_.find(change.path));
    if (!to) return Error::make("quarantine.write", "its directory is gone");
    if (!change.after) {
      if (::mknodat(to->directory, to->name.c_str(), S_IFCHR, makedev(0, 0)) != 0)
        return Error::system("quarantine.write", "keeping a deletion");
      return {};
    }
    const auto from = SAW_TRY(layers_.at(change.layer).find(change.path));
    if (!from) return Error::make("changes.moved", "the session no longer has it");
    return copy(change, *from, *to);
  }

 private:
  Result<> copy(const ChangeRecord& change, const TreeCursor::Place& from, const TreeCursor::Place& to) {
    switch (change.after->type) {
      case FileType::symlink:
        return copy_link(to.directory, to.name, change.after->target, owner_);
      case FileType::file:
        return copy_file(to.directory, to.name, SAW_TRY(open_regular(from.directory, from.name)), owner_);
      case FileType::directory: {
        const Fd like(::openat(from.directory, from.name.c_str(), kOpenDirectory));
        if (!like) return Error::system("quarantine.write", "opening a directory");
        return copy_directory(to.directory, to.name, like.get(), owner_);
      }
      case FileType::other:
        break;
    }
    return Error::make("commit.special_file", "'{}' is neither file nor link", printable(change.path));
  }

  // A directory on the way, just as the workspace has it. false: what is written already hides what lies below.
  Result<bool> make_parent(const std::string& path) {
    const auto to = SAW_TRY(upper_.find(path));
    if (!to) return false;
    if (const auto there = look_at(to->directory, to->name)) return S_ISDIR(there->st_mode);
    const auto from = SAW_TRY(base_.find(path));
    const Fd like(from ? ::openat(from->directory, from->name.c_str(), kOpenDirectory) : -1);
    if (!like)
      return Error::make("quarantine.parent", "the workspace has no directory '{}' for it", printable(path));
    SAW_TRY(copy_directory(to->directory, to->name, like.get(), owner_));
    return true;
  }

  TreeCursor upper_, base_;
  std::vector<TreeCursor> layers_;
  const std::optional<FileOwner>& owner_;
};

}  // namespace

bool is_quarantine_id(std::string_view id) {
  return id.starts_with(kQuarantinePrefix);
}

Result<std::optional<RunLaterFinding>> judge_change(const Candidate& candidate) {
  const ChangeRecord& change = candidate.change;
  if (!change.after || change.after->type == FileType::other) return std::nullopt;
  const auto match = match_run_later(change.path, change.after->type);
  if (!match) return std::nullopt;
  return judge_run_later(*match, change.path, [&] {
    return BothVersions{.before = read_side(change.before, candidate.open_before),
                        .after = read_side(change.after, candidate.open_after)};
  });
}

Result<Disposition> classify_run_later(const Candidate& candidate) {
  return SAW_TRY(judge_change(candidate)) ? Disposition::withhold : Disposition::apply;
}

Result<std::vector<QuarantineGroup>> group_run_later(const ChangeSources& sources,
                                                     const std::vector<ChangeRecord>& changes) {
  Judging judging(sources);
  std::vector<bool> withheld(changes.size());
  std::map<std::string, QuarantineGroup, std::less<>> groups;
  std::vector<std::optional<std::string>> place_of(changes.size());
  for (size_t i = 0; i < changes.size(); ++i) {
    auto finding = SAW_TRY(judging.judge(changes[i]));
    if (!finding) continue;
    withheld[i] = true;
    const std::string place = changes[i].path.substr(0, finding->place);
    place_of[i] = place;
    groups.try_emplace(place, QuarantineGroup{.finding = std::move(*finding), .place = place});
  }
  spread_withheld(changes, withheld);
  for (size_t i = 0; i < changes.size(); ++i) {
    if (!withheld[i]) continue;
    const auto group =
        place_of[i] ? groups.find(*place_of[i]) : std::ranges::find_if(groups, [&](const auto& entry) {
          return is_within(changes[i].path, entry.first) || is_within(entry.first, changes[i].path);
        });
    if (group != groups.end()) group->second.members.push_back(i);
  }
  std::vector<QuarantineGroup> out;
  out.reserve(groups.size());
  for (auto& [place, group] : groups) out.push_back(std::move(group));
  return out;
}

Result<> fill_layer(const Fd& upper, const ChangeSources& sources, const std::vector<ChangeRecord>& changes,
                    std::span<const size_t> members, const std::optional<FileOwner>& owner) {
  LayerWriter writer(upper, sources, owner);
  for (size_t member : members)
    SAW_TRY(writer.write(changes[member]), fmt::format("'{}'", printable(changes[member].path)));
  return {};
}

Result<> refuse_run_later(const ChangeSources& sources) {
  const ChangeList list = SAW_TRY(list_changes(sources), "listing what the session changed");
  Judging judging(sources);
  std::string names;
  size_t count = 0;
  for (const ChangeRecord& change : list.changes) {
    const auto finding = SAW_TRY(judging.judge(change));
    if (!finding || ++count > kMaxNamed) continue;
    names += fmt::format("{}'{}' ({}{}{})", names.empty() ? "" : ", ", printable(change.path), finding->why,
                         finding->detail.empty() ? "" : ": ", finding->detail);
  }
  if (count == 0) return {};
  return Error::make(
      "commit.run_later",
      "the policy keeps what runs later out of the workspace (filesystem.runLater: deny): {}{}. "
      "Undo it in the session, or ask for a policy with runLater: quarantine",
      names, count > kMaxNamed ? fmt::format(" and {} more", count - kMaxNamed) : "");
}

}  // namespace saw::sandbox
