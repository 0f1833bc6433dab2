// Channels on a whole control plane: published, enforced, refused, taken back, and after crashes.
#include <unistd.h>

#include "base/file.h"
#include "control/control_fixture_test.h"
#include "release/envelope.h"
#include "release/names.h"
#include "release/tree.h"

namespace saw::control {
namespace {

constexpr Nanos kDay = 24 * 60 * kMinute;

class Releases : public ControlTest {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(tree_);
    auto trust = release::Trust::parse(
        "apiVersion: saw/v1\nkind: Trust\nkeys:\n  ann: {public: " + key_.public_key().text() +
            "}\nchannels:\n  stable: {signers: [ann], threshold: 1}\n",
        "trust.yaml");
    ASSERT_TRUE(trust) << trust.error().message;
    releases_ = {.trust = std::move(*trust), .trees = {{"stable", tree_}}};
  }

  static std::string policy(const std::string& host, const std::string& write = "/tmp",
                            const std::string& profile = "local") {
    std::string text(kPolicy);
    auto put = [&](const std::string& from, const std::string& to) {
      text.replace(text.find(from), from.size(), to);
    };
    put("api.example.com", host);
    put("/workspace, /tmp", "/workspace, " + write);
    put("profile: local", "profile: " + profile);
    return text;
  }
  // A release in the tree; returns its digest.
  std::string publish(uint64_t revision, const std::string& policy_text, Nanos lifetime = kDay) {
    release::Manifest m{.version = fmt::format("2026-09-21.{}", revision),
                        .channel = "stable",
                        .revision = revision,
                        .not_before = clock_.time - kDay,
                        .expires_at = clock_.time + lifetime,
                        .keys = {key_.public_key().id()}};
    m.members["policy.yaml"] = {digest_text(sha256(policy_text)), policy_text.size()};
    release::Envelope e{.type = std::string(release::kReleaseType), .payload = m.text()};
    e.sign(key_);
    FlatDirectory files;
    files.files = {{"policy.yaml", policy_text}, {"manifest.json", m.text()}, {"signature.sig", e.text()}};
    auto verified = release::verify_release(files, {"stable", releases_.trust, clock_.time}, {});
    EXPECT_TRUE(verified) << verified.error().message;
    EXPECT_TRUE(release::publish(tree_, files, *verified));
    return verified->digest;
  }
  void revoke(const std::string& digest) {
    const release::Revocations list{
        .channel = "stable", .epoch = ++epoch_, .keys = {}, .releases = {{digest, "bad"}}};
    release::Envelope e{.type = std::string(release::kRevocationsType), .payload = list.text()};
    e.sign(key_);
    ASSERT_TRUE(release::put_revocations(tree_, list, e.text()));
  }
  static WorkspaceSpec on_channel(std::string name = "dev") {
    return {.name = std::move(name), .channel = "stable"};
  }
  void boot_with_workspace() {
    boot_ready();
    put_secret();
    ASSERT_TRUE(create(on_channel()));
  }
  ChannelView channel() { return control_->list_channels(kOperator)->at(0); }
  // Turns the loop until the channel enforces this release.
  bool enforces(const std::string& digest) {
    return run_until([&] { return channel().digest == digest && stored() == digest; });
  }
  std::string stored() {
    const auto all = store_->channels();
    return all && !all->empty() ? all->front().release : "";
  }
  static std::string digest_of(const std::string& policy_text) { return digest_text(sha256(policy_text)); }

