#include "control/delegations.h"

#include "control/control_fixture_test.h"
#include "identity/jws.h"

namespace saw::control {
namespace {

class DelegationsTest : public ControlTest {
 protected:
  void SetUp() override {
    boot_ready();
    put_secret();
    auto created = create();
    ASSERT_TRUE(created) << created.error().message;
    workspace_ = created->workspace;
    ASSERT_TRUE(control_->register_agent(kOwner, "coder", "to write code"));
  }
  static DelegationSpec spec(std::string tool = "make") {
    return {.agent = "coder",
            .task = "fix the build",
            .grants = {{.actions = {"execute"}, .tools = {std::move(tool)}, .resources = {"/workspace/**"}}},
            .lifetime_ms = 600'000,
            .depth = 2};
  }
  Result<DelegationView> delegate(const DelegationSpec& what, const Caller& by = kOwner) {
    return control_->create_delegation(by, "dev", what);
  }
  std::string code(const DelegationSpec& what, const Caller& by = kOwner) {
    auto made = delegate(what, by);
    return made ? "ok" : made.error().code;
  }
  static ExecRequest under(const std::string& delegation, std::string tool = "make") {
    return {.kind = ExecKind::call, .delegation = delegation, .argv = {std::move(tool)}};
  }
  std::string run(ExecRequest request) {
    auto handle = exec(std::move(request));
    if (!handle) return handle.error().code;
    handles_.push_back(std::move(*handle));
    return "ok";
  }
  // The credential of the call that started last, as its sandbox would hold it.
  std::string credential_of_last_call(const std::string& delegation) {
    const auto& call = *handles_.back();
    const auto stored = store_->delegation(delegation).value().value();
    const auto d = *identity::open_delegation(stored.record, keys_->credential.public_key());
    return identity::mint(keys_->credential,
                          {.issuer = "node-1",
                           .agent = d.agent,
                           .sponsor = d.sponsor,
                           .workspace = d.workspace,
                           .session = {},
                           .call = call.call,
                           .channel = sandbox_of_last_call(),
                           .policy_digest = "sha256:x",
                           .delegation = d.id,
                           .delegation_digest = digest_text(sha256(stored.record)),
                           .actors = {d.issuer}},
                          clock_.now(), 10 * kSecond)
        .token;
  }
  std::string sandbox_of_last_call() const { return node_->execs.rbegin()->second.sandbox; }

