// Whether one rule of an entry makes another idle.
#pragma once

#include "policy/document.h"

namespace saw::policy {

// Whether every request that `inner` holds for is one that `outer` holds for, both rules of one entry of that protocol and `outer` at
// least as strict. Never wrong with true.
bool covers(const Rule& outer, const Rule& inner, Protocol protocol);

}  // namespace saw::policy
