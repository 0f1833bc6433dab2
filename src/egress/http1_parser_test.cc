#include "egress/http1_parser.h"

#include <string>

#include <gtest/gtest.h>

namespace saw::egress {
namespace {

std::string request(std::string_view fields) {
  return "GET /a HTTP/1.1\r\nHost: h\r\n" + std::string(fields) + "\r\n";
}

struct Vector {
  std::string_view name, bytes, problem;  // problem empty: the benign twin, which passes
};

class RequestVectors : public testing::TestWithParam<Vector> {};

// Every known way to make two readers disagree, next to the form that everybody reads alike.
TEST_P(RequestVectors, is_refused_by_its_code_and_its_twin_passes) {
  ParsedRequest parsed = parse_request_head(GetParam().bytes);
  if (GetParam().problem.empty()) {
    EXPECT_EQ(parsed.state, HeadState::complete) << parsed.problem;
    EXPECT_EQ(parsed.consumed, GetParam().bytes.size());
  } else {
    EXPECT_EQ(parsed.state, HeadState::malformed);
    EXPECT_EQ(parsed.problem, GetParam().problem);
  }
}

#define HEAD "GET /a HTTP/1.1\r\nHost: h\r\n"
INSTANTIATE_TEST_SUITE_P(
    Http1, RequestVectors,
    testing::Values(
        Vector{"plain", HEAD "\r\n", ""}, Vector{"obs_fold", HEAD "A: b\r\n c\r\n\r\n", "malformed:obs-fold"},
        Vector{"obs_fold_tab", HEAD "A: b\r\n\tc\r\n\r\n", "malformed:obs-fold"},
        Vector{"value_with_spaces", HEAD "A:  b c \r\n\r\n", ""},
        Vector{"bare_lf", "GET /a HTTP/1.1\nHost: h\r\n\r\n", "malformed:bare-lf"},
        Vector{"bare_lf_in_field", HEAD "A: b\nC: d\r\n\r\n", "malformed:bare-lf"},
        Vector{"bare_lf_end", HEAD "\n", "malformed:bare-lf"},
        Vector{"bare_cr", HEAD "A: b\rC: d\r\n\r\n", "malformed:bare-cr"},
        Vector{"bare_cr_in_target", "GET /a\rb HTTP/1.1\r\nHost: h\r\n\r\n", "malformed:bare-cr"},
        Vector{"space_before_colon", HEAD "Content-Length : 5\r\n\r\n", "malformed:space-before-colon"},
        Vector{"no_colon", HEAD "Nonsense\r\n\r\n", "malformed:header-without-colon"},
        Vector{"empty_name", HEAD ": x\r\n\r\n", "malformed:header-name"},
        Vector{"name_with_space", HEAD "A b: x\r\n\r\n", "malformed:header-name"},
        Vector{"name_high_byte", HEAD "A\xe9: x\r\n\r\n", "malformed:header-name"},
        Vector{"value_high_byte", HEAD "A: \xe9\r\n\r\n", "malformed:header-value"},
        Vector{"value_control", HEAD "A: \x01\r\n\r\n", "malformed:header-value"},
        Vector{"value_tab", HEAD "A: b\tc\r\n\r\n", ""},
        Vector{"two_hosts", HEAD "Host: h\r\n\r\n", "malformed:duplicate-host"},
        Vector{"two_hosts_case", HEAD "hOST: x\r\n\r\n", "malformed:duplicate-host"},
        Vector{"no_host", "GET /a HTTP/1.1\r\n\r\n", "malformed:missing-host"},
        Vector{"no_host_10", "GET /a HTTP/1.0\r\n\r\n", "malformed:missing-host"},
        Vector{"te_and_cl", HEAD "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
               "malformed:content-length-and-transfer-encoding"},
        Vector{"cl_and_te", HEAD "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
               "malformed:content-length-and-transfer-encoding"},
        Vector{"te", HEAD "Transfer-Encoding: chunked\r\n\r\n", ""},
        Vector{"te_case", HEAD "transfer-encoding: Chunked\r\n\r\n", ""},
        Vector{"te_identity", HEAD "Transfer-Encoding: identity\r\n\r\n", "malformed:transfer-encoding"},
        Vector{"te_list", HEAD "Transfer-Encoding: gzip, chunked\r\n\r\n", "malformed:transfer-encoding"},
        Vector{"te_twice", HEAD "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
               "malformed:repeated-transfer-encoding"},
        Vector{"te_disguised", HEAD "Transfer-Encoding: xchunked\r\n\r\n", "malformed:transfer-encoding"},
        Vector{"te_vertical_tab",
               HEAD "Transfer-Encoding: \x0b"
                    "chunked\r\n\r\n",
               "malformed:header-value"},
        Vector{"te_10", "GET /a HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n",
               "malformed:transfer-encoding-in-http10"},
        Vector{"cl", HEAD "Content-Length: 5\r\n\r\n", ""},
        Vector{"cl_twice", HEAD "Content-Length: 5\r\nContent-Length: 5\r\n\r\n",
               "malformed:repeated-content-length"},
        Vector{"cl_list", HEAD "Content-Length: 5, 5\r\n\r\n", "malformed:content-length"},
        Vector{"cl_plus", HEAD "Content-Length: +5\r\n\r\n", "malformed:content-length"},
        Vector{"cl_minus", HEAD "Content-Length: -5\r\n\r\n", "malformed:content-length"},
        Vector{"cl_hex", HEAD "Content-Length: 0x5\r\n\r\n", "malformed:content-length"},
        Vector{"cl_empty", HEAD "Content-Length:\r\n\r\n", "malformed:content-length"},
        Vector{"cl_overflow", HEAD "Content-Length: 18446744073709551616\r\n\r\n",
               "malformed:content-length"},
        Vector{"version_2", "GET /a HTTP/2.0\r\nHost: h\r\n\r\n", "malformed:version"},
        Vector{"version_12", "GET /a HTTP/1.2\r\nHost: h\r\n\r\n", "malformed:version"},
        Vector{"version_09", "GET /a\r\n\r\n", "malformed:request-line"},
        Vector{"leading_crlf", "\r\nGET /a HTTP/1.1\r\nHost: h\r\n\r\n", "malformed:request-line"},
        Vector{"target_with_space", "GET /a b HTTP/1.1\r\nHost: h\r\n\r\n", "malformed:target"},
        Vector{"target_high_byte", "GET /\xe9 HTTP/1.1\r\nHost: h\r\n\r\n", "malformed:target"},
        Vector{"target_percent", "GET /%e9 HTTP/1.1\r\nHost: h\r\n\r\n", ""},
        Vector{"method_bad", "G(T /a HTTP/1.1\r\nHost: h\r\n\r\n", "malformed:method"},
        Vector{"expect_other", HEAD "Expect: magic\r\n\r\n", "malformed:expect"},
        Vector{"expect", HEAD "Expect: 100-continue\r\n\r\n", ""}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(RequestHead, says_what_a_request_is) {
  ParsedRequest p =
      parse_request_head("POST /x?y HTTP/1.1\r\nhost: a.b:8080\r\nContent-Length: 12\r\nX-Y: z\r\n\r\nbody");
  ASSERT_EQ(p.state, HeadState::complete);
  EXPECT_EQ(p.head.method, "POST");
  EXPECT_EQ(p.head.target, "/x?y");
  EXPECT_EQ(p.head.host, "a.b:8080");
  EXPECT_EQ(p.head.framing, Framing::length);
  EXPECT_EQ(p.head.content_length, 12u);
  EXPECT_EQ(p.head.persistence, Persistence::keep_alive);
  EXPECT_EQ(find_field(p.head.fields, "x-y"), "z");
}

TEST(RequestHead, every_prefix_of_a_good_head_is_incomplete) {
  std::string whole = request("Accept: */*\r\nContent-Length: 3\r\n");
  for (size_t n = 0; n < whole.size(); ++n)
    EXPECT_EQ(parse_request_head(std::string_view(whole).substr(0, n)).state, HeadState::incomplete) << n;
}

TEST(RequestHead, its_size_and_number_of_fields_are_bounded) {
  std::string many;
  for (size_t i = 0; i + 1 < kMaxHeaders; ++i) many += "A: b\r\n";
  EXPECT_EQ(parse_request_head(request(many)).state, HeadState::complete);
  EXPECT_EQ(parse_request_head(request(many + "A: b\r\n")).problem, "malformed:too-many-headers");
  EXPECT_EQ(parse_request_head(request("A: " + std::string(kMaxHeadBytes - 100, 'x') + "\r\n")).state,
            HeadState::complete);
  EXPECT_EQ(parse_request_head(request("A: " + std::string(kMaxHeadBytes, 'x'))).problem,
            "malformed:head-too-large");
}

TEST(RequestHead, a_connection_lasts_as_its_version_and_options_say) {
  auto persistence = [](std::string_view bytes) { return parse_request_head(bytes).head.persistence; };
  EXPECT_EQ(persistence(HEAD "Connection: keep-alive, close\r\n\r\n"), Persistence::close);
  EXPECT_EQ(persistence("GET / HTTP/1.0\r\nHost: h\r\n\r\n"), Persistence::close);
  EXPECT_EQ(persistence("GET / HTTP/1.0\r\nHost: h\r\nConnection: Keep-Alive\r\n\r\n"),
            Persistence::keep_alive);
}

TEST(ResponseHead, its_body_ends_where_rfc_9112_says) {
  auto framing = [](std::string_view bytes, std::string_view method = "GET") {
    ParsedResponse p = parse_response_head(bytes, method);
    EXPECT_EQ(p.state, HeadState::complete) << p.problem;
    return p.head.framing;
  };
  EXPECT_EQ(framing("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"), Framing::length);
  EXPECT_EQ(framing("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), Framing::none);
  EXPECT_EQ(framing("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "HEAD"), Framing::none);
  EXPECT_EQ(framing("HTTP/1.1 204 No Content\r\n\r\n"), Framing::none);
  EXPECT_EQ(framing("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"), Framing::none);
  EXPECT_EQ(framing("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), Framing::chunked);
  EXPECT_EQ(framing("HTTP/1.1 200 OK\r\n\r\n"), Framing::until_close);
  EXPECT_EQ(framing("HTTP/1.1 200\r\n\r\n"), Framing::until_close);
}

TEST(ResponseHead, what_readers_could_disagree_about_is_refused) {
  auto problem = [](std::string_view bytes) { return parse_response_head(bytes, "GET").problem; };
  EXPECT_EQ(problem("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"),
            "malformed:content-length-and-transfer-encoding");
  EXPECT_EQ(problem("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n"),
            "malformed:repeated-content-length");
  EXPECT_EQ(problem("HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n"), "malformed:obs-fold");
  EXPECT_EQ(problem("HTTP/1.1 99 OK\r\n\r\n"), "malformed:status-line");
  EXPECT_EQ(problem("HTTP/1.1 600 OK\r\n\r\n"), "malformed:status");
  EXPECT_EQ(problem("HTTP/1.1 2000 OK\r\n\r\n"), "malformed:status-line");
  EXPECT_EQ(problem("ICY 200 OK\r\n\r\n"), "malformed:version");
  EXPECT_EQ(problem("HTTP/1.1 200 OK\n\r\n"), "malformed:bare-lf");
}

}  // namespace
}  // namespace saw::egress
