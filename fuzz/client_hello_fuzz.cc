// The first bytes of a connection: a verdict for any of them, and a server name only of host-name characters.
#include <cstdint>

#include "base/result.h"
#include "egress/client_hello.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace saw::egress;
  ClientHello hello = parse_client_hello({reinterpret_cast<const char*>(data), size});
  if (hello.state == ClientHello::State::incomplete) SAW_CHECK(size < kMaxClientHello);
  SAW_CHECK(hello.server_name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-_.") ==
            std::string::npos);
  return 0;
}
