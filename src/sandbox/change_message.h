// Changes as saw-node tells them to sawd: what people are shown, without digests.
#pragma once

#include "sandbox/changes.h"

namespace saw::sandbox {

Change to_message(const ChangeRecord& record);

}  // namespace saw::sandbox
