#include "egress/registry_answer.h"

#include <map>

#include <gtest/gtest.h>

#include "egress/exchange.h"

namespace saw::egress {
namespace {

using Learned = std::map<std::string, Nanos, std::less<>>;

std::string filtered(std::string_view body, Learned* learned = nullptr) {
  const Nanos before = *parse_rfc3339("2024-01-01T00:00:00Z");
  auto out =
      filter_versions(body, {.before = before, .learn = [learned](std::string_view url, Nanos published) {
                               if (learned != nullptr) (*learned)[std::string(url)] = published;
                             }});
  return out ? *out : out.error().code;
}

TEST(VersionLists, a_version_without_a_time_or_with_a_bad_one_goes) {
  Learned learned;
  EXPECT_EQ(
      filtered(
          R"({"versions":{"1":{"dist":{"tarball":"u1"}},"2":{},"3":"x"},"time":{"1":"2023-01-01T00:00:00Z","2":"soon","3":5}})",
          &learned),
      R"({"versions":{"1":{"dist":{"tarball":"u1"}}},"time":{"1":"2023-01-01T00:00:00Z"}})");
  EXPECT_EQ(learned.size(), 1u);
}

TEST(VersionLists, the_boundary_is_exact_and_young_ones_are_learned_too) {
  Learned learned;
  const std::string out = filtered(
      R"({"versions":{"1":{"dist":{"tarball":"u1"}},"2":{"dist":{"tarball":"u2"}}},"time":{"1":"2024-01-01T00:00:00Z","2":"2024-01-01T00:00:01Z"},"dist-tags":{"latest":"2","next":"1","odd":7}})",
      &learned);
  EXPECT_EQ(
      out,
      R"({"versions":{"1":{"dist":{"tarball":"u1"}}},"time":{"1":"2024-01-01T00:00:00Z"},"dist-tags":{"next":"1"}})");
  EXPECT_EQ(learned.size(), 2u);
}

TEST(VersionLists, a_member_said_twice_means_one_thing_to_everybody) {
  EXPECT_EQ(
      filtered(
          R"({"versions":{"1":{}},"time":{"1":"2099-01-01T00:00:00Z"},"time":{"1":"2023-01-01T00:00:00Z"}})"),
      R"({"versions":{"1":{}},"time":{"1":"2023-01-01T00:00:00Z"}})");
  EXPECT_EQ(
      filtered(R"({"versions":{"1":{}},"time":{"1":"2023-01-01T00:00:00Z","1":"2099-01-01T00:00:00Z"}})"),
      R"({"versions":{},"time":{}})");
}

TEST(VersionLists, pypis_legacy_form_loses_files_and_releases) {
  EXPECT_EQ(
      filtered(
          R"({"info":{},"releases":{"1":[{"url":"a","upload_time_iso_8601":"2023-01-01T00:00:00Z"}],"2":[{"url":"b","upload_time_iso_8601":"2025-01-01T00:00:00Z"}],"3":[]},"urls":[{"url":"b","upload_time_iso_8601":"2025-01-01T00:00:00Z"}]})"),
      R"({"info":{},"releases":{"1":[{"url":"a","upload_time_iso_8601":"2023-01-01T00:00:00Z"}]},"urls":[]})");
}

TEST(VersionLists, what_cannot_be_read_is_refused_and_what_lists_nothing_passes) {
  for (std::string_view bad : {"", "[]", "{", "{}x", R"({"versions":{}})", R"({"files":{}})",
                               R"({"versions":[]})", R"({"releases":[]})"})
    EXPECT_EQ(filtered(bad), "upstream.unreadable_answer") << bad;
  EXPECT_EQ(filtered(R"({"objects":[],"total":0})"), R"({"objects":[],"total":0})");
  std::string deep = R"({"a":)";
  for (int i = 0; i < 5000; ++i) deep += "[";
  EXPECT_EQ(filtered(deep), "upstream.unreadable_answer");
  for (int i = 0; i < 5000; ++i) deep += "]";
  EXPECT_EQ(filtered(deep + "}"), "upstream.unreadable_answer");
}

TEST(VersionAges, the_oldest_knowledge_goes_first) {
  VersionAges ages;
  for (size_t i = 0; i <= VersionAges::kMaxVersions; ++i) ages.learn(std::to_string(i), 1);
  EXPECT_EQ(ages.size(), VersionAges::kMaxVersions);
  EXPECT_FALSE(ages.find("0"));
  EXPECT_TRUE(ages.find("1"));
}

TEST(PlainScope, only_the_slash_of_a_scope_is_put_plainly) {
  EXPECT_EQ(plain_scope("/@acme%2fui"), "/@acme/ui");
  EXPECT_EQ(plain_scope("/npm/@acme%2Fui?x=%2f"), "/npm/@acme/ui?x=%2f");
  EXPECT_EQ(plain_scope("/@a%2fb/-/b-1.tgz"), "/@a/b/-/b-1.tgz");
  for (std::string same :
       {"/@acme/ui%2f..", "/acme%2fui", "/@%2fui", "/@acme%2f", "/a?b=/@x%2fy", "/@acme/%2f"})
    EXPECT_EQ(plain_scope(same), same);
}

}  // namespace
}  // namespace saw::egress
