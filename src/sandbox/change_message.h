// Changes as saw-node tells them to sawd: what people are shown, without digests.
#pragma once

#include <span>

#include "sandbox/changes.h"
#include "sandbox/commit.h"

namespace saw::sandbox {

Change to_message(const ChangeRecord& record);
Committed to_message(const CommitOutcome& outcome);

constexpr size_t kMaxLineBytes = 2u << 20;  // of all line diffs in one answer

// What ListChanges asked for: its paths, and the lines of text files, as long as they fit.
Result<Changes> answer_of(const ChangeSources& sources, const ListChanges& request);

}  // namespace saw::sandbox
