// workspace …: the persistent homes in which agents work.
#include <charconv>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "cli/commands.h"
#include "cli/context.h"
#include "policy/policy.h"
#include "policy/projectable.h"

namespace saw::cli {
namespace {

using nlohmann::json;

// What `saw workspace create NAME` uses when no policy is named: enough to work in, and no way out.
constexpr std::string_view kBuiltInPolicy = R"(apiVersion: saw/v1
kind: Policy
metadata: {name: local-default, description: "built into saw: a place to work in, without any network"}
profile: local
isolation: namespace
filesystem:
  read: [/usr, /lib, /lib64, /bin, /sbin, /etc/ssl, /etc/alternatives]
  write: [/workspace, /home/agent, /tmp]
process:
  limits: {memory: 2GiB, pids: 512, openFiles: 1024}
)";

std::string path_of(const std::string& workspace) {
  return fmt::format("/v1/workspaces/{}", url_segment(workspace));
}

void show(const Output& out, const json& w) {
  out.json(w);
  out.line(out.painted(text_of(w, "name"), Tone::bold));
  for (const char* member :
       {"id", "state", "owner", "profile", "isolation", "image", "created", "sandbox", "error"})
    out.field(member, text_of(w, member));
  if (const auto policy = w.find("policy"); policy != w.end())
    out.field("policy", fmt::format("{} {}", text_of(*policy, "name"), text_of(*policy, "digest")));
  for (const json& m : list_of(w, "mounts"))
    out.field("mount",
              fmt::format("{} on {} ({})", text_of(m, "source"), text_of(m, "target"), text_of(m, "access")));
  for (const json& c : list_of(w, "credentials"))
    out.field("credential", fmt::format("{} (placeholder in ${})", text_of(c, "name"), text_of(c, "env")));
  for (const json& each : list_of(w, "warm"))
    if (each.is_string()) out.field("kept started", each.get<std::string>());
  for (const json& d : list_of(w, "degraded"))
    out.field("degraded", d.is_string() ? d.get<std::string>() : d.dump());
  if (const auto proof = w.find("proof"); proof != w.end()) {
    out.field("proven", fmt::format("{} by {} probes, all as expected ({})", text_of(*proof, "time"),
                                    text_of(*proof, "probes"), text_of(*proof, "occasion")));
    out.field("plan", text_of(*proof, "plan_digest"));
  }
}

struct PolicySource {
  std::string yaml, file;
};

Attempt<PolicySource> policy_source(Context& context) {
  const std::string profile = context.args.text("--profile", "local");
  const auto file = context.args.find("--policy");
  if (!file) {
    if (profile != "local")
      return fail(Exit::usage, "cli.usage", "profile '{}' needs a policy: give --policy FILE", profile);
    context.out.note(
        "no --policy: using the built-in policy 'local-default', which allows no network at all");
    return PolicySource{std::string(kBuiltInPolicy), "(built-in) local-default"};
  }
  PolicySource source{CLI_TRY(read_file(absolute(context.places, *file))), *file};
  // The daemon compiles it again; here the author gets file, line and column.
  const auto compiled = policy::Policy::compile(source.yaml, source.file);
  if (!compiled) return fail(Exit::failed, "policy.invalid", "{}", policy::lines_of(compiled.error()));
  if (const auto later = policy::unprojectable(*compiled); !later.empty())
    return fail(Exit::failed, "policy.not_available_yet", "{}", policy::lines_of(later));
  for (const policy::Diagnostic& d : compiled->warnings()) context.out.note(d.text());
  return source;
}

Attempt<json> mounts_of(const Context& context) {
  json mounts = json::array();
  for (const std::string& text : context.args.list("--mount")) {
    std::string spec = text, access = "write";
    if (spec.ends_with(":ro")) access = "read", spec.resize(spec.size() - 3);
    const size_t colon = spec.find(':');
    if (colon == std::string::npos || colon == 0 || !spec.substr(colon + 1).starts_with('/') ||
        spec.find(':', colon + 1) != std::string::npos)
      return fail(Exit::usage, "cli.usage",
                  "--mount wants SRC:DST or SRC:DST:ro with an absolute DST, not '{}'", text);
    mounts.push_back({{"source", absolute(context.places, spec.substr(0, colon))},
                      {"target", spec.substr(colon + 1)},
                      {"access", access}});
  }
  return mounts;
}

template <class Number>
Attempt<std::optional<Number>> number_option(const Context& context, std::string_view name) {
  const auto text = context.args.find(name);
  if (!text) return std::optional<Number>{};
  Number value{};
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (error != std::errc{} || end != text->data() + text->size() || value <= 0)
    return fail(Exit::usage, "cli.usage", "{} wants a positive number, not '{}'", name, *text);
  return value;
}

Attempt<json> create_body(Context& context) {
  const Args& args = context.args;
  if (args.has("--disk")) return fail(Exit::saw_failed, "not_available_yet", "--disk is not available yet");
  json body = {{"name", args.text("NAME")}};
  if (const auto channel = args.find("--channel")) {
    if (args.has("--policy")) return fail(Exit::usage, "cli.usage", "give --policy or --channel, not both");
    body["channel"] = *channel;
  } else {
    const PolicySource source = CLI_TRY(policy_source(context));
    body["policy_yaml"] = source.yaml;
    body["policy_file"] = source.file;
  }
  const std::string image = args.text("--image", "host");
  body["image"] = image == "host" ? image : absolute(context.places, image);
  body["mounts"] = CLI_TRY(mounts_of(context));
  if (args.has("--warm")) body["warm"] = args.list("--warm");
  if (const auto profile = args.find("--profile")) body["profile"] = *profile;
  if (const auto isolation = args.find("--isolation")) body["isolation"] = *isolation;
  if (const auto memory = args.find("--memory")) {
    const auto bytes = parse_size(*memory);
    if (!bytes || *bytes == 0)
      return fail(Exit::usage, "cli.usage", "--memory wants a size such as 512MiB or 2GiB, not '{}'",
                  *memory);
    body["memory"] = *bytes;
  }
  if (const auto cpus = CLI_TRY(number_option<double>(context, "--cpus"))) body["cpus"] = *cpus;
  if (const auto pids = CLI_TRY(number_option<uint32_t>(context, "--pids"))) body["pids"] = *pids;
  return body;
}

Outcome workspace_create(Context& context) {
  const json body = CLI_TRY(create_body(context));
  const json w = CLI_TRY(call(context, "POST", "/v1/workspaces", body));
  context.out.json(w);
  context.out.line(text_of(w, "id"));
  context.out.note(fmt::format("workspace {} is {}", text_of(w, "name"), text_of(w, "state")));
  for (const json& d : list_of(w, "degraded"))
    context.out.note(fmt::format("degraded: {}", d.is_string() ? d.get<std::string>() : d.dump()));
  return text_of(w, "state") == "failed" ? 1 : 0;
}

Outcome workspace_list(Context& context) {
  const json answer = CLI_TRY(call(context, "GET", "/v1/workspaces"));
  context.out.json(answer);
  std::vector<Output::Row> rows;
  for (const json& w : list_of(answer, "workspaces"))
    rows.push_back({text_of(w, "name"), text_of(w, "id"), text_of(w, "state"), text_of(w, "profile"),
                    text_of(w, "isolation"), text_of(w, "owner")});
  context.out.table({"NAME", "ID", "STATE", "PROFILE", "ISOLATION", "OWNER"}, rows,
                    "no workspaces; make one with 'saw workspace create NAME'");
  return 0;
}

Outcome workspace_show(Context& context) {
  show(context.out, CLI_TRY(call(context, "GET", path_of(context.args.text("W")))));
  return 0;
}

Outcome change_state(Context& context, std::string_view verb) {
  const json w = CLI_TRY(call(context, "POST", fmt::format("{}/{}", path_of(context.args.text("W")), verb)));
  context.out.json(w);
  context.out.note(fmt::format("workspace {} is {}", text_of(w, "name"), text_of(w, "state")));
  return text_of(w, "state") == "failed" ? 1 : 0;
}
Outcome workspace_start(Context& context) {
  return change_state(context, "start");
}
Outcome workspace_stop(Context& context) {
  return change_state(context, "stop");
}

json copy_body(Context& context) {
  json body = json::object();
  if (const auto name = context.args.find("NEW")) body["name"] = *name;
  if (const auto name = context.args.find("--name")) body["name"] = *name;
  if (context.args.has("--stop")) body["stop"] = true;
  return body;
}

Outcome workspace_fork(Context& context) {
  const json w =
      CLI_TRY(call(context, "POST", path_of(context.args.text("W")) + "/fork", copy_body(context)));
  context.out.json(w);
  context.out.line(text_of(w, "id"));
  context.out.note(fmt::format("workspace {} is {}", text_of(w, "name"), text_of(w, "state")));
  return text_of(w, "state") == "failed" ? 1 : 0;
}

Outcome workspace_snapshot(Context& context) {
  const std::string snapshots = path_of(context.args.text("W")) + "/snapshots";
  if (const auto name = context.args.find("--remove")) {
    context.out.json(CLI_TRY(call(context, "DELETE", fmt::format("{}/{}", snapshots, url_segment(*name)))));
    context.out.note(fmt::format("snapshot {} is gone", *name));
    return 0;
  }
  if (context.args.has("--list")) {
    const json answer = CLI_TRY(call(context, "GET", snapshots));
    context.out.json(answer);
    std::vector<Output::Row> rows;
    for (const json& s : list_of(answer, "snapshots"))
      rows.push_back({text_of(s, "name"), text_of(s, "created")});
    context.out.table({"NAME", "CREATED"}, rows, "no snapshots");
    return 0;
  }
  const json taken = CLI_TRY(call(context, "POST", snapshots, copy_body(context)));
  context.out.json(taken);
  context.out.line(text_of(taken, "name"));
  return 0;
}

Outcome workspace_rebuild(Context& context) {
  json body = json::object();
  if (const auto snapshot = context.args.find("--snapshot")) body["snapshot"] = *snapshot;
  const json w = CLI_TRY(call(context, "POST", path_of(context.args.text("W")) + "/rebuild", body));
  context.out.json(w);
  context.out.note(
      fmt::format("workspace {} was rebuilt and is {}", text_of(w, "name"), text_of(w, "state")));
  return text_of(w, "state") == "failed" ? 1 : 0;
}

Outcome workspace_decommission(Context& context) {
  const std::string name = context.args.text("W");
  context.out.json(CLI_TRY(call(context, "DELETE", path_of(name))));
  context.out.note(fmt::format("workspace {} and everything in it is gone", name));
  return 0;
}

}  // namespace

