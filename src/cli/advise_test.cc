#include "cli/advise.h"

#include <gtest/gtest.h>

#include "cli/conform.h"

namespace saw::cli {
namespace {

// All 32 answers, so that no combination of needs is left to chance.
TEST(Advise, answers_every_combination_and_never_gives_the_trifecta_one_home) {
  for (int bits = 0; bits < 32; ++bits) {
    auto bit = [&](int n) { return bits >> n & 1 ? Answer::yes : Answer::no; };
    const Needs needs{bit(0), bit(1), bit(2), bit(3), bit(4)};
    const Advice advice = advise(needs);
    const bool unattended = needs.autonomous == Answer::yes || needs.long_running == Answer::yes;
    Home expected = Home::endpoint;
    if (needs.serves_others == Answer::yes)
      expected = Home::hosting_platform;
    else if (unattended && needs.internal == Answer::yes)
      expected = needs.internet == Answer::yes ? Home::split : Home::corporate_workspace;
    else if (unattended)
      expected = Home::public_workspace;
    EXPECT_EQ(advice.home, expected) << bits;
    EXPECT_FALSE(advice.summary.empty());
    EXPECT_FALSE(advice.reasons.empty());
    const bool used = advice.home != Home::endpoint && advice.home != Home::hosting_platform;
    EXPECT_EQ(advice.timescale.empty(), !used) << bits;
  }
}

TEST(Advise, long_running_work_lives_in_the_workspace_and_bursts_do_not) {
  EXPECT_EQ(advise({.autonomous = Answer::yes, .long_running = Answer::yes}).timescale, "workspace");
  EXPECT_EQ(advise({.autonomous = Answer::yes}).timescale, "session or call");
}

Observed everything_runs() {
  return {.features = {{"landlock", "ok", "ABI 7", ""}},
          .daemon = true,
          .audit_ok = true,
          .audit_entries = "9",
          .running = {"saw-node", "sawd", "saw-perimeter", "saw-egress"},
          .workspaces = {{"dev", "local", "namespace", 0, 1}}};
}
ControlState state_of(const Conformance& report, std::string_view id) {
  for (const Control& control : report.controls)
    if (control.id == id) return control.state;
  ADD_FAILURE() << "no control " << id;
  return ControlState::off;
}

TEST(Conform, nothing_is_on_that_was_not_seen) {
  const Conformance report = conform(Observed{});
  for (const Control& control : report.controls) {
    EXPECT_EQ(control.state, ControlState::off) << control.id;
    EXPECT_FALSE(control.evidence.empty()) << control.id;
  }
  EXPECT_FALSE(report.phase_1);
  EXPECT_FALSE(report.phase_2);
}

TEST(Conform, what_was_seen_is_on_and_the_rest_keeps_both_phases_false) {
  const Conformance report = conform(everything_runs());
  for (const char* id : {"R1", "R3", "R20", "R44", "R45", "R54", "R81", "R86", "R97"})
    EXPECT_EQ(state_of(report, id), ControlState::on) << id;
  for (const char* id : {"R2", "R19", "R62", "R106"})
    EXPECT_EQ(state_of(report, id), ControlState::off) << id;
  EXPECT_FALSE(report.phase_1);
  EXPECT_FALSE(report.phase_2);
}

TEST(Conform, each_missing_part_turns_its_control_off) {
  Observed no_perimeter = everything_runs();
  no_perimeter.running.erase("saw-perimeter");
  EXPECT_EQ(state_of(conform(no_perimeter), "R45"), ControlState::off);
  Observed no_audit = everything_runs();
  no_audit.audit_ok = false;
  EXPECT_EQ(state_of(conform(no_audit), "R97"), ControlState::off);
  Observed degraded = everything_runs();
  degraded.workspaces[0].degraded = 1;
  EXPECT_EQ(state_of(conform(degraded), "R81"), ControlState::off);
  Observed weak_host = everything_runs();
  weak_host.features.push_back({"cgroup", "degraded", "", ""});
  EXPECT_EQ(state_of(conform(weak_host), "R86"), ControlState::off);
  Observed no_credentials = everything_runs();
  no_credentials.workspaces[0].credentials = 0;
  EXPECT_EQ(state_of(conform(no_credentials), "R54"), ControlState::not_applicable);
}

}  // namespace
}  // namespace saw::cli
