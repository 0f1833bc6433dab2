// Text encodings of bytes: hexadecimal (lower case) and base64 (RFC 4648 §4 and the unpadded URL form of §5).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace saw {

std::string to_hex(std::string_view bytes);
std::optional<std::string> from_hex(std::string_view text);

std::string to_base64(std::string_view bytes);  // with padding
std::optional<std::string> from_base64(
    std::string_view text);                        // padding required, no white space, canonical only
std::string to_base64url(std::string_view bytes);  // without padding, as JOSE wants it
std::optional<std::string> from_base64url(std::string_view text);  // unpadded, canonical only

// `text` made safe for one line of output: control characters, non-ASCII and backslash become \xNN; cut at `limit` bytes with "…".
std::string printable(std::string_view text, size_t limit = 200);

}  // namespace saw
