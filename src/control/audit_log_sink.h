// The audit log behind a thread of its own: sawd's loop never waits for the disk.
//
//   auto sink = SAW_TRY(open_audit_log(loop, directory, origin, seed));
//   sink->append(std::move(lines), [](Result<> durable) { … });      // called on the loop
//
// A batch is answered when the journal is flushed. Tiles and checkpoint follow kPublishIdleMs after the last
// batch, or kPublishMs after the first that is not published, whichever comes first; a reader that cannot wait
// asks with publish(). The destructor publishes what is durable, ends the thread, and answers whoever waits.
#pragma once

#include <memory>
#include <string>

#include "control/audit_writer.h"

namespace saw::control {

constexpr int64_t kPublishIdleMs = 5, kPublishMs = 50;

Result<std::unique_ptr<AuditSink>> open_audit_log(os::Loop& loop, const std::string& directory,
                                                  std::string origin, std::string_view key_seed);
// Another log, in tests one whose disk fails.
Result<std::unique_ptr<AuditSink>> run_audit_log(os::Loop& loop, audit::Log log);

}  // namespace saw::control
