#include "egress/hello_guard.h"

#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include "egress/client_hello_sample_test.h"

namespace saw::egress {
namespace {

const std::string kHrr = server_hello(Retry::yes), kServerHello = server_hello(Retry::no);

std::string feed(HelloGuard& guard, std::string_view bytes, size_t step = 1) {
  for (size_t at = 0; at < bytes.size(); at += step)
    if (!guard.from_client(bytes.substr(at, step))) return std::string(guard.problem());
  return "";
}

TEST(HelloGuard, is_over_with_the_servers_answer_and_not_before) {
  HelloGuard guard("api.example.com");
  EXPECT_EQ(feed(guard, client_hello("api.example.com")), "");
  EXPECT_FALSE(guard.is_over());
  for (char c : kServerHello) ASSERT_TRUE(guard.from_server({&c, 1}));
  EXPECT_TRUE(guard.is_over());
  EXPECT_EQ(feed(guard, "anything, it is encrypted now"), "");
}

TEST(HelloGuard, the_name_must_be_there_and_be_the_one_that_was_resolved) {
  for (auto [name, problem] : {std::pair{"evil.example", "tls.sni_mismatch"}, {"", "tls.sni_missing"}}) {
    HelloGuard guard("api.example.com");
    EXPECT_EQ(feed(guard, client_hello(name)), problem);
  }
}

// A front that serves many names asks for a second hello: the client says another name in it.
TEST(HelloGuard, a_second_hello_may_not_name_another) {
  for (auto [name, problem] : {std::pair{"api.example.com", ""}, {"evil.example", "tls.sni_mismatch"}}) {
    HelloGuard guard("api.example.com");
    EXPECT_EQ(feed(guard, client_hello("api.example.com")), "");
    EXPECT_EQ(feed(guard, std::string("\x17\x03\x03\x00\x05"
                                      "early",
                                      10)),
              "")
        << "early data does not end the watch";
    ASSERT_TRUE(guard.from_server(kHrr));
    EXPECT_FALSE(guard.is_over());
    EXPECT_EQ(feed(guard, std::string("\x14\x03\x03\x00\x01\x01", 6) + client_hello(name)), problem);
  }
}

TEST(HelloGuard, two_hellos_in_one_go_are_both_read) {
  HelloGuard guard("api.example.com");
  EXPECT_EQ(feed(guard, client_hello("api.example.com") + client_hello("evil.example"), 4096),
            "tls.sni_mismatch");
}

TEST(HelloGuard, a_hello_in_pieces_of_one_byte_a_record_is_read_whole) {
  const std::string whole = client_hello("evil.example").substr(5),
                    good = client_hello("api.example.com").substr(5);
  for (const std::string& message : {whole, good}) {
    std::string records;
    for (char c : message) records += std::string("\x16\x03\x01\x00\x01", 5) + c;
    HelloGuard guard("api.example.com");
    EXPECT_EQ(feed(guard, records, 100), message == good ? "" : "tls.sni_mismatch");
  }
}

TEST(HelloGuard, what_is_no_handshake_ends_it) {
  for (std::string_view bytes : {"GET / HTTP/1.1\r\n\r\n", "\x17\x03\x03", "SSH-2.0-x\r\n"}) {
    HelloGuard guard("api.example.com");
    EXPECT_EQ(feed(guard, std::string(bytes) + std::string(8, '\0')), "tls.malformed");
  }
  HelloGuard guard("api.example.com");
  EXPECT_EQ(feed(guard, client_hello("api.example.com")), "");
  EXPECT_FALSE(guard.from_server("HTTP/1.1 400 Bad Request\r\n\r\n"));
}

TEST(HelloGuard, a_sealed_name_is_refused) {
  HelloGuard guard("api.example.com");
  EXPECT_EQ(feed(guard, client_hello("api.example.com", 0xfe0d)), "tls.encrypted_hello");
  EXPECT_TRUE(parse_client_hello(client_hello("api.example.com", 0xfe0d)).encrypted);
  EXPECT_FALSE(parse_client_hello(client_hello("api.example.com", 0xfafa)).encrypted);
}

TEST(HelloGuard, an_opening_without_end_is_cut) {
  HelloGuard guard("api.example.com");
  EXPECT_EQ(feed(guard, client_hello("api.example.com")), "");
  const std::string early = std::string("\x17\x03\x03\x40\x00", 5) + std::string(16384, 'x');
  std::string problem;
  for (int i = 0; i < 100 && problem.empty(); ++i) problem = feed(guard, early, 16384);
  EXPECT_EQ(problem, "tls.malformed");
}

}  // namespace
}  // namespace saw::egress
