// up, down and doctor against programs that behave like saw-node, and audit verify against a real log.
#include <filesystem>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit/log.h"
#include "base/bytes.h"
#include "base/crypto.h"
#include "base/fd.h"
#include "base/file.h"
#include "cli/fake/fake_api.h"
#include "cli/spawn.h"

namespace saw::cli {
namespace {

using fake::Ran;
using fake::Rig;
using nlohmann::json;
using testing::HasSubstr;

// A directory of its own with a saw-node that is a shell script.
class Daemon : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(root_);
    rig_.programs = root_;
    rig_.environment = {{"SAW_DIR", root_ + "/state"}, {"SAW_SOCKET", root_ + "/run/saw.sock"}};
    rig_.api.fail_with("client.no_daemon");
  }
  void TearDown() override { std::filesystem::remove_all(root_); }
  void node(const std::string& script) {
    const std::string path = root_ + "/saw-node";
    ASSERT_TRUE(replace_file(path, "#!/bin/sh\n" + script + "\n", 0755, Durability::none));
    ::chmod(path.c_str(), 0755);
  }
  std::string root_ = "/tmp/" + random_id("saw-cli-test-");
  Rig rig_;
};

TEST_F(Daemon, up_returns_when_saw_node_says_that_it_is_ready) {
  node("echo \"$@\" > '" + root_ + "/arguments'; echo noise; echo ready >&3");
  const Ran ran = rig_.saw({"up", "--strict", "--json"});
  EXPECT_EQ(ran.status, 0) << ran.err;
  EXPECT_EQ(json::parse(ran.out)["state"], "ready");
  EXPECT_EQ(read_file(root_ + "/arguments").value(),
            "--dir " + root_ + "/state --socket " + root_ + "/run/saw.sock --strict --ready-fd 3\n");
  EXPECT_EQ(read_file(root_ + "/state/log/saw.log").value(), "noise\n");
}

TEST_F(Daemon, up_passes_on_what_went_wrong_and_where_the_log_is) {
  node("echo 'error: no user namespaces here' >&3; exit 1");
  const Ran ran = rig_.saw({"up"});
  EXPECT_EQ(ran.status, 1);
  EXPECT_THAT(ran.err, HasSubstr("no user namespaces here"));
  EXPECT_THAT(ran.err, HasSubstr(root_ + "/state/log/saw.log"));
}

TEST_F(Daemon, up_does_not_take_a_death_for_readiness) {
  for (const char* script : {"exit 0", "printf read >&3", "kill -9 $$"}) {
    node(script);
    EXPECT_EQ(rig_.saw({"up"}).status, 1) << script;
  }
  std::filesystem::remove(root_ + "/saw-node");
  EXPECT_EQ(rig_.saw({"up"}).status, 1);
}

TEST_F(Daemon, saw_node_inherits_nothing_but_its_ready_pipe) {
  Fd leaked = std::move(Fd::open("/dev/null", O_RDONLY).value());
  ASSERT_EQ(::fcntl(leaked.get(), F_SETFD, 0), 0);
  // The shell itself holds the script open on a descriptor from 10 on.
  node(
      "for n in 4 5 6 7 8 9; do [ -e /proc/self/fd/$n ] && echo \"error: inherited $n\" >&3; done; echo "
      "ready >&3");
  const Ran ran = rig_.saw({"up"});
  EXPECT_EQ(ran.status, 0) << ran.err;
}

TEST_F(Daemon, a_node_that_lives_without_its_control_plane_is_waited_for_and_not_doubled) {
  node("touch '" + root_ + "/started'; echo ready >&3");
  std::filesystem::create_directories(root_ + "/run");
  Fd lock = std::move(Fd::open(root_ + "/run/node.lock", O_RDWR | O_CREAT, 0600).value());
  ASSERT_EQ(::flock(lock.get(), LOCK_EX | LOCK_NB), 0);
  EXPECT_EQ(lock_state(root_ + "/run/node.lock"), Lock::held);
  const Ran ran = rig_.saw({"up"});
  EXPECT_EQ(ran.status, 1);
  EXPECT_THAT(ran.err, HasSubstr("does not answer"));
  EXPECT_FALSE(std::filesystem::exists(root_ + "/started"));
  EXPECT_EQ(json::parse(rig_.saw({"status", "--json"}).out)["state"], "recovering");
  lock.reset();
  EXPECT_EQ(lock_state(root_ + "/run/node.lock"), Lock::free);
  EXPECT_EQ(rig_.saw({"up"}).status, 0);
}

