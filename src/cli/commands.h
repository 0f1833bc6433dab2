// Every command, grouped by noun; each function lives in the file of its name.
#pragma once

#include <vector>

#include "cli/command.h"

namespace saw::cli {

std::vector<Command> daemon_commands();        // up, down, status
std::vector<Command> host_commands();          // doctor, advise, conform
std::vector<Command> workspace_commands();     // workspace …
std::vector<Command> run_commands();           // exec, run
std::vector<Command> attach_commands();        // attach
std::vector<Command> copy_commands();          // cp
std::vector<Command> session_commands();       // session …
std::vector<Command> policy_commands();        // policy …
std::vector<Command> prove_commands();         // policy prove
std::vector<Command> release_commands();       // policy keygen, sign, verify
std::vector<Command> release_tree_commands();  // policy publish, rollback, revoke, status
std::vector<Command> agent_commands();         // agent …
std::vector<Command> delegate_commands();      // delegate …, revoke
std::vector<Command> secret_commands();        // secret …
std::vector<Command> review_commands();        // review …
std::vector<Command> audit_commands();         // audit …
Command audit_prove_command();
std::vector<Command> about_commands();  // whoami, version, help, completion
std::vector<Command> later_commands();  // known, not available yet

// All of them, in the order of the help.
std::vector<Command> all_commands();

}  // namespace saw::cli
