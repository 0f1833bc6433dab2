#include "audit/event.h"

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "audit/tile.h"
#include "base/file.h"

namespace saw::audit {
namespace {

using Json = nlohmann::json;

constexpr Nanos kTime = 1'795'489'200'123 * kMillisecond;  // 2026-11-24T03:00:00.123Z

Base base(Verdict verdict) {
  return {.time = kTime,
          .layer = Layer::runtime,
          .verdict = verdict,
          .who = {.sponsor = "uid:1000",
                  .agent = "default",
                  .workspace = "ws-1",
                  .workspace_name = "dev",
                  .session = "s-1",
                  .call = "c-1",
                  .credential = "rc-1",
                  .trace = "4bf92f3577b34da6"},
          .rule = "network.git.allow[0]",
          .reason = "read",
          .policy_digest = "sha256:00ff",
          .message = "a sentence"};
}

// One event of each class, as SAW emits it, for each verdict.
std::vector<std::string> samples(const Base& b) {
  using P = ProcessActivity::Activity;
  return {
      http_activity({b, "GET", "https", "git.demo.example", "/repos/a?q=1", "sha256:aa", 443, 200, 10, 2000,
                     "rv-1", "github"}),
      http_activity({b, "PROPFIND", "http", "h.example", "/", "", 8080, 0}),
      network_activity({b, "db.example", "203.0.113.7", 5432}),
      dns_activity({b, "git.demo.example", "A", "198.18.0.1"}),
      dns_activity({b, "evil.example", "TXT", "", 3}),
      process_activity({b, P::launch, "git fetch", "sb-1", 17}),
      process_activity({b, P::terminate, "git fetch", "sb-1", 17, 1}),
      lifecycle({b, Lifecycle::Activity::start, "workspace", "ws-1", "dev"}),
      api_activity({b, ApiActivity::Activity::update, "review.approve", "review", "rv-1", ""}),
      authentication({b, "rc-1", kTime + 60 * kSecond}),
      enforcement({b, "sb-1", "sha256:00aa", "106 of 106 probes as expected", R"({"payload":"e30="})"}),
      policy_release({b, "stable", "2026-11-24.1", "sha256:00bb", 7}),
      finding({b, "A placeholder was sent to another host", "placeholder-misused"}),
  };
}

std::vector<std::string> all_samples() {
  std::vector<std::string> lines;
  for (Verdict v : {Verdict::none, Verdict::allowed, Verdict::denied, Verdict::reviewing})
    for (std::string& line : samples(base(v))) lines.push_back(std::move(line));
  for (std::string& line : samples({.time = kTime}))
    lines.push_back(std::move(line));  // nothing known but the time
  return lines;
}

std::string joined(const std::vector<std::string>& lines) {
  std::string out;
  for (const std::string& line : lines) out += line + "\n";
  return out;
}

// The published schema's checker; its path, or nothing when it is not on this machine.
std::string schema_checker() {
  const char* given = std::getenv("SAW_OCSF_CHECK");
  std::string path = given ? given : std::string(SAW_SOURCE_DIR) + "/../shared/tools/ocsf_check.py";
  return std::filesystem::exists(path) ? path : "";
}

int run_checker(const std::string& checker, const std::string& lines) {
  std::FILE* pipe = ::popen(("python3 '" + checker + "' >&2").c_str(), "w");
  std::fwrite(lines.data(), 1, lines.size(), pipe);
  return ::pclose(pipe);
}

void expect_golden(const std::string& name, const std::string& actual) {
  const std::string path = std::string(SAW_SOURCE_DIR) + "/tests/golden/audit/" + name;
  if (std::getenv("SAW_ACCEPT_GOLDEN")) ASSERT_TRUE(replace_file(path, actual, 0644, Durability::none));
  auto expected = read_file(path);
  ASSERT_TRUE(expected) << expected.error().message;
  EXPECT_EQ(*expected, actual) << "accept with SAW_ACCEPT_GOLDEN=1";
}

TEST(Event, every_class_is_valid_ocsf) {
  const std::string checker = schema_checker();
  if (checker.empty()) GTEST_SKIP() << "no OCSF schema here: set SAW_OCSF_CHECK to ocsf_check.py";
  EXPECT_EQ(run_checker(checker, joined(all_samples())), 0);
}

TEST(Event, the_schema_check_notices_an_invalid_event) {
  const std::string checker = schema_checker();
  if (checker.empty()) GTEST_SKIP() << "no OCSF schema here: set SAW_OCSF_CHECK to ocsf_check.py";
  Json event = Json::parse(samples(base(Verdict::allowed))[0]);
  event["class_uid"] = 4003;
  EXPECT_NE(run_checker(checker, event.dump() + "\n"), 0);
}

TEST(Event, events_look_as_recorded) {
  std::string text = joined(all_samples());
  const std::string version = "\"version\":\"" SAW_VERSION "\"";
  for (size_t at; (at = text.find(version)) != text.npos;)
    text.replace(at, version.size(), "\"version\":\"SAW_VERSION\"");
  expect_golden("events.jsonl", text);
}

TEST(Event, names_who_and_why) {
  Json e = Json::parse(samples(base(Verdict::denied))[0]);
  EXPECT_EQ(e["metadata"]["correlation_uid"], "4bf92f3577b34da6");
  EXPECT_EQ(e["actor"]["user"]["uid"], "uid:1000");
  EXPECT_EQ(e["ai_agent"]["uid"], "default");
  EXPECT_EQ(e["device"]["uid"], "ws-1");
  EXPECT_EQ(e["policy"]["uid"], "sha256:00ff");
  EXPECT_EQ(e["firewall_rule"]["uid"], "network.git.allow[0]");
  EXPECT_EQ(e["disposition"], "Blocked");
  EXPECT_EQ(e["status_detail"], "read");
  EXPECT_EQ(e["unmapped"]["saw"]["call"], "c-1");
  EXPECT_EQ(e["unmapped"]["saw"]["layer"], "runtime");
}

// Every text field of every class filled with `hostile`.
std::vector<std::string> hostile_samples(const std::string& hostile) {
  const std::string& h = hostile;
  Base b{.time = kTime,
         .verdict = Verdict::denied,
         .who = {h, h, h, h, h, h, h, h},
         .rule = h,
         .reason = h,
         .policy_digest = h,
         .message = h};
  return {http_activity({b, h, h, h, h + "?" + h, h, 1, 200, 1, 1, h, h}),
          network_activity({b, h, h, 1, h}),
          dns_activity({b, h, h, h, 2}),
          process_activity({b, ProcessActivity::Activity::launch, h, h, 1}),
          lifecycle({b, Lifecycle::Activity::other, h, h, h}),
          api_activity({b, ApiActivity::Activity::other, h, h, h, h}),
          authentication({b, h, 1}),
          finding({b, h, h})};
}

TEST(Event, hostile_text_stays_one_bounded_line_of_ascii) {
  std::string binary;
  for (int i = 0; i < 100'000; ++i) binary.push_back(static_cast<char>(i * 31));
  const std::string cases[] = {std::string(100'000, '\n'),    std::string(100'000, '\x01'),
                               std::string(100'000, '\xff'),  std::string(511, 'a') + "\xe2\x82\xac",
                               "\",\"status_id\":1,\"x\":\"", binary,
                               std::string(3, '\0')};
  for (const std::string& hostile : cases) {
    for (const std::string& line : hostile_samples(hostile)) {
      EXPECT_LE(line.size(), kMaxEntry);
      for (char c : line) ASSERT_TRUE(c >= 0x20 && c < 0x7f);
      Json e = Json::parse(line, nullptr, false);
      ASSERT_TRUE(e.is_object());
      EXPECT_EQ(e["unmapped"]["saw"]["verdict"], "denied");
    }
  }
}

TEST(Event, hostile_events_are_valid_ocsf_too) {
  const std::string checker = schema_checker();
  if (checker.empty()) GTEST_SKIP() << "no OCSF schema here: set SAW_OCSF_CHECK to ocsf_check.py";
  EXPECT_EQ(run_checker(checker, joined(hostile_samples("\n\"\xff\\"))), 0);
}

TEST(Event, a_long_text_is_cut_between_characters) {
  Base b{.time = kTime};
  b.message = std::string(kMaxText - 1, 'a') + "\xe2\x82\xac and more";
  Json e = Json::parse(lifecycle({b}));
  EXPECT_EQ(e["message"], std::string(kMaxText - 1, 'a') + "…");
  b.message = std::string(kMaxText - 3, 'a') + "\xe2\x82\xac";
  EXPECT_EQ(Json::parse(lifecycle({b}))["message"], b.message);
}

TEST(Sentence, reads_as_recorded) {
  std::string text;
  for (const std::string& line : all_samples()) text += sentence(line, Colour::no) + "\n";
  for (const std::string& line : samples(base(Verdict::denied))) text += sentence(line, Colour::yes) + "\n";
  expect_golden("sentences.txt", text);
}

TEST(Sentence, an_allowed_request_reads_like_this) {
  EXPECT_EQ(sentence(samples(base(Verdict::allowed))[0], Colour::no),
            "03:00:00.123  dev  call c-1  agent default  ALLOWED  GET https://git.demo.example/repos/a?q=1 "
            "200 with github (network.git.allow[0])");
}

TEST(Sentence, hostile_text_cannot_draw_on_the_terminal) {
  for (const std::string& line : hostile_samples("\x1b[2J\n\r\xc2\x9b"
                                                 "31m\xe2\x80\xae")) {
    for (char c : sentence(line, Colour::no))
      ASSERT_TRUE(c >= 0x20 && c < 0x7f) << sentence(line, Colour::no);
  }
}

TEST(Sentence, is_total) {
  const std::string deep(60'000, '[');
  const std::string deep_object = [] {
    std::string s;
    for (int i = 0; i < 10'000; ++i) s += "{\"a\":";
    return s;
  }();
  for (const std::string& text :
       {std::string(), std::string("null"), std::string("[1]"), std::string("{\"time\":-5}"),
        std::string("{\"time\":1e99}"),
        std::string("{\"time\":18446744073709551615,\"class_uid\":4002,\"http_request\":[]}"),
        std::string("\xff\n\x1b"), deep, deep_object, deep + std::string(60'000, ']'),
        std::string(1 << 20, 'x')}) {
    std::string s = sentence(text, Colour::no);
    EXPECT_FALSE(s.empty());
    EXPECT_EQ(s.find('\n'), s.npos);
    EXPECT_EQ(s.find('\x1b'), s.npos);
  }
}

}  // namespace
}  // namespace saw::audit
