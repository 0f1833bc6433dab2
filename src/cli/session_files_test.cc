#include "cli/session_files.h"

#include <gtest/gtest.h>

namespace saw::cli {
namespace {

TEST(ShownLine, what_steers_a_terminal_or_is_not_seen_is_written_out) {
  for (auto [raw, shown] : {std::pair{"\x1b[2J", "\\x1b[2J"},
                            {"\u009b", "\\u{9b}"},
                            {"\u202e", "\\u{202e}"},
                            {"\u061c", "\\u{61c}"},
                            {"\u2066", "\\u{2066}"},
                            {"\u00ad", "\\u{ad}"},
                            {"\u2062", "\\u{2062}"},
                            {"\ufffa", "\\u{fffa}"},
                            {"\U000e0041", "\\u{e0041}"}})
    EXPECT_EQ(shown_line(std::string("+a") + raw + "b"), std::string("+a") + shown + "b");
}

TEST(ShownLine, text_of_any_language_stays) {
  for (const char* text :
       {"+plain\tline", "+gr\u00fc\u00df", "+\u05e9\u05dc\u05d5\u05dd", "+\u65e5\u672c", "+\U0001f600\ufe0f"})
    EXPECT_EQ(shown_line(text), text);
}

}  // namespace
}  // namespace saw::cli
