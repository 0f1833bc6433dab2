// The table of commands as text: help for a terminal, a man page, the reference page docs/cli.md, and shell
// completions. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/command.h"

namespace saw::cli {

// `topic`: a command's path, a group ("workspace"), or empty for the overview.
std::string help_text(const std::vector<Command>& table, std::string_view topic);
std::string man_page(const std::vector<Command>& table);        // troff, man(7)
std::string reference_page(const std::vector<Command>& table);  // Markdown

enum class Shell { bash, zsh, fish };
std::string completion_script(const std::vector<Command>& table, Shell shell);

// "saw workspace create [OPTION…] NAME"
std::string usage_line(const Command& command);

}  // namespace saw::cli
