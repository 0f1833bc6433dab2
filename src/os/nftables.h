// The packet filter of a sandbox's network, given to the kernel without the program `nft`: one transaction of
// netlink messages that is encoded at compile time.
//
//   SAW_TRY(install_capture_rules(Families::ipv4_and_ipv6));      // in the calling thread's network namespace
//
// All of it or nothing. Tests hold it against what `nft` makes of capture_ruleset(). Formats:
// linux/netfilter/nf_tables.h and nfnetlink.h; expressions as `nft --debug=netlink` prints them.
#pragma once

#include "os/netlink.h"

namespace saw::os {

// Wants a namespace in which no table `saw` is. Error: "network.filter", with the kernel's errno, the rule it
// refused, and what to do.
Result<> install_capture_rules(Families families);

// The same rules in nft's language, for tests and documents.
const char* capture_ruleset(Families families);

}  // namespace saw::os
