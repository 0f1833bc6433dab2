// The life of the saw-node process: directories, locks, detaching, wiring, and the message to whoever waits
// for the start.
//
//   <dir>/control         sawd's, mode 0700, its own uid when root
//   <dir>/perimeter.yaml  the operator's
//   <dir>/node            saw-node's, mode 0700: sawd cannot read it
//   <dir>/log/saw.log     of all programs
//   <dir>/node/lock       held by the one saw-node of this state directory
//   <dir>/node/state      link to <run>/records: what it remembers of running sandboxes
//   <run>/node.lock       held by the one saw-node of this run directory
#pragma once

#include "options.h"

namespace saw::node_app {

// Returns the exit status.
int serve(const Options& options);

}  // namespace saw::node_app
