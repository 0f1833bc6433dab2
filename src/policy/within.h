// What of a candidate policy is weaker than its ceiling and is no matter of requests: files, their labels,
// and settings. Exact, and cheap enough to be done anywhere. (Requests: prove/prove.h.)
//
//   if (auto weak = find_weakening(candidate, ceiling)) print(weak->setting);     // "isolation"
#pragma once

#include <optional>
#include <string>

#include "policy/document.h"

namespace saw::policy {

// Meaning of the lists: each path and everything below it; deny wins over both; what may be written may be
// read.
bool may_read(const Filesystem& files, std::string_view path);
bool may_write(const Filesystem& files, std::string_view path);
// What whoever reads there gains.
Labels labels_at(const Filesystem& files, std::string_view path);

struct Weakening {
  enum class Matter : uint8_t { file, label, setting } matter = Matter::setting;
  std::string path, access;  // file: "read" or "write"; label: its name
  std::string setting;       // as it is written in a policy: "process.limits.memory"
};
std::optional<Weakening> find_weakening(const Document& candidate, const Document& ceiling);

// What an answer to a request adds, by the entries that carry it, whatever their rules say.
struct Carriage {
  bool carried = false, untrusted = false;
  DataClass data = DataClass::public_data;
};
// A canonical host and path; no ip where none is known.
Carriage carriage_of(const Document& document, const Request& request, std::string_view canonical_path);

}  // namespace saw::policy
