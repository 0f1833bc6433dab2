// Tampering with a log on disk: every change is reported, at the right entry.
#include <algorithm>
#include <cstdlib>

#include <gtest/gtest.h>

#include "audit/checkpoint.h"
#include "audit/log.h"
#include "audit/log_fixture_test.h"
#include "audit/tile.h"
#include "audit/tree.h"
#include "base/bytes.h"
#include "base/file.h"

namespace saw::audit {
namespace {

namespace fs = std::filesystem;

// A log of `size` entries, appended five at a time.
struct Recorded : Folder {
  explicit Recorded(size_t size) {
    auto log = open_log(*this);
    for (size_t n = 0; n < size; n += 5) EXPECT_TRUE(log->append(numbered(n, std::min(n + 5, size))));
  }
  std::string read(const std::string& name) const { return *read_file(path + "/" + name); }
  void write(const std::string& name, const std::string& content) const {
    ASSERT_TRUE(replace_file(path + "/" + name, content, 0600, Durability::none));
  }
  std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& e : fs::recursive_directory_iterator(path))
      if (e.is_regular_file() && e.file_size() > 0) names.push_back(fs::relative(e.path(), path));
    return names;
  }
};

std::vector<std::string> entries_of(const std::string& bundle) {
  std::vector<std::string> out;
  BundleReader reader(bundle);
  while (auto e = reader.next()) out.emplace_back(*e);
  return out;
}
std::string bundle_of(const std::vector<std::string>& entries) {
  std::string out;
  for (const std::string& e : entries) append_entry(out, e);
  return out;
}
std::string hashes_of(const std::vector<std::string>& entries) {
  std::string out;
  for (const std::string& e : entries) out += view(leaf_hash(e));
  return out;
}
// The entry to which byte `offset` of a bundle belongs.
uint64_t entry_at(const std::string& bundle, size_t offset) {
  uint64_t index = 0;
  size_t end = 0;
  for (const std::string& e : entries_of(bundle)) {
    end += 2 + e.size();
    if (offset < end) break;
    ++index;
  }
  return index;
}

void expect_every_flip_reported(const Recorded& log, unsigned char bits, size_t stride) {
  ASSERT_TRUE(verify_log(log).ok) << verify_log(log).problem;
  for (const std::string& name : log.files()) {
    const std::string was = log.read(name);
    for (size_t i = 0; i < was.size(); i += stride) {
      std::string flipped = was;
      flipped[i] = static_cast<char>(flipped[i] ^ bits);
      log.write(name, flipped);
      VerifyReport report = verify_log(log);
      ASSERT_FALSE(report.ok) << name << " byte " << i;
      ASSERT_FALSE(report.problem.empty());
      if (name.starts_with("tile/entries/")) {
        const uint64_t first = name.starts_with("tile/entries/000") ? 0 : kTileWidth;
        ASSERT_EQ(report.first_bad_entry, first + entry_at(was, i))
            << name << " byte " << i << ": " << report.problem;
      } else {
        ASSERT_FALSE(report.first_bad_entry) << name << " byte " << i << ": " << report.problem;
      }
    }
    log.write(name, was);
  }
  ASSERT_TRUE(verify_log(log).ok) << verify_log(log).problem;
}

TEST(Verify, reports_a_flip_of_any_byte_of_a_small_log) {
  Recorded log(7);
  for (unsigned char bits : {0x01, 0x20, 0x80, 0xff}) expect_every_flip_reported(log, bits, 1);
}

TEST(Verify, reports_a_flip_of_any_byte_of_a_log_with_full_tiles) {
  expect_every_flip_reported(Recorded(262), 0x04, 7);
}

