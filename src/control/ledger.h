// Where a workspace's saw-egress counts what its agents use up: a file of sawd's, so that neither of them is forgotten when it
// ends (egress/allowance.h reads and writes it; here it is only kept).
//
//   Fd file = SAW_TRY(open_ledger(directory, "ws-1"));        // made and given its room on first use
//   remove_ledger(directory, "ws-1");                         // with the workspace
//
// saw-egress maps it and lets the descriptor go before it reads anything hostile: it can fill the file with lies, not make it grow.
#pragma once

#include <string>

#include "base/fd.h"

namespace saw::control {

// Error "egress.ledger".
Result<Fd> open_ledger(const std::string& directory, const std::string& workspace);
void remove_ledger(const std::string& directory, const std::string& workspace);

}  // namespace saw::control
