#include "audit/proof.h"

#include <filesystem>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "audit/event.h"
#include "audit/index.h"
#include "audit/log_fixture_test.h"
#include "base/bytes.h"
#include "base/file.h"

namespace saw::audit {
namespace {

using nlohmann::json;

const LogSigner& signer() {
  static const LogSigner kSigner{std::string(kOrigin), test_key().public_key()};
  return kSigner;
}

std::string request(size_t number) {
  HttpActivity e;
  e.who.session = "ss-" + std::to_string(number % 5), e.who.call = "c-" + std::to_string(number);
  e.method = "GET", e.scheme = "https", e.host = "h" + std::to_string(number % 3) + ".example",
  e.target = "/";
  return http_activity(e);
}

struct LogOf : Folder {
  explicit LogOf(size_t size) : log(std::move(*open_log(*this))) { grow(size); }
  void grow(size_t size) {
    while (log.size() < size) {
      std::vector<std::string> lines;
      for (size_t i = log.size(); i < size && lines.size() < 5000; ++i) lines.push_back(request(i));
      ASSERT_TRUE(log.append(lines));
    }
  }
  std::string checkpoint() const { return *read_file(path + "/checkpoint"); }
  Log log;
};

// What tools/verify_proof.py says: it shares no code with what made the proof.
bool python_accepts(const std::string& proof) {
  const Folder folder;
  const std::string file = folder.path + "/proof.json";
  EXPECT_TRUE(replace_file(file, proof, 0600, Durability::none));
  return std::system(("python3 " SAW_SOURCE_DIR "/tools/verify_proof.py " + file + " --key " +
                      to_hex(test_key().public_key()) + " --origin " + std::string(kOrigin) +
                      " >/dev/null 2>&1")
                         .c_str()) == 0;
}

class Proof : public testing::Test {
 protected:
  void SetUp() override {
    if (std::system("python3 -c '' 2>/dev/null") != 0) GTEST_SKIP() << "no python3";
  }
};

// Every way of changing one member that the proof stands on.
void expect_no_forgery(const std::string& proof, const std::vector<std::string>& pointers) {
  for (const std::string& pointer : pointers) {
    json forged = json::parse(proof);
    json& member = forged.at(json::json_pointer(pointer));
    if (member.is_number()) {
      member = member.get<uint64_t>() + 1;
    } else if (member.is_array()) {
      member.erase(member.begin());
    } else {
      std::string text = member.get<std::string>();
      text[text.size() / 2] = text[text.size() / 2] == 'A' ? 'B' : 'A';
      member = text;
    }
    EXPECT_FALSE(python_accepts(forged.dump())) << pointer;
  }
}

TEST_F(Proof, of_inclusion_holds_for_entries_of_logs_of_many_sizes) {
  const Folder folder;
  Log log = *open_log(folder);
  for (size_t size : {1, 2, 3, 256, 257, 66'000}) {
    ASSERT_TRUE(log.append(numbered(log.size(), size)));
    for (size_t entry : {size / 2, size - 1}) {
      auto proof = prove_inclusion(folder.path, signer(), entry);
      ASSERT_TRUE(proof) << size << " " << entry << ": " << proof.error().message;
      EXPECT_TRUE(python_accepts(*proof)) << size << " " << entry;
    }
  }
  EXPECT_EQ(prove_inclusion(folder.path, signer(), 66'000).error().code, "audit.no_entry");
}

TEST_F(Proof, of_inclusion_cannot_be_bent) {
  const LogOf log(700);
  expect_no_forgery(*prove_inclusion(log.path, signer(), 300),
                    {"/entry", "/leaf", "/path", "/path/0", "/path/5", "/checkpoint", "/kind"});
}

TEST_F(Proof, is_not_issued_about_an_entry_that_was_changed) {
  const LogOf log(700);
  std::string bundle = *read_file(log.path + "/tile/entries/001");
  bundle[bundle.find("c-300") + 2] = '9';
  ASSERT_TRUE(replace_file(log.path + "/tile/entries/001", bundle, 0600, Durability::none));
  EXPECT_EQ(prove_inclusion(log.path, signer(), 300).error().code, "audit.damaged");
  EXPECT_TRUE(prove_inclusion(log.path, signer(), 10));
}

TEST_F(Proof, of_consistency_holds_between_any_two_checkpoints_of_one_log) {
  LogOf log(0);
  std::vector<std::string> notes;
  for (size_t size : {1, 2, 3, 7, 8, 256, 300, 512, 1000}) {
    log.grow(size);
    notes.push_back(log.checkpoint());
    for (const std::string& earlier : notes) {
      auto proof = prove_consistency(log.path, signer(), earlier);
      ASSERT_TRUE(proof) << size << ": " << proof.error().message;
      EXPECT_TRUE(python_accepts(*proof)) << size << "\n" << *proof;
    }
  }
  expect_no_forgery(*prove_consistency(log.path, signer(), notes[6]),
                    {"/earlier", "/path", "/path/1", "/checkpoint"});
}

TEST_F(Proof, of_consistency_is_refused_when_an_older_copy_was_put_back_or_the_log_was_rewritten) {
  LogOf log(300);
  const LogOf other(0);
  const std::string earlier = log.checkpoint();
  {
    const Folder old(log);
    log.grow(400);
    const std::string later = log.checkpoint();
    EXPECT_EQ(prove_consistency(old.path, signer(), later).error().code, "audit.forked") << "restored";
    EXPECT_TRUE(prove_consistency(log.path, signer(), earlier)) << "the benign twin";
  }
  Folder rewritten;
  auto forged = open_log(rewritten);
  ASSERT_TRUE(forged->append(numbered(0, 400)));
  EXPECT_EQ(prove_consistency(rewritten.path, signer(), earlier).error().code, "audit.forked");
}

TEST_F(Proof, of_absence_holds_for_what_never_happened_and_is_refused_for_what_did) {
  LogOf log(0);
  for (size_t size : {1, 300, 4096, 4097, 9000}) {
    log.grow(size);
    auto absent = prove_absence(log.path, signer(), {"session", "ss-0", "evil.example"});
    ASSERT_TRUE(absent) << absent.error().message;
    EXPECT_TRUE(python_accepts(*absent)) << size;
    EXPECT_EQ(prove_absence(log.path, signer(), {"session", "ss-0", "h0.example"}).error().code,
              "audit.present");
  }
  // Call 8999 went to h2 only; this happened in the last, unfinished segment.
  EXPECT_EQ(prove_absence(log.path, signer(), {"call", "c-8999", "h2.example"}).error().code,
            "audit.present");
  EXPECT_TRUE(python_accepts(*prove_absence(log.path, signer(), {"call", "c-8999", "h1.example"})));
}

TEST_F(Proof, of_absence_cannot_be_bent) {
  const LogOf log(5000);
  const std::string proof = *prove_absence(log.path, signer(), {"session", "ss-0", "evil.example"});
  expect_no_forgery(
      proof, {"/segments", "/segments/0/keys", "/segments/0/at", "/segments/1/left", "/segments/1/right",
              "/segments/0/left_path", "/segments/1/right_path/0", "/checkpoint", "/scope"});
  json other = json::parse(proof);
  other["destination"] = "h0.example";
  EXPECT_FALSE(python_accepts(other.dump())) << "an absence of something else";
}

TEST_F(Proof, of_absence_is_not_issued_when_the_entry_that_contradicts_was_edited_away) {
  const LogOf log(300);
  std::string bundle = *read_file(log.path + "/tile/entries/000");
  for (size_t at = bundle.find("h1.example"); at != bundle.npos; at = bundle.find("h1.example", at))
    bundle[at + 1] = '2';
  ASSERT_TRUE(replace_file(log.path + "/tile/entries/000", bundle, 0600, Durability::none));
  EXPECT_EQ(prove_absence(log.path, signer(), {"call", "c-1", "h1.example"}).error().code, "audit.damaged");
}

TEST(IndexFile, that_was_lost_or_changed_is_made_again_from_the_entries) {
  LogOf log(20'000);
  for (std::string_view bytes :
       {"", "short", "................................................................"}) {
    const Folder copy(log);
    if (bytes.empty())
      std::filesystem::remove(copy.path + "/index");
    else
      ASSERT_TRUE(replace_file(copy.path + "/index", bytes, 0600, Durability::none));
    auto again = open_log(copy);
    ASSERT_TRUE(again) << again.error().message;
    ASSERT_TRUE(again->append(numbered(20'000, 20'001)));
    EXPECT_TRUE(verify_log(copy).ok) << verify_log(copy).problem;
  }
}

}  // namespace
}  // namespace saw::audit
