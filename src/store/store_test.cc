#include "store/store.h"

#include <filesystem>

#include <gtest/gtest.h>

#include "base/crypto.h"
#include "base/file.h"
#include "store/database.h"
#include "store/seal.h"
#include "store/sqlite_store.h"

namespace saw::store {
namespace {

class StoreTest : public testing::Test {
 protected:
  StoreTest() : directory_(testing::TempDir() + random_id("store-")) {
    std::filesystem::create_directory(directory_);
  }
  ~StoreTest() override { std::filesystem::remove_all(directory_); }
  std::string path() const { return directory_ + "/saw.db"; }
  std::unique_ptr<Store> open() {
    auto store = SqliteStore::open(path());
    EXPECT_TRUE(store) << store.error().message;
    return std::move(*store);
  }
  std::string directory_;
};

Workspace workspace(std::string id, std::string owner, std::string name) {
  Workspace w{.id = std::move(id),
              .owner = std::move(owner),
              .name = std::move(name),
              .desired = Desired::running,
              .sandbox = "sb-1"};
  w.mounts = {{"/src", "/dst", true}};
  w.placeholders = {{"github-token", "saw-placeholder-x"}};
  w.ca_key_sealed = std::string("\0binary\xff", 8);
  w.created = 7;
  return w;
}

TEST_F(StoreTest, a_workspace_comes_back_whole_after_a_restart) {
  ASSERT_TRUE(open()->put(workspace("ws-1", "uid:0", "dev")));
  auto again = open()->workspaces();
  ASSERT_TRUE(again);
  ASSERT_EQ(again->size(), 1u);
  const Workspace& w = again->front();
  EXPECT_EQ(w.mounts.front().target, "/dst");
  EXPECT_TRUE(w.mounts.front().writable);
  EXPECT_EQ(w.placeholders.at("github-token"), "saw-placeholder-x");
  EXPECT_EQ(w.ca_key_sealed, std::string("\0binary\xff", 8));
  EXPECT_EQ(w.desired, Desired::running);
}

TEST_F(StoreTest, a_channel_comes_back_and_its_revision_never_goes_down) {
  Channel c{.name = "stable", .revision = 7, .version = "v", .release = "sha256:aa"};
  c.files = {{"policy.yaml", std::string("\0text", 5)}};
  c.revocations = "{}";
  ASSERT_TRUE(open()->put(c));
  auto store = open();
  ASSERT_EQ(store->channels()->size(), 1u);
  EXPECT_EQ(store->channels()->front().files, c.files);
  EXPECT_EQ(store->channels()->front().revocations, "{}");
  c.revision = 6;
  EXPECT_EQ(store->put(c).error().code, "store.revision");
  c.revision = 8;
  EXPECT_TRUE(store->put(c));
  EXPECT_EQ(store->channels()->front().revision, 8u);
}

TEST_F(StoreTest, the_policy_of_a_workspace_changes_with_its_channel_and_its_profile_never) {
  auto store = open();
  Workspace w = workspace("ws-1", "uid:0", "dev");
  w.channel = "stable";
  ASSERT_TRUE(store->put(w));
  w.policy_yaml = "new";
  w.profile = "wider";
  ASSERT_TRUE(store->put(w));
  EXPECT_EQ(store->workspaces()->front().policy_yaml, "new");
  EXPECT_EQ(store->workspaces()->front().profile, "");
  EXPECT_EQ(store->workspaces()->front().channel, "stable");
}

TEST_F(StoreTest, two_owners_may_use_one_name_and_one_owner_may_not) {
  auto store = open();
  ASSERT_TRUE(store->put(workspace("ws-1", "uid:0", "dev")));
  EXPECT_TRUE(store->put(workspace("ws-2", "uid:1", "dev")));
  EXPECT_FALSE(store->put(workspace("ws-3", "uid:0", "dev")));
}

TEST_F(StoreTest, removing_a_workspace_removes_its_sessions) {
  auto store = open();
  ASSERT_TRUE(store->put(workspace("ws-1", "uid:0", "dev")));
  ASSERT_TRUE(store->put(Session{.id = "s-1", .workspace = "ws-1", .name = "one", .sandbox = "sb-2"}));
  EXPECT_FALSE(store->put(Session{.id = "s-2", .workspace = "no-such", .name = "two"}));
  ASSERT_TRUE(store->remove_workspace("ws-1"));
  EXPECT_TRUE(store->sessions()->empty());
}

TEST_F(StoreTest, a_review_changes_state_once) {
  auto store = open();
  Review review{.id = "rv-1", .state = "pending", .host = "a.example", .port = 443};
  ASSERT_TRUE(store->add(review));
  review.state = "approved";
  review.decided_by = "uid:0";
  EXPECT_TRUE(store->transition(review, "pending").value());
  review.state = "denied";
  EXPECT_FALSE(store->transition(review, "pending").value());
  EXPECT_EQ(store->review("rv-1").value()->state, "approved");
  EXPECT_EQ(store->reviews({.state = "pending", .limit = 10})->size(), 0u);
  EXPECT_EQ(store->reviews({.limit = 10})->size(), 1u);
}

TEST_F(StoreTest, a_counter_never_repeats_across_restarts) {
  uint64_t first = open()->next("epoch").value();
  EXPECT_GT(open()->next("epoch").value(), first);
}

TEST_F(StoreTest, a_store_of_a_newer_program_is_refused) {
  ASSERT_TRUE(open()->put(Sponsor{.id = "uid:0"}));
  {
    ASSERT_TRUE(Database::open(path())->script("PRAGMA user_version=999"));
  }
  EXPECT_EQ(SqliteStore::open(path()).error().code, "store.too_new");
}

TEST_F(StoreTest, agents_are_unique_by_name_for_their_sponsor) {
  auto store = open();
  ASSERT_TRUE(store->put(Agent{.id = "ag-1", .sponsor = "uid:0", .name = "default", .state = "active"}));
  EXPECT_FALSE(store->put(Agent{.id = "ag-2", .sponsor = "uid:0", .name = "default", .state = "active"}));
  EXPECT_EQ(store->agent_named("uid:0", "default").value()->id, "ag-1");
  EXPECT_FALSE(store->agent_named("uid:1", "default").value());
}

TEST_F(StoreTest, a_sealed_secret_opens_only_in_its_own_context_and_never_lies_on_disk_in_the_clear) {
  Sealer sealer = std::move(*Sealer::open(directory_ + "/key"));
  std::string sealed = sealer.seal("hunter2-hunter2", "secret/uid:0/token");
  EXPECT_EQ(sealer.unseal(sealed, "secret/uid:0/token").value(), "hunter2-hunter2");
  EXPECT_EQ(sealer.unseal(sealed, "secret/uid:1/token").error().code, "store.unseal");
  for (size_t i = 0; i < sealed.size(); ++i) {
    std::string bad = sealed;
    bad[i] = static_cast<char>(bad[i] ^ 1);
    EXPECT_FALSE(sealer.unseal(bad, "secret/uid:0/token"));
  }
  EXPECT_FALSE(sealer.unseal("short", ""));
  Sealer again = std::move(*Sealer::open(directory_ + "/key"));
  EXPECT_EQ(again.unseal(sealed, "secret/uid:0/token").value(), "hunter2-hunter2");
  {
    auto store = open();
    ASSERT_TRUE(store->put(Secret{.owner = "uid:0", .name = "token", .sealed = sealed}));
  }
  for (const auto& entry : std::filesystem::directory_iterator(directory_))
    EXPECT_EQ(read_file(entry.path()).value().find("hunter2"), std::string::npos) << entry.path();
}

TEST_F(StoreTest, a_truncated_key_file_is_an_error_and_not_a_new_key) {
  {
    ASSERT_TRUE(Sealer::open(directory_ + "/key"));
  }
  ASSERT_TRUE(replace_file(directory_ + "/key", "short", 0600, Durability::none));
  EXPECT_EQ(Sealer::open(directory_ + "/key").error().code, "store.key");
}

}  // namespace
}  // namespace saw::store
