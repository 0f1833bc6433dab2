// What of an MCP server's messages reaches the agent (Model Context Protocol 2025-03-26, streamable HTTP).
//
//   auto passes = filter_mcp_message(text, view);           // error: unreadable; nullopt: nothing of it
//   std::unique_ptr<AnswerFilter> filter = mcp_filter(McpForm::events, view);
//
// A list of tools loses those that the policy would never let the agent call, and each one that stays is told to `saw_tool` with a digest
// of its whole description. A request of the server (sampling, elicitation, roots, ping) passes only if the agent may answer it; otherwise
// it is left out and told to `withheld`. Notifications and other answers pass. A message is one JSON-RPC object or a batch of them, read as
// strictly as what the agent sends. What needs no change passes byte for byte.
#pragma once

#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/crypto.h"
#include "egress/answer_filter.h"

namespace saw::egress {

constexpr size_t kMaxMcpMessage = 4u << 20;

// Who knows the policy and keeps the records.
class McpView {
 public:
  virtual ~McpView() = default;
  virtual bool offers(std::string_view tool) = 0;
  // Whether the agent may answer this request of the server: the request as it came, and an answer to it.
  virtual bool may_answer(std::string_view request, std::string_view answer) = 0;
  // What could not be recorded ends the answer ("audit.unavailable").
  enum class Told : uint8_t { recorded, no_room };
  virtual Told saw_tool(std::string_view tool, const Digest& description) = 0;
  virtual Told withheld(std::string_view method) = 0;
};

std::expected<std::optional<std::string>, std::string_view> filter_mcp_message(std::string_view text,
                                                                               McpView& view);

enum class McpForm : uint8_t { json, events };
std::unique_ptr<AnswerFilter> mcp_filter(McpForm form, McpView& view);

}  // namespace saw::egress
