#include "base/strict_json.h"

#include <set>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace saw {
namespace {

using Json = nlohmann::json;

// Stops the parser at the first thing that is not strict, and remembers what it was.
class StrictHandler final : public nlohmann::json_sax<Json> {
 public:
  JsonFault fault() const { return fault_; }

  bool null() override { return inside(); }
  bool boolean(bool) override { return inside(); }
  bool number_integer(number_integer_t) override { return inside(); }
  bool number_unsigned(number_unsigned_t) override { return inside(); }
  bool number_float(number_float_t, const string_t&) override { return inside(); }
  bool string(string_t&) override { return inside(); }
  bool binary(binary_t&) override { return false; }
  bool start_object(std::size_t) override { return open(); }
  bool key(string_t& name) override {
    return names_.back().insert(name).second || refuse(JsonFault::duplicate_member);
  }
  bool end_object() override { return close(); }
  bool start_array(std::size_t) override { return inside() && open(); }
  bool end_array() override { return close(); }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override {
    return false;
  }

 private:
  bool refuse(JsonFault why) {
    fault_ = why;
    return false;
  }
  bool inside() const { return !names_.empty(); }
  bool open() {
    names_.emplace_back();
    return names_.size() <= kMaxJsonDepth || refuse(JsonFault::too_deep);
  }
  bool close() {
    names_.pop_back();
    return true;
  }

  std::vector<std::set<std::string>> names_;  // of the objects (and, unused, arrays) that are open
  JsonFault fault_ = JsonFault::malformed;
};

}  // namespace

JsonFault strict_json_fault(std::string_view text) {
  if (text.contains('\0'))
    return JsonFault::malformed;  // where nlohmann's parser would stop, and take what it had for the whole
  StrictHandler handler;
  return Json::sax_parse(text, &handler) ? JsonFault::none : handler.fault();
}

}  // namespace saw
