#include "policy/git.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace saw::policy {
namespace {

const std::string kOld(40, '0'), kNew(40, 'a');

std::string packet(std::string_view payload) {
  return fmt::format("{:04x}{}", payload.size() + 4, payload);
}
std::string command(std::string_view ref, std::string_view capabilities = {}) {
  std::string line = kOld + " " + kNew + " " + std::string(ref);
  if (!capabilities.empty()) line += std::string(1, '\0') + std::string(capabilities);
  return packet(line);
}
std::string push(std::initializer_list<std::string_view> refs) {
  std::string out;
  for (std::string_view ref : refs)
    out += command(ref, out.empty() ? "report-status side-band-64k agent=git/2.39" : "");
  return out + "0000PACK…";
}

std::string first_problem(std::string_view body) {
  PushCommands commands(body);
  while (auto c = commands.next())
    if (!*c) return std::string(c->error());
  return commands.probe() ? "probe" : "";
}

constexpr std::string_view kPolicy = R"(
apiVersion: saw/v1
kind: Policy
metadata: {name: t}
profile: local
network:
  - name: code
    to: {hosts: [git.example]}
    protocol: git
    reach: internal
    allow:  [{op: fetch, repos: ["**"]}, {op: push, repos: ["team/*"], refs: ["refs/heads/agent/**"]}]
    review: [{op: push, repos: [team/app.git]}]
    deny:   [{op: push, repos: ["team/frozen"]}, {op: push, refs: ["refs/heads/release"]}, {op: fetch, repos: [secret/*]}]
)";

class GitDecide : public testing::Test {
 protected:
  Decision judge(std::string_view method, std::string_view target, std::optional<std::string_view> body = {},
                 std::vector<Header> headers = {}) {
    return policy_.decide(
        {.host = "git.example", .method = method, .target = target, .headers = headers, .body = body});
  }
  Decision push_to(std::string_view repo, std::initializer_list<std::string_view> refs) {
    return judge("POST", fmt::format("/{}/git-receive-pack", repo), push(refs));
  }
  Policy policy_ = Policy::compile(kPolicy, "t").value();
};

TEST_F(GitDecide, fetch_is_discovery_and_upload_pack) {
  EXPECT_EQ(judge("GET", "/a/b.git/info/refs?service=git-upload-pack").rule, "network.code.allow[0]");
  EXPECT_EQ(judge("POST", "/a/b/git-upload-pack").reason, "fetch");
  EXPECT_EQ(judge("POST", "/secret/b.git/git-upload-pack").rule, "network.code.deny[2]");
}

TEST_F(GitDecide, what_is_not_smart_http_is_denied) {
  EXPECT_EQ(judge("GET", "/a/b.git/info/refs").reason, "git-dumb-protocol");
  EXPECT_EQ(judge("GET", "/a/b.git/HEAD").reason, "git-unknown-operation");
  EXPECT_EQ(judge("POST", "/a/b.git/info/lfs/objects/batch").reason, "git-unknown-operation");
  EXPECT_EQ(judge("GET", "/a/b.git/git-receive-pack").reason, "git-unknown-operation");
  EXPECT_EQ(judge("GET", "/info/refs?service=git-upload-pack").reason, "git-unknown-operation");
  EXPECT_EQ(judge("GET", "/a/b.git/info/refs?service=git-upload-pack&x=1").reason, "malformed:git-service");
  EXPECT_EQ(judge("POST", "/a/b.git/git-receive-pack?x", push({"refs/heads/agent/x"})).reason,
            "malformed:git-service");
}

TEST_F(GitDecide, a_push_is_judged_by_its_strictest_ref) {
  EXPECT_EQ(push_to("team/app.git", {"refs/heads/agent/x"}).effect, Effect::review)
      << "review covers every ref of team/app";
  EXPECT_EQ(push_to("team/lib.git", {"refs/heads/agent/x"}).effect, Effect::allow);
  EXPECT_EQ(push_to("team/lib", {"refs/heads/agent/x", "refs/heads/agent/y/z"}).rule,
            "network.code.allow[1]");
  EXPECT_EQ(push_to("team/lib.git", {"refs/heads/agent/x", "refs/heads/main"}).reason, "default-deny");
  EXPECT_EQ(push_to("team/app.git", {"refs/heads/main"}).rule, "network.code.review[0]");
  EXPECT_EQ(push_to("team/app.git", {"refs/heads/agent/x", "refs/heads/release"}).rule,
            "network.code.deny[1]");
  EXPECT_EQ(push_to("other/app.git", {"refs/heads/agent/x"}).reason, "default-deny");
  EXPECT_EQ(push_to("team/lib.git", {"refs/heads/agentx"}).effect, Effect::deny);
}

TEST_F(GitDecide, discovery_for_push_is_allowed_where_some_push_could_be) {
  auto discover = [&](std::string_view repo) {
    return judge("GET", fmt::format("/{}/info/refs?service=git-receive-pack", repo));
  };
  EXPECT_EQ(discover("team/app.git").effect, Effect::allow);
  EXPECT_EQ(discover("team/app.git").reason, "push-discovery");
  EXPECT_EQ(discover("team/lib.git").effect, Effect::allow);
  EXPECT_EQ(discover("team/frozen.git").effect, Effect::deny);
  EXPECT_EQ(discover("other/app.git").effect, Effect::deny);
  EXPECT_EQ(judge("POST", "/team/app.git/git-receive-pack", "0000").effect, Effect::allow);
  EXPECT_EQ(judge("POST", "/other/app.git/git-receive-pack", "0000").effect, Effect::deny);
  // A probe with commands behind it is none.
  EXPECT_EQ(
      judge("POST", "/team/app.git/git-receive-pack", "0000" + command("refs/heads/main") + "0000").effect,
      Effect::deny);
}

TEST(GitReadings, a_ref_without_a_rule_does_not_hide_the_denial_of_another) {
  const Policy policy = Policy::compile(R"(
apiVersion: saw/v1
kind: Policy
metadata: {name: t}
profile: local
network:
  - name: code
    to: {hosts: [git.example]}
    protocol: git
    allow:  [{op: push, repos: ["a;v", "b;v"]}]
    review: [{op: push, repos: [b], refs: ["refs/heads/m"]}]
    deny:   [{op: push, repos: [a], refs: ["refs/heads/m"]}]
)",
                                        "t")
                            .value();
  auto push_to = [&](std::string_view repo, std::initializer_list<std::string_view> refs) {
    return policy.decide({.host = "git.example",
                          .method = "POST",
                          .target = fmt::format("/{}/git-receive-pack", repo),
                          .body = push(refs)});
  };
  EXPECT_EQ(push_to("a;v", {"refs/heads/x"}).effect, Effect::allow);
  EXPECT_EQ(push_to("a;v", {"refs/heads/m"}).rule, "network.code.deny[0]");
  EXPECT_EQ(push_to("a;v", {"refs/heads/m", "refs/heads/x"}).rule, "network.code.deny[0]");
  EXPECT_EQ(push_to("a;v", {"refs/heads/x", "refs/heads/m"}).rule, "network.code.deny[0]");
  EXPECT_EQ(push_to("b;v", {"refs/heads/x", "refs/heads/m"}).rule, "network.code.review[0]");
  EXPECT_EQ(push_to("a", {"refs/heads/x", "refs/heads/m"}).rule, "network.code.deny[0]");
  EXPECT_EQ(push_to("a", {"refs/heads/x"}).reason, "default-deny");
}

TEST(GitTrifecta, discovery_is_never_freer_under_review_than_under_allow) {
  auto discover = [](std::string_view effect, std::string_view trifecta, Labels labels) {
    const Policy policy =
        Policy::compile(
            fmt::format("apiVersion: saw/v1\nkind: Policy\nmetadata: {{name: t}}\nprofile: local\n"
                        "trifecta: {{privateAndUntrusted: {}}}\nnetwork:\n  - name: code\n"
                        "    to: {{hosts: [git.example]}}\n    protocol: git\n    {}: [{{op: push}}]\n",
                        trifecta, effect),
            "t")
            .value();
    const Decision d = policy.decide({.host = "git.example",
                                      .method = "GET",
                                      .target = "/a/info/refs?service=git-receive-pack",
                                      .labels = labels});
    return fmt::format("{} {}", name(d.effect), d.reason);
  };
  for (std::string_view effect : {"allow", "review"}) {
    EXPECT_EQ(discover(effect, "review", kPrivate), "allow push-discovery") << effect;
    EXPECT_EQ(discover(effect, "review", kPrivate | kUntrusted), "review trifecta") << effect;
    EXPECT_EQ(discover(effect, "deny", kPrivate | kUntrusted), "deny trifecta") << effect;
  }
  EXPECT_EQ(discover("deny", "review", 0), "deny denied-by-rule");
}

TEST_F(GitDecide, a_push_that_cannot_be_read_is_malformed) {
  constexpr std::string_view kTarget = "/team/lib.git/git-receive-pack";
  const std::string good = push({"refs/heads/agent/x"});
  EXPECT_EQ(judge("POST", kTarget, good).effect, Effect::allow);
  EXPECT_EQ(judge("POST", kTarget).reason, "malformed:body-missing");
  EXPECT_EQ(judge("POST", kTarget, good, {{"Content-Encoding", "gzip"}}).reason, "malformed:git-compressed");
  EXPECT_EQ(judge("POST", kTarget, good, {{"Content-Encoding", "identity"}}).effect, Effect::allow);
  EXPECT_EQ(judge("POST", kTarget, "").reason, "malformed:git-truncated");
  EXPECT_EQ(judge("POST", kTarget, "\x1f\x8b\x08\x08 gzip").reason, "malformed:git-pkt-line");
}

TEST(PushCommands, reads_commands_up_to_the_flush) {
  const std::string body = packet("shallow " + kNew) + push({"refs/heads/a", "refs/tags/v1"});
  PushCommands commands(body);
  EXPECT_EQ((*commands.next())->ref, "refs/heads/a");
  EXPECT_EQ((*commands.next())->ref, "refs/tags/v1");
  EXPECT_FALSE(commands.next());
  EXPECT_FALSE(commands.probe());
  EXPECT_EQ(first_problem("0000"), "probe");
}

TEST(PushCommands, refuses_what_it_does_not_understand) {
  EXPECT_EQ(first_problem(packet("push-cert\0x") + "0000"), "git-push-cert");
  EXPECT_EQ(first_problem(command("refs/heads/a", "report-status push-options") + "0000"),
            "git-push-options");
  EXPECT_EQ(first_problem(command("refs/heads/a", "report-status push-optionsx") + "0000"), "");
  EXPECT_EQ(first_problem(command("refs/heads/a") + command("refs/heads/b", "push-options") + "0000"),
            "malformed:git-command");
  EXPECT_EQ(first_problem(packet(kOld + " xyz refs/heads/a") + "0000"), "malformed:git-command");
  EXPECT_EQ(first_problem("0004" + std::string("0000")), "malformed:git-pkt-line");
  EXPECT_EQ(first_problem("0001"), "malformed:git-pkt-line");
  EXPECT_EQ(first_problem("+003"), "malformed:git-pkt-line");
  EXPECT_EQ(first_problem("ffff"), "malformed:git-pkt-line");
  EXPECT_EQ(first_problem(command("refs/heads/a")), "malformed:git-truncated");
  std::string many;
  for (size_t i = 0; i <= PushCommands::kMaxCommands; ++i) many += command("refs/heads/a");
  EXPECT_EQ(first_problem(many + "0000"), "malformed:git-oversized");
}

TEST(ValidRef, follows_git_check_ref_format) {
  for (std::string_view ref :
       {"refs/heads/main", "refs/heads/agent/x-1_2", "refs/tags/v1.2", "refs/heads/\xc3\xa9"})
    EXPECT_TRUE(valid_ref(ref)) << ref;
  for (std::string_view ref :
       {"HEAD", "refs/", "refs/heads/", "refs//a", "refs/heads/a..b", "refs/heads/.a", "refs/heads/a.lock",
        "refs/heads/a.lock/b", "refs/heads/a b", "refs/heads/a~1", "refs/heads/a^", "refs/heads/a:b",
        "refs/heads/a?", "refs/heads/*", "refs/heads/a[", "refs/heads/a\\b", "refs/heads/a@{b",
        "refs/heads/a\x01", "refs/heads/a\n"})
    EXPECT_FALSE(valid_ref(ref)) << ref;
}

}  // namespace
}  // namespace saw::policy