TEST_F(Daemon, a_control_plane_that_still_recovers_is_not_ready) {
  std::filesystem::create_directories(root_ + "/run");
  Fd lock = std::move(Fd::open(root_ + "/run/node.lock", O_RDWR | O_CREAT, 0600).value());
  ASSERT_EQ(::flock(lock.get(), LOCK_EX | LOCK_NB), 0);
  Rig rig;
  rig.environment = rig_.environment;
  rig.api.answer("GET /v1/status", 200, R"({"state":"recovering"})");
  EXPECT_EQ(rig.saw({"up"}).status, 1);
  rig.api.after_sleep = [&] { rig.api.answer("GET /v1/status", 200, R"({"state":"ready"})"); };
  EXPECT_EQ(rig.saw({"up"}).status, 0);
}

TEST_F(Daemon, down_waits_until_the_node_has_let_go) {
  std::filesystem::create_directories(root_ + "/run");
  Fd lock = std::move(Fd::open(root_ + "/run/node.lock", O_RDWR | O_CREAT, 0600).value());
  ASSERT_EQ(::flock(lock.get(), LOCK_EX | LOCK_NB), 0);
  Rig rig;  // one whose daemon answers
  rig.environment = rig_.environment;
  rig.api.answer("POST /v1/down", 200, "{}");
  EXPECT_EQ(rig.saw({"down"}).status, 1) << "said to be down while the node still holds its lock";
  lock.reset();
  EXPECT_EQ(rig.saw({"down"}).status, 0);
}

TEST_F(Daemon, doctor_shows_each_feature_with_its_consequence_and_fails_on_a_missing_one) {
  node(
      R"(echo '[{"name":"landlock","state":"ok","detail":"ABI 7"},{"name":"cgroup","state":"degraded","consequence":"no memory limit"}]')");
  Ran ran = rig_.saw({"doctor"});
  EXPECT_EQ(ran.status, 0);
  EXPECT_THAT(ran.out, HasSubstr("no memory limit"));
  node(R"(printf '{"name":"a","state":"missing"}\n{"name":"b","state":"ok"}\n')");
  ran = rig_.saw({"doctor", "--json"});
  EXPECT_EQ(ran.status, 1);
  EXPECT_EQ(json::parse(ran.out)["features"].size(), 2u);
  for (const char* script : {"exit 3", "echo nonsense", "true"}) {
    node(script);
    EXPECT_EQ(rig_.saw({"doctor"}).status, 125) << script;
  }
}

// ---- audit verify

class Verify : public Daemon {
 protected:
  void SetUp() override {
    Daemon::SetUp();
    const std::string control = root_ + "/state/control";
    std::filesystem::create_directories(control + "/keys");
    std::vector<std::string> lines;
    for (int i = 0; i < 20; ++i) lines.push_back(R"({"message":"event )" + std::to_string(i) + "\"}");
    auto log = audit::Log::open(control + "/audit", "test.example/log",
                                std::move(SigningKey::from_seed(key_.seed()).value()));
    ASSERT_TRUE(log) << log.error().message;
    ASSERT_TRUE(log->append(lines));
    ASSERT_TRUE(
        replace_file(control + "/keys/audit.pub", to_hex(key_.public_key()) + "\n", 0644, Durability::none));
    ASSERT_TRUE(replace_file(control + "/keys/audit.origin", "test.example/log\n", 0644, Durability::none));
  }
  // Changes one byte of event `n` wherever it lies on disk.
  void tamper(int n) {
    const std::string was = "event " + std::to_string(n) + "\"";
    for (const auto& file : std::filesystem::recursive_directory_iterator(root_ + "/state/control/audit")) {
      if (!file.is_regular_file()) continue;
      std::string content = read_file(file.path().string()).value();
      const size_t at = content.find(was);
      if (at == std::string::npos) continue;
      content[at] = 'E';
      ASSERT_TRUE(replace_file(file.path().string(), content, 0600, Durability::none));
    }
  }
  SigningKey key_ = SigningKey::generate();
};

