// The terminals of workspaces and sessions: each is a command with a pty that goes on when nobody is attached,
// and that its owner finds again by name.
//
//   terminals.attach(workspace, {.by = "uid:1000", .exec = {.kind = ExecKind::workspace, …}},
//                    [](Result<std::unique_ptr<CommandHandle>> r) { … });     // r->input: both ways
//
// Destroying the handle detaches; the command ends by itself, by end(), or with its sandbox. One that ends while
// nobody is attached is kept with its output and its exit for the next attach, which it answers, and then goes.
// The size is that of whoever attached last. Each attach is recorded before its first byte (R100, R101).
// All of it lives in this process: when sawd ends, the pty is hung up.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "control/commands.h"
#include "control/terminal.h"

namespace saw::control {

class Terminals final : private HandleOwner {
 public:
  static constexpr std::string_view kDefaultName = "main";
  static constexpr size_t kMax = 256, kMaxPerOwner = 128,
                          kMaxPerWorkspace = 16;  // ended ones that are kept too
  static constexpr size_t kMaxAttached = 16;      // to one of them
  static constexpr int64_t kGraceMs = 2'000;      // between SIGHUP and SIGKILL, and from there to giving up

  Terminals(Plane& plane, Agents& agents, Commands& commands);
  ~Terminals() override;

  // That the caller is the workspace's owner is the caller's to know.
  void attach(Workspace& workspace, AttachRequest request, Reply<std::unique_ptr<CommandHandle>> reply);
  std::vector<TerminalView> list(const std::string& workspace) const;
  // `session`: id or name; empty: of the workspace itself. Answers when its command has ended. What left the
  // command's process group goes on, as after any other command.
  void end(Workspace& workspace, const std::string& session, const std::string& name, const std::string& by,
           Reply<> reply);
  // Those that have ended and are kept, of a workspace or of one session of it.
  void forget_ended(const std::string& workspace, const std::string& session);

 private:
  struct Seat;
  struct Entry;
  struct Waiting;
  Entry* find(const std::string& id);
  Entry* find(const std::string& workspace, const std::string& session, const std::string& name);
  Entry* of_seat(const std::string& key);
  Result<> make_room(const Workspace& workspace);
  void start(Workspace& workspace, const std::string& session, AttachRequest request,
             Reply<std::unique_ptr<CommandHandle>> reply);
  void on_started(const std::string& id, Result<std::unique_ptr<CommandHandle>> command);
  void admit(Entry& entry, Waiting waiting);
  Result<std::unique_ptr<CommandHandle>> seat(const std::string& id, const Waiting& waiting);
  enum class Redraw : uint8_t { if_needed, always };
  static void resize(Entry& entry, Redraw redraw);
  void on_ended(const std::string& id, Exit exit);
  void insist(const std::string& id);
  void give_up(const std::string& id);
  void drop_if_done(const std::string& id);
  std::string record(const Entry& entry, const std::string& by, std::string_view operation,
                     const std::string& what) const;
  static bool is_over(const Entry& entry);
  static TerminalView view(const Entry& entry);

  void handle_on_exit(const std::string& key, std::move_only_function<void(Exit)> callback) override;
  void handle_signal(const std::string& key, int number) override;
  void handle_resize(const std::string& key, uint16_t rows, uint16_t columns) override;
  void handle_dropped(const std::string& key) override;

  Plane& plane_;
  Agents& agents_;
  Commands& commands_;
  std::map<std::string, std::unique_ptr<Entry>> entries_;  // by id
  std::map<std::string, std::string> seats_;               // key of a handle → id
  Alive alive_;
};

}  // namespace saw::control
