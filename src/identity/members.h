// Members of a JSON object by name and type; every one is required, and no other may be there. For .cc files of
// this folder (it drags nlohmann in).
//
//   Members all(json);
//   all.text("id", id).seconds("exp", expires);
//   bool inner = all.object("saw").text("call", call).complete();
//   if (!inner || !all.complete()) …
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace saw::identity {

class Members {
 public:
  static constexpr size_t kMaxText = 256;
  static constexpr uint64_t kMaxSeconds = 253'402'300'799;  // the year 9999

  explicit Members(const nlohmann::json& object) : object_(object), complete_(object.is_object()) {}

  Members& text(const char* name, std::string& out, size_t most = kMaxText);
  Members& texts(const char* name, std::vector<std::string>& out, size_t most);
  Members& number(const char* name, uint64_t& out);
  Members& seconds(const char* name, int64_t& out);
  Members object(const char* name);
  const nlohmann::json& array(const char* name);  // an empty one if it is none
  bool complete() const { return complete_ && object_.size() == taken_; }

 private:
  const nlohmann::json* take(const char* name);

  const nlohmann::json& object_;
  size_t taken_ = 0;
  bool complete_;
};

}  // namespace saw::identity
