#include "release/tree.h"

#include <filesystem>

#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "release/release_fixture_test.h"

namespace saw::release {
namespace {

using namespace fixture;
namespace fs = std::filesystem;

class Tree : public testing::Test {
 protected:
  void SetUp() override { fs::create_directory(root_); }
  void TearDown() override { fs::remove_all(root_); }

  void publish_it(const Manifest& m) {
    const FlatDirectory files = c_.release(m.text(), c_.enough());
    auto verified = verify_release(files, c_.around(), {});
    ASSERT_TRUE(verified) << verified.error().message;
    const auto done = publish(root_, files, *verified);
    ASSERT_TRUE(done) << done.error().message;
  }
  Result<Verified> read(const ChannelState& state = {}) {
    const FoundChannel found = SAW_TRY(find());
    return verify_channel(found, c_.around(), state);
  }
  Result<FoundChannel> find() {
    const ReleaseTree tree = SAW_TRY(ReleaseTree::open(root_));
    return tree.read("stable");
  }
  Manifest next() const {
    Manifest m = c_.manifest();
    m.version = "2026-11-24.2";
    m.revision = 8;
    return m;
  }
  std::string path(const std::string& below) const { return root_ + "/" + below; }

  Company c_;
  const std::string root_ = testing::TempDir() + random_id("tree-");
};

TEST_F(Tree, what_is_published_is_found_and_verified) {
  EXPECT_EQ(code_of(find()), "release.no_channel");
  publish_it(c_.manifest());
  EXPECT_EQ(read()->digest, Company::digest(c_.manifest()));
  publish_it(next());
  EXPECT_EQ(read()->digest, Company::digest(next()));
  EXPECT_EQ(published_state(*find()).revision, 8u);
  EXPECT_EQ(fs::read_symlink(path("channels/stable/current")), "../../releases/2026-11-24.2");
}

TEST_F(Tree, a_release_never_changes_but_may_be_published_again) {
  const FlatDirectory first = c_.release();
  for (int twice = 0; twice < 2; ++twice)
    ASSERT_TRUE(publish(root_, first, *verify_release(first, c_.around(), {})));
  Manifest other = c_.manifest();
  other.revision = 9;
  const FlatDirectory files = c_.release(other.text(), c_.enough());
  const auto verified = verify_release(files, c_.around(), {});
  EXPECT_EQ(code_of(publish(root_, files, *verified)), "release.immutable");
  EXPECT_EQ(read()->digest, Company::digest(c_.manifest()));
}

TEST_F(Tree, a_publisher_that_died_leaves_the_old_release_in_force) {
  publish_it(c_.manifest());
  fs::create_directories(path("releases/.new-half"));
  publish_it(next());
  fs::remove(path("channels/stable/current"));
  fs::create_symlink("../../releases/2026-11-24.1", path("channels/stable/current"));  // not yet switched
  EXPECT_EQ(read()->digest, Company::digest(c_.manifest()));
}

TEST_F(Tree, no_link_is_followed) {
  publish_it(c_.manifest());
  const std::string releases = path("releases"), release = releases + "/2026-11-24.1";
  ASSERT_TRUE(read());
  fs::rename(release, releases + "/elsewhere");
  fs::create_directory_symlink("elsewhere", release);
  EXPECT_EQ(code_of(read()), "release.path_trick") << "the release is a link";
  fs::remove(release);
  fs::rename(releases + "/elsewhere", release);
  ASSERT_TRUE(read());

  fs::rename(release + "/policy.yaml", path("aside.yaml"));
  fs::create_symlink("../../aside.yaml", release + "/policy.yaml");
  EXPECT_EQ(code_of(read()), "release.path_trick") << "a member is a link";
  fs::remove(release + "/policy.yaml");
  ASSERT_EQ(::mkfifo((release + "/policy.yaml").c_str(), 0600), 0);
  EXPECT_EQ(code_of(read()), "release.path_trick") << "a member is a FIFO, and nobody waits for it";
  fs::remove(release + "/policy.yaml");
  fs::rename(path("aside.yaml"), release + "/policy.yaml");
  ASSERT_TRUE(read());
}

TEST_F(Tree, current_names_a_release_and_nothing_else) {
  publish_it(c_.manifest());
  const std::string current = path("channels/stable/current");
  for (const char* target : {"/etc", "../../releases/../releases/2026-11-24.1", "../../releases/",
                             "2026-11-24.1", "../../releases/2026-11-24.1/", "../../releases/.new-x"}) {
    fs::remove(current);
    fs::create_symlink(target, current);
    EXPECT_EQ(code_of(read()), "release.path_trick") << target;
  }
  fs::remove(current);
  fs::create_symlink("../../releases/2026-11-24.9", current);
  EXPECT_EQ(code_of(read()), "release.missing_member");
  fs::remove(current);
  ASSERT_TRUE(replace_file(current, "x", 0600, Durability::none));
  EXPECT_EQ(code_of(read()), "release.path_trick");
}

TEST_F(Tree, a_release_too_full_or_too_large_is_refused) {
  publish_it(c_.manifest());
  const std::string release = path("releases/2026-11-24.1/");
  ASSERT_TRUE(replace_file(release + "more", std::string(ReleaseTree::kMaxReleaseBytes, 'x'), 0600,
                           Durability::none));
  EXPECT_EQ(code_of(read()), "release.path_trick");
  fs::remove(release + "more");
  ASSERT_TRUE(read());
  for (size_t i = 0; i < Manifest::kMaxMembers; ++i)
    ASSERT_TRUE(replace_file(release + "f" + std::to_string(i), "", 0600, Durability::none));
  EXPECT_EQ(code_of(read()), "release.path_trick");
}

TEST_F(Tree, rolls_back_by_order_and_remembers_what_is_taken_back) {
  publish_it(c_.manifest());
  publish_it(next());
  const ChannelState state = read()->state();
  const RollbackOrder order = {
      "stable", 9, Company::digest(next()), Company::digest(c_.manifest()), "2026-11-24.1", "bad", kNow};
  ASSERT_TRUE(roll_back(root_, order, Company::signed_text(kRollbackType, order.text(), {&c_.ann, &c_.ben})));
  auto back = read(state);
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(back->arrival, Arrival::rollback);
  EXPECT_EQ(published_state(*find()).revision, 9u);

  const Revocations list{
      .channel = "stable", .epoch = 1, .keys = {}, .releases = {{back->digest, "bad too"}}};
  ASSERT_TRUE(put_revocations(root_, list, Company::signed_text(kRevocationsType, list.text(), {&c_.rex})));
  EXPECT_EQ(code_of(read(back->state())), "release.revoked_release");
}

TEST_F(Tree, names_of_channels_lead_nowhere_else) {
  publish_it(c_.manifest());
  auto tree = ReleaseTree::open(root_);
  for (const char* name : {"..", "../channels/stable", "", "stable/", "Stable", "."})
    EXPECT_EQ(code_of(tree->read(name)), "release.no_channel") << name;
}

}  // namespace
}  // namespace saw::release
