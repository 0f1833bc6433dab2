// One sandbox as the control plane sees it: a workspace, a session or a call, with its channel to saw-egress.
//
//   Cell cell(plane, egress, "sb-…", identity);
//   cell.start(plan, [](Result<> r) { … });   // built by saw-node, its sockets bound to saw-egress; adopted
//   if it lives already cell.stop([](Result<> r) { … });          // unbound first, then nothing of it is
//   left
//
// A workspace or session is up only with a proof of enforcement that saw-node's key signed for this very sandbox (R117): one
// without is stopped again, "sandbox.unproven".
//
// The sandbox's id was chosen and, for workspaces and sessions, stored before anything was built: starting
// twice is starting once (R5).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "control/alive.h"
#include "control/egress_control.h"
#include "control/plane.h"

namespace saw::control {

class Cell {
 public:
  enum class State : uint8_t { down, found, starting, up, stopping };
  enum class ChannelUse : uint8_t { open, closed };  // closed: its agent may not act now

  Cell(Plane& plane, EgressControl& egress, std::string sandbox, egress::ChannelIdentity identity)
      : plane_(plane), egress_(egress), sandbox_(std::move(sandbox)), identity_(std::move(identity)) {}

  void start(sandbox::SandboxPlan plan, Reply<> reply);
  // saw-node has made it already.
  void came_up(std::vector<std::string> degraded, std::vector<Fd> sockets);
  void stop(Reply<> reply);
  // Has the sandbox probed again, after what it may do has changed. A surprise ends the sandbox.
  void prove(Reply<> reply);
  void rebind();  // saw-egress is new: give it this sandbox's sockets
  void use_channel(ChannelUse use);
  // Nothing opens its channel any more: what acts in it has no authority outwards.
  void keep_closed();
  void mark_found() { state_ = State::found; }  // recovery: saw-node holds it
  void mark_lost() { state_ = State::down; }    // saw-node says that it ended
  // A start from nothing after a stop gets a new name.
  void rename(std::string sandbox) { sandbox_ = std::move(sandbox); }

  State state() const { return state_; }
  const std::string& sandbox() const { return sandbox_; }
  const egress::ChannelIdentity& identity() const { return identity_; }
  egress::ChannelIdentity& identity() { return identity_; }
  const std::vector<std::string>& degraded() const { return degraded_; }
  // The last proof; absent for a call of a plan that was proven before.
  const std::optional<ProofView>& proof() const { return proof_; }

 private:
  void build(sandbox::SandboxPlan plan, Reply<> reply);
  void on_sockets(NodeClient::Answer answer);
  Result<> check_proof(const NodeClient::Answer& answer);
  Result<> keep_proof(const std::string& sealed);
  void record_proof(const ProofView& proof);
  void record_surprise(const Error& error);
  void refuse(Error error, Reply<> reply);

  Plane& plane_;
  EgressControl& egress_;
  std::string sandbox_;
  egress::ChannelIdentity identity_;
  State state_ = State::down;
  ChannelUse use_ = ChannelUse::open;
  bool rebinding_ = false, kept_closed_ = false;
  std::vector<std::string> degraded_;
  sandbox::Depth depth_ = sandbox::Depth::call;
  std::optional<ProofView> proof_;
  Alive alive_;
};

}  // namespace saw::control
