#include "control/terminals.h"

#include <algorithm>
#include <csignal>

#include "base/bytes.h"
#include "base/crypto.h"
#include "base/log.h"

namespace saw::control {
namespace {

using HandleReply = Reply<std::unique_ptr<CommandHandle>>;

// The first of the shells that the image has.
std::vector<std::string> login_shell() {
  return {"/bin/sh", "-c", "test -x /bin/bash && exec /bin/bash -l; exec /bin/sh -l"};
}

Result<std::string> session_id(Workspace& workspace, const std::string& session) {
  if (session.empty()) return std::string();
  Workspace::Session* found = workspace.find_session(session);
  if (!found)
    return Error::make("session.not_found", "workspace '{}' has no session '{}'", workspace.record().name,
                       printable(session, 80));
  return found->record.id;
}

std::string how(const Exit& exit) {
  return fmt::format("{} {}", name(exit.kind), exit.status);
}

}  // namespace

struct Terminals::Seat {
  std::string key, by;
  uint16_t rows = 0, columns = 0;
};
// Who is to be attached: at once, or when the command has started.
struct Terminals::Waiting {
  std::string by;
  uint16_t rows = 0, columns = 0;
  HandleReply reply;
};
struct Terminals::Entry {
  enum class State : uint8_t { starting, running, ended } state = State::starting;
  std::string id, name, by, command_line;
  Nanos created = 0;
  std::string owner, workspace, workspace_name, session, agent, agent_name, policy_digest;  // ids
  std::string call, credential, trace;
  std::unique_ptr<CommandHandle> command;
  std::unique_ptr<Terminal> terminal;
  std::vector<Seat> seats;  // in the order of attaching
  std::vector<Waiting> waiting;
  size_t entering = 0;  // attaches that are being recorded
  std::vector<Reply<>> ending;
  uint16_t rows = 0, columns = 0;
  Exit exit;
  bool seen = false;  // by anybody, ever
  bool keep = false;  // it ended unseen: for the next attach
  os::Loop::Timer grace;
};

// It ended, and somebody has seen or is just seeing that: its name is free.
bool Terminals::is_over(const Entry& entry) {
  return entry.state == Entry::State::ended && !entry.keep;
}

Terminals::Terminals(Plane& plane, Agents& agents, Commands& commands)
    : plane_(plane), agents_(agents), commands_(commands) {}
Terminals::~Terminals() = default;

Terminals::Entry* Terminals::find(const std::string& id) {
  auto found = entries_.find(id);
  return found == entries_.end() ? nullptr : found->second.get();
}

Terminals::Entry* Terminals::find(const std::string& workspace, const std::string& session,
                                  const std::string& name) {
  for (auto& [id, entry] : entries_)
    if (entry->workspace == workspace && entry->session == session && entry->name == name && !is_over(*entry))
      return entry.get();
  return nullptr;
}

Terminals::Entry* Terminals::of_seat(const std::string& key) {
  auto seat = seats_.find(key);
  return seat == seats_.end() ? nullptr : find(seat->second);
}

// ---- attaching

void Terminals::attach(Workspace& workspace, AttachRequest request, HandleReply reply) {
  using Which = AttachRequest::Which;
  auto refuse = [&](Error error) { reply(std::unexpected(std::move(error))); };
  if (request.name.empty()) request.name = kDefaultName;
  if (auto good = check_name("terminal", request.name); !good) return refuse(good.error());
  if (!plane_.audit.available())
    return refuse(Error{"audit.unavailable", "the audit log cannot be written: nobody is attached", 0});
  auto session = session_id(workspace, request.exec.session);
  if (!session) return refuse(session.error());
  Entry* entry = find(workspace.record().id, *session, request.name);
  if (!entry && request.which == Which::existing)
    return refuse(
        Error{"terminal.not_found",
              fmt::format("workspace '{}' has no terminal '{}' there; 'saw attach --list' shows them",
                          workspace.record().name, request.name),
              0});
  const bool wants_another = request.which == Which::fresh || !request.exec.argv.empty();
  if (entry && wants_another) {
    if (entry->state != Entry::State::ended)
      return refuse(Error{"terminal.conflict",
                          fmt::format("terminal '{}' runs already: attach to it without a command, or start "
                                      "another one with --new NAME",
                                      request.name),
                          0});
    entry->keep = false;
    drop_if_done(entry->id);
    entry = nullptr;
  }
  if (!entry) return start(workspace, *session, std::move(request), std::move(reply));
  Waiting waiting{request.by, request.exec.rows, request.exec.columns, std::move(reply)};
  if (entry->state == Entry::State::starting)
    entry->waiting.push_back(std::move(waiting));
  else
    admit(*entry, std::move(waiting));
}

// What has ended goes first, the oldest of it.
Result<> Terminals::make_room(const Workspace& workspace) {
  const store::Workspace& record = workspace.record();
  auto count = [&](auto&& counts) {
    return static_cast<size_t>(
        std::ranges::count_if(entries_, [&](const auto& each) { return counts(*each.second); }));
  };
  auto full = [&] {
    return entries_.size() >= kMax ||
           count([&](const Entry& e) { return e.owner == record.owner; }) >= kMaxPerOwner ||
           count([&](const Entry& e) { return e.workspace == record.id; }) >= kMaxPerWorkspace;
  };
  while (full()) {
    Entry* oldest = nullptr;
    for (auto& [id, entry] : entries_)
      if (entry->owner == record.owner && entry->keep && entry->entering == 0 &&
          (!oldest || entry->created < oldest->created))
        oldest = entry.get();
    if (!oldest)
      return Error::make("terminal.busy", "there are too many terminals; end one with 'saw attach --end'");
    entries_.erase(oldest->id);
  }
  return {};
}

void Terminals::start(Workspace& workspace, const std::string& session, AttachRequest request,
                      HandleReply reply) {
  if (auto room = make_room(workspace); !room) return reply(std::unexpected(std::move(room).error()));
  ExecRequest exec = std::move(request.exec);
  exec.requested_by = request.by;
  exec.kind = session.empty() ? ExecKind::workspace : ExecKind::session;
  exec.session = session;
  exec.terminal = true;
  if (exec.argv.empty()) exec.argv = login_shell();
  auto agent = agents_.resolve(workspace.record().owner, exec.agent);
  if (!agent) return reply(std::unexpected(std::move(agent).error()));
  auto entry = std::make_unique<Entry>();
  entry->id = random_id("tt-");
  entry->name = request.name;
  entry->by = request.by;
  entry->command_line = command_line(exec.argv);
  entry->created = plane_.clock.now();
  entry->owner = workspace.record().owner;
  entry->workspace = workspace.record().id;
  entry->workspace_name = workspace.record().name;
  entry->policy_digest = workspace.record().policy_digest;
  entry->session = session;
  entry->agent = agent->id;
  entry->agent_name = agent->name;
  entry->rows = exec.rows, entry->columns = exec.columns;
  entry->waiting.push_back({request.by, exec.rows, exec.columns, std::move(reply)});
  const std::string id = entry->id;
  entries_[id] = std::move(entry);
  commands_.start(workspace, std::move(exec),
                  alive_.guard([this, id](Result<std::unique_ptr<CommandHandle>> command) {
                    on_started(id, std::move(command));
                  }));
}

void Terminals::on_started(const std::string& id, Result<std::unique_ptr<CommandHandle>> command) {
  Entry* entry = find(id);
  if (!entry) return;  // its workspace went meanwhile, and the command with it
  auto ready = command ? set_blocking((*command)->input, Blocking::no) : Result<>();
  if (!command || !ready) {
    const Error error = command ? ready.error() : command.error();
    auto node = entries_.extract(id);
    for (Waiting& waiting : node.mapped()->waiting) waiting.reply(std::unexpected(error));
    return;
  }
  entry->state = Entry::State::running;
  entry->command = std::move(*command);
  entry->call = entry->command->call;
  entry->credential = entry->command->credential;
  entry->trace = entry->command->trace;
  entry->terminal = std::make_unique<Terminal>(plane_.loop, std::move(entry->command->input));
  entry->command->on_exit(alive_.guard([this, id](Exit exit) { on_ended(id, exit); }));
  for (Waiting& waiting : std::exchange(entry->waiting, {})) admit(*entry, std::move(waiting));
}

void Terminals::admit(Entry& entry, Waiting waiting) {
  // Typing into a shell starts things: only an agent that may act has somebody at its terminal. What it said
  // before it ended may be read.
  if (entry.state == Entry::State::running)
    if (auto may_act = agents_.check(entry.agent); !may_act)
      return waiting.reply(std::unexpected(std::move(may_act).error()));
  if (entry.seats.size() + entry.entering >= kMaxAttached)
    return waiting.reply(
        Error::make("terminal.busy", "{} are attached to terminal '{}' already", kMaxAttached, entry.name));
  ++entry.entering;
  std::string line = record(entry, waiting.by, "terminal.attach", "attached to");
  plane_.audit.record_before(
      std::move(line),
      alive_.guard([this, id = entry.id, waiting = std::move(waiting)](Result<> durable) mutable {
        Entry* recorded = find(id);
        if (recorded) --recorded->entering;
        auto handle = durable ? seat(id, waiting)
                              : Result<std::unique_ptr<CommandHandle>>(std::unexpected(durable.error()));
        waiting.reply(std::move(handle));
        drop_if_done(id);
      }));
}

Result<std::unique_ptr<CommandHandle>> Terminals::seat(const std::string& id, const Waiting& waiting) {
  Entry* entry = find(id);
  if (!entry) return Error::make("terminal.conflict", "the terminal ended meanwhile");
  const std::string key = random_id("at-");
  auto handle = std::make_unique<CommandHandle>(static_cast<HandleOwner&>(*this), alive_.watch(), key);
  handle->input = SAW_TRY(entry->terminal->attach(key));
  handle->call = entry->call;
  handle->credential = entry->credential;
  handle->trace = entry->trace;
  handle->terminal = view(*entry);
  seats_[key] = id;
  entry->keep = false;
  entry->seats.push_back({key, waiting.by, waiting.rows, waiting.columns});
  resize(*entry, std::exchange(entry->seen, true) ? Redraw::always : Redraw::if_needed);
  return handle;
}

// To what the last to attach has. A program draws itself anew when the size changes, so for somebody who comes
// to what runs already it does so in any case.
void Terminals::resize(Entry& entry, Redraw redraw) {
  if (entry.seats.empty() || !entry.command) return;
  const Seat& last = entry.seats.back();
  if (last.rows == 0 || last.columns == 0) return;
  if (last.rows == entry.rows && last.columns == entry.columns) {
    if (redraw == Redraw::if_needed || last.columns == 1) return;
    entry.command->resize(last.rows, static_cast<uint16_t>(last.columns - 1));
  }
  entry.command->resize(last.rows, last.columns);
  entry.rows = last.rows, entry.columns = last.columns;
}

// ---- one of those who are attached

void Terminals::handle_on_exit(const std::string& key, std::move_only_function<void(Exit)> callback) {
  Entry* entry = of_seat(key);
  if (!entry) return callback({ExitKind::sandbox_gone, 0});
  entry->terminal->on_exit(key, std::move(callback));
}

void Terminals::handle_signal(const std::string& key, int number) {
  Entry* entry = of_seat(key);
  if (entry && entry->command) entry->command->signal(number);
}

void Terminals::handle_resize(const std::string& key, uint16_t rows, uint16_t columns) {
  Entry* entry = of_seat(key);
  if (!entry) return;
  auto own = std::ranges::find(entry->seats, key, &Seat::key);
  own->rows = rows, own->columns = columns;
  if (own + 1 == entry->seats.end()) resize(*entry, Redraw::if_needed);
}

void Terminals::handle_dropped(const std::string& key) {
  auto node = seats_.extract(key);
  Entry* entry = node.empty() ? nullptr : find(node.mapped());
  if (!entry) return;
  entry->terminal->detach(key);
  auto own = std::ranges::find(entry->seats, key, &Seat::key);
  const bool was_last = own + 1 == entry->seats.end();
  const std::string by = own->by;
  entry->seats.erase(own);
  plane_.audit.record(record(*entry, by, "terminal.detach", "detached from"));
  if (was_last) resize(*entry, Redraw::if_needed);
  drop_if_done(entry->id);
}

// ---- the end

void Terminals::on_ended(const std::string& id, Exit exit) {
  Entry* entry = find(id);
  if (!entry) return;
  entry->state = Entry::State::ended;
  entry->exit = exit;
  entry->grace.cancel();
  entry->terminal->ended(exit);
  entry->keep = entry->seats.empty() && entry->ending.empty() && exit.kind != ExitKind::sandbox_gone;
  // Not at once: this runs in a callback of its handle.
  plane_.loop.post([dead = std::move(entry->command)] {});
  for (Reply<>& reply : std::exchange(entry->ending, {})) reply({});
  drop_if_done(id);
}

void Terminals::drop_if_done(const std::string& id) {
  Entry* entry = find(id);
  if (entry && entry->state == Entry::State::ended && entry->seats.empty() && entry->entering == 0 &&
      !entry->keep)
    entries_.erase(id);
}

void Terminals::end(Workspace& workspace, const std::string& session, const std::string& name,
                    const std::string& by, Reply<> reply) {
  auto where = session_id(workspace, session);
  if (!where) return reply(std::unexpected(std::move(where).error()));
  Entry* entry = find(workspace.record().id, *where, name);
  if (!entry)
    return reply(Error::make("terminal.not_found", "workspace '{}' has no terminal '{}' there",
                             workspace.record().name, printable(name, 80)));
  if (entry->state == Entry::State::starting)
    return reply(Error::make("terminal.conflict", "terminal '{}' is just starting", name));
  plane_.audit.record(record(*entry, by, "terminal.end", "ended"));
  if (entry->state == Entry::State::ended) {
    entry->keep = false;
    drop_if_done(entry->id);
    return reply({});
  }
  entry->ending.push_back(std::move(reply));
  if (entry->ending.size() > 1) return;
  entry->command->signal(SIGHUP);
  entry->command->signal(SIGCONT);  // what is stopped hears nothing
  entry->grace = plane_.loop.after(kGraceMs, [this, id = entry->id] { insist(id); });
}

void Terminals::insist(const std::string& id) {
  Entry* entry = find(id);
  if (!entry || !entry->command) return;
  entry->command->signal(SIGKILL);
  entry->grace = plane_.loop.after(kGraceMs, [this, id] { give_up(id); });
}

void Terminals::give_up(const std::string& id) {
  Entry* entry = find(id);
  if (!entry) return;
  log_error("terminal '{}' of workspace '{}' does not end", entry->name, entry->workspace_name);
  for (Reply<>& reply : std::exchange(entry->ending, {}))
    reply(Error::make("terminal.conflict", "its command does not end; stopping the workspace ends it"));
}

void Terminals::forget_ended(const std::string& workspace, const std::string& session) {
  std::erase_if(entries_, [&](const auto& each) {
    const Entry& entry = *each.second;
    return entry.keep && entry.entering == 0 && entry.workspace == workspace &&
           (session.empty() || entry.session == session);
  });
}

// ---- what is said about them

TerminalView Terminals::view(const Entry& entry) {
  static constexpr std::string_view kStates[] = {"starting", "running", "ended"};
  return {.id = entry.id,
          .name = entry.name,
          .session = entry.session,
          .agent = entry.agent_name,
          .call = entry.call,
          .command = entry.command_line,
          .requested_by = entry.by,
          .state = std::string(kStates[static_cast<size_t>(entry.state)]),
          .created = entry.created,
          .attached = entry.seats.size(),
          .exit = entry.exit};
}

std::vector<TerminalView> Terminals::list(const std::string& workspace) const {
  std::vector<TerminalView> out;
  for (const auto& [id, entry] : entries_)
    if (entry->workspace == workspace && !is_over(*entry)) out.push_back(view(*entry));
  std::ranges::sort(out, {}, &TerminalView::created);
  return out;
}

std::string Terminals::record(const Entry& entry, const std::string& by, std::string_view operation,
                              const std::string& what) const {
  const audit::Who who{.sponsor = by,
                       .agent = entry.agent,
                       .agent_name = entry.agent_name,
                       .workspace = entry.workspace,
                       .workspace_name = entry.workspace_name,
                       .session = entry.session,
                       .call = entry.call,
                       .credential = entry.credential,
                       .trace = entry.trace};
  const std::string state =
      entry.state == Entry::State::ended ? "it had ended: " + how(entry.exit) : std::string("it runs");
  auto e = event<audit::ApiActivity>(plane_, who, audit::Verdict::allowed,
                                     fmt::format("{} {} terminal '{}' of workspace '{}' ({})", by, what,
                                                 entry.name, entry.workspace_name, state));
  e.policy_digest = entry.policy_digest;
  e.operation = std::string(operation);
  e.object_kind = "terminal";
  e.object_id = entry.id;
  e.object_name = entry.name;
  return audit::api_activity(e);
}

}  // namespace saw::control
