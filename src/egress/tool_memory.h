// Which tools MCP servers have described to this workspace, and how: a tool whose description changes after it was judged trustworthy is
// how a server turns on its users.
//
//   if (memory.see("mcp.example:443/mcp", "search", digest) == ToolMemory::Seen::changed) flag(…);
//
// Kept as digests, at most kMaxTools; what does not fit is answered not_kept. Forgotten when the process ends.
#pragma once

#include <map>
#include <string>
#include <utility>

#include "base/crypto.h"

namespace saw::egress {

class ToolMemory {
 public:
  static constexpr size_t kMaxTools = 10'000;
  enum class Seen : uint8_t { first, same, changed, not_kept };
  Seen see(std::string_view server, std::string_view tool, const Digest& description) {
    std::pair<std::string, std::string> key(server, tool);
    auto known = tools_.find(key);
    if (known == tools_.end()) {
      if (tools_.size() >= kMaxTools) return Seen::not_kept;
      tools_.emplace(std::move(key), description);
      return Seen::first;
    }
    return std::exchange(known->second, description) == description ? Seen::same : Seen::changed;
  }

 private:
  std::map<std::pair<std::string, std::string>, Digest> tools_;
};

}  // namespace saw::egress