std::vector<Command> workspace_commands() {
  const Positional workspace = {"W", "the workspace's name or id"};
  return {
      {.path = "workspace create",
       .summary = "create a workspace and start it; prints its id",
       .positionals = {{"NAME", "letters, digits and dashes"}},
       .options = {{"--profile", "P", "public, corporate, regulated or local; must be the policy's own"},
                   {"--policy", "FILE", "the policy, in YAML (default: built in, local, no network)"},
                   {"--channel", "C", "the policy of a release channel, and of every release that follows"},
                   {"--image", "host|DIR", "where system files come from (default host)"},
                   {"--isolation", "I", "namespace or vm"},
                   {"--mount", "SRC:DST[:ro]", "a directory of this host inside the workspace",
                    Occurs::repeatedly},
                   {"--warm", "PROGRAM",
                    "keep a started bash or python3 ready for calls of the form PROGRAM -c SCRIPT",
                    Occurs::repeatedly},
                   {"--memory", "M", "memory limit: 512MiB, 2GiB"},
                   {"--cpus", "N", "processor limit: 1.5"},
                   {"--pids", "N", "limit of processes and threads"},
                   {"--disk", "M", "disk limit (not available yet)"}},
       .text = "The same call again, with the same content, is fine and changes nothing; other content under "
               "the same name is a conflict.",
       .examples = {"saw workspace create dev --profile local --policy policies/local-dev.yaml",
                    "saw workspace create scratch --memory 1GiB --mount ./data:/data:ro",
                    "saw workspace create tools --warm bash --warm python3"},
       .run = workspace_create},
      {.path = "workspace list",
       .summary = "your workspaces",
       .examples = {"saw workspace list"},
       .run = workspace_list},
      {.path = "workspace show",
       .summary = "everything about a workspace",
       .positionals = {workspace},
       .examples = {"saw workspace show dev --json"},
       .run = workspace_show},
      {.path = "workspace start",
       .summary = "start a stopped workspace",
       .positionals = {workspace},
       .examples = {"saw workspace start dev"},
       .run = workspace_start},
      {.path = "workspace stop",
       .summary = "stop a workspace; its files stay",
       .positionals = {workspace},
       .text = "Everything that runs in it, in its sessions and in its calls is killed.",
       .examples = {"saw workspace stop dev"},
       .run = workspace_stop},
      {.path = "workspace rebuild",
       .summary = "remove everything that was ever written in a workspace",
       .positionals = {workspace},
       .options = {{"--snapshot", "N", "then fill it with what this snapshot holds"}},
       .text =
           "Everything that runs in it is killed, its sessions end, and all of its files go: what an agent "
           "left behind to run later goes with them. Snapshots stay, since nothing inside can reach them.",
       .examples = {"saw workspace rebuild dev", "saw workspace rebuild dev --snapshot clean"},
       .run = workspace_rebuild},
      {.path = "workspace snapshot",
       .summary = "keep what a workspace holds now; prints the snapshot's name",
       .positionals = {workspace},
       .options = {{"--name", "N", "small letters, digits and dashes (default: one is chosen)"},
                   {"--stop", "", "end what runs in the workspace itself, if anything does"},
                   {"--list", "", "show the snapshots there are"},
                   {"--remove", "N", "remove a snapshot"}},
       .text =
           "Costs the same however many files there are. The workspace's own sandbox is stopped and started "
           "again for it; sessions and calls go on. Without --stop it is refused if anything runs there. "
           "'saw workspace rebuild W --snapshot N' brings a snapshot back.",
       .examples = {"saw workspace snapshot dev --name clean", "saw workspace snapshot dev --list"},
       .run = workspace_snapshot},
      {.path = "workspace fork",
       .summary = "a second workspace from the state of a first; prints its id",
       .positionals = {workspace, {"NEW", "letters, digits and dashes"}},
       .options = {{"--stop", "", "end what runs in the workspace itself, if anything does"}},
       .text =
           "The new one has the files, the policy and the limits of the first, and an identity of its own. "
           "Costs the same however many files there are: both share them until one side changes them. The "
           "first one's own sandbox is stopped and started again for it; its sessions and calls go on. "
           "Without --stop it is refused if anything runs there.",
       .examples = {"saw workspace fork dev experiment"},
       .run = workspace_fork},
      {.path = "workspace decommission",
       .summary = "remove a workspace with everything in it",
       .positionals = {workspace},
       .text = "There is no way back. The audit log keeps what happened in it.",
       .examples = {"saw workspace decommission dev"},
       .run = workspace_decommission},
  };
}

}  // namespace saw::cli
