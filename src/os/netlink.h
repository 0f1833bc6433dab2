// The routing that a sandbox's network needs (rtnetlink(7)), for the calling thread's network namespace, in
// one exchange with the kernel. Errors: those of exchange() (netlink_message.h).
#pragma once

#include <cstdint>

#include "base/result.h"

namespace saw::os {

enum class Families : uint8_t {
  ipv4_and_ipv6,
  ipv4_only,  // this kernel has no IPv6
};

Result<> bring_loopback_up();

// Loopback up and `ip route add local 0.0.0.0/0 dev lo`, `ip -6 route add local ::/0 dev lo`. Where IPv6 is
// switched off (disable_ipv6) its route is left out, so that nothing can be sent to an IPv6 address at all.
Result<> make_every_address_local(Families families);

}  // namespace saw::os
