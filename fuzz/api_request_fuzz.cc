// Everything that a client of the API can send is read totally: the target, the JSON body, the specs of exec
// and attach, a control frame.
#include <cstdint>

#include "api/exec_spec.h"
#include "api/http.h"
#include "api/json.h"
#include "base/bytes.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (auto target = saw::api::parse_target(bytes)) SAW_CHECK(target->path.starts_with('/'));
  if (auto json = saw::api::parse_object(bytes))
    SAW_CHECK(saw::api::parse_object(saw::api::dump(*json)).has_value());
  (void)saw::api::parse_exec_spec(bytes);
  if (auto spec = saw::api::parse_exec_spec(saw::to_base64url(bytes)))
    SAW_CHECK(spec->rows <= 4096 && spec->timeout_ms >= 0);
  (void)saw::api::parse_attach_spec(bytes);
  if (auto spec = saw::api::parse_attach_spec(saw::to_base64url(bytes)))
    SAW_CHECK(spec->exec.rows <= 4096 && !spec->exec.terminal && spec->exec.timeout_ms == 0);
  (void)saw::api::parse_control_frame(bytes);
  return 0;
}
