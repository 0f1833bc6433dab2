// policy keygen … status, on files: a release from its key to a host's refusal.
#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>

#include "base/crypto.h"
#include "base/file.h"
#include "cli/fake/fake_api.h"

namespace saw::cli {
namespace {

namespace fs = std::filesystem;
using fake::Ran;
using fake::Rig;
using nlohmann::json;
using testing::HasSubstr;

class ReleaseCommands : public testing::Test {
 protected:
  enum class On { files, tree };
  void SetUp() override {
    fs::create_directories(root_ + "/new");
    write("new/policy.yaml", policy("one"));
    std::string keys;
    for (const char* name : {"ann", "ben", "cat", "eve"}) {
      const Ran made =
          saw({"policy", "keygen", name, "--json", "--kind", name[0] == 'b' ? "p256" : "ed25519"});
      ASSERT_EQ(made.status, 0) << made.err;
      if (name[0] != 'e')
        keys +=
            fmt::format("  {}: {{public: {}}}\n", name, json::parse(made.out)["public"].get<std::string>());
    }
    write("trust.yaml", "apiVersion: saw/v1\nkind: Trust\nkeys:\n" + keys +
                            "channels:\n  stable: {signers: [ann, ben], authors: [cat], threshold: 2}\n");
  }
  void TearDown() override { fs::remove_all(root_); }

  Ran saw(std::vector<std::string> words) {
    Rig rig;
    rig.clock.time = now_;
    rig.current = root_;
    return rig.saw(words);
  }
  Ran saw_on_tree(std::vector<std::string> words) {
    for (const char* word : {"--tree", "tree", "--channel", "stable", "--trust", "trust.yaml"})
      words.emplace_back(word);
    return saw(words);
  }
  // The code that a command fails with, or what it printed instead.
  std::string refusal(std::vector<std::string> words, On on = On::files) {
    words.emplace_back("--json");
    const Ran ran = on == On::tree ? saw_on_tree(words) : saw(words);
    const json out = json::parse(ran.out, nullptr, false);
    if (ran.status != 1 || !out.is_object() || !out.contains("error")) return ran.out + ran.err;
    return out["error"]["code"].get<std::string>();
  }
  std::string refusal_on_tree(const std::vector<std::string>& words) { return refusal(words, On::tree); }
  void write(const std::string& file, const std::string& text) {
    ASSERT_TRUE(replace_file(root_ + "/" + file, text, 0600, Durability::none));
  }
  static std::string policy(const std::string& name) {
    return "apiVersion: saw/v1\nkind: Policy\nmetadata: {name: " + name +
           "}\nprofile: local\nnetwork:\n  - name: api\n    to: {hosts: [api.example.com], ports: [443]}\n"
           "    allow: [{methods: [GET], paths: [\"/**\"]}]\n";
  }
  // A release of `revision` in `directory`, signed by all who must.
  void make(const std::string& directory, int revision) {
    fs::create_directories(root_ + "/" + directory);
    write(directory + "/policy.yaml", policy("p" + std::to_string(revision)));
    const Ran first =
        saw({"policy", "sign", directory, "--key", "cat.key", "--trust", "trust.yaml", "--channel", "stable",
             "--revision", std::to_string(revision), "--version", "2025-11-24." + std::to_string(revision)});
    ASSERT_EQ(first.status, 0) << first.err;
    for (const char* key : {"ann.key", "ben.key"})
      ASSERT_EQ(saw({"policy", "sign", directory, "--key", key}).status, 0);
  }
  std::string current() { return fs::read_symlink(root_ + "/tree/channels/stable/current").filename(); }

