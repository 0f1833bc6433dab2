// Reading a GraphQL document is total and bounded: an operation has at least one root field, each of them a name in the text.
#include <algorithm>
#include <cstdint>

#include "base/result.h"
#include "policy/graphql.h"

using namespace saw::policy;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view raw(reinterpret_cast<const char*>(data), size);
  const size_t line = raw.find('\n');
  for (const auto& name : {std::optional<std::string_view>(), std::optional(raw.substr(0, line))}) {
    auto operation = graphql_operation(raw, name);
    if (!operation) {
      SAW_CHECK(!operation.error().empty());
      continue;
    }
    SAW_CHECK(!operation->fields.empty() && operation->fields.size() <= GraphqlOperation::kMaxRootFields);
    for (std::string_view field : operation->fields)
      SAW_CHECK(!field.empty() && field.data() >= raw.data() &&
                field.data() + field.size() <= raw.data() + raw.size());
  }
  return 0;
}
