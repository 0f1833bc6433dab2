// Reading a push's commands is total and bounded, and every ref that comes out is a valid one.
#include <cstdint>

#include "base/result.h"
#include "policy/git.h"

using namespace saw::policy;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view raw(reinterpret_cast<const char*>(data), size);
  PushCommands commands(raw);
  size_t count = 0;
  while (auto command = commands.next()) {
    if (!*command) break;
    SAW_CHECK(valid_ref((*command)->ref) && ++count <= PushCommands::kMaxCommands);
  }
  const size_t line = raw.find('\n');
  if (line != std::string_view::npos)
    (void)GitRequest::classify("POST", raw.substr(0, line), raw.substr(line + 1));
  return 0;
}
