// HTTP/1.1 message heads (RFC 9112), read strictly: whatever two implementations might understand differently
// is refused, not guessed.
//
//   ParsedRequest p = parse_request_head(buffered);
//   if (p.state == HeadState::incomplete) read_more();
//   else if (p.state == HeadState::malformed) answer_400(p.problem);       // "malformed:obs-fold", a stable
//   code else use(p.head, p.consumed);                                          // views into `buffered`
//
// Refused, each with its own code: a bare CR or LF, obs-fold, white space before a colon, a missing colon, an
// empty or non-token name, bytes >= 0x80 and controls in the request line, names or values, duplicate or
// missing Host, Transfer-Encoding other than exactly "chunked", Transfer-Encoding together with
// Content-Length or in HTTP/1.0, repeated or non-decimal Content-Length, versions other than 1.0 and 1.1,
// more than kMaxHeaders fields, more than kMaxHeadBytes. Total on any bytes; no allocation but the list of
// fields.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace saw::egress {

constexpr size_t kMaxHeadBytes = 32u << 10, kMaxHeaders = 100;

struct Field {
  std::string_view name, value;  // as they came, value without surrounding white space
};
using Fields = std::vector<Field>;

enum class HeadState : uint8_t { incomplete, malformed, complete };
enum class Version : uint8_t { http10, http11 };
enum class Persistence : uint8_t { keep_alive, close };

// Where a body ends.
enum class Framing : uint8_t { none, length, chunked, until_close };

struct RequestHead {
  std::string_view method, target, host;  // host: the one Host field, "" allowed (RFC 9112 §3.2)
  Version version = Version::http11;
  Fields fields;
  Framing framing = Framing::none;
  uint64_t content_length = 0;
  Persistence persistence = Persistence::keep_alive;
  enum class Expectation : uint8_t { none, continue_100 } expectation = Expectation::none;
};

struct ResponseHead {
  uint16_t status = 0;
  std::string_view reason;
  Version version = Version::http11;
  Fields fields;
  Framing framing = Framing::none;
  uint64_t content_length = 0;
  Persistence persistence = Persistence::keep_alive;
};

struct ParsedRequest {
  HeadState state = HeadState::incomplete;
  std::string_view problem;  // static text, with HeadState::malformed
  size_t consumed = 0;       // bytes of the head, its empty line included
  RequestHead head;
};
struct ParsedResponse {
  HeadState state = HeadState::incomplete;
  std::string_view problem;
  size_t consumed = 0;
  ResponseHead head;
};

ParsedRequest parse_request_head(std::string_view bytes);
// `request_method` decides whether the answer has a body (HEAD, RFC 9112 §6.3).
ParsedResponse parse_response_head(std::string_view bytes, std::string_view request_method);

// Comparison of field names, and of list members such as "close", without case (ASCII).
bool same_token(std::string_view a, std::string_view b);
bool is_token(std::string_view text);
// The first field of that name.
std::optional<std::string_view> find_field(const Fields& fields, std::string_view name);
// Whether a comma-separated list in any field of that name has this member.
bool list_contains(const Fields& fields, std::string_view name, std::string_view member);

}  // namespace saw::egress