struct Tampering {
  const char* what;
  void (*change)(std::vector<std::string>& entries);
  uint64_t first_bad;
};
constexpr Tampering kTamperings[] = {
    {"edit", [](auto& e) { e[3] = "{\"entry\":33}"; }, 3},
    {"delete", [](auto& e) { e.erase(e.begin() + 3); }, 3},
    {"delete the last", [](auto& e) { e.pop_back(); }, 6},
    {"insert", [](auto& e) { e.insert(e.begin() + 3, "{}"); }, 3},
    {"insert at the end", [](auto& e) { e.push_back("{}"); }, 7},
    {"reorder", [](auto& e) { std::swap(e[2], e[5]); }, 2},
    {"replace by an earlier", [](auto& e) { e[4] = e[1]; }, 4},
    {"truncate", [](auto& e) { e.resize(2); }, 2},
    {"empty", [](auto& e) { e.clear(); }, 0},
};

TEST(Verify, names_the_first_bad_entry) {
  for (const Tampering& t : kTamperings) {
    Recorded log(7);
    auto entries = entries_of(log.read("tile/entries/000.p/7"));
    t.change(entries);
    log.write("tile/entries/000.p/7", bundle_of(entries));
    VerifyReport report = verify_log(log);
    EXPECT_FALSE(report.ok) << t.what;
    EXPECT_EQ(report.first_bad_entry, t.first_bad) << t.what << ": " << report.problem;
  }
}

TEST(Verify, names_it_too_when_the_hashes_were_rewritten) {
  for (const Tampering& t : kTamperings) {
    Recorded log(7);
    auto entries = entries_of(log.read("tile/entries/000.p/7"));
    t.change(entries);
    log.write("tile/entries/000.p/7", bundle_of(entries));
    log.write("tile/0/000.p/7", hashes_of(entries));
    VerifyReport report = verify_log(log);
    EXPECT_FALSE(report.ok) << t.what;
    EXPECT_EQ(report.first_bad_entry, t.first_bad) << t.what << ": " << report.problem;
  }
}

TEST(Verify, narrows_a_consistent_rewrite_down_as_far_as_the_tiles_tell) {
  Recorded log(600);
  auto entries = entries_of(log.read("tile/entries/001"));
  entries[9] = "{}";
  log.write("tile/entries/001", bundle_of(entries));
  EXPECT_EQ(verify_log(log).first_bad_entry, 265u);
  log.write("tile/0/001", hashes_of(entries));
  EXPECT_EQ(verify_log(log).first_bad_entry, 265u) << "the journal remembers it";
  fs::remove(log.path + "/journal");
  VerifyReport report = verify_log(log);
  EXPECT_EQ(report.first_bad_entry, 256u) << report.problem;
  EXPECT_EQ(report.problem, "an entry between 256 and 511 is not what was signed");
}

TEST(Verify, a_missing_bundle_names_its_first_entry) {
  Recorded log(600);
  fs::remove(log.path + "/tile/entries/001");
  EXPECT_EQ(verify_log(log).first_bad_entry, 256u);
}

TEST(Verify, a_missing_hash_tile_is_reported_though_the_entries_are_good) {
  Recorded log(600);
  fs::remove(log.path + "/tile/0/001");
  VerifyReport report = verify_log(log);
  EXPECT_FALSE(report.ok);
  EXPECT_FALSE(report.first_bad_entry);
  EXPECT_EQ(report.problem, "the hash tile 'tile/0/001' is missing");
}

TEST(Verify, a_forged_checkpoint_is_not_believed) {
  Recorded log(7);
  SigningKey other = SigningKey::generate();
  auto entries = numbered(0, 6);
  Tree tree;
  std::vector<HashTile> none;
  for (const auto& e : entries) tree.add(leaf_hash(e), none);
  Checkpoint forged{std::string(kOrigin), 6, tree.root()};
  log.write("checkpoint",
            checkpoint_note(forged, test_key().public_key(), other.sign(checkpoint_body(forged))));
  EXPECT_EQ(verify_log(log).problem, "the checkpoint is not signed by this log's key");
  log.write("checkpoint", checkpoint_note(forged, other.public_key(), other.sign(checkpoint_body(forged))));
  EXPECT_EQ(verify_log(log).problem, "the checkpoint is not signed by this log's key");
}

