// JSON from an agent, read strictly into a tree: what one reader and another could take for different things is refused.
//
//   auto body = parse_json(R"({"method":"tools/call","params":{"name":"read"}})");
//   body->find("method")->text                               // "tools/call"
//   match_values(*body, "/params/name", effect, glob)        // RFC 6901 pointer
//
// Refused: duplicate members, invalid UTF-8, a byte order mark, NUL outside strings, anything after the value, more than kMaxDepth levels or
// kMaxNodes values. Reasons: "malformed:json", "malformed:json-duplicate", "malformed:json-oversized".
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "policy/glob.h"
#include "policy/policy.h"

namespace saw::policy {

struct JsonMember;

struct Json {
  static constexpr size_t kMaxDepth = 64, kMaxNodes = 500'000;
  enum class Kind : uint8_t { null, boolean, number, text, list, object } kind = Kind::null;
  std::string text;  // of a scalar; whole numbers in plain decimal, however they were written
  std::vector<Json> items;
  std::vector<JsonMember> members;

  bool scalar() const { return kind < Kind::list; }
  const Json* find(std::string_view key) const;  // by its exact name
  // Whether a member's name is `key` to a reader that ignores case (Go's encoding/json does), but not exactly.
  bool has_lookalike(std::string_view key) const;
};

struct JsonMember {
  std::string key;
  Json value;
};

std::expected<Json, std::string_view> parse_json(std::string_view text);

// A JSON pointer to something inside: "/a/b", "/0"; "~0" and "~1" are '~' and '/'.
bool valid_pointer(std::string_view pointer);

// Whether the values at the pointer satisfy a rule of that effect. A list or an object there counts as all the scalars in it.
// Allow: there is one, and all match. Review, deny: one matches. A member that only a case-blind reader would find can break an
// allow and can make the others hold.
bool match_values(const Json& root, std::string_view pointer, Effect effect, const Glob& wanted);

}  // namespace saw::policy
