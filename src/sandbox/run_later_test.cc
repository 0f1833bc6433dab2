#include "sandbox/run_later.h"

#include <cstdlib>
#include <fstream>
#include <random>
#include <set>
#include <sstream>

#include <gtest/gtest.h>

#include "sandbox/git_config.h"
#include "sandbox/run_later_list.h"

namespace saw::sandbox {
namespace {

std::string golden(std::string_view name) {
  return std::string(SAW_SOURCE_DIR) + "/" + std::string(name);
}

FileType type_named(const std::string& letter) {
  return letter == "l" ? FileType::symlink : letter == "d" ? FileType::directory : FileType::file;
}

std::string rule_of(std::string_view path, FileType type) {
  auto match = match_run_later(path, type);
  return match ? std::string(match->rule.pattern) : "-";
}

bool is_judged_link(std::string_view path) {
  auto match = match_run_later(path, FileType::symlink);
  return match && match->rule.judge != Judge::never;
}

// A path that the pattern names, without its anchor.
std::string example_of(std::string_view pattern) {
  std::string out;
  for (size_t i = 0; i < pattern.size(); ++i) {
    if (pattern.substr(i, 2) == "**") {
      out += "m/n";
      ++i;
    } else {
      out += pattern[i] == '*' ? 'q' : pattern[i];
    }
  }
  if (out.ends_with('/')) out += "inner/file";
  return out;
}

std::optional<RunLaterFinding> judge(std::string_view path, std::optional<std::string> before,
                                     std::optional<std::string> after, FileType type = FileType::file) {
  auto match = match_run_later(path, type);
  if (!match) return std::nullopt;
  return judge_run_later(*match, path, [&] { return BothVersions{std::move(before), std::move(after)}; });
}

constexpr std::string_view kFreshRepository =
    "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n\tlogallrefupdates = true\n";
std::string with(std::string_view more) {
  return std::string(kFreshRepository) + std::string(more);
}
bool runs_later(std::string_view path, std::string_view before, std::string_view after) {
  return judge(path, std::string(before), std::string(after)).has_value();
}
constexpr std::string_view kConfig = "/workspace/.git/config";

TEST(RunLater, the_reviewed_table_of_paths_holds) {
  std::ifstream table(golden("tests/golden/run_later/paths.txt"));
  ASSERT_TRUE(table);
  size_t rows = 0;
  for (std::string line; std::getline(table, line);) {
    if (line.empty() || line[0] == '#') continue;
    std::istringstream words(line);
    std::string letter, rule, path;
    words >> letter >> rule >> path;
    EXPECT_EQ(rule_of(path, type_named(letter)), rule) << letter << " " << path;
    ++rows;
  }
  EXPECT_GT(rows, 100u);
}

TEST(RunLater, what_is_on_the_list_is_classified_however_deep_it_is_nested) {
  for (const RunLaterRule& rule : run_later_rules()) {
    const std::string example = example_of(rule.pattern);
    if (rule.pattern.starts_with('/')) {
      EXPECT_TRUE(match_run_later(example, FileType::file)) << example;
      continue;
    }
    for (const char* root :
         {"/", "/workspace/", "/home/agent/", "/workspace/a/b/c/", "/workspace/\xff\x01/ /"})
      EXPECT_TRUE(match_run_later(root + example, FileType::file)) << root + example;
  }
}

TEST(RunLater, a_link_in_place_of_a_directory_on_the_way_is_classified) {
  for (const RunLaterRule& rule : run_later_rules()) {
    if (rule.judge == Judge::never || rule.pattern.starts_with('/')) continue;
    const std::string example = "/workspace/" + example_of(rule.pattern);
    for (size_t slash = example.find('/', 11); slash != example.npos; slash = example.find('/', slash + 1))
      EXPECT_TRUE(is_judged_link(example.substr(0, slash))) << example.substr(0, slash);
    EXPECT_TRUE(is_judged_link(example)) << example;
  }
}

TEST(RunLater, directories_have_no_rule_of_their_own) {
  for (const RunLaterRule& rule : run_later_rules())
    EXPECT_FALSE(match_run_later("/workspace/" + example_of(rule.pattern), FileType::directory));
}

TEST(RunLater, neighbours_of_listed_names_are_not_classified) {
  for (const char* path : {"/workspace/x.bashrc", "/workspace/.vscodex/a", "/workspace/git/hooks/a",
                           "/workspace/.git/hooksx/a", "/workspace/pre-commit.md", "/workspace/xCLAUDE.md"})
    EXPECT_EQ(rule_of(path, FileType::file), "-") << path;
}

TEST(RunLater, the_place_is_what_the_rule_names) {
  const std::string path = "/workspace/a/.vscode/deep/tasks.json";
  EXPECT_EQ(path.substr(0, match_run_later(path, FileType::file)->place), "/workspace/a/.vscode");
  const std::string file = "/home/agent/.bashrc";
  EXPECT_EQ(match_run_later(file, FileType::file)->place, file.size());
}

TEST(RunLater, every_rule_gives_a_reason_and_no_rule_is_listed_twice) {
  std::set<std::string_view> seen;
  for (const RunLaterRule& rule : run_later_rules()) {
    EXPECT_FALSE(rule.why.empty()) << rule.pattern;
    EXPECT_TRUE(seen.insert(rule.pattern).second) << rule.pattern;
  }
}

TEST(RunLater, odd_paths_are_judged_without_harm) {
  for (std::string path : {std::string(""), std::string("/"), std::string("//"), std::string(5000, '/'),
                           "/" + std::string(4000, '*')})
    EXPECT_FALSE(match_run_later(path, FileType::symlink));
  std::string deep;
  for (int i = 0; i < 500; ++i) deep += "/.git/modules";
  EXPECT_FALSE(match_run_later(deep + "/x", FileType::file));
}

TEST(RunLater, docs_run_later_md_is_the_list) {
  const std::string path = golden("docs/run-later.md"), text = describe_run_later();
  if (std::getenv("SAW_ACCEPT_GOLDEN") != nullptr) std::ofstream(path) << text;
  std::ostringstream expected;
  expected << std::ifstream(path).rdbuf();
  EXPECT_EQ(expected.str(), text) << "accept with SAW_ACCEPT_GOLDEN=1";
}

// ---- by content ----

TEST(RunLaterGit, daily_git_work_is_not_held_back) {
  for (const char* more : {"",
                           "[remote \"origin\"]\n\turl = https://git.dev.example/team/app.git\n\tfetch = "
                           "+refs/heads/*:refs/remotes/origin/*\n",
                           "[branch \"topic\"]\n\tremote = origin\n\tmerge = refs/heads/topic\n",
                           "[user]\n\tname = An Agent\n\temail = agent@dev.example\n",
                           "[submodule \"lib\"]\n\tactive = true\n\turl = ../lib.git\n",
                           "[pull]\n\trebase = true\n[color]\n\tui = auto\n", "[core]\n\tfsmonitor = true\n",
                           "[pager]\n\tlog = false\n"}) {
    EXPECT_FALSE(runs_later(kConfig, "", with(more))) << more;
    EXPECT_FALSE(runs_later(kConfig, kFreshRepository, with(more))) << more;
    EXPECT_FALSE(runs_later(kConfig, with(more), kFreshRepository)) << more;
  }
}

TEST(RunLaterGit, a_setting_that_names_a_program_or_a_place_is_held_back) {
  for (const char* more : {"[core]\n\thooksPath = x\n",
                           "[CORE] HooksPath = x\n",
                           "[core]hookspath=\"x\"",
                           "[core]\n\tfsmonitor = ./x\n",
                           "[core]\n\tsshCommand = x\n",
                           "[core]\n\teditor = x\n",
                           "[core]\n\tpager = x\n",
                           "[core]\n\taskPass = x\n",
                           "[core]\n\tgitProxy = x\n",
                           "[alias]\n\tst = !x\n",
                           "[filter \"lfs\"]\n\tclean = x\n",
                           "[filter \"a\"]\n\tprocess = x\n",
                           "[diff \"a\"]\n\ttextconv = x\n",
                           "[diff]\n\texternal = x\n",
                           "[merge \"a\"]\n\tdriver = x\n",
                           "[credential]\n\thelper = !x\n",
                           "[credential \"https://git.dev.example\"]\n\thelper = x\n",
                           "[url \"https://evil.example/\"]\n\tinsteadOf = https://good.example/\n",
                           "[include]\n\tpath = ../evil\n",
                           "[includeIf \"gitdir:/\"]\n\tpath = x\n",
                           "[gpg]\n\tprogram = x\n",
                           "[gpg \"ssh\"]\n\tprogram = x\n",
                           "[sequence]\n\teditor = x\n",
                           "[web]\n\tbrowser = x\n",
                           "[browser \"x\"]\n\tcmd = x\n",
                           "[man \"x\"]\n\tcmd = x\n",
                           "[pager]\n\tlog = x\n",
                           "[remote \"origin\"]\n\turl = ext::sh -c x\n",
                           "[remote \"origin\"]\n\turl = -x\n",
                           "[remote \"origin\"]\n\tuploadpack = x\n",
                           "[remote \"origin\"]\n\treceivepack = x\n",
                           "[remote \"origin\"]\n\tvcs = x\n",
                           "[protocol \"ext\"]\n\tallow = always\n",
                           "[submodule \"a\"]\n\tupdate = !x\n",
                           "[core]\n\tworktree = /home/agent\n",
                           "[init]\n\ttemplateDir = x\n",
                           "[hook \"x\"]\n\tcommand = x\n",
                           "[unheard]\n\tof = x\n",
                           "[safe]\n\tdirectory = *\n",
                           "[lfs]\n\tx = y\n",
                           "[core]\n\tbare = false \\\n\n\thookspath = x\n",
                           "# x\n[core] ; y\n\thookspath = x # z\n"}) {
    EXPECT_TRUE(runs_later(kConfig, kFreshRepository, with(more))) << more;
    EXPECT_TRUE(runs_later("/home/agent/.gitconfig", "", more)) << more;
    EXPECT_FALSE(runs_later(kConfig, with(more), with(more))) << more << "is there already";
    EXPECT_FALSE(runs_later(kConfig, with(more), with(std::string(more) + "\n[user]\n\tname = x\n"))) << more;
    EXPECT_TRUE(runs_later(kConfig, with(more), kFreshRepository)) << more << "goes";
  }
}

TEST(RunLaterGit, in_doubt_it_is_held_back) {
  EXPECT_TRUE(runs_later(kConfig, kFreshRepository, "[core"));
  EXPECT_TRUE(runs_later(kConfig, kFreshRepository, with("= x\n")));
  EXPECT_TRUE(runs_later(kConfig, kFreshRepository, with(std::string_view("\0", 1))));
  EXPECT_TRUE(judge(kConfig, std::string(kFreshRepository), std::nullopt));
  EXPECT_TRUE(judge(kConfig, std::nullopt, std::string(kFreshRepository)));
  EXPECT_FALSE(judge(kConfig, std::string(kFreshRepository), std::string(kFreshRepository)));
}

TEST(RunLaterGit, the_order_of_what_runs_counts) {
  EXPECT_TRUE(runs_later(kConfig, "[core]\npager=a\npager=b\n", "[core]\npager=b\npager=a\n"));
}

TEST(RunLaterGit, the_finding_names_the_setting) {
  auto finding = judge(kConfig, "", "[core]\n\thooksPath = /tmp/\x1b[2J\n");
  ASSERT_TRUE(finding);
  EXPECT_EQ(finding->detail, "core.hookspath = /tmp/\\x1b[2J");
  EXPECT_EQ(finding->rule, "*.git/config");
}

TEST(RunLaterGit, any_file_called_config_may_belong_to_a_bare_repository) {
  EXPECT_TRUE(runs_later("/workspace/odd/config", "", "[core]\n\thooksPath = x\n"));
  EXPECT_TRUE(runs_later("/workspace/odd/config", "", "nonsense {\n[core]\n\tfsmonitor = x\n"));
  EXPECT_FALSE(runs_later("/workspace/odd/config", "", "[profile x]\nregion = y\n[server]\nport = 80\n"));
  EXPECT_FALSE(runs_later("/workspace/odd/config", "", "{\"a\": 1}"));
}

TEST(RunLaterGit, a_harmful_setting_behind_more_than_are_read_is_held_back_too) {
  std::string many = "[a]\n";
  for (size_t i = 0; i < kMaxGitSettings; ++i) many += "x\n";
  for (const char* path : {"/workspace/odd/config", "/workspace/.git/config"}) {
    EXPECT_TRUE(runs_later(path, "", many + "[core]\n\tfsmonitor = ./x\n")) << path;
    EXPECT_TRUE(runs_later(path, many + "y\n", many + "[core]\n\tfsmonitor = ./x\n")) << path;
  }
  EXPECT_FALSE(runs_later("/workspace/odd/config", "", many.substr(0, many.size() - 2))) << "one fewer";
}

TEST(RunLaterGit, a_bare_repository_has_no_command_either) {
  for (const char* more :
       {"[gc]\n\trecentObjectsHook = x\n", "[svn]\n\tauthorsProg = x\n", "[filter \"x\"]\n\tsmudge = x\n"})
    EXPECT_TRUE(runs_later("/workspace/odd/config", "", more)) << more;
  EXPECT_FALSE(runs_later("/workspace/odd/config", "", "[gc]\n\tauto = 0\n"));
}

TEST(RunLaterGit, a_submodules_work_tree_is_where_git_puts_it_or_held_back) {
  const auto config = [](std::string_view tree) { return with(fmt::format("\tworktree = {}\n", tree)); };
  EXPECT_FALSE(runs_later("/workspace/.git/modules/lib/config", "", config("../../../lib")));
  EXPECT_FALSE(runs_later("/workspace/.git/modules/a/b/config", "", config("../../../../a/b")));
  EXPECT_TRUE(runs_later("/workspace/.git/modules/lib/config", "", config("../../../../home")));
  EXPECT_TRUE(runs_later("/workspace/.git/modules/lib/config", "", config("../../../lib/../../x")));
  EXPECT_TRUE(runs_later("/workspace/.git/modules/lib/config", "", config("../../../.git/hooks")));
  EXPECT_TRUE(runs_later("/workspace/.git/modules/lib/config", "", config("/home/agent")));
  EXPECT_TRUE(runs_later("/workspace/.git/config", "", config("../x")));
}

TEST(RunLaterGit, gitmodules_names_places_but_no_commands) {
  EXPECT_FALSE(runs_later("/workspace/.gitmodules", "",
                          "[submodule \"a\"]\n\tpath = a\n\turl = https://git.dev.example/a\n\tbranch = "
                          "main\n\tupdate = rebase\n"));
  EXPECT_TRUE(
      runs_later("/workspace/.gitmodules", "", "[submodule \"a\"]\n\tpath = a\n\turl = x\n\tupdate = !x\n"));
  EXPECT_TRUE(runs_later("/workspace/.gitmodules", "", "[submodule \"a\"]\n\turl = -u./x\n"));
}

TEST(RunLaterGit, pointers_lead_to_where_git_keeps_such_things) {
  const auto points = [](std::string_view path, std::string_view text) { return runs_later(path, "", text); };
  EXPECT_FALSE(points("/workspace/lib/.git", "gitdir: ../.git/modules/lib\n"));
  EXPECT_FALSE(points("/workspace/wt/.git", "gitdir: /workspace/.git/worktrees/wt\n"));
  EXPECT_TRUE(points("/workspace/lib/.git", "gitdir: ../innocent\n"));
  EXPECT_TRUE(points("/workspace/lib/.git", "gitdir: ../.git/modules/../../innocent\n"));
  EXPECT_TRUE(points("/workspace/lib/.git", "gitdir: /tmp/x\n"));
  EXPECT_TRUE(points("/workspace/lib/.git", "nonsense"));
  EXPECT_FALSE(points("/workspace/.git/worktrees/wt/commondir", "../..\n"));
  EXPECT_TRUE(points("/workspace/.git/worktrees/wt/commondir", "/workspace/innocent\n"));
  EXPECT_TRUE(points("/workspace/odd/commondir", "../innocent\n"));
}

}  // namespace
}  // namespace saw::sandbox
