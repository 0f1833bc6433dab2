// What checking the audit log needs, and where each part comes from: `saw audit verify` and `saw audit prove`.
//
//   const Evidence e = CLI_TRY(evidence(context));
//   audit::verify(e.directory, e.origin, e.public_key, e.journal);
#pragma once

#include <string>
#include <vector>

#include "audit/log.h"
#include "cli/command.h"
#include "cli/context.h"

namespace saw::cli {

// Where the key comes from matters: one that lies beside the log protects against accidents, not against whoever
// can write there; so the source is always named.
struct Evidence {
  std::string directory, origin, public_key, key_source;
  audit::JournalNeed journal = audit::JournalNeed::required;  // optional for a log that --log names: a copy
};

// Files below --dir, or what the daemon says; explicit options win over both.
Attempt<Evidence> evidence(Context& context);
std::vector<Option> evidence_options();

}  // namespace saw::cli
