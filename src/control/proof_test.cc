// R117 at sawd: a workspace or session runs only with its node's signed proof, which is recorded and shown.
#include "control/control_fixture_test.h"

namespace saw::control {
namespace {

using sandbox::Proof;

TEST_F(ControlTest, a_workspace_shows_the_proof_that_its_node_signed_and_the_audit_log_has_it) {
  boot_ready();
  put_secret();
  auto created = create();
  ASSERT_TRUE(created) << created.error().message;
  const auto& proof = created->workspace.proof;
  ASSERT_TRUE(proof);
  EXPECT_EQ(proof->probes, 1u);
  EXPECT_EQ(proof->plan_digest, sandbox::plan_digest(world_.sandboxes.begin()->second));
  EXPECT_EQ(proof->occasion, "start");
  EXPECT_TRUE(sandbox::open_sealed(proof->envelope, world_.proof_key.public_key()));
  run_quiet();
  EXPECT_EQ(events("is proven: 1 probes"), 1u);
  EXPECT_EQ(events("saw.proof+json"), 1u);
}

TEST_F(ControlTest, without_a_proof_nothing_starts) {
  boot_ready();
  put_secret();
  node_->withhold_proofs = true;
  EXPECT_EQ(create().error().code, "sandbox.unproven");
  run_quiet();
  EXPECT_TRUE(world_.sandboxes.empty());
  EXPECT_EQ(events("is not proven and does not run"), 1u);
  node_->withhold_proofs = false;
  EXPECT_TRUE(create());
}

TEST_F(ControlTest, a_proof_that_another_key_signed_is_none) {
  boot_ready();
  put_secret();
  node_->forge_proofs = true;
  EXPECT_EQ(create().error().code, "sandbox.unproven");
  run_quiet();
  EXPECT_TRUE(world_.sandboxes.empty());
}

TEST_F(ControlTest, a_proof_about_another_sandbox_workspace_or_depth_is_none) {
  boot_ready();
  put_secret();
  const std::function<void(Proof&)> changes[] = {[](Proof& p) { p.sandbox += "x"; },
                                                 [](Proof& p) { p.workspace += "x"; },
                                                 [](Proof& p) { p.depth = sandbox::Depth::call; }};
  for (const auto& change : changes) {
    node_->change_proof = change;
    EXPECT_EQ(create().error().code, "sandbox.unproven");
    run_quiet();
    EXPECT_TRUE(world_.sandboxes.empty());
  }
  node_->change_proof = nullptr;
  EXPECT_TRUE(create());
}

TEST_F(ControlTest, what_saw_node_could_not_prove_is_recorded_as_a_failed_check) {
  boot_ready();
  put_secret();
  node_->refuse_sandboxes = "sandbox.unproven";
  EXPECT_EQ(create().error().code, "sandbox.unproven");
  run_quiet();
  EXPECT_EQ(events("is not proven and does not run"), 1u);
}

TEST_F(ControlTest, a_session_has_a_proof_of_its_own_and_a_call_of_a_proven_plan_needs_none) {
  boot_ready();
  put_secret();
  ASSERT_TRUE(create());
  auto session =
      wait<SessionView>([&](auto r) { control_->start_session(kOwner, "dev", "s", std::move(r)); });
  ASSERT_TRUE(session) << session.error().message;
  ASSERT_TRUE(session->proof);
  node_->withhold_proofs = true;
  EXPECT_TRUE(exec(call()));
}

}  // namespace
}  // namespace saw::control
