// The prover against trying every request of a small world, on random pairs of policies.
#include <cstdlib>
#include <map>

#include <gtest/gtest.h>

#include "policy/prove/prove.h"
#include "policy/prove/random_policy.h"

namespace saw::policy::prove {
namespace {

Decision judge(const Policy& policy, const Witness& w) {
  std::vector<Header> headers;
  for (const auto& [name, value] : w.headers) headers.push_back({name, value});
  return policy.decide({.kind = w.kind,
                        .host = w.host,
                        .port = w.port,
                        .tls = w.tls,
                        .method = w.method,
                        .target = w.target,
                        .headers = headers,
                        .body = w.body ? std::optional<std::string_view>(*w.body) : std::nullopt,
                        .ip = w.ip,
                        .labels = w.labels});
}

struct Tally {
  size_t pairs = 0, proved = 0, disagreements = 0;
  std::map<std::string, size_t> matters;
};

void compare(const std::string& candidate_text, const std::string& ceiling_text, Tally& tally) {
  const auto candidate = Policy::compile(candidate_text, "c"), ceiling = Policy::compile(ceiling_text, "l");
  if (!candidate || !ceiling) return;
  ++tally.pairs;
  const std::string both = candidate_text + ceiling_text;
  const Answer answer = prove_within(candidate->document(), ceiling->document(), {});
  ASSERT_NE(answer.verdict, Verdict::unknown) << answer.reason << "\n" << both;
  if (answer.verdict == Verdict::counterexample) {
    ++tally.matters[answer.claim.matter];
    const Confirmation confirmation = confirm(*candidate, *ceiling, answer.claim);
    ASSERT_TRUE(confirmation.holds) << to_json(answer) << "\n"
                                    << confirmation.candidate << "\n"
                                    << confirmation.ceiling << "\n"
                                    << both;
    return;
  }
  ++tally.proved;
  SmallWorld(both).each([&](const Witness& w) {
    const Effect mine = judge(*candidate, w).effect, limit = judge(*ceiling, w).effect;
    EXPECT_GE(mine, limit) << to_line(w).value_or("?") << "\n" << both;
    return mine >= limit;
  });
}

// The number of pairs is small where many tests run at once; SAW_PROVE_PAIRS=10000 is the full measure.
TEST(Prove, agrees_with_trying_every_request_on_random_pairs) {
  const char* wanted = std::getenv("SAW_PROVE_PAIRS");
  const size_t pairs = wanted != nullptr ? std::strtoul(wanted, nullptr, 10) : 150;
  Tally tally;
  for (unsigned seed = 1; tally.pairs < pairs; ++seed) {
    const auto [candidate, ceiling] = PolicyMaker(seed).pair();
    compare(candidate, ceiling, tally);
    if (HasFailure()) FAIL() << "at seed " << seed;
  }
  std::string matters;
  for (const auto& [matter, count] : tally.matters) matters += fmt::format(" {} {}", matter, count);
  std::printf("%zu pairs: %zu proved, counterexamples:%s\n", tally.pairs, tally.proved, matters.c_str());
  EXPECT_GT(tally.proved, pairs / 20);
  EXPECT_GT(tally.matters["effect"], pairs / 20);
}

}  // namespace
}  // namespace saw::policy::prove
