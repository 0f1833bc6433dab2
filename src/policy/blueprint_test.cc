#include "policy/blueprint.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "policy/lint.h"
#include "policy/projectable.h"
#include "policy/trifecta.h"

namespace saw::policy {
namespace {

const std::filesystem::path kPolicies = SAW_SOURCE_DIR "/policies";

std::string slurp(const std::filesystem::path& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

const std::vector<std::pair<std::string, std::string>> kFields = {
    {"apiVersion", "saw/v1"},
    {"kind", "Blueprint"},
    {"metadata", "{name: b}"},
    {"policy", "p"},
    {"goal", "help"},
    {"tools", "[git]"},
    {"services", "[e]"},
    {"dataScope", "[public]"},
    {"writePermission", "none"},
    {"reviewGate", "nobody"},
    {"logging", "all"},
    {"owner", "us"},
    {"cadence", "monthly"},
    {"contact", "us@acme.example"},
    {"deprecation", "never used"},
};
// The whole blueprint with one field left out, or changed.
std::string blueprint(std::string_view field = {}, std::string_view value = {}) {
  std::string out;
  for (const auto& [key, usual] : kFields)
    if (key != field)
      out += fmt::format("{}: {}\n", key, usual);
    else if (!value.empty())
      out += fmt::format("{}: {}\n", key, value);
  return out;
}
std::string difference(std::string_view field, std::string_view value, std::string_view entry) {
  auto b = Blueprint::read(blueprint(field, value), "b");
  auto p = Policy::compile(
      "apiVersion: saw/v1\nkind: Policy\nmetadata: {name: p}\nprofile: local\nnetwork:\n"
      "  - {name: e, to: {hosts: [h.example]}, " +
          std::string(entry) + "}\n",
      "p");
  if (!b || !p) return "unreadable";
  const Diagnostics found = b->differs_from(*p);
  return found.empty() ? "" : found.at(0).message;
}

TEST(Blueprint, every_field_of_the_requirement_is_required) {
  ASSERT_TRUE(Blueprint::read(blueprint(), "b"));
  for (const auto& [key, usual] : kFields) {
    const auto b = Blueprint::read(blueprint(key), "b");
    ASSERT_FALSE(b) << key;
    EXPECT_NE(b.error().at(0).message.find(key), std::string::npos) << b.error().at(0).text();
  }
}

TEST(Blueprint, a_field_that_says_nothing_or_nothing_known_is_refused) {
  for (auto [key, value] :
       {std::pair("tools", "[]"), std::pair("goal", "\"\""), std::pair("dataScope", "[secret]"),
        std::pair("writePermission", "some"), std::pair("kind", "Policy"), std::pair("owner", "[a]")})
    EXPECT_FALSE(Blueprint::read(blueprint(key, value), "b")) << key;
  EXPECT_FALSE(Blueprint::read(blueprint() + "budget: 7\n", "b"));
  EXPECT_FALSE(Blueprint::read("- not a mapping\n", "b"));
  EXPECT_FALSE(Blueprint::read("", "b"));
}

TEST(Blueprint, what_it_claims_is_checked_against_its_policy) {
  const std::string_view reads = "allow: [{methods: [GET]}]", writes = "allow: [{methods: [POST]}]",
                         waits = "review: [{methods: [POST]}]",
                         named = "allow: [{methods: [POST], paths: [/exact]}]";
  EXPECT_EQ(difference("policy", "p", reads), "");
  EXPECT_NE(difference("policy", "q", reads).find("its policy is 'q'"), std::string::npos);
  EXPECT_NE(difference("services", "[e, f]", reads).find("'f' is no network entry"), std::string::npos);
  EXPECT_NE(difference("services", "[f]", reads), "");
  EXPECT_NE(
      difference("dataScope", "[public]", "data: private, allow: [{methods: [GET]}]").find("private data"),
      std::string::npos);
  EXPECT_EQ(difference("dataScope", "[private]", "data: private, allow: [{methods: [GET]}]"), "");
  struct Case {
    std::string_view permission, entry;
    bool fits;
  };
  const Case cases[] = {
      {"none", reads, true},      {"none", waits, false},
      {"none", named, false},     {"reviewed", waits, true},
      {"reviewed", named, false}, {"named", named, true},
      {"named", waits, true},     {"named", writes, false},
      {"any", writes, true},      {"none", "deny: [{methods: [POST]}], allow: [{methods: [GET]}]", true}};
  for (const Case& c : cases)
    EXPECT_EQ(difference("writePermission", c.permission, c.entry).empty(), c.fits)
        << c.permission << " " << c.entry;
}

TEST(Blueprint, its_kind_tells_it_from_a_policy) {
  EXPECT_TRUE(is_blueprint(blueprint()));
  EXPECT_FALSE(is_blueprint(blueprint("kind", "Policy")));
  EXPECT_FALSE(is_blueprint("[kind, Blueprint]"));
  EXPECT_FALSE(is_blueprint("kind: [Blueprint"));
}

std::map<std::string, Policy> shipped_policies() {
  std::map<std::string, Policy> out;
  for (const auto& file : std::filesystem::directory_iterator(kPolicies)) {
    if (file.path().extension() != ".yaml") continue;
    auto p = Policy::compile(slurp(file.path()), file.path().filename().string());
    if (!p) continue;  // ShippedPolicies.compile reports it
    EXPECT_EQ(p->name(), file.path().stem().string());
    std::string name = p->name();
    out.emplace(std::move(name), std::move(*p));
  }
  return out;
}

TEST(ShippedPolicies, every_profile_is_there_and_every_policy_can_be_put_to_use) {
  std::map<Profile, int> profiles;
  for (const auto& [name, policy] : shipped_policies()) {
    ++profiles[policy.profile()];
    for (const Diagnostic& d : unprojectable(policy)) ADD_FAILURE() << d.text();
    for (const Diagnostic& d : lint(policy)) ADD_FAILURE() << d.text();
  }
  for (Profile profile : {Profile::public_data, Profile::corporate, Profile::regulated, Profile::local})
    EXPECT_GE(profiles[profile], 1) << saw::policy::name(profile);
}

TEST(ShippedPolicies, in_none_can_the_trifecta_meet) {
  for (const auto& [name, policy] : shipped_policies()) {
    const Trifecta t = trifecta_of(policy);
    EXPECT_FALSE(t.legs[0].present && t.legs[1].present && t.legs[2].present) << name << ": " << t.conclusion;
  }
}

TEST(ShippedBlueprints, are_whole_and_true_of_their_policies) {
  const std::map<std::string, Policy> policies = shipped_policies();
  std::map<std::string, int> seen;
  for (const auto& file : std::filesystem::directory_iterator(kPolicies / "blueprints")) {
    auto b = Blueprint::read(slurp(file.path()), file.path().filename().string());
    if (!b) {
      for (const Diagnostic& d : b.error()) ADD_FAILURE() << d.text();
      continue;
    }
    ++seen[b->name];
    EXPECT_EQ(b->name, file.path().stem().string());
    const auto policy = policies.find(b->policy);
    ASSERT_NE(policy, policies.end()) << b->policy;
    for (const Diagnostic& d : b->differs_from(policy->second)) ADD_FAILURE() << d.text();
  }
  for (const char* name :
       {"coding", "documentation", "triage", "onboarding", "research", "operations", "assistant"})
    EXPECT_EQ(seen[name], 1) << name;
}

}  // namespace
}  // namespace saw::policy
