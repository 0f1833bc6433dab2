#include "audit/index.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "audit/event.h"

namespace saw::audit {
namespace {

std::string request(const std::string& session, const std::string& call, const std::string& host) {
  HttpActivity e;
  e.who.session = session, e.who.call = call;
  e.method = "GET", e.scheme = "https", e.host = host, e.target = "/", e.port = 443;
  return http_activity(e);
}

bool names(const std::string& entry, std::string_view scope, std::string_view id, std::string_view host) {
  const std::vector<Digest> keys = entry_keys(entry);
  return std::ranges::find(keys, index_key(scope, id, host)) != keys.end();
}

TEST(EntryKeys, join_session_and_call_of_a_real_event_with_its_destination) {
  const std::string entry = request("ss-1", "c-1", "api.example");
  EXPECT_TRUE(names(entry, "session", "ss-1", "api.example"));
  EXPECT_TRUE(names(entry, "call", "c-1", "api.example"));
  EXPECT_FALSE(names(entry, "session", "ss-2", "api.example"));
  EXPECT_FALSE(names(entry, "session", "ss-1", "example"));
}

TEST(EntryKeys, know_a_name_that_was_asked_for_and_an_address_that_was_dialled) {
  DnsActivity dns;
  dns.who.session = "ss-1";
  dns.name = "tunnel.evil.example", dns.type = "TXT";
  EXPECT_TRUE(names(dns_activity(dns), "session", "ss-1", "tunnel.evil.example"));
  NetworkActivity net;
  net.who.call = "c-1";
  net.address = "203.0.113.7", net.port = 22;
  EXPECT_TRUE(names(network_activity(net), "call", "c-1", "203.0.113.7"));
}

TEST(EntryKeys, are_not_made_by_text_that_looks_like_a_member) {
  const std::string entry = request("ss-1", "c-1", R"(a","session":"ss-9)");
  EXPECT_FALSE(names(entry, "session", "ss-9", "a"));
  EXPECT_EQ(entry_keys(entry).size(), 2u);
}

TEST(EntryKeys, are_bounded_on_any_bytes) {
  std::string many;
  for (int i = 0; i < 500; ++i)
    many += "\"session\":\"" + std::to_string(i) + "\",\"ip\":\"" + std::to_string(i) + "\",";
  EXPECT_EQ(entry_keys(many).size(), kMaxKeysPerEntry);
  for (const char* bytes :
       {"", "\"session\":\"", "\"ip\":\"a\\", "\"ip\":\"\"", "\"session\":\"a\"\"ip\":\""})
    EXPECT_TRUE(entry_keys(bytes).empty()) << bytes;
}

TEST(Segment, shows_a_gap_for_what_is_absent_and_none_for_what_is_there) {
  IndexSegment segment;
  for (int i = 0; i < 100; ++i) segment.add(request("ss-" + std::to_string(i), "", "api.example"));
  EXPECT_FALSE(segment.gap(index_key("session", "ss-7", "api.example")));
  for (int i = 0; i < 100; ++i) {
    const Digest key = index_key("session", "ss-7", "h" + std::to_string(i));
    const auto gap = segment.gap(key);
    ASSERT_TRUE(gap);
    EXPECT_EQ(gap->keys, 102u);
    EXPECT_LT(gap->left, key);
    EXPECT_LT(key, gap->right);
  }
}

TEST(Index, goes_on_from_its_finished_segments_with_the_same_root) {
  LogIndex index;
  std::vector<std::string> entries;
  for (size_t i = 0; i < 2 * kSegmentEntries + 100; ++i)
    entries.push_back(request("ss-" + std::to_string(i % 50), "", "h" + std::to_string(i % 70) + ".example"));
  for (const std::string& entry : entries) index.add(entry);
  ASSERT_EQ(index.sealed().size(), 2u);
  LogIndex again = LogIndex::restore(index.sealed());
  EXPECT_EQ(again.size(), 2 * kSegmentEntries);
  EXPECT_NE(again.root(), index.root());
  for (uint64_t i = again.size(); i < entries.size(); ++i) again.add(entries[i]);
  EXPECT_EQ(again.root(), index.root());
}

}  // namespace
}  // namespace saw::audit
