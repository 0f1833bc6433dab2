#include "cli/help.h"

#include <cstdlib>

#include <gtest/gtest.h>

#include "base/file.h"
#include "cli/commands.h"

namespace saw::cli {
namespace {

// Compares with tests/golden/cli/<name>, or writes it when SAW_ACCEPT=1.
void expect_golden(const std::string& file, const std::string& text) {
  if (const char* accept = std::getenv("SAW_ACCEPT"); accept && std::string_view(accept) == "1") {
    ASSERT_TRUE(replace_file(file, text, 0644, Durability::none));
    return;
  }
  const auto golden = read_file(file);
  ASSERT_TRUE(golden) << golden.error().message << "; SAW_ACCEPT=1 writes it";
  EXPECT_EQ(*golden, text) << file << " differs; SAW_ACCEPT=1 accepts the new text";
}
const std::string kGolden = SAW_SOURCE_DIR "/tests/golden/cli/";

TEST(Help, of_everything_is_what_was_last_accepted) {
  const std::vector<Command> table = all_commands();
  std::string all = help_text(table, "");
  for (const Command& command : table) {
    if (!command.run) continue;
    all += "\n================ " + command.path + "\n" + help_text(table, command.path);
  }
  expect_golden(kGolden + "help.txt", all);
}

TEST(Help, the_reference_page_is_the_table) {
  expect_golden(SAW_SOURCE_DIR "/docs/cli.md", reference_page(all_commands()));
}

TEST(Help, completions_are_what_was_last_accepted) {
  const std::vector<Command> table = all_commands();
  expect_golden(SAW_SOURCE_DIR "/completions/saw.bash", completion_script(table, Shell::bash));
  expect_golden(SAW_SOURCE_DIR "/completions/_saw", completion_script(table, Shell::zsh));
  expect_golden(SAW_SOURCE_DIR "/completions/saw.fish", completion_script(table, Shell::fish));
}

TEST(Help, knows_groups_and_commands_and_nothing_else) {
  const std::vector<Command> table = all_commands();
  EXPECT_NE(help_text(table, "workspace").find("decommission"), std::string::npos);
  EXPECT_NE(help_text(table, "workspace create").find("--policy FILE"), std::string::npos);
  EXPECT_NE(help_text(table, "ssh").find("not available yet"), std::string::npos);
  EXPECT_EQ(help_text(table, "nonsense"), "");
}

TEST(ManPage, no_text_is_taken_for_a_request) {
  std::vector<Command> table = {
      {.path = "x", .summary = ".so /etc/passwd", .text = "'quoted \\n start", .run = nullptr}};
  const std::string page = man_page(table);
  EXPECT_EQ(page.find("\n.so"), std::string::npos);
  EXPECT_EQ(page.find("\n'quoted"), std::string::npos);
  EXPECT_NE(page.find("\\en start"), std::string::npos);
}

}  // namespace
}  // namespace saw::cli
