// R117 at saw-node: nothing runs in a sandbox that is not proven.
#include "sandbox/node_probes.h"

#include <gmock/gmock.h>

#include "sandbox/node_test_support.h"
#include "sandbox/proof.h"

namespace saw::sandbox {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing_support::NodeHarness;
using testing_support::sound_outcomes;
using Probing = testing_support::FakeRuntime::Probing;

ProbeSubject captured_subject() {
  return {.captured = true, .landlock = true, .first = true, .deny_paths = {"/workspace/secret"}};
}
std::vector<ProbeOutcome> all_sound(const ProbeSubject& subject) {
  auto out = sound_outcomes(subject, Where::inside);
  for (ProbeOutcome& outcome : sound_outcomes(subject, Where::outside)) out.push_back(std::move(outcome));
  return out;
}

// ---- the list and the judgement

TEST(ProbeList, has_forty_probes_of_different_names_each_with_its_reason_and_can_be_missed) {
  std::set<std::string_view> ids;
  for (const Probe& probe : probe_list()) {
    EXPECT_TRUE(ids.insert(probe.id).second) << probe.id;
    EXPECT_FALSE(probe.what.empty() || probe.why.empty() || probe.expected.empty()) << probe.id;
    EXPECT_EQ(probe.id.starts_with("outside."), probe.where == Where::outside) << probe.id;
    EXPECT_FALSE(is_expected(probe, {.ending = Ending::hung})) << probe.id;
    EXPECT_FALSE(is_expected(probe, {.ending = Ending::differs})) << probe.id;
  }
  EXPECT_GE(ids.size(), 40u);
}

TEST(Judge, accepts_what_must_be_and_names_every_surprise) {
  const ProbeSubject subject = captured_subject();
  const auto sound = all_sound(subject);
  ASSERT_TRUE(judge(subject, sound));
  for (size_t i = 0; i < sound.size(); ++i) {
    auto outcomes = sound;
    outcomes[i].ending = Ending::hung;
    outcomes[i].detail = "/a\nb";
    auto judged = judge(subject, outcomes);
    ASSERT_FALSE(judged);
    EXPECT_EQ(judged.error().code, "sandbox.unproven");
    const Probe& probe = probe_list()[outcomes[i].probe];
    for (const std::string_view part : {probe.id, probe.expected, std::string_view("saw hung /a\\x0ab")})
      EXPECT_THAT(judged.error().message, HasSubstr(std::string(part)));
  }
}

TEST(Judge, refuses_reports_that_lack_an_answer_or_have_one_too_many_or_in_another_order) {
  const ProbeSubject subject = captured_subject();
  const auto sound = all_sound(subject);
  for (size_t i = 0; i < sound.size(); ++i) {
    auto shorter = sound, longer = sound;
    shorter.erase(shorter.begin() + static_cast<ptrdiff_t>(i));
    longer.insert(longer.begin() + static_cast<ptrdiff_t>(i), sound[i]);
    EXPECT_FALSE(judge(subject, shorter)) << i;
    EXPECT_FALSE(judge(subject, longer)) << i;
  }
  auto swapped = sound;
  std::swap(swapped[0], swapped[1]);
  EXPECT_FALSE(judge(subject, swapped));
  EXPECT_FALSE(judge(subject, {}));
  auto unknown = sound;
  unknown.push_back({.probe = 60'000});
  EXPECT_FALSE(judge(subject, unknown));
}

TEST(Judge, probes_that_do_not_apply_are_not_waited_for_and_not_accepted) {
  ProbeSubject no_network = captured_subject();
  no_network.captured = false;
  EXPECT_TRUE(judge(no_network, all_sound(no_network)));
  EXPECT_FALSE(judge(no_network, all_sound(captured_subject())));
}

TEST(ProbeSubject, read_paths_that_are_written_or_hidden_are_not_probed_as_read_only) {
  SandboxPlan plan;
  plan.read_paths = {"/opt", "/usr", "/usr/share/doc", "/workspace/docs"};
  plan.write_paths = {"/workspace"};
  plan.deny_paths = {"/usr/share/doc"};
  plan.mounts = {{"/data", "/mnt/data", Access::read}, {"/out", "/opt", Access::write}};
  const ProbeSubject subject = probe_subject(plan, {.landlock = true, .own_directories = {"/var/lib/saw"}});
  EXPECT_THAT(subject.read_paths, ElementsAre("/usr", "/mnt/data"));
  EXPECT_THAT(subject.write_paths, ElementsAre("/workspace"));
  EXPECT_THAT(subject.outside_paths, ElementsAre("/var/lib/saw"));
  EXPECT_TRUE(subject.captured && subject.first && subject.landlock);
}

TEST(ProvenPlans, remembers_what_was_proven_and_not_without_bound) {
  ProvenPlans plans;
  EXPECT_FALSE(plans.is_proven("sha256:0"));
  for (size_t i = 0; i <= ProvenPlans::kMax; ++i) plans.add(fmt::format("sha256:{}", i));
  EXPECT_FALSE(plans.is_proven("sha256:0"));
  EXPECT_TRUE(plans.is_proven("sha256:1"));
  EXPECT_TRUE(plans.is_proven(fmt::format("sha256:{}", ProvenPlans::kMax)));
}

// ---- the conversation

class NodeProbes : public NodeHarness {
 protected:
  void start(const std::string& id, Depth depth = Depth::workspace) {
    send(CreateStorage{.request = ++request_, .workspace = "w"});
    send(StartSandbox{.request = ++request_, .plan = plan(id, depth)});
  }
  Proof proof_of(const std::string& sealed) {
    auto proof = open_sealed(sealed, find_hello().proof_key);
    SAW_CHECK(proof.has_value(), "{}", proof.error().message);
    return std::move(*proof);
  }
  NodeHello& find_hello() { return *await<NodeHello>(); }
};

TEST_F(NodeProbes, a_proven_sandbox_starts_with_a_proof_that_its_nodes_key_signed) {
  start_node();
  start("sb-a");
  auto* started = await<SandboxStarted>(request_);
  ASSERT_NE(started, nullptr);
  const Proof proof = proof_of(started->proof);
  EXPECT_EQ(proof.sandbox, "sb-a");
  EXPECT_EQ(proof.workspace, "w");
  EXPECT_EQ(proof.depth, Depth::workspace);
  EXPECT_EQ(proof.occasion, Proof::Occasion::start);
  EXPECT_EQ(proof.plan_digest, started->plan_digest);
  EXPECT_EQ(proof.plan_digest, plan_digest(plan("sb-b")));
  const auto subject = runtime_->inits["sb-a"]->probes.at(0).subject;
  EXPECT_TRUE(subject.first);
  EXPECT_EQ(proof.probes.size(), all_sound(subject).size());
}

TEST_F(NodeProbes, a_surprise_inside_ends_the_start_and_leaves_nothing) {
  start_node();
  runtime_->probing = Probing::surprise;
  start("sb-a");
  auto* failed = await<Failed>(request_);
  ASSERT_NE(failed, nullptr);
  EXPECT_EQ(failed->code, "sandbox.unproven");
  EXPECT_THAT(failed->message, HasSubstr("files.create"));
  EXPECT_EQ(find_told<SandboxStarted>(request_), nullptr);
  EXPECT_FALSE(has_traces("sb-a"));
  runtime_->probing = Probing::answer;
  start("sb-b");
  EXPECT_NE(await<SandboxStarted>(request_), nullptr);
}

TEST_F(NodeProbes, a_surprise_seen_from_outside_counts_whatever_saw_init_says) {
  start_node();
  runtime_->surprise_from_outside = true;
  start("sb-a", Depth::session);
  auto* failed = await<Failed>(request_);
  ASSERT_NE(failed, nullptr);
  EXPECT_EQ(failed->code, "sandbox.unproven");
  EXPECT_THAT(failed->message, HasSubstr("outside.capabilities"));
  EXPECT_FALSE(has_traces("sb-a"));
}

TEST_F(NodeProbes, no_command_starts_before_the_report) {
  start_node();
  runtime_->probing = Probing::silence;
  start("sb-a");
  const uint64_t start_request = request_;
  ASSERT_TRUE(run_until(
      [&] { return runtime_->inits.contains("sb-a") && !runtime_->inits["sb-a"]->probes.empty(); }));
  send(StartExec{.request = ++request_, .sandbox = "sb-a", .spec = {.argv = {"true"}, .directory = "/"}});
  ASSERT_NE(await<Failed>(request_), nullptr);
  EXPECT_TRUE(runtime_->inits["sb-a"]->starts.empty());
  EXPECT_EQ(find_told<SandboxStarted>(start_request), nullptr);
}

TEST_F(NodeProbes, a_report_out_of_turn_ends_the_sandbox) {
  start_node();
  auto& init = start_sandbox("sb-a");
  init.say(ProbeReport{.round = 1, .outcomes = sound_outcomes(init.probes.at(0).subject, Where::inside)});
  EXPECT_NE(await<SandboxExited>(), nullptr);
}

TEST_F(NodeProbes, a_report_before_hello_or_of_another_round_ends_the_start) {
  start_node();
  runtime_->shy = true;
  start("sb-a");
  ASSERT_TRUE(run_until([&] { return runtime_->inits.contains("sb-a") && runtime_->inits["sb-a"]->link; }));
  runtime_->inits["sb-a"]->say(ProbeReport{.round = 1});
  EXPECT_NE(await<Failed>(request_), nullptr);
  runtime_->shy = false;
  runtime_->probing = Probing::silence;
  start("sb-b");
  ASSERT_TRUE(run_until(
      [&] { return runtime_->inits.contains("sb-b") && !runtime_->inits["sb-b"]->probes.empty(); }));
  auto& init = *runtime_->inits["sb-b"];
  init.say(ProbeReport{.round = 2, .outcomes = sound_outcomes(init.probes.at(0).subject, Where::inside)});
  EXPECT_NE(await<Failed>(request_), nullptr);
}

TEST_F(NodeProbes, to_ask_again_before_the_first_report_does_not_change_what_it_is_judged_by) {
  start_node();
  runtime_->probing = Probing::silence;
  start("sb-a");
  const uint64_t start_request = request_;
  ASSERT_TRUE(run_until(
      [&] { return runtime_->inits.contains("sb-a") && !runtime_->inits["sb-a"]->probes.empty(); }));
  send(ProveSandbox{.request = ++request_, .sandbox = "sb-a"});
  ASSERT_NE(await<Failed>(request_), nullptr);
  auto& init = *runtime_->inits["sb-a"];
  init.say(ProbeReport{.round = 1, .outcomes = sound_outcomes(init.probes.at(0).subject, Where::inside)});
  auto* started = await<SandboxStarted>(start_request);
  ASSERT_NE(started, nullptr);
  EXPECT_EQ(proof_of(started->proof).occasion, Proof::Occasion::start);
}

TEST_F(NodeProbes, a_living_sandbox_is_proven_again_and_a_surprise_ends_it) {
  start_node();
  start_sandbox("sb-a");
  send(ProveSandbox{.request = ++request_, .sandbox = "sb-a"});
  auto* proven = await<SandboxProven>(request_);
  ASSERT_NE(proven, nullptr);
  const Proof proof = proof_of(proven->proof);
  EXPECT_EQ(proof.occasion, Proof::Occasion::again);
  EXPECT_THAT(proof.not_applicable, testing::Contains("processes.nobody_else"));
  runtime_->probing = Probing::surprise;
  send(ProveSandbox{.request = ++request_, .sandbox = "sb-a"});
  auto* failed = await<Failed>(request_);
  ASSERT_NE(failed, nullptr);
  EXPECT_EQ(failed->code, "sandbox.unproven");
  EXPECT_NE(await<SandboxExited>(), nullptr);
  EXPECT_FALSE(has_traces("sb-a"));
}

TEST_F(NodeProbes, a_call_of_a_proven_plan_is_not_probed_again_and_of_another_plan_is) {
  start_node();
  auto& first = start_sandbox("sb-a", Depth::call);
  EXPECT_EQ(first.probes.size(), 1u);
  auto& second = start_sandbox("sb-b", Depth::call);
  EXPECT_EQ(second.probes.size(), 0u);
  SandboxPlan other = plan("sb-c", Depth::call);
  other.read_paths = {"/usr"};
  send(StartSandbox{.request = ++request_, .plan = other});
  ASSERT_NE(await<SandboxStarted>(request_), nullptr);
  EXPECT_EQ(runtime_->inits["sb-c"]->probes.size(), 1u);
}

TEST_F(NodeProbes, calls_are_prepared_once_a_sandbox_of_their_plan_was_proven_and_is_gone) {
  start_node();
  const PrepareCalls calls{.plan = plan("", Depth::call), .directory = "/workspace"};
  auto prepare = [&] {
    PrepareCalls message = calls;
    message.request = ++request_;
    send(message);
  };
  send(CreateStorage{.request = ++request_, .workspace = "w"});
  prepare();
  ASSERT_NE(await<CallsPrepared>(request_), nullptr);
  ASSERT_EQ(runtime_->inits.size(), 1u);
  EXPECT_EQ(runtime_->inits.begin()->second->probes.size(), 1u);
  EXPECT_TRUE(runtime_->inits.begin()->second->starts.empty());
  EXPECT_FALSE(has_traces(runtime_->inits.begin()->first));
  prepare();
  ASSERT_NE(await<CallsPrepared>(request_), nullptr);
  EXPECT_EQ(runtime_->inits.size(), 1u) << "one proof is enough";
}

TEST_F(NodeProbes, calls_of_a_plan_that_cannot_be_proven_are_not_prepared) {
  start_node();
  runtime_->probing = Probing::surprise;
  send(CreateStorage{.request = ++request_, .workspace = "w"});
  send(PrepareCalls{.request = ++request_, .plan = plan("", Depth::call)});
  auto* failed = await<Failed>(request_);
  ASSERT_NE(failed, nullptr);
  EXPECT_EQ(failed->code, "sandbox.unproven");
  EXPECT_EQ(find_told<CallsPrepared>(request_), nullptr);
}

TEST_F(NodeProbes, a_restarted_node_keeps_what_was_proven_and_takes_over_nothing_else) {
  start_node();
  start_sandbox("sb-a");
  const std::string proof =
      find_told<SandboxStarted>() ? std::get<SandboxStarted>(find_told<SandboxStarted>()->message).proof : "";
  ASSERT_FALSE(proof.empty());
  runtime_->probing = Probing::silence;
  send(StartSandbox{.request = ++request_, .plan = plan("sb-s", Depth::session)});
  ASSERT_TRUE(run_until(
      [&] { return runtime_->inits.contains("sb-s") && !runtime_->inits["sb-s"]->probes.empty(); }));
  told_.clear();
  control_.reset();
  node_.reset();
  start_node();
  send(ListSandboxes{.request = ++request_});
  auto* list = await<SandboxList>(request_);
  ASSERT_NE(list, nullptr);
  ASSERT_EQ(list->sandboxes.size(), 1u);
  EXPECT_EQ(list->sandboxes[0].sandbox, "sb-a");
  EXPECT_FALSE(has_traces("sb-s"));
  send(GetSockets{.request = ++request_, .sandbox = "sb-a"});
  auto* started = await<SandboxStarted>(request_);
  ASSERT_NE(started, nullptr);
  EXPECT_EQ(started->proof, proof);
}

}  // namespace
}  // namespace saw::sandbox
