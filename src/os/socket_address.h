// Conversion between SocketAddress and the C structures; only for the .cc files of src/os.
#pragma once

#include <netinet/in.h>

#include "os/socket.h"

namespace saw::os {

SocketAddress from_sockaddr(const sockaddr_storage& from);  // another family: all zero
sockaddr_in6 to_sockaddr(const SocketAddress& address);     // IPv4 as v4-mapped: for dual-stack sockets

}  // namespace saw::os
