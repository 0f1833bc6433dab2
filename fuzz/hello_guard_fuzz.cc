// The opening of a TLS connection, both sides by turns: whatever comes, a hello with another name never passes.
#include <cstdint>

#include "base/result.h"
#include "egress/hello_guard.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace saw::egress;
  HelloGuard guard("api.example.com");
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  while (rest.size() > 2) {  // a turn: whose (1 byte), how long (1 byte, times 16)
    const bool client = (rest[0] & 1) == 0;
    const std::string_view piece = rest.substr(2, (static_cast<uint8_t>(rest[1]) + size_t{1}) * 16);
    rest.remove_prefix(2 + piece.size());
    if (!(client ? guard.from_client(piece) : guard.from_server(piece))) {
      SAW_CHECK(!guard.problem().empty());
      return 0;
    }
  }
  return 0;
}
