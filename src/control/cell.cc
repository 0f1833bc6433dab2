#include "control/cell.h"

#include "base/log.h"
#include "sandbox/proof.h"

namespace saw::control {
namespace {

constexpr std::string_view kUnproven = "sandbox.unproven";

}  // namespace

void Cell::start(sandbox::SandboxPlan plan, Reply<> reply) {
  if (state_ == State::up) return reply({});
  depth_ = plan.depth;
  if (state_ != State::found) return build(std::move(plan), std::move(reply));
  state_ = State::starting;
  plane_.node.request(sandbox::GetSockets{.sandbox = sandbox_},
                      alive_.guard([this, plan = std::move(plan),
                                    reply = std::move(reply)](Result<NodeClient::Answer> answer) mutable {
                        if (!answer)
                          return build(std::move(plan), std::move(reply));  // it has ended meanwhile
                        if (auto proven = check_proof(*answer); !proven)
                          return refuse(std::move(proven).error(), std::move(reply));
                        on_sockets(std::move(*answer));
                        reply({});
                      }));
}

void Cell::build(sandbox::SandboxPlan plan, Reply<> reply) {
  state_ = State::starting;
  plan.id = sandbox_;
  plane_.node.request(
      sandbox::StartSandbox{.plan = std::move(plan)},
      alive_.guard([this, reply = std::move(reply)](Result<NodeClient::Answer> answer) mutable {
        if (!answer) {
          state_ = State::down;
          if (answer.error().code == kUnproven) record_surprise(answer.error());
          return reply(std::unexpected(std::move(answer).error()));
        }
        if (auto proven = check_proof(*answer); !proven)
          return refuse(std::move(proven).error(), std::move(reply));
        on_sockets(std::move(*answer));
        reply({});
      }));
}

void Cell::on_sockets(NodeClient::Answer answer) {
  if (state_ == State::starting) state_ = State::up;
  if (auto* started = std::get_if<sandbox::SandboxStarted>(&answer.message);
      started && !started->degraded.empty())
    degraded_ = started->degraded;
  if (state_ == State::up && use_ == ChannelUse::open)
    egress_.bind(sandbox_, identity_, std::move(answer.fds));
}

void Cell::came_up(std::vector<std::string> degraded, std::vector<Fd> sockets) {
  state_ = State::up;
  degraded_ = std::move(degraded);
  if (use_ == ChannelUse::open && !sockets.empty()) egress_.bind(sandbox_, identity_, std::move(sockets));
}

// ---- proof
// ------------------------------------------------------------------------------------------------------------------------

Result<> Cell::check_proof(const NodeClient::Answer& answer) {
  const auto* started = std::get_if<sandbox::SandboxStarted>(&answer.message);
  if (!started) return Error::make(kUnproven, "saw-node did not say that sandbox {} has started", sandbox_);
  if (!started->proof.empty()) return keep_proof(started->proof);
  if (depth_ == sandbox::Depth::call) return {};  // its plan was proven before
  return Error::make(kUnproven, "saw-node gave no proof for sandbox {}", sandbox_);
}

// Only what the node signed about this sandbox counts.
Result<> Cell::keep_proof(const std::string& sealed) {
  if (proof_ && proof_->envelope == sealed) return {};
  auto proof = sandbox::open_sealed(sealed, plane_.proof_key);
  if (!proof) return Error::make(kUnproven, "the proof for sandbox {}: {}", sandbox_, proof.error().message);
  if (proof->sandbox != sandbox_ || proof->workspace != identity_.workspace || proof->depth != depth_)
    return Error::make(kUnproven, "the proof for sandbox {} is about another", sandbox_);
  proof_ = ProofView{.node = proof->node,
                     .plan_digest = proof->plan_digest,
                     .occasion = proof->occasion == sandbox::Proof::Occasion::start ? "start" : "again",
                     .time = proof->time,
                     .probes = proof->probes.size(),
                     .not_applicable = proof->not_applicable.size(),
                     .envelope = sealed};
  record_proof(*proof_);
  return {};
}

void Cell::record_proof(const ProofView& proof) {
  auto e = event<audit::Enforcement>(
      plane_, who(identity_), audit::Verdict::allowed,
      fmt::format("sandbox {} is proven: {} probes, all as expected", sandbox_, proof.probes));
  e.sandbox = sandbox_;
  e.plan_digest = proof.plan_digest;
  e.summary =
      fmt::format("{0} of {0} probes as expected, {1} not applicable", proof.probes, proof.not_applicable);
  e.evidence = proof.envelope;
  plane_.audit.record(audit::enforcement(e));
}

void Cell::record_surprise(const Error& error) {
  auto e = event<audit::Enforcement>(plane_, who(identity_), audit::Verdict::denied,
                                     fmt::format("sandbox {} is not proven and does not run", sandbox_));
  e.reason = e.summary = error.message;
  e.sandbox = sandbox_;
  plane_.audit.record(audit::enforcement(e));
}

void Cell::refuse(Error error, Reply<> reply) {
  record_surprise(error);
  stop([error = std::move(error), reply = std::move(reply)](Result<>) mutable {
    reply(std::unexpected(std::move(error)));
  });
}

void Cell::prove(Reply<> reply) {
  plane_.node.request(
      sandbox::ProveSandbox{.sandbox = sandbox_},
      alive_.guard([this, reply = std::move(reply)](Result<NodeClient::Answer> answer) mutable {
        if (!answer) {
          if (answer.error().code == kUnproven) record_surprise(answer.error());
          return reply(std::unexpected(std::move(answer).error()));
        }
        const auto* proven = std::get_if<sandbox::SandboxProven>(&answer->message);
        auto kept = proven ? keep_proof(proven->proof)
                           : Result<>(Error::make(kUnproven, "saw-node did not prove sandbox {}", sandbox_));
        if (!kept) return refuse(std::move(kept).error(), std::move(reply));
        reply({});
      }));
}

void Cell::rebind() {
  if (state_ != State::up || use_ == ChannelUse::closed || rebinding_) return;
  rebinding_ = true;
  plane_.node.request(sandbox::GetSockets{.sandbox = sandbox_},
                      alive_.guard([this](Result<NodeClient::Answer> answer) {
                        rebinding_ = false;
                        if (answer) return on_sockets(std::move(*answer));
                        log_warning("sandbox {} stays without network: {}", sandbox_, answer.error().message);
                      }));
}

void Cell::keep_closed() {
  kept_closed_ = true;
  use_channel(ChannelUse::closed);
}

void Cell::use_channel(ChannelUse use) {
  if (kept_closed_) use = ChannelUse::closed;
  if (use_ == use) return;
  use_ = use;
  if (use == ChannelUse::closed)
    egress_.unbind(sandbox_);
  else
    rebind();
}

void Cell::stop(Reply<> reply) {
  egress_.unbind(sandbox_);
  state_ = State::stopping;
  plane_.node.request(
      sandbox::StopSandbox{.sandbox = sandbox_},
      alive_.guard([this, reply = std::move(reply)](Result<NodeClient::Answer> answer) mutable {
        if (!answer) return reply(std::unexpected(std::move(answer).error()));
        state_ = State::down;
        reply({});
      }));
}

}  // namespace saw::control
