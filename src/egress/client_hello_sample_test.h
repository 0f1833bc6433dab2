// Openings of TLS connections for tests: a ClientHello as OpenSSL sends it, perhaps with one extension more, and a server's first record.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace saw::egress {

// `extension`: the type of an empty one at the end.
std::string client_hello(const std::string& name, std::optional<uint16_t> extension = {});
enum class Retry { no, yes };
std::string server_hello(Retry retry);

}  // namespace saw::egress
