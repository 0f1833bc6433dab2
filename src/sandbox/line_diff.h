// The lines in which two texts differ, as `diff -u` writes them (POSIX "unified" format, three lines of
// context), without the heads that name files.
//
//   std::optional<std::string> lines = unified_diff("a\nb\n", "a\nc\n");   // "@@ -1,2 +1,2 @@\n a\n-b\n+c\n"
//
// Pure, total on any bytes, bounded: nullopt for what is not text (a NUL byte) or larger than kMaxText. The
// shortest edit (Myers, "An O(ND) Difference Algorithm", 1986) as long as it has at most kMaxEdits lines;
// beyond that what differs is shown as replaced whole, which is right, and longer.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace saw::sandbox {

constexpr size_t kMaxText = 1u << 20;
constexpr size_t kMaxEdits = 1000;

bool is_text(std::string_view bytes);
std::optional<std::string> unified_diff(std::string_view before, std::string_view after);

}  // namespace saw::sandbox
