#include "policy/decide_json.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace saw::policy {
namespace {

constexpr std::string_view kPolicy = R"(
apiVersion: saw/v1
kind: Policy
metadata: {name: t}
profile: local
network:
  - name: github
    to: {hosts: [api.example.com]}
    allow: [{methods: [GET], paths: ["/user"]}]
    review: [{methods: [POST], paths: ["/repos/**"]}]
  - {name: plain, to: {hosts: [plain.example.com]}, tls: none, allow: all}
)";

class DecideLine : public testing::Test {
 protected:
  nlohmann::json ask(std::string_view line) { return nlohmann::json::parse(decide_line(policy_, line)); }
  std::string reason(std::string_view line) {
    auto answer = ask(line);
    EXPECT_EQ(answer["effect"], "deny") << line;
    return answer["reason"];
  }
  Policy policy_ = Policy::compile(kPolicy, "t").value();
};

TEST_F(DecideLine, answers_the_documented_request) {
  auto answer = ask(
      R"({"id":"1","host":"api.example.com","port":443,"protocol":"http","tls":true,"sni":"api.example.com",
    "method":"POST","target":"/repos/o/r/pulls?draft=1","headers":{"content-type":"application/json"},
    "body":"{}","ip":"203.0.113.7","labels":["private"],"time":"2026-11-24T03:00:00Z","agent":"a","tool":"t"})");
  EXPECT_EQ(answer["id"], "1");
  EXPECT_EQ(answer["effect"], "review");
  EXPECT_EQ(answer["rule"], "network.github.review[0]");
  EXPECT_EQ(answer["reason"], "write");
  EXPECT_EQ(answer["canonical_target"], "/repos/o/r/pulls?draft=1");
  EXPECT_TRUE(answer["digest"].get<std::string>().starts_with("sha256:"));
  EXPECT_EQ(answer.size(), 6u);
}

TEST_F(DecideLine, absent_members_have_sensible_values) {
  EXPECT_EQ(ask(R"({"host":"api.example.com","method":"GET","target":"/user"})")["effect"], "allow");
  EXPECT_EQ(ask(R"({"host":"plain.example.com","port":80,"method":"GET","target":"/"})")["effect"], "allow");
  EXPECT_EQ(ask(R"({"host":"plain.example.com","tls":false,"method":"GET","target":"/"})")["effect"],
            "allow");
  EXPECT_EQ(ask(R"({"host":"api.example.com","protocol":"dns"})")["effect"], "allow");
  EXPECT_EQ(ask(R"({"host":"db.example.com","port":5432,"protocol":"tcp"})")["reason"], "default-deny");
  EXPECT_EQ(ask(R"({"host":"api.example.com","protocol":"websocket","target":"/","message":"hi"})")["reason"],
            "protocol-mismatch");
}

TEST_F(DecideLine, what_cannot_be_read_is_denied_as_malformed) {
  EXPECT_EQ(reason(""), "malformed:json");
  EXPECT_EQ(reason("{"), "malformed:json");
  EXPECT_EQ(reason("{} {}"), "malformed:json");
  constexpr std::string_view kGood = R"({"host":"api.example.com","method":"GET","target":"/user"})";
  EXPECT_EQ(ask(kGood)["effect"], "allow");
  EXPECT_EQ(reason(std::string(kGood) + '\0'), "malformed:json");
  EXPECT_EQ(reason(std::string(kGood) + '\0' + "junk"), "malformed:json");
  EXPECT_EQ(reason("[]"), "malformed:type");
  EXPECT_EQ(reason("\"x\""), "malformed:type");
  EXPECT_EQ(reason("{}"), "malformed:missing-member");
  EXPECT_EQ(reason(R"({"host":"a.example","target":"/"})"), "malformed:missing-member");
  EXPECT_EQ(reason(R"({"host":"a.example","method":"GET"})"), "malformed:missing-member");
  EXPECT_EQ(reason(R"({"host":"a.example","protocol":"tcp"})"), "malformed:missing-member");
  EXPECT_EQ(reason(R"({"host":"a.example","time":"8888-01-01T00:00:00Z"})"), "malformed:time");
  EXPECT_EQ(reason(R"({"host":"a.example","hots":"x"})"), "malformed:unknown-member");
  EXPECT_EQ(reason(R"({"host":"a.example","host":"b.example"})"), "malformed:duplicate-member");
  EXPECT_EQ(reason(R"({"host":"a.example","headers":{"a":"1","a":"2"}})"), "malformed:duplicate-member");
  EXPECT_EQ(reason(R"({"host":1})"), "malformed:type");
  EXPECT_EQ(reason(R"({"host":"a.example","port":"443"})"), "malformed:type");
  EXPECT_EQ(reason(R"({"host":"a.example","port":-1})"), "malformed:type");
  EXPECT_EQ(reason(R"({"host":"a.example","port":65536})"), "malformed:port");
  EXPECT_EQ(reason(R"({"host":"a.example","tls":"yes"})"), "malformed:type");
  EXPECT_EQ(reason(R"({"host":"a.example","tls":null})"), "malformed:type");
  EXPECT_EQ(reason(R"({"host":{"a":"b"}})"), "malformed:type");
  EXPECT_EQ(reason(R"({"host":"a.example","headers":{"a":["b"]}})"), "malformed:type");
  EXPECT_EQ(reason(R"({"host":"a.example","labels":["secret"]})"), "malformed:label");
  EXPECT_EQ(reason(R"({"host":"a.example","labels":[["private"]]})"), "malformed:type");
  EXPECT_EQ(reason(R"({"host":"a.example","labels":[{"a":"b"}]})"), "malformed:type");
  EXPECT_EQ(reason(R"({"host":"a.example","time":"yesterday"})"), "malformed:time");
  EXPECT_EQ(reason(R"({"host":"a.example","time":"2026-02-30T00:00:00Z"})"), "malformed:time");
  EXPECT_EQ(reason(R"({"host":"a.example","protocol":"ftp"})"), "malformed:protocol");
  EXPECT_EQ(reason(std::string(1 << 20, '[')), "malformed:type");
  EXPECT_EQ(reason(std::string(kMaxDecideLine + 1, ' ')), "malformed:too-long");
  EXPECT_EQ(reason("{\"host\":\"\xff\"}"), "malformed:json");
}

TEST_F(DecideLine, an_unreadable_line_keeps_its_id) {
  EXPECT_EQ(ask(R"({"id":"7","x":1})")["id"], "7");
}

TEST_F(DecideLine, the_digest_names_the_canonical_request) {
  auto digest = [&](std::string_view line) { return ask(line)["digest"]; };
  auto a = digest(R"({"host":"api.example.com","method":"GET","target":"/user"})");
  EXPECT_EQ(
      a,
      digest(
          R"({"id":"x","host":"API.example.com.","method":"GET","target":"/./%75ser","headers":{"a":"b"}})"));
  EXPECT_NE(a, digest(R"({"host":"api.example.com","method":"GET","target":"/user2"})"));
  EXPECT_NE(a, digest(R"({"host":"api.example.com","method":"GET","target":"/user","body":"x"})"));
  EXPECT_NE(a, digest(R"({"host":"api.example.com","method":"HEAD","target":"/user"})"));
}

}  // namespace
}  // namespace saw::policy
