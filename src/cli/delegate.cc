// delegate …, revoke: bounded authority for an agent, and taking it back.
#include <ranges>

#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/context.h"

namespace saw::cli {
namespace {

using nlohmann::json;

std::string path_of(const std::string& delegation) {
  return fmt::format("/v1/delegations/{}", url_segment(delegation));
}

std::string joined(const json& object, std::string_view member) {
  std::string out;
  for (const json& item : list_of(object, member)) {
    if (!out.empty()) out += ", ";
    if (item.is_string()) out += item.get<std::string>();
  }
  return out;
}

std::string grant_text(const json& grant) {
  std::string out = fmt::format("{} · {} · {}", joined(grant, "actions"), joined(grant, "tools"),
                                joined(grant, "resources"));
  if (const std::string labels = joined(grant, "labels"); !labels.empty())
    out += fmt::format(" · with {}", labels);
  return out;
}

std::string bounds_text(const json& d) {
  std::string out =
      fmt::format("until {}", text_of(d, "expires").substr(0, sizeof("2026-11-24T03:00:00") - 1) + "Z");
  if (text_of(d, "calls") != "0")
    out += fmt::format(", {} of {} calls", text_of(d, "calls_used"), text_of(d, "calls"));
  if (text_of(d, "depth") != "0") out += fmt::format(", may be handed on {}×", text_of(d, "depth"));
  if (text_of(d, "approval") != "policy")
    out += fmt::format(", a person approves {}", text_of(d, "approval"));
  return out;
}

// The chain as a tree, the sponsor at the top.
void draw(const Output& out, const json& leaf) {
  std::vector<json> links = {leaf};
  for (const json& parent : list_of(leaf, "chain")) links.push_back(parent);
  out.line(fmt::format("{} (sponsor)", text_of(links.back(), "sponsor")));
  std::string indent;
  for (const json& link : links | std::views::reverse) {
    const bool good = text_of(link, "state") == "in force";
    out.line(fmt::format("{}└─ {}  {}  {}", indent, out.painted(text_of(link, "id"), Tone::bold),
                         text_of(link, "agent"),
                         out.painted(text_of(link, "state"), good ? Tone::good : Tone::bad)));
    indent += "   ";
    out.line(fmt::format("{}   “{}”, {}", indent, text_of(link, "task"), bounds_text(link)));
    for (const json& grant : list_of(link, "grants"))
      out.line(fmt::format("{}   {}", indent, grant_text(grant)));
  }
}

Attempt<json> grants_of(const Args& args) {
  json grants = json::array();
  for (const std::string& text : args.list("--grant")) {
    json grant = json::parse(text, nullptr, false);
    if (!grant.is_object())
      return fail(Exit::usage, "cli.usage",
                  R"(--grant wants {{"actions":[…],"tools":[…],"resources":[…]}}, not '{}')", text);
    grants.push_back(std::move(grant));
  }
  const bool one = args.has("--action") || args.has("--tool") || args.has("--resource");
  if (one && !(args.has("--action") && args.has("--tool") && args.has("--resource")))
    return fail(Exit::usage, "cli.usage", "--action, --tool and --resource belong together");
  if (one)
    grants.push_back({{"actions", args.list("--action")},
                      {"tools", args.list("--tool")},
                      {"resources", args.list("--resource")},
                      {"labels", args.list("--label")}});
  if (grants.empty() && !args.has("--from"))
    return fail(Exit::usage, "cli.usage",
                "say what is delegated: --action, --tool and --resource, or --grant");
  return grants;
}

Attempt<uint64_t> number_of(const Args& args, const std::string& option) {
  const std::string text = args.text(option, "0");
  const bool digits =
      !text.empty() && text.size() < 10 && text.find_first_not_of("0123456789") == std::string::npos;
  if (!digits) return fail(Exit::usage, "cli.usage", "{} wants a whole number, not '{}'", option, text);
  return std::stoull(text);
}

Outcome delegate_create(Context& context) {
  const Args& args = context.args;
  for (const char* needed : {"--workspace", "--task"})
    if (!args.has(needed)) return fail(Exit::usage, "cli.usage", "{} is needed", needed);
  json body = {{"workspace", args.text("--workspace")},
               {"task", args.text("--task")},
               {"grants", CLI_TRY(grants_of(args))},
               {"calls", CLI_TRY(number_of(args, "--calls"))},
               {"depth", CLI_TRY(number_of(args, "--depth"))}};
  for (const auto& [option, member] : {std::pair("--agent", "agent"), std::pair("--sub-agent", "sub_agent"),
                                       std::pair("--from", "parent"), std::pair("--approval", "approval")})
    if (const auto value = args.find(option)) body[member] = *value;
  if (const auto life = args.find("--for")) {
    const auto ms = parse_duration_ms(*life);
    if (!ms || *ms == 0)
      return fail(Exit::usage, "cli.usage", "--for wants a duration such as 30m or 8h, not '{}'", *life);
    body["lifetime_ms"] = *ms;
  }
  const json made = CLI_TRY(call(context, "POST", "/v1/delegations", body));
  context.out.json(made);
  context.out.line(text_of(made, "id"));
  return 0;
}

Outcome delegate_list(Context& context) {
  const json answer = CLI_TRY(call(context, "GET", "/v1/delegations"));
  context.out.json(answer);
  std::vector<Output::Row> rows;
  for (const json& d : list_of(answer, "delegations"))
    rows.push_back({text_of(d, "id"), text_of(d, "agent"), text_of(d, "workspace"), text_of(d, "state"),
                    text_of(d, "expires"), text_of(d, "parent"), text_of(d, "task")});
  context.out.table({"ID", "AGENT", "WORKSPACE", "STATE", "EXPIRES", "FROM", "TASK"}, rows,
                    "no delegations; make one with 'saw delegate create'");
  return 0;
}

Outcome delegate_show(Context& context) {
  const json d = CLI_TRY(call(context, "GET", path_of(context.args.text("D"))));
  context.out.json(d);
  if (context.out.is_json()) return 0;
  draw(context.out, d);
  for (const char* member : {"workspace", "user", "issuer", "reason", "digest", "audit"})
    context.out.field(member, text_of(d, member));
  return 0;
}

Outcome revoke_it(Context& context, const std::string& kind, const std::string& id) {
  const json body = {{"kind", kind}, {"id", id}, {"why", context.args.text("--why")}};
  const json answer = CLI_TRY(call(context, "POST", "/v1/revocations", body));
  context.out.json(answer);
  context.out.note(fmt::format("{} {} is revoked", kind, id));
  return 0;
}

Outcome delegate_revoke(Context& context) {
  return revoke_it(context, "delegation", context.args.text("D"));
}
Outcome revoke(Context& context) {
  return revoke_it(context, context.args.text("KIND"), context.args.text("ID"));
}

std::vector<Option> create_options() {
  return {
      {"--workspace", "W", "where it holds"},
      {"--agent", "A", "who gets it (default: your default agent)"},
      {"--sub-agent", "NAME", "for a sub-agent of A; needs --from"},
      {"--task", "TEXT", "what it is for"},
      {"--action", "CLASS", "execute, read, search, summarise, draft, change, delete, send or publish",
       Occurs::repeatedly},
      {"--tool", "GLOB", "which tools; for execute, the command's name as it is given", Occurs::repeatedly},
      {"--resource", "GLOB", "on what: /workspace/**, https://api.example.com/repos/**", Occurs::repeatedly},
      {"--label", "L", "even after it has seen private or untrusted content", Occurs::repeatedly},
      {"--grant", "JSON", "a further set of actions, tools, resources and labels", Occurs::repeatedly},
      {"--for", "T", "how long (30m, 8h; default 1h, or as long as --from)"},
      {"--calls", "N", "how many calls in all (default: not counted)"},
      {"--depth", "N", "how often it may be handed on (default 0)"},
      {"--approval", "MODE",
       "when a person is asked: policy (as the policy says); changes and every are not available yet"},
      {"--from", "D", "as a part of this delegation: never more than it holds"}};
}

}  // namespace

std::vector<Command> delegate_commands() {
  const Positional delegation = {"D", "the delegation's id"};
  const Option why = {"--why", "TEXT", "for the audit log"};
  return {
      {.path = "delegate create",
       .summary = "give an agent bounded authority for a task; prints its id",
       .options = create_options(),
       .text =
           "A signed record of who may do what, where and how long. A part of another delegation can only "
           "be narrower; what would be more is named.\n"
           "A call under a delegation reaches no network yet: classes other than execute are recorded and "
           "narrowed, and nothing carries them out.",
       .examples =
           {"saw delegate create --workspace dev --agent coder --task 'fix the build' --action execute "
            "--tool make --resource '/workspace/**' --for 30m --calls 20"},
       .run = delegate_create},
      {.path = "delegate list",
       .summary = "your delegations",
       .examples = {"saw delegate list"},
       .run = delegate_list},
      {.path = "delegate show",
       .summary = "a delegation and its chain up to the sponsor",
       .positionals = {delegation},
       .examples = {"saw delegate show dg-…"},
       .run = delegate_show},
      {.path = "delegate revoke",
       .summary = "end a delegation, and every one made from it, for good",
       .positionals = {delegation},
       .options = {why},
       .text = "From the answer on no call under it is admitted; calls that run under it are killed.",
       .examples = {"saw delegate revoke dg-… --why 'task done'"},
       .run = delegate_revoke},
      {.path = "revoke",
       .summary = "take back any identity or credential, for good",
       .positionals = {{"KIND", "agent, delegation, credential, workspace, sponsor, user or key"},
                       {"ID", "its id"}},
       .options = {why},
       .text =
           "Yours: agents, delegations, workspaces. Everything else takes an operator. When it answers, the "
           "revocation is on disk and in force.",
       .examples = {"saw revoke sponsor uid:1003 --why 'left the company'"},
       .run = revoke},
  };
}

}  // namespace saw::cli