  WorkspaceView workspace_;
  std::vector<std::unique_ptr<CommandHandle>> handles_;
};

TEST_F(DelegationsTest, a_call_does_what_was_delegated_and_nothing_else) {
  const auto d = delegate(spec());
  ASSERT_TRUE(d) << d.error().message;
  EXPECT_EQ(d->state, "in force");
  EXPECT_EQ(run(under(d->id)), "ok");
  EXPECT_EQ(run(under(d->id, "curl")), "identity.not_delegated");
  ExecRequest elsewhere = under(d->id);
  elsewhere.directory = "/etc";
  EXPECT_EQ(run(elsewhere), "identity.not_delegated");
  ExecRequest other = under(d->id);
  other.agent = "default";
  EXPECT_EQ(run(other), "request.agent");
  ExecRequest shared = under(d->id);
  shared.kind = ExecKind::workspace;
  EXPECT_EQ(run(shared), "request.delegation") << "others use that channel";
  EXPECT_EQ(run(under("dg-none")), "identity.delegation_unknown");
  run_quiet();
  EXPECT_EQ(events("identity.not_delegated"), 2u);
  EXPECT_EQ(events("delegation " + d->id), 4u) << "the call's credential, and three refusals";
}

TEST_F(DelegationsTest, a_call_under_a_delegation_has_no_way_out_whatever_changes) {
  const auto d = delegate(spec());
  ASSERT_EQ(run(under(d->id)), "ok");
  const std::string sandbox = sandbox_of_last_call();
  run_quiet();
  EXPECT_FALSE(egress().channels.contains(sandbox));
  ASSERT_TRUE(control_->change_agent(kOwner, "coder", AgentVerb::suspend));
  ASSERT_TRUE(control_->change_agent(kOwner, "coder", AgentVerb::resume));
  run_quiet();
  EXPECT_FALSE(egress().channels.contains(sandbox));
  ASSERT_EQ(run(call()), "ok");
  run_quiet();
  EXPECT_TRUE(egress().channels.contains(sandbox_of_last_call())) << "the benign twin";
}

TEST_F(DelegationsTest, a_child_is_never_more_than_its_parent) {
  const auto root = delegate(spec("[a-m]*"));
  ASSERT_TRUE(root);
  DelegationSpec child = spec("make");
  child.parent = root->id, child.depth = 1;
  const auto narrower = delegate(child);
  ASSERT_TRUE(narrower) << narrower.error().message;
  ASSERT_EQ(narrower->chain.size(), 1u);
  EXPECT_EQ(narrower->chain[0].id, root->id);
  child.grants[0].tools = {"zip"};
  EXPECT_EQ(code(child), "identity.delegation_widens");
  child = spec("git");
  child.parent = narrower->id, child.depth = 0;
  EXPECT_EQ(code(child), "identity.delegation_widens") << "the root has it, the child dropped it (R30)";
  child = spec("make");
  child.parent = root->id, child.depth = 1, child.lifetime_ms = 86'400'000;
  EXPECT_EQ(delegate(child)->expires, root->expires) << "capped";
  child.depth = 2;
  EXPECT_EQ(code(child), "identity.delegation_depth");
}

TEST_F(DelegationsTest, only_the_sponsor_delegates) {
  EXPECT_EQ(code(spec(), kStranger), "access.denied");
  EXPECT_EQ(code(spec(), kOperator), "access.not_sponsor");
  DelegationSpec theirs = spec();
  theirs.agent = "nobody";
  EXPECT_EQ(code(theirs), "identity.agent_unknown");
  const auto d = delegate(spec());
  EXPECT_EQ(control_->show_delegation(kStranger, d->id).error().code, "delegation.not_found");
  EXPECT_EQ(control_->revoke(kStranger, "delegation", d->id, "").error().code, "delegation.not_found");
  EXPECT_TRUE(control_->list_delegations(kStranger)->empty());
  EXPECT_EQ(control_->list_delegations(kOwner)->size(), 1u);
}

TEST_F(DelegationsTest, what_cannot_be_kept_is_not_promised) {
  DelegationSpec asks = spec();
  asks.approval = "every";
  EXPECT_EQ(code(asks), "not_available_yet");
  DelegationSpec empty = spec();
  empty.grants.clear();
  EXPECT_EQ(code(empty), "request.grant");
  DelegationSpec odd = spec();
  odd.grants[0].actions = {"conquer"};
  EXPECT_EQ(code(odd), "request.grant");
  disk_.full = true;
  run(call());
  EXPECT_EQ(code(spec()), "audit.unavailable");
}

TEST_F(DelegationsTest, calls_are_counted_for_parent_and_child_across_restarts) {
  DelegationSpec three = spec();
  three.calls = 3;
  const auto root = delegate(three);
  DelegationSpec child = spec();
  child.parent = root->id, child.depth = 1, child.calls = 2;
  const auto part = delegate(child);
  EXPECT_EQ(run(under(part->id)), "ok");
  EXPECT_EQ(run(under(part->id, "curl")), "identity.not_delegated") << "what is refused is not counted";
  handles_.clear();
  boot_ready();
  EXPECT_EQ(run(under(part->id)), "ok");
  EXPECT_EQ(run(under(part->id)), "identity.delegation_used_up");
  EXPECT_EQ(control_->show_delegation(kOwner, part->id)->state, "identity.delegation_used_up");
}

TEST_F(DelegationsTest, an_expired_one_admits_nothing) {
  const auto d = delegate(spec());
  EXPECT_EQ(run(under(d->id)), "ok");
  clock_.time += 600 * kSecond;
  EXPECT_EQ(run(under(d->id)), "identity.delegation_expired");
}

TEST_F(DelegationsTest, revoking_a_root_ends_what_runs_under_its_children_and_survives_a_crash) {
  const auto root = delegate(spec());
  DelegationSpec child = spec();
  child.parent = root->id, child.depth = 1;
  const auto part = delegate(child);
  ASSERT_EQ(run(under(part->id)), "ok");
  std::optional<Exit> exit;
  handles_.back()->on_exit([&](Exit e) { exit = e; });
  ASSERT_TRUE(control_->revoke(kOwner, "delegation", root->id, "done"));
  EXPECT_EQ(run(under(part->id)), "identity.delegation_revoked");
  ASSERT_TRUE(run_until([&] { return exit.has_value(); }));
  EXPECT_EQ(world_.sandboxes.size(), 1u) << "only the workspace's own is left";
  handles_.clear();
  boot_ready();  // whatever the last sawd still had in memory is gone, as after kill -9
  EXPECT_EQ(run(under(part->id)), "identity.delegation_revoked");
  EXPECT_EQ(control_->list_revocations(kOwner)->size(), 1u);
}

// R35: calls in every stage when the revocation is acknowledged. None that was admitted before starts after.
TEST_F(DelegationsTest, after_the_acknowledgement_no_call_that_was_under_way_succeeds) {
  constexpr int kRounds = 20, kConcurrent = 50;
  size_t succeeded_before = 0, succeeded_after = 0, refused = 0;
  for (int round = 0; round < kRounds; ++round) {
    const auto d = delegate(spec());
    ASSERT_TRUE(d) << d.error().message;
    bool acknowledged = false;
    std::vector<std::unique_ptr<CommandHandle>> handles;
    size_t answered = 0;
    for (int i = 0; i < kConcurrent; ++i)
      control_->start_command(kOwner, "dev", under(d->id), [&](Result<std::unique_ptr<CommandHandle>> r) {
        ++answered;
        if (!r) return void(++refused);
        (acknowledged ? succeeded_after : succeeded_before) += 1;
        handles.push_back(std::move(*r));
      });
    for (int turn = 0; turn < round % 20; ++turn) loop_.run_ready();
    ASSERT_TRUE(control_->revoke(kOwner, "delegation", d->id, ""));
    acknowledged = true;
    EXPECT_EQ(run(under(d->id)), "identity.delegation_revoked");
    ASSERT_TRUE(run_until([&] { return answered == kConcurrent; }));
    ASSERT_TRUE(run_until([&] { return world_.sandboxes.size() == 1; })) << "and what ran has ended";
    node_->pipes.clear();  // the other ends of what ran
  }
  EXPECT_EQ(succeeded_after, 0u);
  EXPECT_EQ(succeeded_before + refused, size_t{kRounds} * kConcurrent);
}

TEST_F(DelegationsTest, everything_that_names_a_call_can_be_revoked) {
  const std::string key = identity::key_id(keys_->credential.public_key());
  ASSERT_EQ(run(call("coder")), "ok");
  EXPECT_EQ(control_->revoke(kOwner, "sponsor", "uid:1001", "").error().code, "access.operator_only");
  EXPECT_EQ(control_->revoke(kOperator, "moon", "1", "").error().code, "request.kind");
  ASSERT_TRUE(control_->revoke(kOperator, "credential", handles_.back()->credential, ""));
  ASSERT_TRUE(run_until([&] { return world_.sandboxes.size() == 1; })) << "that call ended";
  EXPECT_EQ(run(call("coder")), "ok") << "the next has another";
  ASSERT_TRUE(control_->revoke(kOwner, "agent", "coder", ""));
  EXPECT_EQ(run(call("coder")), "identity.agent_revoked");
  EXPECT_EQ(run(call()), "ok") << "the default agent still may";
  ASSERT_TRUE(egress().channels.contains(workspace_.sandbox));
  ASSERT_TRUE(control_->revoke(kOwner, "workspace", "dev", ""));
  EXPECT_EQ(run(call()), "identity.workspace_revoked");
  EXPECT_TRUE(run_until([&] { return !egress().channels.contains(workspace_.sandbox); }));
  ASSERT_TRUE(control_->revoke(kOperator, "sponsor", "uid:1001", ""));
  EXPECT_EQ(run(call()), "identity.sponsor_revoked");
  ASSERT_TRUE(control_->caller(1001));
  ASSERT_TRUE(control_->revoke(kOperator, "user", "uid:1001", ""));
  EXPECT_EQ(control_->caller(1001).error().code, "access.user_revoked");
  ASSERT_TRUE(control_->revoke(kOperator, "key", key, ""));
  EXPECT_EQ(run(call()), "identity.key_revoked");
  boot_ready();
  EXPECT_EQ(control_->caller(1001).error().code, "access.user_revoked");
}

// R32: a sub-agent, by one call from inside; only narrower, and only from where the credential belongs.
TEST_F(DelegationsTest, an_agent_hands_on_a_part_of_what_it_holds) {
  const auto root = delegate(spec("[a-m]*"));
  ASSERT_EQ(run(under(root->id, "make")), "ok");
  const std::string token = credential_of_last_call(root->id), sandbox = sandbox_of_last_call();
  DelegationSpec part{.name = "reviewer",
                      .task = "look at it",
                      .grants = {{.actions = {"execute"}, .tools = {"git"}, .resources = {"/workspace/**"}}}};
  const auto child = control_->delegate_from_inside(token, sandbox, part);
  ASSERT_TRUE(child) << child.error().message;
  EXPECT_EQ(child->agent, root->agent + "/reviewer");
  EXPECT_EQ(child->issuer, root->agent);
  EXPECT_EQ(child->parent, root->id);
  EXPECT_EQ(run(under(child->id, "git")), "ok");
  EXPECT_EQ(run(under(child->id, "make")), "identity.not_delegated");

  auto code_of = [&](const DelegationSpec& what, const std::string& channel) {
    auto made = control_->delegate_from_inside(token, channel, what);
    return made ? "ok" : made.error().code;
  };
  DelegationSpec more = part;
  more.grants[0].tools = {"*"};
  EXPECT_EQ(code_of(more, sandbox), "identity.delegation_widens");
  EXPECT_EQ(code_of(part, workspace_.sandbox), "identity.channel") << "from another sandbox";
  EXPECT_EQ(code_of(part, ""), "identity.channel") << "from the host";
  DelegationSpec named = part;
  named.name = "../root";
  EXPECT_EQ(code_of(named, sandbox), "request.name");
}

TEST_F(DelegationsTest, a_dead_calls_credential_makes_nothing) {
  const auto root = delegate(spec());
  ASSERT_EQ(run(under(root->id)), "ok");
  const std::string token = credential_of_last_call(root->id), sandbox = sandbox_of_last_call();
  handles_.clear();
  ASSERT_TRUE(run_until([&] { return world_.sandboxes.size() == 1; }));
  run_quiet();
  DelegationSpec part{.name = "late", .task = "t"};
  EXPECT_EQ(control_->delegate_from_inside(token, sandbox, part).error().code, "identity.call_over");
}

}  // namespace
}  // namespace saw::control
