#include "audit/log.h"

#include <filesystem>

#include <gtest/gtest.h>

#include "audit/checkpoint.h"
#include "audit/log_fixture_test.h"
#include "audit/tile.h"
#include "audit/tree.h"
#include "base/bytes.h"
#include "base/file.h"

namespace saw::audit {
namespace {

namespace fs = std::filesystem;

// The definition of RFC 6962 §2.1, as it stands there.
Digest mth(std::span<const std::string> entries) {
  if (entries.empty()) return sha256("");
  if (entries.size() == 1) return leaf_hash(entries[0]);
  size_t k = 1;
  while (k * 2 < entries.size()) k *= 2;
  return node_hash(view(mth(entries.first(k))), view(mth(entries.subspan(k))));
}

TEST(Tree, root_is_that_of_rfc_6962_at_every_size) {
  std::vector<std::string> entries = numbered(0, 600);
  Tree tree;
  std::vector<HashTile> completed;
  for (size_t n = 0; n <= entries.size(); ++n) {
    if (n < 20 || n % 37 == 0 || (n > 250 && n < 260) || n > 510)
      ASSERT_EQ(tree.root(), mth(std::span(entries).first(n))) << n;
    if (n < entries.size()) tree.add(leaf_hash(entries[n]), completed);
  }
  EXPECT_EQ(completed.size(), 2u);
}

TEST(Tree, restores_from_its_levels_at_every_size) {
  Tree tree;
  std::vector<HashTile> completed;
  for (int n = 0; n < 70'000; ++n) {
    if (n % 1009 == 0 || n == 65'535 || n == 65'536) {
      auto again = Tree::restore(tree.size(), tree.levels());
      ASSERT_TRUE(again);
      ASSERT_EQ(again->root(), tree.root());
    }
    tree.add(sha256(std::to_string(n)), completed);
  }
  EXPECT_FALSE(Tree::restore(tree.size() + 1, tree.levels()));
}

TEST(Tile, paths_are_those_of_c2sp) {
  EXPECT_EQ(tile_path(0, 0), "tile/0/000");
  EXPECT_EQ(tile_path(2, 1'234'067), "tile/2/x001/x234/067");
  EXPECT_EQ(bundle_path(999) + partial_suffix(5), "tile/entries/999.p/5");
  EXPECT_EQ(bundle_path(1000), "tile/entries/x001/000");
}

TEST(Log, an_empty_log_is_there_and_verifies) {
  Folder folder;
  auto log = open_log(folder);
  ASSERT_TRUE(log) << log.error().message;
  EXPECT_EQ(log->size(), 0u);
  VerifyReport report = verify_log(folder);
  EXPECT_TRUE(report.ok) << report.problem;
  EXPECT_EQ(report.root, digest_text(sha256("")));
}

TEST(Log, what_was_appended_is_read_back_and_verifies_at_every_size) {
  Folder folder;
  std::vector<std::string> all = numbered(0, 600);
  auto log = open_log(folder);
  ASSERT_TRUE(log);
  for (size_t n = 0; n < all.size();) {
    const size_t step = n % 7 == 0 ? 13 : 1 + n % 3;
    std::vector<std::string> some(all.begin() + static_cast<long>(n),
                                  all.begin() + static_cast<long>(std::min(n + step, all.size())));
    auto first = log->append(some);
    ASSERT_TRUE(first) << first.error().message;
    ASSERT_EQ(*first, n);
    n += some.size();
    ASSERT_EQ(log->root(), mth(std::span(all).first(n)));
    auto back = read_entries(folder.path, 0, 1000);
    ASSERT_TRUE(back) << back.error().message;
    ASSERT_EQ(*back, std::vector(all.begin(), all.begin() + static_cast<long>(n)));
    VerifyReport report = verify_log(folder);
    ASSERT_TRUE(report.ok) << n << ": " << report.problem;
    ASSERT_EQ(report.entries, n);
  }
  EXPECT_EQ(*checkpoint_size(folder.path), 600u);
  EXPECT_EQ(*read_entries(folder.path, 255, 3), numbered(255, 258));
  EXPECT_TRUE(read_entries(folder.path, 600, 5)->empty());
}

TEST(Log, one_append_may_fill_many_bundles) {
  Folder folder;
  auto log = open_log(folder);
  std::vector<std::string> all = numbered(0, 70'000);
  ASSERT_TRUE(log->append(all));
  EXPECT_EQ(log->root(), mth(all));
  EXPECT_TRUE(verify_log(folder).ok) << verify_log(folder).problem;
  ASSERT_TRUE(log->append(numbered(70'000, 70'001)));
  EXPECT_TRUE(verify_log(folder).ok) << verify_log(folder).problem;
}

TEST(Log, goes_on_after_a_journal_that_was_settled_at_a_bundle_boundary) {
  Folder folder;
  ASSERT_TRUE(open_log(folder)->append(numbered(0, 16'384)));
  auto log = open_log(folder);
  ASSERT_TRUE(log) << log.error().message;
  EXPECT_EQ(log->size(), 16'384u);
  ASSERT_TRUE(log->append(numbered(16'384, 16'385)));
  EXPECT_TRUE(verify_log(folder).ok) << verify_log(folder).problem;
}

TEST(Log, goes_on_where_it_was_after_reopening) {
  Folder folder;
  std::vector<std::string> all = numbered(0, 530);
  for (size_t n = 0; n < all.size(); ++n) {
    auto log = open_log(folder);
    ASSERT_TRUE(log) << n << ": " << log.error().message;
    ASSERT_EQ(log->size(), n);
    ASSERT_TRUE(log->append(numbered(n, n + 1)));
  }
  EXPECT_TRUE(verify_log(folder).ok);
  EXPECT_EQ(open_log(folder)->root(), mth(all));
}

TEST(Log, leaves_only_the_layout_of_tlog_tiles) {
  Folder folder;
  auto log = open_log(folder);
  ASSERT_TRUE(log->append(numbered(0, 300)));
  ASSERT_TRUE(log->append(numbered(300, 301)));
  std::set<std::string> files;
  for (const auto& e : fs::recursive_directory_iterator(folder.path))
    if (e.is_regular_file()) files.insert(fs::relative(e.path(), folder.path));
  EXPECT_EQ(files, (std::set<std::string>{"checkpoint", "journal", "lock", "tile/0/000", "tile/0/001.p/45",
                                          "tile/1/000.p/1", "tile/entries/000", "tile/entries/001.p/45"}));
}

TEST(Log, refuses_a_line_that_would_be_two_and_goes_on) {
  Folder folder;
  auto log = open_log(folder);
  EXPECT_EQ(log->append(std::vector<std::string>{"a\nb"}).error().code, "audit.line");
  EXPECT_EQ(log->append(std::vector<std::string>{std::string(65'536, 'x')}).error().code, "audit.line");
  EXPECT_EQ(log->append(std::vector<std::string>(300, std::string(65'000, 'x'))).error().code, "audit.line");
  EXPECT_EQ(log->size(), 0u);
  EXPECT_TRUE(log->append(std::vector<std::string>{std::string(65'535, 'x'), ""}));
  EXPECT_TRUE(verify_log(folder).ok);
}

TEST(Log, has_one_writer) {
  Folder folder;
  {
    auto log = open_log(folder);
    EXPECT_EQ(open_log(folder).error().code, "audit.locked");
  }
  EXPECT_TRUE(open_log(folder));
}

TEST(Log, another_key_or_name_does_not_open_it) {
  Folder folder;
  ASSERT_TRUE(open_log(folder)->append(numbered(0, 3)));
  EXPECT_EQ(Log::open(folder.path, std::string(kOrigin), SigningKey::generate()).error().code,
            "audit.signature");
  EXPECT_EQ(Log::open(folder.path, "other.example/log", test_key()).error().code, "audit.origin");
  EXPECT_EQ(Log::open(folder.path, "two words", test_key()).error().code, "audit.origin");
  EXPECT_TRUE(open_log(folder));
}

TEST(Log, a_restored_or_shortened_log_is_refused) {
  Folder folder, old;
  ASSERT_TRUE(open_log(folder)->append(numbered(0, 300)));
  fs::copy(folder.path, old.path, fs::copy_options::recursive | fs::copy_options::overwrite_existing);
  ASSERT_TRUE(open_log(folder)->append(numbered(300, 20'000)));  // the journal is settled meanwhile

  Folder journal_restored(folder);
  fs::copy_file(old.path + "/journal", journal_restored.path + "/journal",
                fs::copy_options::overwrite_existing);
  EXPECT_EQ(open_log(journal_restored).error().code, "audit.truncated");

  Folder journal_cut(folder);
  fs::resize_file(journal_cut.path + "/journal", fs::file_size(journal_cut.path + "/journal") - 1);
  EXPECT_NE(open_log(journal_cut).error().code, "");
  EXPECT_FALSE(open_log(journal_cut));

  Folder checkpoint_restored(folder);
  fs::copy_file(old.path + "/checkpoint", checkpoint_restored.path + "/checkpoint",
                fs::copy_options::overwrite_existing);
  EXPECT_EQ(open_log(checkpoint_restored).error().code, "audit.rollback");

  Folder journal_lost(folder);
  fs::remove(journal_lost.path + "/journal");
  EXPECT_EQ(open_log(journal_lost).error().code, "audit.damaged");

  Folder tiles_lost(folder);
  fs::remove_all(tiles_lost.path + "/tile");
  EXPECT_EQ(open_log(tiles_lost).error().code, "audit.truncated");

  EXPECT_TRUE(open_log(folder)) << "the benign twin";
}

TEST(Log, an_empty_or_missing_checkpoint_is_written_again) {
  Folder folder;
  ASSERT_TRUE(open_log(folder)->append(numbered(0, 5)));
  fs::resize_file(folder.path + "/checkpoint", 0);
  ASSERT_TRUE(open_log(folder));
  EXPECT_TRUE(verify_log(folder).ok);
  fs::remove(folder.path + "/checkpoint");
  ASSERT_TRUE(open_log(folder));
  EXPECT_EQ(verify_log(folder).entries, 5u);
}

TEST(Log, nobody_without_the_key_adds_to_the_journal_while_the_daemon_is_down) {
  Folder folder, other;
  ASSERT_TRUE(open_log(folder)->append(numbered(0, 2)));
  // A frame that is well formed and follows the others, signed by another key.
  {
    auto forged = Log::open(other.path, std::string(kOrigin), SigningKey::generate());
    ASSERT_TRUE(forged->append(numbered(0, 2)));
    ASSERT_TRUE(forged->append(numbered(2, 3)));
  }
  fs::copy_file(other.path + "/journal", folder.path + "/journal", fs::copy_options::overwrite_existing);
  EXPECT_EQ(open_log(folder).error().code, "audit.signature");
}

TEST(Log, a_journal_that_is_deleted_under_the_daemon_takes_nothing_more) {
  Folder folder;
  Log log = *open_log(folder);
  ASSERT_TRUE(log.append(numbered(0, 3)));
  ASSERT_TRUE(log.append(numbered(3, 5)));
  std::filesystem::remove(folder.path + "/journal");
  EXPECT_EQ(log.append(numbered(5, 6)).error().code, "audit.damaged");
  EXPECT_EQ(log.append(numbered(5, 6)).error().code, "audit.failed");
  EXPECT_EQ(log.size(), 5u);
}

TEST(Log, what_is_recorded_is_durable_before_it_is_published_and_readers_see_it_after) {
  Folder folder;
  {
    auto log = open_log(folder);
    ASSERT_TRUE(log->append(numbered(0, 2)));
    ASSERT_TRUE(log->record(numbered(2, 300)));
    ASSERT_TRUE(log->record(numbered(300, 600)));
    EXPECT_EQ(log->size(), 600u);
    EXPECT_EQ(log->published(), 2u);
    EXPECT_EQ(*checkpoint_size(folder.path), 2u);
    Folder killed(folder);
    auto recovered = open_log(killed);
    ASSERT_TRUE(recovered) << recovered.error().message;
    EXPECT_EQ(*read_entries(killed.path, 0, 1000), numbered(0, 600))
        << "the writer was killed before it published";
    ASSERT_TRUE(log->publish());
  }
  EXPECT_EQ(*read_entries(folder.path, 0, 1000), numbered(0, 600));
  EXPECT_TRUE(verify_log(folder).ok) << verify_log(folder).problem;
}

TEST(Log, a_flood_that_is_never_published_by_its_caller_does_not_outgrow_the_journal) {
  Folder folder;
  auto log = open_log(folder);
  const std::vector<std::string> batch(200, std::string(60'000, 'x'));
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(log->record(batch));
  EXPECT_GT(log->published(), 0u);
  EXPECT_LT(fs::file_size(folder.path + "/journal"), 64u << 20);
  log = Error::make("test", "closed");
  EXPECT_EQ(open_log(folder)->size(), 800u);
}

TEST(Log, a_reader_during_appends_always_sees_a_whole_log) {
  Folder folder;
  auto log = open_log(folder);
  for (uint64_t n = 0; n < 300; ++n) {
    ASSERT_TRUE(log->append(numbered(n, n + 1)));
    auto entries = read_entries(folder.path, n, 10);
    ASSERT_TRUE(entries);
    ASSERT_EQ(*entries, numbered(n, n + 1));
  }
}

TEST(Checkpoint, is_read_as_written) {
  SigningKey key = test_key();
  Checkpoint cp{std::string(kOrigin), 42, sha256("x"), sha256("y")};
  std::string note = checkpoint_note(cp, key.public_key(), key.sign(checkpoint_body(cp)));
  auto back = open_checkpoint(note, kOrigin, key.public_key());
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(*back, cp);
  EXPECT_EQ(open_checkpoint(note, "other", key.public_key()).error().code, "audit.origin");
  EXPECT_EQ(open_checkpoint(note, kOrigin, SigningKey::generate().public_key()).error().code,
            "audit.signature");
}

// From the example of c2sp.org/signed-note.
TEST(Checkpoint, allows_other_signatures) {
  SigningKey key = test_key();
  Checkpoint cp{std::string(kOrigin), 1, sha256("x"), {}};
  std::string note = checkpoint_note(cp, key.public_key(), key.sign(checkpoint_body(cp)));
  EXPECT_TRUE(open_checkpoint(note + "\xe2\x80\x94 witness.example AAAAAAAA\n", kOrigin, key.public_key()));
  EXPECT_FALSE(open_checkpoint(note + "witness.example AAAAAAAA\n", kOrigin, key.public_key()));
}

}  // namespace
}  // namespace saw::audit
