// Reading a git configuration is total and never sees less than is there: whatever comes first, a setting on
// lines of its own at the end is found. Judging any bytes, at any path, ends.
#include <cstdint>

#include "base/result.h"
#include "sandbox/git_config.h"
#include "sandbox/run_later.h"

using namespace saw::sandbox;

namespace {

void check_reading(const std::string& text) {
  const GitConfig config = parse_git_config(text);
  SAW_CHECK(config.settings.size() <= kMaxGitSettings);
  for (const GitSetting& setting : config.settings) SAW_CHECK(setting.key.find('.') != setting.key.npos);
  const GitConfig longer = parse_git_config(text + "\n\n[core]\n\thooksPath = x\n");
  SAW_CHECK(longer.settings.size() == kMaxGitSettings ||
            longer.settings.back() == (GitSetting{"core.hookspath", "x"}));
}

void check_judging(const std::string& text) {
  for (const char* path :
       {"/workspace/.git/config", "/workspace/x/config", "/workspace/.git", "/w/commondir"}) {
    const auto match = match_run_later(path, FileType::file);
    SAW_CHECK(match.has_value());
    const auto unchanged = judge_run_later(*match, path, [&] { return BothVersions{text, text}; });
    const auto added = judge_run_later(*match, path, [&] { return BothVersions{"", text}; });
    SAW_CHECK(!added || added->detail.size() < 1000);
    SAW_CHECK(!unchanged || match->rule.judge != Judge::git_guess);
  }
  match_run_later(text, FileType::symlink);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  check_reading(text);
  check_judging(text);
  return 0;
}