TEST_F(Verify, a_missing_journal_is_not_ok_where_the_daemon_works_and_is_in_a_copy) {
  const std::string log = root_ + "/state/control/audit";
  std::filesystem::copy(log, root_ + "/copy", std::filesystem::copy_options::recursive);
  for (const std::string& directory : {log, root_ + "/copy"})
    for (const char* file : {"/journal", "/lock"}) std::filesystem::remove(directory + file);
  EXPECT_EQ(rig_.saw({"audit", "verify", "--dir", root_ + "/state"}).status, 1);
  EXPECT_EQ(rig_.saw({"audit", "verify", "--dir", root_ + "/state", "--log", root_ + "/copy"}).status, 0);
}

TEST_F(Verify, prove_gives_proofs_of_what_holds_and_refuses_the_rest) {
  const std::string log = root_ + "/state/control/audit", state = root_ + "/state";
  const auto prove = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"audit", "prove", "--dir", state});
    return rig_.saw(arguments);
  };
  const Ran entry = prove({"7"});
  EXPECT_EQ(entry.status, 0) << entry.err;
  EXPECT_NE(entry.out.find("\"kind\": \"inclusion\""), std::string::npos) << entry.out;
  EXPECT_EQ(prove({"20"}).status, 1) << "there are 20 entries, counted from 0";
  EXPECT_EQ(prove({"--absent", "--session", "ss-1", "--destination", "evil.example"}).status, 0);
  EXPECT_EQ(prove({"--since", log + "/checkpoint", "-o", root_ + "/proof"}).status, 0);
  EXPECT_TRUE(std::filesystem::exists(root_ + "/proof"));
  EXPECT_EQ(prove({}).status, 2);
  EXPECT_EQ(prove({"seven"}).status, 2);
  EXPECT_EQ(prove({"--absent", "--session", "ss-1"}).status, 2);
  EXPECT_EQ(prove({"7", "--absent"}).status, 2);
  tamper(7);
  EXPECT_EQ(prove({"7"}).status, 1);
}

TEST_F(Verify, an_untouched_log_is_ok_and_the_keys_source_is_named) {
  const Ran ran = rig_.saw({"audit", "verify", "--dir", root_ + "/state", "--json"});
  EXPECT_EQ(ran.status, 0) << ran.out << ran.err;
  const json report = json::parse(ran.out);
  EXPECT_EQ(report["entries"], 20);
  EXPECT_EQ(report["key_source"], root_ + "/state/control/keys/audit.pub");
  EXPECT_TRUE(rig_.api.asked.empty()) << "an offline check asked the daemon";
}

TEST_F(Verify, one_changed_byte_is_found_and_located) {
  tamper(13);
  const Ran ran = rig_.saw({"audit", "verify", "--dir", root_ + "/state", "--json"});
  EXPECT_EQ(ran.status, 1);
  const json report = json::parse(ran.out);
  EXPECT_EQ(report["ok"], false);
  EXPECT_EQ(report["first_bad_entry"], 13) << ran.out;
  EXPECT_THAT(rig_.saw({"audit", "verify", "--dir", root_ + "/state"}).out,
              HasSubstr("TAMPERED at entry 13"));
}

TEST_F(Verify, another_key_than_the_signers_is_no_success) {
  const std::string other = to_hex(SigningKey::generate().public_key());
  EXPECT_EQ(rig_.saw({"audit", "verify", "--dir", root_ + "/state", "--key", other}).status, 1);
  EXPECT_EQ(
      rig_.saw({"audit", "verify", "--dir", root_ + "/state", "--key", to_hex(key_.public_key())}).status, 0);
  EXPECT_EQ(rig_.saw({"audit", "verify", "--dir", root_ + "/state", "--key", "short"}).status, 2);
  EXPECT_EQ(rig_.saw({"audit", "verify", "--dir", root_ + "/nowhere"}).status, 2);
}

}  // namespace
}  // namespace saw::cli
