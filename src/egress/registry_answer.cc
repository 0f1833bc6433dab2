#include "egress/registry_answer.h"

#include <algorithm>
#include <array>
#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace saw::egress {
namespace {

using Tree = nlohmann::ordered_json;

std::unexpected<Error> unreadable(std::string_view what) {
  return Error::make("upstream.unreadable_answer", "the registry's list of versions cannot be read: {}",
                     what);
}

std::optional<std::string> text_at(const Tree& object, const char* key) {
  if (!object.is_object()) return std::nullopt;
  auto found = object.find(key);
  if (found == object.end() || !found->is_string()) return std::nullopt;
  return found->get<std::string>();
}

// Whether it may be had; tells when it was published, if that is known.
bool old_enough(const VersionList& list, const std::optional<std::string>& time,
                const std::optional<std::string>& url) {
  const auto published = time ? parse_rfc3339(*time) : std::nullopt;
  if (!published) return false;
  if (url) list.learn(*url, *published);
  return *published <= list.before;
}

// ---- npm

void drop_tags(Tree& document, const Tree& versions) {
  auto tags = document.find("dist-tags");
  if (tags == document.end() || !tags->is_object()) return;
  for (auto tag = tags->begin(); tag != tags->end();)
    tag = tag->is_string() && versions.contains(tag->get<std::string>()) ? std::next(tag) : tags->erase(tag);
}

Result<> filter_npm(Tree& document, const VersionList& list) {
  auto times = document.find("time");
  if (times == document.end() || !times->is_object())
    return unreadable("it does not say when versions were published");
  Tree& versions = document["versions"];
  for (auto version = versions.begin(); version != versions.end();) {
    const std::string name = version.key();
    const auto dist = version->is_object() ? version->find("dist") : version->end();
    const bool listed = version->is_object() && dist != version->end();
    const auto url = listed ? text_at(*dist, "tarball") : std::nullopt;
    if (old_enough(list, text_at(*times, name.c_str()), url)) {
      ++version;
      continue;
    }
    times->erase(name);
    version = versions.erase(version);
  }
  drop_tags(document, versions);
  return {};
}

// ---- PyPI

void filter_files(Tree& files, const VersionList& list) {
  Tree kept = Tree::array();
  for (Tree& file : files) {
    auto time = text_at(file, "upload-time");
    if (!time) time = text_at(file, "upload_time_iso_8601");
    if (old_enough(list, time, text_at(file, "url"))) kept.push_back(std::move(file));
  }
  files = std::move(kept);
}

void filter_releases(Tree& releases, const VersionList& list) {
  for (auto release = releases.begin(); release != releases.end();) {
    if (release->is_array()) filter_files(*release, list);
    release = release->is_array() && !release->empty() ? std::next(release) : releases.erase(release);
  }
}

// The names of versions that no file is left of: "versions" is only a convenience (PEP 700).
void drop_versions(Tree& document) {
  auto versions = document.find("versions");
  if (versions == document.end()) return;
  Tree kept = Tree::array();
  for (const Tree& version : *versions) {
    const std::string mark = version.is_string() ? "-" + version.get<std::string>() : std::string();
    const bool here = !mark.empty() && std::ranges::any_of(document["files"], [&](const Tree& file) {
      return text_at(file, "filename").value_or("").find(mark) != std::string::npos;
    });
    if (here) kept.push_back(version);
  }
  *versions = std::move(kept);
}

Result<> filter_document(Tree& document, const VersionList& list) {
  auto is = [&](const char* key, Tree::value_t type) {
    auto found = document.find(key);
    return found != document.end() && found->type() == type;
  };
  if (is("files", Tree::value_t::array)) {
    filter_files(document["files"], list);
    drop_versions(document);
    return {};
  }
  if (is("releases", Tree::value_t::object) || is("urls", Tree::value_t::array)) {
    if (is("urls", Tree::value_t::array)) filter_files(document["urls"], list);
    if (is("releases", Tree::value_t::object)) filter_releases(document["releases"], list);
    return {};
  }
  if (is("versions", Tree::value_t::object)) return filter_npm(document, list);
  for (const char* key : {"files", "releases", "urls", "versions"})
    if (document.contains(key)) return unreadable(fmt::format("'{}' is of another type", key));
  return {};
}

class VersionFilter final : public WholeAnswerFilter {
 public:
  explicit VersionFilter(VersionList list)
      : WholeAnswerFilter(kMaxVersionList, "the registry's"), list_(std::move(list)) {}
  Result<std::string> finish() override { return filter_versions(text(), list_); }

 private:
  VersionList list_;
};

}  // namespace

Result<std::string> filter_versions(std::string_view body, const VersionList& list) {
  constexpr int kMaxDepth = 64;
  // An ordered_json looks for each member among those before it: a hostile list could make that take minutes.
  constexpr uint64_t kMaxWork = 800'000'000;  // 40,000 members of one object
  std::array<uint64_t, kMaxDepth + 2> members{};
  uint64_t work = 0;
  bool deep = false;
  Tree document = Tree::parse(
      body,
      [&](int depth, Tree::parse_event_t event, Tree&) {
        deep = deep || depth > kMaxDepth || work > kMaxWork;
        if (deep) return false;
        const auto level = static_cast<size_t>(depth);
        if (event == Tree::parse_event_t::object_start) members[level + 1] = 0;
        if (event == Tree::parse_event_t::key) work += ++members[level];
        return true;
      },
      false);
  if (deep || document.is_discarded()) return unreadable("it is no JSON");
  if (!document.is_object()) return unreadable("it is no object");
  if (auto done = filter_document(document, list); !done) return std::unexpected(done.error());
  return document.dump(-1, ' ', false, Tree::error_handler_t::replace);
}

std::unique_ptr<AnswerFilter> version_filter(VersionList list) {
  return std::make_unique<VersionFilter>(std::move(list));
}

}  // namespace saw::egress
