// The words that requests are made of, as automata: which host names, canonical paths, values and refs there
// are, and the other readings of a path. Each is the same set that the parsers of policy accept (host.h,
// target.h, git.h), except that lengths are not bounded.
#pragma once

#include "base/automaton.h"

namespace saw::policy::prove {

Automaton host_names();       // HostName::parse() keeps them as they are, and they are no addresses
Automaton canonical_paths();  // canonical_target() keeps them as they are
Automaton query_values();     // what a parameter can decode to: UTF-8 without control characters
Automaton header_values();    // what saw-egress accepts as a field value: printable ASCII and tab
Automaton refs();             // valid_ref()

// other_readings() of a canonical path, letter by letter: with the escapes decoded of what may stand raw;
// and as that without parameters, empty segments and final slash.
const Rewriter& decoded_path();
const Rewriter& plain_path();
// The escapes that a canonical path can have: syllables of its language.
std::vector<std::string> path_escapes();

// The last segments of a path that make it one of git's services, and paths that name no repository there
// (GitRequest::classify).
constexpr std::string_view kGitInfo = "/info/refs", kGitUpload = "/git-upload-pack",
                           kGitReceive = "/git-receive-pack";

}  // namespace saw::policy::prove
