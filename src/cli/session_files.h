// session diff, commit and discard.
#pragma once

#include "cli/command.h"

namespace saw::cli {

std::vector<Command> session_file_commands();

// `text` with everything that could steer a terminal, or show it in another order than it is, written out:
// controls other than tab as \xNN, C1 controls, bidirectional marks and what is not seen as \u{…}. Valid UTF-8
// otherwise stays.
std::string shown_line(std::string_view text);

}  // namespace saw::cli
