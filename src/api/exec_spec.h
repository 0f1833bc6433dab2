// The exec stream's own language: the spec in the query, the control frames, the first byte of each frame.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "base/result.h"
#include "control/commands.h"
#include "control/types.h"
#include "control/whole_call.h"

namespace saw::api {

// First byte of a frame. Client to server: input (an empty one is the end of input) and control; the others
// from the server.
enum class Stream : uint8_t { input = 0, output = 1, error = 2, control = 3, client_control = 4 };
constexpr size_t kMaxSpec = 3u << 20;  // of the base64url text

Result<control::ExecRequest> parse_exec_spec(std::string_view base64url);

// GET …/attach: which terminal, and what to start where there is none. The same members as far as they have a
// meaning there, and "name" and "which" ("either", "existing", "new").
Result<control::AttachRequest> parse_attach_spec(std::string_view base64url);

// POST …/calls: the same members but those of a terminal, and what goes in and how much may come out.
struct CallSpec {
  control::ExecRequest exec;
  control::WholeRequest whole;
};
Result<CallSpec> parse_call_spec(std::string_view json);
std::string call_result(const control::WholeResult& result);

struct SignalFrame {
  int number = 0;
};
struct ResizeFrame {
  uint16_t rows = 0, columns = 0;
};
using ControlFrame = std::variant<SignalFrame, ResizeFrame>;
// {"signal":"TERM"} or {"resize":[rows,cols]}.
Result<ControlFrame> parse_control_frame(std::string_view json);
std::optional<int> signal_number(std::string_view name);  // "TERM", "INT", …

std::string started_frame(const control::CommandHandle& handle);
std::string exit_frame(const control::Exit& exit);

}  // namespace saw::api