TEST(Verify, another_key_or_name_does_not_verify) {
  Recorded log(7);
  EXPECT_FALSE(verify(log.path, kOrigin, SigningKey::generate().public_key(), JournalNeed::optional).ok);
  EXPECT_FALSE(verify(log.path, "other.example/log", test_key().public_key(), JournalNeed::optional).ok);
  EXPECT_FALSE(verify(log.path, kOrigin, "", JournalNeed::optional).ok);
  EXPECT_TRUE(verify(log.path, kOrigin, test_key().public_key(), JournalNeed::optional).ok);
}

TEST(Verify, an_old_checkpoint_with_its_old_tiles_is_betrayed_by_the_journal) {
  Recorded log(7);
  Folder old(log);
  ASSERT_TRUE(open_log(log)->append(numbered(7, 8)));
  fs::copy_file(old.path + "/checkpoint", log.path + "/checkpoint", fs::copy_options::overwrite_existing);
  fs::copy(old.path + "/tile", log.path + "/tile",
           fs::copy_options::recursive | fs::copy_options::overwrite_existing);
  VerifyReport report = verify_log(log);
  EXPECT_FALSE(report.ok);
  EXPECT_NE(report.problem.find("the checkpoint says 7 entries, the journal 8"), std::string::npos)
      << report.problem;
}

TEST(Verify, a_copy_without_the_journal_is_good) {
  Recorded log(300);
  fs::remove(log.path + "/journal");
  fs::remove(log.path + "/lock");
  EXPECT_TRUE(verify_log(log).ok) << verify_log(log).problem;
}

TEST(Verify, the_journal_may_not_be_missing_where_a_writer_works) {
  Recorded log(300);
  const auto required = [&] {
    return verify(log.path, kOrigin, test_key().public_key(), JournalNeed::required);
  };
  EXPECT_TRUE(required().ok) << required().problem;
  fs::remove(log.path + "/journal");
  EXPECT_FALSE(verify_log(log).ok) << "there is a writer's lock";
  fs::remove(log.path + "/lock");
  EXPECT_FALSE(required().ok);
  EXPECT_NE(required().problem.find("journal is missing"), std::string::npos);
}

TEST(Verify, nothing_there_is_not_ok) {
  Folder folder;
  EXPECT_FALSE(verify_log(folder).ok);
  EXPECT_FALSE(verify_log(folder).problem.empty());
}

// The independent verifier in another language, by the files alone.
TEST(Verify, agrees_with_the_verifier_in_python) {
  if (std::system("python3 -c '' 2>/dev/null") != 0) GTEST_SKIP() << "no python3";
  for (size_t size : {0, 1, 7, 256, 300}) {
    Recorded log(size);
    auto python = [&](const std::string& more) {
      return std::system(("python3 " SAW_SOURCE_DIR "/tools/verify_inclusion.py " + log.path + " --key " +
                          to_hex(test_key().public_key()) + " --origin " + std::string(kOrigin) + more +
                          " >/dev/null 2>&1")
                             .c_str());
    };
    EXPECT_EQ(python(""), 0) << size;
    if (size == 0) continue;
    EXPECT_EQ(python(" --entry " + std::to_string(size / 2)), 0) << size;
    const std::string note = log.read("checkpoint");
    log.write("checkpoint", [&] {
      std::string s = note;
      return s[s.size() - 10] ^= 1, s;
    }());
    EXPECT_NE(python(""), 0) << size;
    log.write("checkpoint", note);
    const std::string bundle = size < 256 ? "tile/entries/000.p/" + std::to_string(size) : "tile/entries/000";
    log.write(bundle, [&] {
      std::string s = log.read(bundle);
      return s[s.size() / 2] ^= 1, s;
    }());
    EXPECT_NE(python(""), 0) << size;
  }
}

TEST(ReadEntries, names_the_entry_that_is_not_there) {
  Recorded log(600);
  fs::remove(log.path + "/tile/entries/001");
  auto gone = read_entries(log.path, 300, 5);
  ASSERT_FALSE(gone);
  EXPECT_NE(gone.error().message.find("entry 300"), std::string::npos) << gone.error().message;
  EXPECT_TRUE(read_entries(log.path, 0, 256));
  EXPECT_TRUE(read_entries(log.path, 512, 100));
}

}  // namespace
}  // namespace saw::audit
