#include "policy/prove/witness.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace saw::policy::prove {

std::optional<std::string> to_line(const Witness& w) {
  nlohmann::ordered_json out;
  out["host"] = w.host;
  if (w.kind == Request::Kind::dns) {
    out["protocol"] = "dns";
  } else {
    out["port"] = w.port;
    out["tls"] = w.tls;
    out["method"] = w.method;
    out["target"] = w.target;
  }
  for (const auto& [name, value] : w.headers) out["headers"][name] = value;
  if (w.body) out["body"] = *w.body;
  if (!w.ip.empty()) out["ip"] = w.ip;
  if ((w.labels & kPrivate) != 0) out["labels"].push_back("private");
  if ((w.labels & kUntrusted) != 0) out["labels"].push_back("untrusted");
  try {
    return out.dump();
  } catch (const std::exception&) {  // not UTF-8
    return {};
  }
}

std::string query_escaped(std::string_view text) {
  std::string out;
  for (char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       std::string_view("-._~").find(c) != std::string_view::npos;
    if (plain)
      out += c;
    else
      out += fmt::format("%{:02X}", static_cast<uint8_t>(c));
  }
  return out;
}

std::string push_body(const std::vector<std::string>& refs) {
  constexpr size_t kHeader = 4, kObjectId = 40;
  std::string out;
  for (const std::string& ref : refs) {
    const std::string line =
        fmt::format("{} {} {}", std::string(kObjectId, '0'), std::string(kObjectId, '1'), ref);
    out += fmt::format("{:04x}{}", line.size() + kHeader, line);
  }
  return out + "0000";
}

}  // namespace saw::policy::prove
