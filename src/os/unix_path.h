// Unix sockets by path, whatever the path's length: sockaddr_un holds 108 bytes, a state directory may be
// deeper. The directory is opened first and the name is looked up below it.
#pragma once

#include <string>

#include "base/fd.h"

namespace saw::os {

enum class SocketKind : uint8_t { stream, seqpacket };

// Replaces what lies at `path`, then listens with the given file mode. Nobody can connect before the mode is
// set. Non-blocking.
Result<Fd> listen_unix(const std::string& path, SocketKind kind, unsigned mode);
Result<Fd> connect_unix(const std::string& path, SocketKind kind);

}  // namespace saw::os
