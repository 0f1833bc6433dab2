// The three routing requests that a sandbox's network needs (rtnetlink(7)), for the calling process's network
// namespace.
#pragma once

#include "base/result.h"

namespace saw::os {

Result<> bring_loopback_up();
// `ip route add local 0.0.0.0/0 dev lo` and `ip -6 route add local ::/0 dev lo`.
Result<> make_every_address_local();

}  // namespace saw::os
