#include "sandbox/git_config.h"

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/crypto.h"

namespace saw::sandbox {
namespace {

using testing::ElementsAre;

std::vector<GitSetting> settings(std::string_view text) {
  return parse_git_config(text).settings;
}

TEST(GitConfig, sections_subsections_and_names_are_read_as_git_does) {
  EXPECT_THAT(settings("[Core]\n\tBare = false\n[remote \"Or\\\"igin\"] url=x\n[a.B]\nc\n"),
              ElementsAre(GitSetting{"core.bare", "false"}, GitSetting{"remote.Or\"igin.url", "x"},
                          GitSetting{"a.b.c", "true"}));
}

TEST(GitConfig, values_are_unquoted_joined_and_trimmed) {
  EXPECT_THAT(settings("[a]\nb =  x y  # c\nc = \" x \"\\\n z\\t;\nd = a\"b;c\"d ; e\ne =\n"),
              ElementsAre(GitSetting{"a.b", "x y"}, GitSetting{"a.c", " x  z\t"}, GitSetting{"a.d", "ab;cd"},
                          GitSetting{"a.e", ""}));
}

TEST(GitConfig, what_git_refuses_is_malformed_and_the_rest_is_read_all_the_same) {
  for (const char* text : {"[core\n[a]\nb=c\n", "x y\n[a]\nb=c\n", "[b \"x]\n[a]\nb=c\n", "]\n[a]\nb=c\n",
                           "[z]\ny=\"\n[a]\nb=c\n", "[z]\ny=\\q\n[a]\nb=c\n"}) {
    const GitConfig config = parse_git_config(text);
    EXPECT_TRUE(config.malformed) << text;
    ASSERT_FALSE(config.settings.empty()) << text;
    EXPECT_EQ(config.settings.back(), (GitSetting{"a.b", "c"})) << text;
  }
  EXPECT_FALSE(parse_git_config("[a]\nb=c\n").malformed);
}

TEST(GitConfig, there_is_a_bound_and_more_is_malformed) {
  std::string text = "[a]\n";
  for (size_t i = 0; i < kMaxGitSettings + 5; ++i) text += "b=c\n";
  const GitConfig config = parse_git_config(text);
  EXPECT_EQ(config.settings.size(), kMaxGitSettings);
  EXPECT_TRUE(config.malformed);
}

// `git config --list -z` writes "key\nvalue\0", or "key\0" for a name without '='.
std::vector<GitSetting> as_git_reads(const std::string& file, bool& refused) {
  const std::string command = "git config --no-includes --file '" + file + "' --list -z 2>/dev/null";
  FILE* pipe = ::popen(command.c_str(), "r");
  std::string out;
  for (int c; (c = std::fgetc(pipe)) != EOF;) out += static_cast<char>(c);
  refused = ::pclose(pipe) != 0;
  std::vector<GitSetting> read;
  for (size_t at = 0; at < out.size();) {
    const size_t end = out.find('\0', at);
    const std::string entry = out.substr(at, end - at);
    const size_t line = entry.find('\n');
    read.push_back({entry.substr(0, line), line == entry.npos ? "true" : entry.substr(line + 1)});
    at = end + 1;
  }
  return read;
}

TEST(GitConfig, reads_what_the_installed_git_reads) {
  if (std::system("git --version >/dev/null 2>&1") != 0) GTEST_SKIP() << "git is not installed";
  constexpr const char* kPieces[] = {"[core]", "[a \"b\"]", "[a.B]", "\n",      "\n",  "\t",
                                     " ",      "hooksPath", "x",     "=",       "=",   "= v",
                                     "\"",     "\\\n",      "\\",    "\\t",     "#",   ";",
                                     "\r\n",   "\r",        "[",     "b = c\n", "k\n", "\"q r\""};
  const std::string file = testing::TempDir() + random_id("saw-git-config-");
  std::mt19937 random(20261124);
  size_t accepted = 0;
  for (int round = 0; round < 160; ++round) {
    std::string text = "[core]\n";
    for (size_t i = random() % 12; i > 0; --i) text += kPieces[random() % std::size(kPieces)];
    std::ofstream(file) << text;
    bool refused = false;
    const std::vector<GitSetting> git = as_git_reads(file, refused);
    const GitConfig ours = parse_git_config(text);
    if (refused) {
      EXPECT_TRUE(ours.malformed) << testing::PrintToString(text);
      continue;
    }
    EXPECT_EQ(ours.settings, git) << testing::PrintToString(text);
    ++accepted;
  }
  std::filesystem::remove(file);
  EXPECT_GT(accepted, 40u);
}

}  // namespace
}  // namespace saw::sandbox
