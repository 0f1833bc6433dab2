#include "cli/audit_filter.h"

#include <gtest/gtest.h>

#include "audit/event.h"

namespace saw::cli {
namespace {

constexpr Nanos kThen = 1'764'000'000 * kSecond;

std::string denied_request() {
  audit::HttpActivity e;
  e.time = kThen;
  e.verdict = audit::Verdict::denied;
  e.who = {.sponsor = "uid:1",
           .agent = "ag-1",
           .workspace = "ws-1",
           .workspace_name = "dev",
           .session = "se-1",
           .call = "ca-1",
           .trace = "tr-1"};
  e.method = "POST", e.scheme = "https", e.host = "evil.example", e.target = "/", e.port = 443;
  return audit::http_activity(e);
}

TEST(AuditFilter, finds_an_event_by_each_of_its_marks_and_not_by_anothers) {
  const std::string event = denied_request();
  EXPECT_TRUE(matches({}, event));
  EXPECT_TRUE(matches({.verdict = "denied"}, event));
  EXPECT_TRUE(matches({.agent = "ag-1"}, event));
  EXPECT_TRUE(matches({.workspace = "ws-1"}, event));
  EXPECT_TRUE(matches({.workspace = "dev"}, event));
  EXPECT_TRUE(matches({.host = "evil.example"}, event));
  EXPECT_TRUE(matches({.session = "se-1", .call = "ca-1", .trace = "tr-1"}, event));
  EXPECT_TRUE(matches({.since = kThen}, event));
  EXPECT_FALSE(matches({.verdict = "allowed"}, event));
  EXPECT_FALSE(matches({.agent = "ag-2"}, event));
  EXPECT_FALSE(matches({.verdict = "denied", .workspace = "other"}, event));
  EXPECT_FALSE(matches({.host = "example"}, event));
  EXPECT_FALSE(matches({.since = kThen + kSecond}, event));
}

TEST(AuditFilter, finds_dns_questions_and_connections_by_host_too) {
  audit::DnsActivity dns;
  dns.name = "tunnel.evil.example", dns.type = "TXT";
  EXPECT_TRUE(matches({.host = "tunnel.evil.example"}, audit::dns_activity(dns)));
  audit::NetworkActivity net;
  net.host = "h.example", net.address = "203.0.113.7";
  EXPECT_TRUE(matches({.host = "h.example"}, audit::network_activity(net)));
  EXPECT_TRUE(matches({.host = "203.0.113.7"}, audit::network_activity(net)));
}

TEST(AuditFilter, is_total_on_any_text) {
  for (const char* text :
       {"", "{", "[]", "7", R"({"unmapped":7,"time":"x"})", R"({"unmapped":{"saw":[1]}})"}) {
    EXPECT_TRUE(matches({}, text)) << text;
    EXPECT_FALSE(matches({.agent = "a", .host = "h", .since = 1}, text)) << text;
  }
}

TEST(Since, is_a_duration_or_a_time) {
  EXPECT_EQ(parse_since("10m", kThen), kThen - 10 * kMinute);
  EXPECT_EQ(parse_since("2025-11-24T16:00:00Z", 0), kThen);
  EXPECT_TRUE(parse_since("2025-11-24", 0));
  for (const char* bad : {"", "yesterday", "2025-13-45", "2025-11-24T16:00:00Zx"})
    EXPECT_FALSE(parse_since(bad, kThen)) << bad;
}

}  // namespace
}  // namespace saw::cli
