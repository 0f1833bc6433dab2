// up, down, status: saw-node and what it supervises, seen from outside.
#include <filesystem>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "cli/commands.h"
#include "cli/context.h"
#include "cli/spawn.h"

namespace saw::cli {
namespace {

using nlohmann::json;

constexpr int64_t kReadyWithinMs = 10'000;
constexpr int64_t kGoneWithinMs = 20'000;  // every sandbox stopped, every program gone
constexpr int64_t kLookEveryMs = 20;
constexpr int kStartAttempts = 3;

std::string run_directory(const Places& places) {
  return std::filesystem::path(places.socket).parent_path().string();
}
std::string node_lock(const Places& places) {
  return run_directory(places) + "/node.lock";
}
std::string log_file(const Places& places) {
  return places.directory + "/log/saw.log";
}

Result<Reply> ask_status(Context& context) {
  return context.api.request("GET", "/v1/status", "");
}
bool is_ready(const Result<Reply>& reply) {
  return reply && reply->status == 200 &&
         text_of(json::parse(reply->body, nullptr, false), "state") == "ready";
}

// Polls until `done` or the time is over; whether it was done.
template <class Done> bool wait_until(Context& context, int64_t within_ms, Done done) {
  for (int64_t waited = 0; waited <= within_ms; waited += kLookEveryMs) {
    if (done()) return true;
    context.sleep(kLookEveryMs);
  }
  return false;
}

bool node_is_gone(const Places& places) {
  const Lock lock = lock_state(node_lock(places));
  if (lock == Lock::unknown) return !std::filesystem::exists(places.socket);
  return lock == Lock::free;
}

int report(Context& context, std::string_view text, std::string_view state) {
  context.out.note(text);
  context.out.json(
      {{"state", state}, {"socket", context.places.socket}, {"directory", context.places.directory}});
  return 0;
}

std::vector<std::string> node_arguments(const Context& context) {
  std::vector<std::string> arguments = {"--dir", context.places.directory, "--socket", context.places.socket};
  if (context.args.has("--strict")) arguments.push_back("--strict");
  if (context.args.has("--foreground")) arguments.push_back("--foreground");
  return arguments;
}

std::unexpected<Failure> did_not_start(const Context& context, std::string reason) {
  Failure failure{.exit = Exit::failed, .code = "daemon.start_failed", .reason = std::move(reason)};
  failure.ask = fmt::format("look into {}; 'saw doctor' says what this host lacks", log_file(context.places));
  return std::unexpected(std::move(failure));
}

// A saw-node has the lock: it starts, or its control plane comes back.
Outcome wait_for_the_other(Context& context) {
  if (wait_until(context, kRecoveryWithinMs, [&] { return is_ready(ask_status(context)); }))
    return report(context, fmt::format("already running at {}", context.places.socket), "ready");
  return did_not_start(context, "saw-node is running, but the control plane does not answer");
}

Outcome start_in_background(Context& context, std::vector<std::string> arguments) {
  const Places& places = context.places;
  arguments.insert(arguments.end(), {"--ready-fd", std::to_string(kReadyDescriptor)});
  std::string heard;
  for (int attempt = 0; attempt < kStartAttempts; ++attempt) {
    heard =
        CLI_TRY(start_and_hear(places.programs + "/saw-node", arguments, log_file(places), kReadyWithinMs));
    if (heard == "ready") return report(context, fmt::format("ready at {}", places.socket), "ready");
    if (heard.starts_with("error: ")) return did_not_start(context, heard.substr(7));
    // Perhaps another `saw up` was faster. Perhaps one only looked at the lock just when saw-node wanted it:
    // then once more.
    if (lock_state(node_lock(places)) == Lock::held) return wait_for_the_other(context);
  }
  return did_not_start(context, heard.empty() ? "saw-node ended before it was ready" : heard);
}

Outcome up(Context& context) {
  const Places& places = context.places;
  if (is_ready(ask_status(context)))
    return report(context, fmt::format("already running at {}", places.socket), "ready");
  if (lock_state(node_lock(places)) == Lock::held) return wait_for_the_other(context);
  CLI_TRY(make_directories(places.directory, 0711));
  CLI_TRY(make_directories(places.directory + "/log", 0700));
  CLI_TRY(make_directories(run_directory(places), 0755));
  if (context.args.has("--foreground"))
    return std::unexpected(as_failure(become(places.programs + "/saw-node", node_arguments(context))));
  return start_in_background(context, node_arguments(context));
}

Outcome down(Context& context) {
  const Places& places = context.places;
  const std::string target = "/v1/down";
  auto reply = context.api.request("POST", target, "");
  if (!reply && reply.error().code == "client.no_daemon" && lock_state(node_lock(places)) != Lock::held)
    return report(context, "not running", "down");
  // A control plane that is just being restarted answers in a moment.
  if (!reply || reply->status == 503)
    wait_until(context, kRecoveryWithinMs, [&] {
      if (node_is_gone(places)) return true;
      reply = context.api.request("POST", target, "");
      return reply && reply->status != 503;
    });
  if (reply && (reply->status < 200 || reply->status > 299)) return std::unexpected(failure_of(*reply));
  if (!wait_until(context, kGoneWithinMs, [&] { return node_is_gone(places); })) {
    if (!reply) return std::unexpected(failure_of(reply.error(), places));
    Failure failure{.exit = Exit::failed,
                    .code = "daemon.stop_failed",
                    .reason = "SAW was told to stop, and is still running"};
    failure.ask = fmt::format("look into {}", log_file(places));
    return std::unexpected(std::move(failure));
  }
  return report(context, "stopped", "down");
}

Outcome status(Context& context) {
  auto reply = ask_status(context);
  if (!reply && reply.error().code == "client.no_daemon") {
    const bool node = lock_state(node_lock(context.places)) == Lock::held;
    context.out.json({{"state", node ? "recovering" : "down"}, {"socket", context.places.socket}});
    context.out.note(node ? "saw-node is running, the control plane is recovering"
                          : fmt::format("no daemon at {}; start it with 'saw up'", context.places.socket));
    return 1;
  }
  const json answer = CLI_TRY(call(context, "GET", "/v1/status"));
  context.out.json(answer);
  context.out.line(context.out.painted(fmt::format("saw {} on {}: {}", text_of(answer, "version"),
                                                   text_of(answer, "node"), text_of(answer, "state")),
                                       Tone::bold));
  context.out.field("socket", context.places.socket);
  context.out.field("mode", text_of(answer, "rootless") == "true" ? "rootless" : "root");
  context.out.field("workspaces", text_of(answer, "workspaces"));
  const json audit = answer.value("audit", json::object());
  context.out.field(
      "audit", fmt::format("{} entries, {}", text_of(audit, "entries"),
                           text_of(audit, "ok") == "true" ? "recording"
                                                          : "UNAVAILABLE: governed actions are refused"));
  std::vector<Output::Row> rows;
  for (const json& p : list_of(answer, "programs"))
    rows.push_back({text_of(p, "name"), text_of(p, "workspace"), text_of(p, "pid"), text_of(p, "state")});
  context.out.line("");
  context.out.table({"PROGRAM", "WORKSPACE", "PID", "STATE"}, rows, "no programs are known");
  for (const json& d : list_of(answer, "degraded"))
    context.out.field("degraded", d.is_string() ? d.get<std::string>() : d.dump());
  return text_of(answer, "state") == "ready" ? 0 : 1;
}

}  // namespace

std::vector<Command> daemon_commands() {
  return {
      {.path = "up",
       .summary = "start SAW on this host, unless it runs already",
       .options = {{"--foreground", "", "stay in the foreground, log to stderr: for systemd and containers"},
                   {"--strict", "",
                    "refuse to start sandboxes where the host lacks a guarantee (see 'saw doctor')"}},
       .text = "Needs no configuration file. Starts saw-node, which starts and supervises everything else, "
               "and returns when the API\n"
               "answers. As root it runs as a service for the whole host; as an ordinary user, in a user "
               "namespace.",
       .examples = {"saw up", "SAW_DIR=/tmp/try SAW_SOCKET=/tmp/try/run/saw.sock saw up"},
       .run = up},
      {.path = "down",
       .summary = "stop every sandbox and program of SAW",
       .text = "Workspaces keep their files, and start again with the next 'saw up'. Returns when everything "
               "is gone.",
       .examples = {"saw down"},
       .run = down},
      {.path = "status",
       .summary = "what runs, and whether it is well",
       .text = "Exit status 1 if SAW does not run or is not ready.",
       .examples = {"saw status", "saw status --json"},
       .run = status},
  };
}

}  // namespace saw::cli
