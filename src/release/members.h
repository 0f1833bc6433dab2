// Strict reading of the JSON documents that releases are made of. Internal to this folder.
//
//   Json json = SAW_TRY(parse_strict(text, "manifest.json", kMaxBytes));
//   Members all(json, "manifest.json");
//   all.text("id", id, is_version).number("revision", revision);
//   SAW_TRY(all.complete());                       // the first fault, or a field that nobody asked for
//
// Codes: "release.malformed", "release.duplicate_key", "release.unknown_field".
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/result.h"

namespace saw::release {

using Json = nlohmann::ordered_json;

Result<Json> parse_strict(std::string_view text, std::string_view what, size_t limit);

class Members {
 public:
  static constexpr size_t kMaxText = 1024;
  using Grammar = bool (*)(std::string_view);

  Members(const Json& object, std::string_view what);

  Members& constant(const char* name, std::string_view value);
  Members& text(const char* name, std::string& out, Grammar grammar);
  Members& optional_text(const char* name, std::string& out, Grammar grammar);  // absent: stays empty
  Members& time(const char* name, Nanos& out);
  Members& number(const char* name, uint64_t& out, uint64_t least, uint64_t most);
  Members& skip(const char* name);  // known; read by the caller
  // nullptr after a fault.
  const Json* object(const char* name);
  const Json* list(const char* name, size_t most);

  Result<> complete();

 private:
  const Json* find(const char* name);
  void fault(std::string message);

  const Json& object_;
  std::string what_;
  std::set<std::string, std::less<>> asked_;
  std::optional<Error> fault_;
};

bool any_text(std::string_view);                   // for people: printed only through printable()
constexpr uint64_t kMaxCount = 1'000'000'000'000;  // of revisions and epochs: exact in every JSON reader

}  // namespace saw::release
