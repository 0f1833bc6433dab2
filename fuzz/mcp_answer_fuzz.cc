// Messages of an MCP server: total, and what passes once passes unchanged a second time.
#include <cstdint>

#include "base/result.h"
#include "egress/mcp_answer.h"

using namespace saw::egress;

namespace {

class View final : public McpView {
 public:
  bool offers(std::string_view tool) override { return tool.size() % 2 == 0; }
  bool may_answer(std::string_view request, std::string_view) override { return request.size() % 2 == 0; }
  Told saw_tool(std::string_view tool, const saw::Digest&) override {
    SAW_CHECK(offers(tool));
    return Told::recorded;
  }
  Told withheld(std::string_view) override {
    ++count;
    return Told::recorded;
  }
  int count = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  View view;
  auto passes = filter_mcp_message(text, view);
  if (passes && *passes && view.count == 0) {
    auto again = filter_mcp_message(**passes, view);
    SAW_CHECK(again && *again && **again == **passes);
  }
  auto filter = mcp_filter(McpForm::events, view);
  for (size_t at = 0; at < text.size(); at += 5)
    if (!filter->feed(text.substr(at, 5))) return 0;
  (void)filter->finish();
  return 0;
}
