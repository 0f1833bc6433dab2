// policy prove against programs that behave like saw-prove, honest and not.
#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>

#include "base/crypto.h"
#include "base/file.h"
#include "cli/fake/fake_api.h"

namespace saw::cli {
namespace {

using fake::Ran;
using fake::Rig;
using nlohmann::json;
using testing::HasSubstr;

class Prove : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(root_);
    rig_.programs = root_;
    policy("wide.yaml", "[\"/**\"]");
    policy("narrow.yaml", "[/a]");
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  void policy(const std::string& file, const std::string& paths) {
    const std::string text =
        "apiVersion: saw/v1\nkind: Policy\nmetadata: {name: p}\nprofile: local\nnetwork:\n"
        "  - {name: e, to: {hosts: [a.example.com]}, allow: [{paths: " +
        paths + "}]}\n";
    ASSERT_TRUE(replace_file(root_ + "/" + file, text, 0644, Durability::none));
  }
  // A saw-prove that reads the question and then does as it is told.
  void prover(const std::string& script) {
    const std::string path = root_ + "/saw-prove";
    ASSERT_TRUE(replace_file(path, "#!/bin/sh\n" + script + "\n", 0755, Durability::none));
    ::chmod(path.c_str(), 0755);
  }
  void answers(const std::string& line) { prover("cat > '" + root_ + "/question'; echo '" + line + "'"); }
  Ran prove(const char* candidate, const char* ceiling) {
    return rig_.saw(
        {"policy", "prove", root_ + "/" + candidate, "--within", root_ + "/" + ceiling, "--json"});
  }

  std::string root_ = "/tmp/" + random_id("saw-prove-test-");
  Rig rig_;
};

constexpr const char* kOther =
    R"({"verdict":"counterexample","matter":"effect","request":"{\"host\":\"a.example.com\",\"method\":\"GET\",\"target\":\"/b\"}"})";

TEST_F(Prove, proved_is_the_only_success) {
  answers(R"({"verdict":"proved"})");
  const Ran ran = prove("narrow.yaml", "wide.yaml");
  EXPECT_EQ(ran.status, 0) << ran.err;
  EXPECT_EQ(json::parse(ran.out)["verdict"], "proved");
  EXPECT_THAT(read_file(root_ + "/question").value(), HasSubstr("within "));
  answers(R"({"verdict":"unknown","reason":"too many parts"})");
  const Ran open = prove("narrow.yaml", "wide.yaml");
  EXPECT_EQ(open.status, 1);
  EXPECT_EQ(json::parse(open.out)["reason"], "too many parts");
}

TEST_F(Prove, a_counterexample_comes_with_both_answers_of_the_engine) {
  answers(kOther);
  const Ran ran = prove("wide.yaml", "narrow.yaml");
  EXPECT_EQ(ran.status, 1);
  const json out = json::parse(ran.out);
  EXPECT_EQ(out["candidate"]["effect"], "allow");
  EXPECT_EQ(out["ceiling"]["effect"], "deny");
  EXPECT_EQ(out["request"]["target"], "/b");
}

TEST_F(Prove, a_counterexample_that_the_engine_does_not_confirm_is_a_bug_and_no_fact) {
  answers(kOther);
  const Ran ran = prove("narrow.yaml", "narrow.yaml");
  EXPECT_EQ(ran.status, 125);
  EXPECT_THAT(ran.out, HasSubstr("prove.unconfirmed"));
}

TEST_F(Prove, whatever_becomes_of_saw_prove_nothing_is_proved) {
  for (const char* script :
       {"exit 0", "cat >/dev/null; exit 3", "cat >/dev/null; kill -9 $$",
        "cat >/dev/null; echo '{\"verdict\":\"proved\"}'; exit 1", "cat >/dev/null; echo nonsense",
        "cat >/dev/null; echo '[\"proved\"]'", "cat >/dev/null; yes | head -c 3000000"}) {
    prover(script);
    EXPECT_EQ(prove("narrow.yaml", "wide.yaml").status, 1) << script;
  }
  std::filesystem::remove(root_ + "/saw-prove");
  EXPECT_EQ(prove("narrow.yaml", "wide.yaml").status, 1);
}

TEST_F(Prove, a_large_question_arrives_whole) {
  std::string paths = "[";
  for (int i = 0; i < 20'000; ++i) paths += fmt::format("\"/path-number-{}\", ", i);
  policy("large.yaml", paths + "/a]");
  prover("wc -c > '" + root_ + "/size'; echo '{\"verdict\":\"proved\"}'");
  EXPECT_EQ(prove("large.yaml", "large.yaml").status, 0);
  EXPECT_GT(std::stoul(read_file(root_ + "/size").value()), 800'000u);
}

TEST_F(Prove, a_policy_that_does_not_compile_or_no_ceiling_is_said_to_be_so) {
  answers(R"({"verdict":"proved"})");
  policy("bad.yaml", "[nonsense]");
  EXPECT_EQ(prove("bad.yaml", "wide.yaml").status, 1);
  EXPECT_EQ(rig_.saw({"policy", "prove", root_ + "/wide.yaml"}).status, 2);
}

}  // namespace
}  // namespace saw::cli
