#include "egress/dns.h"

#include <gtest/gtest.h>

#include "egress/names.h"

namespace saw::egress {
namespace {

std::string query_for(std::string_view name, char type = 1, uint16_t flags = 0x0100,
                      std::string_view counts = std::string_view("\0\1\0\0\0\0\0\0", 8)) {
  std::string out = "\x12\x34";
  out.push_back(static_cast<char>(flags >> 8));
  out.push_back(static_cast<char>(flags & 0xff));
  out += counts;
  for (size_t at = 0; at < name.size();) {
    size_t dot = std::min(name.find('.', at), name.size());
    out.push_back(static_cast<char>(dot - at));
    out += name.substr(at, dot - at);
    at = dot + 1;
  }
  out += std::string("\0\0", 2) + type + std::string("\0\1", 2);
  return out;
}

TEST(Dns, a_question_is_read_and_answered) {
  DnsQuery q = parse_query(query_for("Api.Example.COM"));
  ASSERT_EQ(q.state, DnsQuery::State::question);
  EXPECT_EQ(q.name, "api.example.com");
  EXPECT_EQ(q.type, kTypeA);
  std::string a = answer_address(q, {198, 18, 1, 0}, 5);
  EXPECT_EQ(a.substr(0, 4), std::string("\x12\x34\x81\x80", 4));
  EXPECT_NE(a.find("Api"), std::string::npos) << "the question is echoed as it came (0x20 encoding)";
  EXPECT_EQ(a.substr(a.size() - 6), std::string("\0\4\xc6\x12\1\0", 6));
  EXPECT_EQ(answer_nothing(q, DnsCode::no_such_name)[3] & 15, 3);
}

TEST(Dns, what_is_not_a_plain_question_is_refused_or_ignored) {
  using State = DnsQuery::State;
  EXPECT_EQ(parse_query("").state, State::not_dns);
  EXPECT_EQ(parse_query("short").state, State::not_dns);
  EXPECT_EQ(parse_query(query_for("a.b", 1, 0x8100)).state, State::not_dns) << "an answer is not a question";
  EXPECT_EQ(parse_query(query_for("a.b", 1, 0x0800)).code, DnsCode::not_implemented);
  EXPECT_EQ(parse_query(query_for("a.b", 1, 0x0100, std::string_view("\0\2\0\0\0\0\0\0", 8))).code,
            DnsCode::format_error);
  EXPECT_EQ(parse_query(query_for("a.b", 1, 0x0100, std::string_view("\0\1\0\1\0\0\0\0", 8))).code,
            DnsCode::format_error);
  EXPECT_EQ(parse_query(query_for("a b.c")).code, DnsCode::no_such_name);
  EXPECT_EQ(parse_query(query_for(std::string(70, 'x'))).state, State::refused);
  EXPECT_EQ(parse_query(std::string(2000, 'x')).state, State::not_dns);
  std::string compressed = query_for("a.b");
  compressed[12] = '\xc0';
  EXPECT_EQ(parse_query(compressed).state, State::refused);
  EXPECT_EQ(parse_query(query_for("a.b")).state, State::question);
}

TEST(Dns, edns_is_accepted_and_answered) {
  std::string q = query_for("a.b", 1, 0x0100, std::string_view("\0\1\0\0\0\0\0\1", 8)) +
                  std::string("\0\0\x29\x10\0\0\0\0\0\0\0", 11);
  DnsQuery parsed = parse_query(q);
  ASSERT_EQ(parsed.state, DnsQuery::State::question);
  EXPECT_TRUE(parsed.edns);
  EXPECT_EQ(answer_nothing(parsed, DnsCode::no_error)[11], 1);
}

TEST(Dns, every_truncation_is_survived) {
  std::string whole = query_for("some.longer.name.example");
  for (size_t n = 0; n < whole.size(); ++n)
    EXPECT_NE(parse_query(std::string_view(whole).substr(0, n)).state, DnsQuery::State::question) << n;
}

TEST(SyntheticNames, a_name_keeps_its_address_and_an_address_its_name) {
  SyntheticNames names;
  Ipv4 a = *names.address_of("a.example"), b = *names.address_of("b.example");
  EXPECT_NE(a, b);
  EXPECT_EQ(*names.address_of("a.example"), a);
  EXPECT_EQ(names.name_of(a), "a.example");
  EXPECT_EQ(names.name_of(b), "b.example");
  EXPECT_TRUE(SyntheticNames::is_synthetic(a));
}

TEST(SyntheticNames, an_address_that_was_not_given_out_has_no_name) {
  SyntheticNames names;
  names.address_of("a.example");
  EXPECT_EQ(names.name_of({198, 18, 1, 1}), "");
  EXPECT_EQ(names.name_of({198, 18, 0, 0}), "");
  EXPECT_EQ(names.name_of({93, 184, 216, 34}), "");
}

TEST(SyntheticNames, the_map_is_bounded_and_stays_within_its_range) {
  SyntheticNames names;
  Ipv4 last{};
  for (size_t i = 0; i < SyntheticNames::kMaxNames; ++i) last = *names.address_of("h" + std::to_string(i));
  EXPECT_TRUE(SyntheticNames::is_synthetic(last));
  EXPECT_EQ(names.address_of("one-more"), std::nullopt);
  EXPECT_TRUE(names.address_of("h0").has_value());
}

}  // namespace
}  // namespace saw::egress
