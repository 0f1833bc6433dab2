#include "identity/members.h"

namespace saw::identity {

using Json = nlohmann::json;

Members& Members::text(const char* name, std::string& out, size_t most) {
  const Json* value = take(name);
  if (value && value->is_string() && value->get_ref<const std::string&>().size() <= most)
    out = value->get<std::string>();
  else
    complete_ = false;
  return *this;
}

Members& Members::texts(const char* name, std::vector<std::string>& out, size_t most) {
  const Json& list = array(name);
  if (list.size() > most) complete_ = false;
  if (!complete_) return *this;
  for (const Json& item : list) {
    if (!item.is_string()) complete_ = false;
    if (!complete_) return *this;
    out.push_back(item.get<std::string>());
  }
  return *this;
}

Members& Members::number(const char* name, uint64_t& out) {
  const Json* value = take(name);
  if (value && value->is_number_unsigned())
    out = value->get<uint64_t>();
  else
    complete_ = false;
  return *this;
}

Members& Members::seconds(const char* name, int64_t& out) {
  uint64_t value = 0;
  number(name, value);
  if (value > kMaxSeconds)
    complete_ = false;
  else
    out = static_cast<int64_t>(value);
  return *this;
}

Members Members::object(const char* name) {
  const Json* value = take(name);
  if (!value || !value->is_object()) complete_ = false;
  static const Json kNone;
  return Members(value ? *value : kNone);
}

const Json& Members::array(const char* name) {
  static const Json kEmpty = Json::array();
  const Json* value = take(name);
  if (value && value->is_array()) return *value;
  complete_ = false;
  return kEmpty;
}

const Json* Members::take(const char* name) {
  if (!object_.is_object()) return nullptr;
  auto it = object_.find(name);
  if (it == object_.end()) return nullptr;
  ++taken_;
  return &*it;
}

}  // namespace saw::identity