  const std::string tree_ = directory_ + "/tree";
  PrivateKey key_ = PrivateKey::generate(KeyKind::ed25519);
  uint64_t epoch_ = 0;
};

TEST_F(Releases, a_workspace_on_a_channel_has_its_policy_and_follows_it) {
  const std::string one = publish(1, policy("one.example.com"));
  boot_ready();
  put_secret();
  auto created = create(on_channel());
  ASSERT_TRUE(created) << created.error().message;
  EXPECT_EQ(created->workspace.channel, "stable");
  EXPECT_EQ(created->workspace.policy_digest, digest_of(policy("one.example.com")));
  ASSERT_TRUE(enforces(one));
  const std::string two = publish(2, policy("two.example.com"));
  ASSERT_TRUE(enforces(two));
  EXPECT_EQ(egress().configuration.policy_yaml, policy("two.example.com"));
  EXPECT_EQ(channel().workspaces.at(0).policy_digest, digest_of(policy("two.example.com")));
  EXPECT_EQ(events("goes to release 2026-09-21.2"), 1u);
  run_quiet();
  EXPECT_EQ(std::ranges::count(node_->log, "ProveSandbox"), 1) << "probed again after the change (R117)";
  EXPECT_EQ(std::ranges::count(node_->log, "ForgetCalls"), 0) << "only dynamic sections have changed";
  EXPECT_TRUE(channel().workspaces.at(0).outdated.empty());
}

TEST_F(Releases, static_sections_count_for_new_sandboxes_and_what_was_parked_goes) {
  publish(1, policy("one.example.com"));
  ASSERT_NO_FATAL_FAILURE(boot_with_workspace());
  run_quiet();
  const std::string two = publish(2, policy("one.example.com", "/var/tmp"));
  ASSERT_TRUE(enforces(two));
  run_quiet();
  EXPECT_EQ(std::ranges::count(node_->log, "ForgetCalls"), 1);
  ASSERT_EQ(node_->calls.size(), 1u);
  EXPECT_TRUE(sandbox::describe(node_->calls.begin()->second).contains("/var/tmp"));
  EXPECT_EQ(channel().workspaces.at(0).outdated.size(), 1u) << "the workspace's own sandbox is older";
}

TEST_F(Releases, a_fork_has_the_policy_that_its_channel_went_to_while_it_was_made) {
  publish(1, policy("one.example.com"));
  ASSERT_NO_FATAL_FAILURE(boot_with_workspace());
  node_->hold_forks = true;
  std::optional<WorkspaceView> fork;
  control_->fork_workspace(kOwner, "dev", "second", Control::WhatRuns::stays, [&](auto forked) {
    ASSERT_TRUE(forked) << forked.error().message;
    fork = *forked;
  });
  ASSERT_TRUE(run_until([&] { return node_->held_forks.size() == 1; }));
  ASSERT_TRUE(enforces(publish(2, policy("two.example.com"))));
  node_->finish_forks();
  ASSERT_TRUE(run_until([&] { return fork.has_value(); }));
  EXPECT_EQ(fork->policy_digest, digest_of(policy("two.example.com")));
  EXPECT_EQ(node_->egresses.at(fork->id)->configuration.policy_yaml, policy("two.example.com"));
  bool started = false;
  control_->start_command(kOwner, "second", {.argv = {"true"}}, [&](auto command) {
    EXPECT_TRUE(command) << command.error().message;
    started = true;
  });
  EXPECT_TRUE(run_until([&] { return started; }));
}

TEST_F(Releases, what_is_refused_changes_nothing_and_is_told_once) {
  const std::string two = publish(2, policy("two.example.com"));
  ASSERT_NO_FATAL_FAILURE(boot_with_workspace());
  ASSERT_TRUE(enforces(two));
  publish(1, policy("one.example.com"));
  ASSERT_TRUE(run_until([&] { return channel().refusal_code == "release.lower_revision"; }));
  run_quiet();
  EXPECT_EQ(channel().digest, two);
  EXPECT_EQ(channel().published_version, "2026-09-21.1");
  EXPECT_EQ(egress().configuration.policy_yaml, policy("two.example.com"));
  EXPECT_TRUE(exec(call())) << "the last good one stays in force";
  ASSERT_TRUE(replace_file(tree_ + "/channels/stable/noise", "x", 0600, Durability::none));
  run_quiet();
  EXPECT_EQ(events("release.lower_revision"), 1u);
}

TEST_F(Releases, altering_the_loaded_policy_on_disk_changes_nothing) {
  const std::string one = publish(1, policy("one.example.com"));
  ASSERT_NO_FATAL_FAILURE(boot_with_workspace());
  ASSERT_TRUE(enforces(one));
  const std::string file = tree_ + "/releases/2026-09-21.1/policy.yaml";
  ASSERT_TRUE(replace_file(file, policy("evil.example.com"), 0600, Durability::none));
  ASSERT_TRUE(run_until([&] { return channel().refusal_code == "release.wrong_digest"; }));
  EXPECT_EQ(channel().digest, one);
  EXPECT_EQ(egress().configuration.policy_yaml, policy("one.example.com"));
  ASSERT_TRUE(replace_file(file, policy("one.example.com"), 0600, Durability::none));
  EXPECT_TRUE(run_until([&] { return channel().refusal_code.empty(); }));
}

TEST_F(Releases, what_is_taken_back_is_shut_off_until_there_is_another) {
  const std::string one = publish(1, policy("one.example.com"));
  ASSERT_NO_FATAL_FAILURE(boot_with_workspace());
  ASSERT_TRUE(enforces(one));
  ASSERT_TRUE(run_until([&] { return !egress().channels.empty(); }));
  revoke(one);
  ASSERT_TRUE(run_until([&] { return channel().shut_code == "release.revoked_release"; }));
  ASSERT_TRUE(run_until([&] { return egress().channels.empty(); })) << "nothing gets out";
  EXPECT_EQ(exec(call()).error().code, "release.revoked_release");
  EXPECT_EQ(create(on_channel("more")).error().code, "release.revoked_release");
  boot_ready();
  EXPECT_EQ(exec(call()).error().code, "release.revoked_release") << "after a restart too";
  const std::string two = publish(2, policy("two.example.com"));
  ASSERT_TRUE(enforces(two));
  EXPECT_EQ(channel().shut_code, "");
  ASSERT_TRUE(run_until([&] { return !egress().channels.empty(); }));
  EXPECT_TRUE(exec(call()));
}

TEST_F(Releases, the_revision_survives_a_restart) {
  const std::string two = publish(2, policy("two.example.com"));
  ASSERT_NO_FATAL_FAILURE(boot_with_workspace());
  ASSERT_TRUE(enforces(two));
  publish(1, policy("one.example.com"));
  boot_ready();
  EXPECT_EQ(channel().refusal_code, "release.lower_revision");
  EXPECT_EQ(channel().digest, two);
  EXPECT_TRUE(run_until([&] { return egress().configuration.policy_yaml == policy("two.example.com"); }));
  std::filesystem::remove_all(tree_);
  boot_ready();
  EXPECT_EQ(channel().digest, two) << "the last good one, without the tree";
  EXPECT_TRUE(exec(call()));
}

TEST_F(Releases, a_crash_before_or_after_activation_leads_to_the_new_release) {
  publish(1, policy("one.example.com"));
  ASSERT_NO_FATAL_FAILURE(boot_with_workspace());
  const std::string two = publish(2, policy("two.example.com"));
  boot_ready();  // before anything was seen of it
  ASSERT_TRUE(enforces(two));
  const std::string three = publish(3, policy("three.example.com"));
  ASSERT_TRUE(run_until([&] { return channel().digest == three; }));  // adopted, perhaps not stored
  boot_ready();
  ASSERT_TRUE(enforces(three));
  EXPECT_TRUE(run_until([&] { return egress().configuration.policy_yaml == policy("three.example.com"); }));
  EXPECT_TRUE(exec(call()));
}

TEST_F(Releases, the_store_is_written_after_activation_only) {
  const std::string one = publish(1, policy("one.example.com"));
  ASSERT_NO_FATAL_FAILURE(boot_with_workspace());
  ASSERT_TRUE(enforces(one));
  egress().mute = true;
  publish(2, policy("two.example.com"));
  ASSERT_TRUE(run_until([&] { return egress().configuration.policy_yaml == policy("two.example.com"); }));
  EXPECT_EQ(stored(), one) << "saw-egress has not answered yet";
}

TEST_F(Releases, a_workspace_whose_egress_refuses_is_shut_off) {
  const std::string one = publish(1, policy("one.example.com"));
  ASSERT_NO_FATAL_FAILURE(boot_with_workspace());
  ASSERT_TRUE(enforces(one));
  ASSERT_TRUE(run_until([&] { return !egress().channels.empty(); }));
  egress().refuse = "no memory";
  publish(2, policy("two.example.com"));
  ASSERT_TRUE(run_until([&] { return egress().channels.empty(); }));
  EXPECT_EQ(exec(call()).error().code, "policy.not_projected");
  egress().refuse.clear();
  const std::string three = publish(3, policy("three.example.com"));
  ASSERT_TRUE(enforces(three));
  EXPECT_TRUE(exec(call()));
}

TEST_F(Releases, under_profile_regulated_an_expired_release_denies) {
  std::string regulated = policy("one.example.com", "/tmp", "regulated");
  regulated.replace(regulated.find("review: {hold: 2s}"), 18,
                    "review: {hold: 2s, approvers: other-than-requester}");
  publish(1, regulated, kMinute);
  ASSERT_NO_FATAL_FAILURE(boot_with_workspace());
  EXPECT_TRUE(exec(call())) << "in its time";
  clock_.time += 2 * kMinute;
  control_->look_at_channel("stable");
  EXPECT_EQ(channel().shut_code, "release.expired");
  EXPECT_EQ(exec(call()).error().code, "release.expired");
  ASSERT_TRUE(run_until([&] { return egress().channels.empty(); }));
  boot_ready();
  EXPECT_EQ(exec(call()).error().code, "release.expired") << "after a restart too";
}

TEST_F(Releases, under_other_profiles_an_expired_release_stays_in_force_and_is_told) {
  publish(1, policy("one.example.com"), kMinute);
  ASSERT_NO_FATAL_FAILURE(boot_with_workspace());
  clock_.time += 2 * kMinute;
  control_->look_at_channel("stable");
  EXPECT_TRUE(channel().expired);
  EXPECT_EQ(channel().shut_code, "");
  EXPECT_TRUE(exec(call()));
  EXPECT_EQ(events("has expired"), 1u);
  EXPECT_EQ(channel().refusal_code, "release.expired") << "it is not taken again";
  boot_ready();
  EXPECT_TRUE(channel().expired);
  EXPECT_TRUE(exec(call()));
}

TEST_F(Releases, a_release_of_another_profile_is_refused) {
  const std::string one = publish(1, policy("one.example.com"));
  ASSERT_NO_FATAL_FAILURE(boot_with_workspace());
  ASSERT_TRUE(enforces(one));
  std::string corporate = policy("one.example.com", "/tmp", "corporate");
  publish(2, corporate);
  EXPECT_TRUE(run_until([&] { return channel().refusal_code == "release.profile"; }));
  EXPECT_EQ(channel().digest, one);
}

TEST_F(Releases, without_a_channel_or_a_usable_setup_nothing_is_made) {
  boot_ready();
  EXPECT_EQ(create(on_channel()).error().code, "release.no_channel") << "nothing is published";
  WorkspaceSpec other = on_channel();
  other.channel = "nightly";
  EXPECT_EQ(create(other).error().code, "release.no_channel");
  WorkspaceSpec both = on_channel();
  both.policy_yaml = std::string(kPolicy);
  EXPECT_FALSE(create(both));
  releases_ = {.problem = "trust.yaml: nonsense"};
  boot_ready();
  EXPECT_TRUE(create(on_channel()).error().message.contains("nonsense"));
}

TEST_F(Releases, a_host_that_no_longer_follows_the_channel_shuts_its_workspaces_off) {
  const std::string one = publish(1, policy("one.example.com"));
  ASSERT_NO_FATAL_FAILURE(boot_with_workspace());
  ASSERT_TRUE(enforces(one));
  ReleaseSetup before = releases_;
  releases_ = {};
  boot_ready();
  EXPECT_EQ(exec(call()).error().code, "release.no_channel");
  releases_ = before;
  boot_ready();
  EXPECT_TRUE(exec(call()));
}

}  // namespace
}  // namespace saw::control
