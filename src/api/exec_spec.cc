#include "api/exec_spec.h"

#include <csignal>

#include "api/json.h"
#include "base/bytes.h"

namespace saw::api {
namespace {

constexpr uint64_t kMaxRows = 4096;
constexpr std::pair<std::string_view, int> kSignals[] = {
    {"HUP", SIGHUP},   {"INT", SIGINT},   {"QUIT", SIGQUIT},  {"TERM", SIGTERM},
    {"KILL", SIGKILL}, {"USR1", SIGUSR1}, {"USR2", SIGUSR2},  {"CONT", SIGCONT},
    {"STOP", SIGSTOP}, {"TSTP", SIGTSTP}, {"WINCH", SIGWINCH}};

std::string framed(const Json& json) {
  return static_cast<char>(Stream::control) + dump(json);
}

Result<Json> decode_spec(std::string_view base64url) {
  if (base64url.size() > kMaxSpec)
    return Error::make("request.spec", "a spec of more than {} bytes", kMaxSpec);
  auto text = from_base64url(base64url);
  if (!text) return Error::make("request.spec", "the spec is not base64url");
  return SAW_TRY(parse_object(*text), "reading the spec");
}

// What every command is started with.
void read_command(Members& members, control::ExecRequest& out, Need argv) {
  members.text("session", out.session);
  members.text("agent", out.agent);
  members.texts("argv", out.argv, argv);
  members.text_map("env", out.environment);
  members.text("cwd", out.directory);
}

void read_size(Members& members, control::ExecRequest& out) {
  uint64_t rows = out.rows, columns = out.columns;
  members.number("rows", rows, kMaxRows);
  members.number("cols", columns, kMaxRows);
  out.rows = static_cast<uint16_t>(rows);
  out.columns = static_cast<uint16_t>(columns);
}

}  // namespace

std::optional<int> signal_number(std::string_view name) {
  if (name.starts_with("SIG")) name.remove_prefix(3);
  for (const auto& [known, number] : kSignals)
    if (known == name) return number;
  return std::nullopt;
}

Result<CallSpec> parse_call_spec(std::string_view text) {
  Json json = SAW_TRY(parse_object(text), "reading the call");
  Members members(json);
  CallSpec out;
  std::string input;
  uint64_t timeout = 0, max_output = control::WholeCalls::kMaxOutput;
  read_command(members, out.exec, Need::required);
  members.text("delegation", out.exec.delegation);
  members.flag("keep", out.exec.keep);
  members.text("stdin_base64", input);
  members.number("timeout_ms", timeout, control::WholeCalls::kMaxWallMs);
  members.number("max_output", max_output, control::WholeCalls::kMaxOutput);
  SAW_TRY(members.finish());
  auto decoded = from_base64(input);
  if (!decoded) return Error::make("request.member", "member 'stdin_base64' is not base64");
  out.whole.input = std::move(*decoded);
  out.whole.max_output = max_output;
  out.exec.timeout_ms = static_cast<int64_t>(timeout);
  return out;
}

std::string call_result(const control::WholeResult& result) {
  Json out = to_json(result.exit);
  out.update({{"call", result.call},
              {"credential", result.credential},
              {"trace", result.trace},
              {"stdout_base64", to_base64(result.output.text)},
              {"stderr_base64", to_base64(result.error.text)},
              {"stdout_dropped", result.output.dropped},
              {"stderr_dropped", result.error.dropped}});
  return dump(out);
}

Result<control::AttachRequest> parse_attach_spec(std::string_view base64url) {
  using Which = control::AttachRequest::Which;
  const Json json = SAW_TRY(decode_spec(base64url));
  Members members(json);
  control::AttachRequest out;
  std::string which = "either";
  members.text("name", out.name);
  members.text("which", which);
  read_command(members, out.exec, Need::optional);
  read_size(members, out.exec);
  if (which == "existing")
    out.which = Which::existing;
  else if (which == "new")
    out.which = Which::fresh;
  else if (which != "either")
    members.fail("member 'which' is 'either', 'existing' or 'new'");
  if (out.which == Which::existing && !out.exec.argv.empty())
    members.fail("a terminal that exists has its command already");
  SAW_TRY(members.finish());
  return out;
}

Result<control::ExecRequest> parse_exec_spec(std::string_view base64url) {
  const Json json = SAW_TRY(decode_spec(base64url));
  Members members(json);
  control::ExecRequest out;
  std::string kind;
  uint64_t timeout = 0;
  members.text("kind", kind, Need::required);
  read_command(members, out, Need::required);
  members.text("delegation", out.delegation);
  members.flag("tty", out.terminal);
  members.flag("keep", out.keep);
  read_size(members, out);
  members.number("timeout_ms", timeout, INT64_MAX);
  if (kind == "workspace")
    out.kind = control::ExecKind::workspace;
  else if (kind == "session")
    out.kind = control::ExecKind::session;
  else if (kind == "call")
    out.kind = control::ExecKind::call;
  else
    members.fail("member 'kind' is 'workspace', 'session' or 'call'");
  if (kind == "workspace" && !out.session.empty())
    members.fail("a command in the workspace itself names no session");
  SAW_TRY(members.finish());
  out.timeout_ms = static_cast<int64_t>(timeout);
  return out;
}

Result<ControlFrame> parse_control_frame(std::string_view text) {
  Json json = SAW_TRY(parse_object(text));
  Members members(json);
  std::string signal;
  members.text("signal", signal);
  const Json* resize = members.value("resize");
  SAW_TRY(members.finish());
  if (!signal.empty()) {
    auto number = signal_number(signal);
    if (!number || resize)
      return Error::make("request.frame", "an unknown signal '{}'", printable(signal, 20));
    return ControlFrame(SignalFrame{*number});
  }
  auto in_range = [](const Json& n) { return n.is_number_unsigned() && n.get<uint64_t>() <= kMaxRows; };
  if (!resize || !resize->is_array() || resize->size() != 2 || !in_range((*resize)[0]) ||
      !in_range((*resize)[1]))
    return Error::make("request.frame", "a control frame is {{\"signal\":…}} or {{\"resize\":[rows,cols]}}");
  return ControlFrame(ResizeFrame{(*resize)[0].get<uint16_t>(), (*resize)[1].get<uint16_t>()});
}

std::string started_frame(const control::CommandHandle& handle) {
  Json started = {{"call", handle.call}, {"credential", handle.credential}, {"trace", handle.trace}};
  if (handle.terminal) started["terminal"] = to_json(*handle.terminal);
  return framed({{"started", std::move(started)}});
}

std::string exit_frame(const control::Exit& exit) {
  return framed({{"exit", to_json(exit)}});
}

}  // namespace saw::api
