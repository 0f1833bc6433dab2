// Changes of a session as the API shows them: text that is safe for one line, names instead of numbers.
#pragma once

#include "control/types.h"
#include "sandbox/node_protocol.h"

namespace saw::control {

DiffView to_view(const sandbox::Changes& changes);

}  // namespace saw::control
