#include <set>

#include <gtest/gtest.h>

#include "cli/command.h"
#include "cli/commands.h"

namespace saw::cli {
namespace {

Attempt<Invocation> parse_words(std::vector<std::string> words) {
  static const std::vector<Command> table = all_commands();
  return parse(table, words);
}

TEST(Parse, global_options_are_understood_before_and_behind_the_command) {
  for (const auto& words :
       std::vector<std::vector<std::string>>{{"--json", "--socket", "/s", "workspace", "show", "dev"},
                                             {"workspace", "--json", "show", "--socket=/s", "dev"},
                                             {"workspace", "show", "dev", "--json", "--socket", "/s"}}) {
    const auto invocation = parse_words(words);
    ASSERT_TRUE(invocation) << invocation.error().reason;
    EXPECT_EQ(invocation->command->path, "workspace show");
    EXPECT_TRUE(invocation->args.has("--json"));
    EXPECT_EQ(invocation->args.text("--socket"), "/s");
    EXPECT_EQ(invocation->args.text("W"), "dev");
  }
}

TEST(Parse, everything_behind_two_dashes_is_the_command_and_nothing_of_it_is_ours) {
  const auto invocation = parse_words({"run", "dev", "--", "ls", "--json", "--", "-h"});
  ASSERT_TRUE(invocation);
  EXPECT_EQ(invocation->args.rest(), (std::vector<std::string>{"ls", "--json", "--", "-h"}));
  EXPECT_FALSE(invocation->args.has("--json"));
  EXPECT_EQ(invocation->wants, Wants::run);
}

TEST(Parse, a_command_without_two_dashes_is_a_usage_error_that_says_where_they_belong) {
  for (const auto& words : std::vector<std::vector<std::string>>{
           {"run", "dev"}, {"run", "dev", "--"}, {"session", "exec", "s"}}) {
    const auto invocation = parse_words(words);
    ASSERT_FALSE(invocation);
    EXPECT_EQ(invocation.error().exit, Exit::usage);
    EXPECT_NE(invocation.error().reason.find("'--'"), std::string::npos) << invocation.error().reason;
  }
}

TEST(Parse, an_option_may_be_given_twice_only_where_the_table_says_so) {
  const auto mounts = parse_words({"workspace", "create", "w", "--mount", "a:/a", "--mount", "b:/b"});
  ASSERT_TRUE(mounts) << mounts.error().reason;
  EXPECT_EQ(mounts->args.list("--mount"), (std::vector<std::string>{"a:/a", "b:/b"}));
  EXPECT_FALSE(parse_words({"workspace", "create", "w", "--policy", "a", "--policy", "b"}));
}

TEST(Parse, values_arrive_as_they_were_given) {
  for (const char* value : {"{}", "[]", "[a,b]", "a,b", "%%", "", "a b", "\"q\"", "'q'", "x=y"}) {
    const auto invocation = parse_words({"review", "deny", "rv-1", "--why", value});
    ASSERT_TRUE(invocation) << value << ": " << invocation.error().reason;
    EXPECT_EQ(invocation->args.find("--why"), value);
    const auto repeated = parse_words({"run", "-e", std::string("A=") + value, "dev", "--", "x"});
    ASSERT_TRUE(repeated) << value << ": " << repeated.error().reason;
    EXPECT_EQ(repeated->args.list("--env"), std::vector<std::string>{std::string("A=") + value});
    EXPECT_EQ(repeated->args.text("W"), "dev");
  }
}

TEST(Parse, optional_words_fill_up_from_the_left) {
  const auto both = parse_words({"help", "workspace", "create"});
  ASSERT_TRUE(both) << both.error().reason;
  EXPECT_EQ(both->args.text("COMMAND"), "workspace");
  EXPECT_EQ(both->args.text("VERB"), "create");
  const auto one = parse_words({"help", "run"});
  ASSERT_TRUE(one);
  EXPECT_FALSE(one->args.has("VERB"));
  EXPECT_FALSE(parse_words({"help", "a", "b", "c"}));
}

TEST(Parse, what_is_missing_unknown_or_too_much_is_a_usage_error) {
  for (const auto& words : std::vector<std::vector<std::string>>{{"workspace", "create"},
                                                                 {"workspace", "create", "a", "b"},
                                                                 {"status", "--nonsense"},
                                                                 {"workspace"},
                                                                 {"workspace", "nonsense"},
                                                                 {"nonsense"},
                                                                 {"--json"}}) {
    const auto invocation = parse_words(words);
    ASSERT_FALSE(invocation) << words[0];
    EXPECT_EQ(invocation.error().exit, Exit::usage);
    EXPECT_FALSE(invocation.error().ask.empty());
  }
}

TEST(Parse, a_typing_error_is_answered_with_what_was_meant) {
  const auto invocation = parse_words({"workspce", "list"});
  ASSERT_FALSE(invocation);
  EXPECT_NE(invocation.error().reason.find("workspace"), std::string::npos) << invocation.error().reason;
}

TEST(Parse, help_is_found_wherever_it_is_asked_for) {
  for (const auto& words : std::vector<std::vector<std::string>>{{"workspace", "create", "--help"},
                                                                 {"-h", "workspace", "create"},
                                                                 {"workspace", "create", "x", "-h"}}) {
    const auto invocation = parse_words(words);
    ASSERT_TRUE(invocation);
    EXPECT_EQ(invocation->wants, Wants::help);
  }
}

TEST(Duration, is_understood_with_its_unit_and_refused_with_another) {
  EXPECT_EQ(parse_duration_ms("30s"), 30'000);
  EXPECT_EQ(parse_duration_ms("1.5m"), 90'000);
  EXPECT_EQ(parse_duration_ms("250ms"), 250);
  EXPECT_EQ(parse_duration_ms("2"), 2'000);
  for (const char* bad : {"", "s", "-1s", "1y", "1 s", "1e99h", "99999d", "nan", "inf"})
    EXPECT_FALSE(parse_duration_ms(bad)) << bad;
}

TEST(Size, counts_by_1024_and_refuses_nonsense) {
  EXPECT_EQ(parse_size("4096"), 4096u);
  EXPECT_EQ(parse_size("2GiB"), 2ull << 30);
  EXPECT_EQ(parse_size("512M"), 512ull << 20);
  for (const char* bad : {"", "M", "-1", "1X", "1GB", "9999999T", "2 GiB"})
    EXPECT_FALSE(parse_size(bad)) << bad;
}

TEST(Table, every_path_is_there_once_and_no_option_hides_a_global_one) {
  const std::vector<Command> table = all_commands();
  std::set<std::string> seen;
  for (const Command& command : table) {
    EXPECT_TRUE(seen.insert(command.path).second) << command.path;
    EXPECT_FALSE(command.summary.empty()) << command.path;
    EXPECT_FALSE(command.summary.ends_with('.')) << command.path;
    if (command.run) EXPECT_FALSE(command.examples.empty()) << command.path << " has no example";
    for (const Option& option : command.options)
      for (const Option& global : global_options()) EXPECT_NE(option.name, global.name) << command.path;
  }
}

}  // namespace
}  // namespace saw::cli
