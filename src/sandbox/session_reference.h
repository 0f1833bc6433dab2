// The moment from which a session's view of the workspace counts: a file beside its layers whose ctime is the
// kernel's own word, which no agent can set.
//
//   SAW_TRY(make_reference(session_directory.get()));
//   Nanos since = SAW_TRY(read_reference(session_directory.get()));
//   // what lies in the workspace with a ctime ≥ since was changed after the session began: a conflict
//
// The comparison is conservative: within one tick of the clock (≤ 10 ms) before the session began counts as
// after it. It stands on the wall clock; a clock that was set back since (by more than kClockSlack, as the
// boot-time clock tells within one boot) is refused with "commit.clock".
#pragma once

#include "base/clock.h"
#include "base/result.h"

namespace saw::sandbox {

constexpr Nanos kClockSlack = 10 * kMillisecond;

Result<> make_reference(int session_directory);
// The same, later than every ctime given until now: waits for the clock's next tick.
Result<> make_later_reference(int session_directory);
Result<Nanos> read_reference(int session_directory);

}  // namespace saw::sandbox
