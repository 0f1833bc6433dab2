// Whether a command may start at all, and by whose leave: the request's form, the agent's chain of authority,
// and its record.
#include <algorithm>

#include "base/bytes.h"
#include "base/crypto.h"
#include "control/commands.h"
#include "control/workspace_spec.h"
#include "identity/identity.h"

namespace saw::control {
namespace {

constexpr int64_t kMaxTimeoutMs = 7LL * 24 * 3600 * 1000;

Result<> check_request(const ExecRequest& request) {
  size_t bytes = 0;
  if (request.argv.empty() || request.argv.size() > Commands::kMaxArguments || request.argv.front().empty())
    return Error::make("request.argv", "a command of 1 to {} arguments is needed", Commands::kMaxArguments);
  for (const std::string& argument : request.argv) {
    if (argument.find('\0') != argument.npos) return Error::make("request.argv", "an argument contains NUL");
    bytes += argument.size() + 1;
  }
  for (const auto& [name, value] : request.environment) {
    if (name.empty() || name.find_first_of(std::string_view("=\0", 2)) != name.npos ||
        value.find('\0') != value.npos)
      return Error::make("request.env", "'{}' is no name or value of an environment variable",
                         printable(name, 80));
    bytes += name.size() + value.size() + 2;
  }
  if (bytes > Commands::kMaxBytes)
    return Error::make("request.argv", "arguments and environment exceed {} bytes", Commands::kMaxBytes);
  if (!request.directory.empty() && !is_canonical_path(request.directory))
    return Error::make("request.cwd", "'{}' is not an absolute path without '.', '..' or empty segments",
                       printable(request.directory));
  if (request.timeout_ms < 0 || request.timeout_ms > kMaxTimeoutMs)
    return Error::make("request.timeout", "a time-out of 0 to {} ms", kMaxTimeoutMs);
  return {};
}

bool is_plain(std::string_view argument) {
  return !argument.empty() && std::ranges::all_of(argument, [](unsigned char c) {
    return std::isalnum(c) ||
           std::string_view("-_./=:,@%+").find(static_cast<char>(c)) != std::string_view::npos;
  });
}

}  // namespace

std::string command_line(const std::vector<std::string>& argv) {
  std::string out;
  for (const std::string& argument : argv) {
    if (!out.empty()) out += ' ';
    if (is_plain(argument))
      out += argument;
    else
      out += "'" + argument + "'";
  }
  return out;
}

Result<std::unique_ptr<Commands::Command>> Commands::admit(Workspace& workspace, ExecRequest request) {
  SAW_TRY(check_request(request));
  if (running_.size() >= kMaxRunning) return Error::make("exec.busy", "{} commands run already", kMaxRunning);
  const auto own = static_cast<size_t>(std::ranges::count_if(
      running_, [&](const auto& entry) { return entry.second->who.sponsor == workspace.record().owner; }));
  if (own >= kMaxRunningPerSponsor)
    return Error::make("exec.busy", "{} commands of {} run already", own, workspace.record().owner);
  if (!plane_.audit.available())
    return Error::make("audit.unavailable", "the audit log cannot be written: no command is admitted");
  if (workspace.state() != WorkspaceState::running)
    return Error::make("workspace.conflict", "workspace '{}' is {}, not running", workspace.record().name,
                       name(workspace.state()));
  SAW_TRY(workspace.may_act());
  auto command = std::make_unique<Command>();
  command->key = random_id("c-");
  command->who = {.sponsor = workspace.record().owner,
                  .workspace = workspace.record().id,
                  .call = command->key,
                  .workspace_name = workspace.record().name,
                  .trace = to_hex(random_bytes(16))};
  command->policy_digest = workspace.record().policy_digest;
  command->sandbox = random_id("sb-");
  if (request.kind == ExecKind::workspace) command->sandbox = workspace.cell().sandbox();
  if (request.kind == ExecKind::session || !request.session.empty()) {
    Workspace::Session* session = workspace.find_session(request.session);
    if (!session)
      return Error::make("session.not_found", "workspace '{}' has no session '{}'", workspace.record().name,
                         printable(request.session, 80));
    if (session->cell->state() != Cell::State::up || session->record.desired != store::Desired::running)
      return Error::make("session.conflict", "session '{}' is not running", session->record.name);
    command->who.session = session->record.id;
    if (request.kind == ExecKind::session) command->sandbox = session->cell->sandbox();
  }
  if (request.keep) {
    if (request.kind != ExecKind::call || !request.session.empty())
      return Error::make(
          "request.keep",
          "only a call on the workspace itself can keep its files; a session keeps them anyway");
    command->who.session = random_id("ss-");
  }
  command->request = std::move(request);
  if (command->request.directory.empty()) command->request.directory = workspace.directory();
  if (auto found = find_agent(*command, workspace, command->request.agent); !found) {
    if (command->who.agent_name.empty()) command->who.agent_name = command->request.agent;
    record_authority(*command, 0, &found.error());
    return std::unexpected(std::move(found).error());
  }
  SAW_TRY(resolve_authority(*command, workspace));
  command->environment = merge_environment(workspace.environment(), command->request.environment);
  const int64_t wall_clock = static_cast<int64_t>(workspace.policy().limits().wall_clock_ms);
  int64_t& timeout = command->request.timeout_ms;
  if (command->request.kind != ExecKind::workspace && wall_clock > 0 &&
      (timeout == 0 || timeout > wall_clock))
    timeout = wall_clock;
  if (command->authority->chain) {  // it ends with what it was delegated
    const Nanos left = command->authority->chain->leaf().expires * kSecond - plane_.clock.now();
    const int64_t left_ms = std::max<int64_t>(1, left / kMillisecond);
    if (timeout == 0 || timeout > left_ms) timeout = left_ms;
  }
  return command;
}

// The agent that is to act: the one that was named, or the holder of the delegation.
Result<> Commands::find_agent(Command& command, Workspace& workspace, std::string_view asked) {
  const std::string& owner = workspace.record().owner;
  const std::string& delegation = command.request.delegation;
  if (delegation.empty()) {
    const store::Agent agent = SAW_TRY(agents_.resolve(owner, asked));
    command.who.agent = agent.id;
    command.who.agent_name = agent.name;
    return {};
  }
  if (command.request.kind != ExecKind::call)
    return Error::make("request.delegation", "a delegation is for calls: they have a channel of their own");
  const auto chain = SAW_TRY(delegations_.in_force(delegation));
  const std::string& holder = chain->leaf().agent;
  const store::Agent agent = SAW_TRY(agents_.resolve(owner, identity::registered_agent(holder)));
  command.who.agent = holder;
  command.who.agent_name = agent.name + holder.substr(agent.id.size());
  if (!asked.empty() && asked != holder && asked != command.who.agent_name)
    return Error::make("request.agent", "delegation {} was given to agent '{}', not to '{}'", delegation,
                       command.who.agent_name, printable(asked, 80));
  return {};
}

Result<> Commands::resolve_authority(Command& command, Workspace& workspace) {
  const Nanos now = plane_.clock.now();
  const auto agent = SAW_TRY(plane_.store.agent(identity::registered_agent(command.who.agent)));
  identity::CredentialRequest request{.issuer = issuer_,
                                      .agent = command.who.agent,
                                      .sponsor = command.who.sponsor,
                                      .workspace = command.who.workspace,
                                      .session = command.who.session,
                                      .call = command.key,
                                      .channel = command.sandbox,
                                      .policy_digest = command.policy_digest,
                                      .agent_version = agent ? agent->version : 0};
  if (!command.request.delegation.empty())
    identity::delegate(request, *SAW_TRY(delegations_.in_force(command.request.delegation)));
  const identity::Minted minted = identity::mint(plane_.keys.credential, request, now,
                                                 workspace.policy().credential_ttl_ms() * kMillisecond);
  command.who.credential_id = minted.id;
  admitting_ = command.key;
  auto resolved = check_delegated(command, minted.token, now);
  admitting_.clear();
  record_authority(command, minted.expires, resolved ? nullptr : &resolved.error());
  return resolved;
}

// By the one path, and within what was delegated: starting the command is an action itself.
Result<> Commands::check_delegated(Command& command, const std::string& token, Nanos now) {
  auto authority = SAW_TRY(resolver_.resolve(token, command.sandbox, now));
  SAW_TRY(authority.check({.action = identity::ActionClass::execute,
                           .tool = command.request.argv.front(),
                           .resource = command.request.directory}));
  if (authority.chain) SAW_TRY(delegations_.count_call(*authority.chain));
  command.authority = std::move(authority);
  return {};
}

void Commands::record_authority(const Command& command, Nanos expires, const Error* refusal) {
  auto e = event<audit::Authentication>(
      plane_, who(command.who), refusal ? audit::Verdict::denied : audit::Verdict::allowed,
      refusal ? fmt::format("agent '{}' was refused a call: {}", command.who.agent_name, refusal->message)
              : fmt::format("runtime credential {} minted for agent '{}', call {}{}",
                            command.who.credential_id, command.who.agent_name, command.key,
                            command.request.delegation.empty()
                                ? ""
                                : ", delegation " + printable(command.request.delegation, 80)));
  if (refusal) e.reason = refusal->code;
  e.policy_digest = command.policy_digest;
  e.credential_id = command.who.credential_id;
  e.expires = expires;
  plane_.audit.record(audit::authentication(e));
}

void Commands::record_process(const Command& command, audit::ProcessActivity::Activity activity,
                              Reply<> durable) {
  const bool launch = activity == audit::ProcessActivity::Activity::launch;
  const std::string line = command_line(command.request.argv);
  const Exit exit = command.exit.value_or(Exit{});
  auto e = event<audit::ProcessActivity>(
      plane_, who(command.who), launch ? audit::Verdict::allowed : audit::Verdict::none,
      launch ? fmt::format("command admitted in workspace '{}' for {}: {}", command.who.workspace_name,
                           command.request.requested_by, printable(line))
             : fmt::format("command ended in workspace '{}': {} {}: {}", command.who.workspace_name,
                           name(exit.kind), exit.status, printable(line)));
  e.policy_digest = command.policy_digest;
  e.activity = activity;
  e.command_line = line;
  e.sandbox = command.sandbox;
  e.pid = command.pid;
  e.exit_status = exit.status;
  if (!launch) {
    e.reason = name(exit.kind);
    e.limit = limit(exit.kind);
    e.memory_kills = exit.memory_kills;
    e.forks_refused = exit.forks_refused;
  }
  if (launch && durable)
    plane_.audit.record_before(audit::process_activity(e), std::move(durable));
  else
    plane_.audit.record_kept(audit::process_activity(e), std::move(durable));
}

}  // namespace saw::control
