// Decoding SAW's own messages is total: any bytes give a message or an error, and a message that decodes encodes to the same bytes.
#include <cstdint>

#include "base/wire.h"

namespace {
struct Leaf {
  std::string text;
  std::optional<int32_t> number;
  template <class A> void members(A& a) { a(text, number); }
};
struct Tree {
  std::vector<Leaf> leaves;
  std::map<std::string, std::string> names;
  bool flag = false;
  template <class A> void members(A& a) { a(leaves, names, flag); }
};
using Message = std::variant<Leaf, Tree>;
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  auto message = saw::wire::decode<Message>(bytes);
  if (!message) return 0;
  auto again = saw::wire::decode<Message>(saw::wire::encode(*message));
  SAW_CHECK(again.has_value());
  SAW_CHECK(saw::wire::encode(*again) == saw::wire::encode(*message));
  return 0;
}