  const std::string root_ = testing::TempDir() + random_id("releases-");
  Nanos now_ = 1'764'000'000 * kSecond;  // 2025-11-24T16:00:00Z
};

TEST_F(ReleaseCommands, keys_are_private_and_never_overwritten) {
  struct stat info{};
  ASSERT_EQ(::stat((root_ + "/ann.key").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  const Ran again = saw({"policy", "keygen", "ann"});
  EXPECT_EQ(again.status, 1);
  EXPECT_THAT(again.err, HasSubstr("never overwritten"));
  EXPECT_EQ(saw({"policy", "keygen", "new-key", "--kind", "rsa"}).status, 2);
}

TEST_F(ReleaseCommands, a_passphrase_is_asked_for) {
  write("pass", "horse\n");
  write("wrong", "cow\n");
  ASSERT_EQ(saw({"policy", "keygen", "dan", "--passphrase-file", "pass"}).status, 0);
  make("r", 1);
  auto sign = [&](std::vector<std::string> more) {
    std::vector<std::string> words = {"policy", "sign", "r", "--key", "dan.key"};
    words.insert(words.end(), more.begin(), more.end());
    return saw(words);
  };
  EXPECT_THAT(sign({}).err, HasSubstr("--passphrase-file"));
  EXPECT_THAT(sign({"--passphrase-file", "wrong"}).err, HasSubstr("not the passphrase"));
  EXPECT_EQ(sign({"--passphrase-file", "pass"}).status, 0);
  EXPECT_EQ(refusal({"policy", "verify", "r", "--trust", "trust.yaml"}), "release.unknown_key");
}

TEST_F(ReleaseCommands, from_a_directory_to_a_channel) {
  make("r1", 1);
  const Ran verified = saw({"policy", "verify", "r1", "--trust", "trust.yaml", "--json"});
  ASSERT_EQ(verified.status, 0) << verified.err;
  EXPECT_EQ(json::parse(verified.out)["signers"], (json{"ann", "ben"}));
  EXPECT_EQ(json::parse(verified.out)["author"], "cat");
  EXPECT_EQ(saw_on_tree({"policy", "publish", "r1"}).status, 0);
  EXPECT_EQ(current(), "2025-11-24.1");
  const Ran status = saw({"policy", "status", "--tree", "tree", "--trust", "trust.yaml", "--json"});
  EXPECT_EQ(status.status, 0);
  EXPECT_EQ(json::parse(status.out)["channels"][0]["state"], "verified");
  EXPECT_EQ(json::parse(status.out)["channels"][0]["digest"], json::parse(verified.out)["digest"]);
}

TEST_F(ReleaseCommands, what_a_host_would_refuse_is_not_published) {
  make("r2", 2);
  ASSERT_EQ(saw_on_tree({"policy", "publish", "r2"}).status, 0);
  make("r1", 1);
  EXPECT_EQ(refusal_on_tree({"policy", "publish", "r1"}), "release.lower_revision");
  make("r3", 3);
  write("r3/policy.yaml", policy("changed after the signatures"));
  EXPECT_EQ(refusal_on_tree({"policy", "publish", "r3"}), "release.wrong_digest");
  make("r4", 4);
  now_ += 100 * 24 * 60 * kMinute;
  EXPECT_EQ(refusal_on_tree({"policy", "publish", "r4"}), "release.expired");
  EXPECT_EQ(current(), "2025-11-24.2");
  EXPECT_EQ(saw({"policy", "status", "--tree", "tree", "--trust", "trust.yaml"}).status, 1)
      << "expired by now";
}

TEST_F(ReleaseCommands, a_hosts_status_says_what_is_refused_shut_off_or_has_drifted) {
  auto status = [](const std::string& channel) {
    Rig rig;
    rig.api.answer("GET /v1/channels", 200, R"({"channels":[{"name":"stable",)" + channel + "}]}");
    return rig.saw({"policy", "status"});
  };
  const std::string active =
      R"("published":{"version":"2026-11-24.2"},"active":{"version":"2026-11-24.2","revision":2,"expired":)";
  EXPECT_EQ(status(active + R"(false},"workspaces":[{"drift":false}])").status, 0);
  EXPECT_EQ(status(active + R"(false},"workspaces":[{"drift":true}])").status, 1);
  EXPECT_THAT(status(active + R"(true},"workspaces":[])").out, HasSubstr("release.expired"));
  EXPECT_THAT(status(active + R"(false},"refused":{"code":"release.lower_revision"})").out,
              HasSubstr("release.lower_revision"));
  EXPECT_THAT(status(active + R"(false},"shut":{"code":"release.revoked_release"})").out,
              HasSubstr("SHUT OFF"));
}

TEST_F(ReleaseCommands, a_workspace_is_on_a_channel_or_has_a_policy) {
  Rig rig;
  rig.api.answer("POST /v1/workspaces", 201, R"({"id":"ws-1","name":"dev","state":"running"})");
  EXPECT_EQ(rig.saw({"workspace", "create", "dev", "--channel", "stable"}).status, 0);
  EXPECT_EQ(json::parse(rig.api.asked.back().body),
            (json{{"name", "dev"}, {"channel", "stable"}, {"image", "host"}, {"mounts", json::array()}}));
  EXPECT_EQ(rig.saw({"workspace", "create", "dev", "--channel", "stable", "--policy", "p.yaml"}).status, 2);
}

TEST_F(ReleaseCommands, signing_says_what_it_misses) {
  auto sign = [&](std::vector<std::string> more) {
    std::vector<std::string> words = {"policy", "sign", "new"};
    words.insert(words.end(), more.begin(), more.end());
    return saw(words);
  };
  auto refused = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"policy", "sign", "new"});
    return refusal(more);
  };
  EXPECT_EQ(sign({}).status, 2);
  EXPECT_EQ(sign({"--key", "cat.key"}).status, 2) << "no trust file";
  EXPECT_EQ(sign({"--key", "cat.key", "--trust", "trust.yaml"}).status, 2) << "no channel";
  EXPECT_EQ(sign({"--key", "cat.key", "--trust", "trust.yaml", "--channel", "stable"}).status, 2);
  const std::vector<std::string> all = {"--key",     "cat.key", "--trust",    "trust.yaml",
                                        "--channel", "stable",  "--revision", "1"};
  std::vector<std::string> by_ann = all;
  by_ann[1] = "ann.key";
  EXPECT_EQ(refused(by_ann), "release.author_not_allowed");
  write("new/policy.yaml", "apiVersion: saw/v1\n");
  EXPECT_EQ(refused(all), "release.unparsable_policy");
  write("new/policy.yaml", policy("one"));
  EXPECT_EQ(sign(all).status, 0);
  EXPECT_EQ(refused({"--key", "cat.key"}), "release.same_signer_twice");
  EXPECT_EQ(sign(all).status, 2) << "the manifest is made";
  write("new/policy.yaml", policy("two"));
  EXPECT_EQ(refused({"--key", "ann.key"}), "release.wrong_digest");
}

TEST_F(ReleaseCommands, going_back_needs_every_signer) {
  make("r1", 1);
  make("r2", 2);
  for (const char* r : {"r1", "r2"}) ASSERT_EQ(saw_on_tree({"policy", "publish", r}).status, 0);
  auto back = [&](const char* key) {
    return saw_on_tree(
        {"policy", "rollback", "--to", "2025-11-24.1", "--key", key, "--why", "it blocks", "--json"});
  };
  EXPECT_EQ(json::parse(back("eve.key").out)["error"]["code"], "release.unknown_key");
  EXPECT_EQ(json::parse(back("ann.key").out)["state"], "pending");
  EXPECT_EQ(current(), "2025-11-24.2");
  EXPECT_EQ(json::parse(back("ann.key").out)["error"]["code"], "release.same_signer_twice");
  EXPECT_EQ(json::parse(back("ben.key").out)["state"], "done");
  EXPECT_EQ(current(), "2025-11-24.1");
  make("r3", 3);
  EXPECT_EQ(refusal_on_tree({"policy", "publish", "r3"}), "release.same_revision")
      << "the order took revision 3";
  make("r4", 4);
  EXPECT_EQ(saw_on_tree({"policy", "publish", "r4"}).status, 0);
}

TEST_F(ReleaseCommands, what_is_revoked_is_refused_from_then_on) {
  make("r1", 1);
  ASSERT_EQ(saw_on_tree({"policy", "publish", "r1"}).status, 0);
  EXPECT_EQ(saw_on_tree({"policy", "revoke", "--key", "ann.key"}).status, 2);
  EXPECT_EQ(refusal_on_tree({"policy", "revoke", "--key", "eve.key", "--revoke-key", "ben"}),
            "release.unknown_key");
  const Ran done =
      saw_on_tree({"policy", "revoke", "--key", "ann.key", "--revoke-key", "ben", "--why", "lost"});
  EXPECT_EQ(done.status, 0) << done.err;
  const Ran status = saw({"policy", "status", "--tree", "tree", "--trust", "trust.yaml"});
  EXPECT_EQ(status.status, 1);
  EXPECT_THAT(status.out, HasSubstr("release.revoked_key"));
  EXPECT_EQ(refusal({"policy", "verify", "r1", "--trust", "trust.yaml", "--revocations",
                     "tree/channels/stable/revocations.json"}),
            "release.revoked_key");
  make("r2", 2);
  EXPECT_EQ(refusal_on_tree({"policy", "publish", "r2"}), "release.revoked_key");
  EXPECT_EQ(saw_on_tree({"policy", "revoke", "--key", "ann.key", "--release", "2025-11-24.1"}).status, 0);
}

TEST_F(ReleaseCommands, a_tree_may_be_a_git_repository) {
  if (!fs::exists("/usr/bin/git")) GTEST_SKIP() << "git is not installed";
  make("r1", 1);
  ASSERT_EQ(
      std::system(("git init -q '" + root_ + "/tree' && git -C '" + root_ +
                   "/tree' config user.name t && git -C '" + root_ + "/tree' config user.email t@example.com")
                      .c_str()),
      0);
  const Ran done = saw_on_tree({"policy", "publish", "r1", "--commit"});
  ASSERT_EQ(done.status, 0) << done.err;
  ASSERT_EQ(std::system(("git clone -q '" + root_ + "/tree' '" + root_ + "/clone'").c_str()), 0);
  const Ran status = saw({"policy", "status", "--tree", "clone", "--trust", "trust.yaml"});
  EXPECT_EQ(status.status, 0) << status.out << status.err;
}

}  // namespace
}  // namespace saw::cli
