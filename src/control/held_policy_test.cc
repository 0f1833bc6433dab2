#include "control/held_policy.h"

#include "control/control_fixture_test.h"

namespace saw::control {
namespace {

HeldPolicy held() {
  return {std::move(*policy::Policy::compile(kPolicy, "test.yaml")), kPolicy};
}

TEST(HeldPolicy, as_it_was_loaded_is_attested) {
  EXPECT_TRUE(held().attest(kPolicy));
}

TEST(HeldPolicy, altered_in_memory_is_found_out) {
  const HeldPolicy files = held(), limits = held(), source = held();
  const_cast<policy::Filesystem&>(files.get().filesystem()).write.emplace_back("/etc");
  EXPECT_EQ(files.attest(kPolicy).error().code, "policy.altered");
  const_cast<policy::ProcessLimits&>(limits.get().limits()).pids = 1'000'000;
  EXPECT_EQ(limits.attest(kPolicy).error().code, "policy.altered");
  EXPECT_EQ(source.attest(std::string(kPolicy) + " ").error().code, "policy.altered");
}

}  // namespace
}  // namespace saw::control
