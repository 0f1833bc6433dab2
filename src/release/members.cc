#include "release/members.h"

#include "base/bytes.h"
#include "base/strict_json.h"

namespace saw::release {

Result<Json> parse_strict(std::string_view text, std::string_view what, size_t limit) {
  if (text.size() > limit) return Error::make("release.malformed", "{} has more than {} bytes", what, limit);
  switch (strict_json_fault(text)) {
    case JsonFault::none:
      return Json::parse(text, nullptr, false);
    case JsonFault::duplicate_member:
      return Error::make("release.duplicate_key", "{} names a member twice", what);
    case JsonFault::too_deep:
      return Error::make("release.malformed", "{} is nested too deeply", what);
    case JsonFault::malformed:
      break;
  }
  return Error::make("release.malformed", "{} is not one JSON object", what);
}

bool any_text(std::string_view) {
  return true;
}

Members::Members(const Json& object, std::string_view what) : object_(object), what_(what) {
  if (!object.is_object()) fault("must be an object");
}

void Members::fault(std::string message) {
  if (!fault_) fault_ = Error{"release.malformed", fmt::format("{}: {}", what_, message), 0};
}

const Json* Members::find(const char* name) {
  asked_.insert(name);
  if (!object_.is_object()) return nullptr;
  const auto found = object_.find(name);
  if (found != object_.end()) return &*found;
  fault(fmt::format("'{}' is missing", name));
  return nullptr;
}

Members& Members::constant(const char* name, std::string_view value) {
  const Json* j = find(name);
  if (j && !(j->is_string() && j->get_ref<const std::string&>() == value))
    fault(fmt::format("'{}' must be \"{}\"", name, value));
  return *this;
}

Members& Members::text(const char* name, std::string& out, Grammar grammar) {
  const Json* j = find(name);
  if (!j) return *this;
  if (!j->is_string() || j->get_ref<const std::string&>().size() > kMaxText ||
      !grammar(j->get_ref<const std::string&>())) {
    fault(fmt::format("'{}' is not what stands there: {}", name,
                      printable(j->dump(-1, ' ', true, Json::error_handler_t::replace), 80)));
    return *this;
  }
  out = j->get<std::string>();
  return *this;
}

Members& Members::optional_text(const char* name, std::string& out, Grammar grammar) {
  asked_.insert(name);
  return object_.is_object() && object_.contains(name) ? text(name, out, grammar) : *this;
}

Members& Members::skip(const char* name) {
  find(name);
  return *this;
}

Members& Members::time(const char* name, Nanos& out) {
  const Json* j = find(name);
  const auto parsed = j && j->is_string() ? parse_rfc3339(j->get_ref<const std::string&>()) : std::nullopt;
  if (parsed)
    out = *parsed;
  else if (j)
    fault(fmt::format("'{}' must be a time like \"2026-11-24T03:00:00Z\"", name));
  return *this;
}

Members& Members::number(const char* name, uint64_t& out, uint64_t least, uint64_t most) {
  const Json* j = find(name);
  if (!j) return *this;
  if (!j->is_number_unsigned() || j->get<uint64_t>() < least || j->get<uint64_t>() > most)
    fault(fmt::format("'{}' must be a whole number from {} to {}", name, least, most));
  else
    out = j->get<uint64_t>();
  return *this;
}

const Json* Members::object(const char* name) {
  const Json* j = find(name);
  if (!j || j->is_object()) return j;
  fault(fmt::format("'{}' must be an object", name));
  return nullptr;
}

const Json* Members::list(const char* name, size_t most) {
  const Json* j = find(name);
  if (!j || (j->is_array() && j->size() <= most)) return j;
  fault(fmt::format("'{}' must be a list of at most {}", name, most));
  return nullptr;
}

Result<> Members::complete() {
  // An unknown field first: it may be a restriction that this version does not know of.
  if (object_.is_object())
    for (const auto& [name, value] : object_.items())
      if (!asked_.contains(name))
        return Error::make("release.unknown_field", "{}: unknown field '{}'", what_, printable(name, 64));
  if (fault_) return std::unexpected(*fault_);
  return {};
}

}  // namespace saw::release
