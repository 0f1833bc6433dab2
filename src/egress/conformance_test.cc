// The cases in tests/conformance/egress, put to a whole saw-egress. Their form is described there.
#include <algorithm>
#include <filesystem>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "base/file.h"
#include "egress/egress_rig.h"

namespace saw::egress::rig {
namespace {

using nlohmann::json;

std::vector<std::string> files() {
  std::vector<std::string> out;
  for (const auto& entry : std::filesystem::directory_iterator(SAW_SOURCE_DIR "/tests/conformance/egress"))
    if (entry.path().extension() == ".json") out.push_back(entry.path().stem());
  std::ranges::sort(out);
  return out;
}

std::string text(const json& object, const char* key, std::string fallback = "") {
  return object.value(key, fallback);
}

std::string fields_of(const json& object) {
  std::string out;
  for (const auto& [name, value] : object.value("fields", json::object()).items()) {
    for (const json& one : value.is_array() ? value : json::array({value}))
      out += fmt::format("{}: {}\r\n", name, one.get<std::string>());
  }
  return out;
}

std::string body_of(const json& object) {
  if (object.contains("body_hex")) return *from_hex(text(object, "body_hex"));
  return text(object, "body");
}

std::string request_of(const json& c, const std::string& host) {
  if (c.contains("raw")) return text(c, "raw");
  const std::string body = body_of(c), method = text(c, "method", "POST");
  const bool framed = !body.empty() || method == "POST" || method == "PUT";
  return fmt::format("{} {} HTTP/1.1\r\nHost: {}\r\n{}{}\r\n{}", method, text(c, "target", "/"), host,
                     framed ? fmt::format("Content-Length: {}\r\n", body.size()) : "", fields_of(c), body);
}

std::string origin_answer(const json& c) {
  const json origin = c.value("origin", json::object());
  if (origin.contains("raw")) return text(origin, "raw");
  const std::string body = text(origin, "body", "ok");
  return fmt::format("HTTP/1.1 {} Answer\r\nContent-Length: {}\r\n{}\r\n{}", origin.value("status", 200),
                     body.size(), fields_of(origin), body);
}

void expect_refusal(const json& c, const Answer& answer) {
  const json error = json::parse(answer.body, nullptr, false).value("error", json::object());
  if (c.contains("reason")) EXPECT_EQ(text(error, "reason"), text(c, "reason"));
  EXPECT_NE(text(error, "ask").find(text(c, "ask")), std::string::npos) << answer.body;
}

void expect_arrival(const json& c, const std::vector<OriginRequest>& received, size_t before) {
  const bool arrives = c.value("arrives", !c.contains("code"));
  ASSERT_EQ(received.size(), before + (arrives ? 1 : 0));
  if (!arrives) return;
  EXPECT_EQ(received.back().body, c.contains("sent") ? text(c, "sent") : body_of(c));
  if (c.contains("sent_target")) EXPECT_EQ(received.back().target, text(c, "sent_target"));
}

class Conformance : public testing::TestWithParam<std::string> {};

TEST_P(Conformance, every_case_comes_out_as_written) {
  auto content = read_file(fmt::format("{}/tests/conformance/egress/{}.json", SAW_SOURCE_DIR, GetParam()));
  ASSERT_TRUE(content);
  const json file = json::parse(*content);
  const std::string host = text(file, "host", "api.example.com");
  const auto port = file.value("port", uint16_t{443});
  std::string network;
  for (const json& line : file.at("policy")) network += line.get<std::string>() + "\n";
  Rig rig;
  const json* current = nullptr;
  rig.serve(host, port, [&](const OriginRequest&) { return origin_answer(*current); });
  ASSERT_EQ(rig.configure(Rig::policy(network)), "");
  for (const json& c : file.at("cases")) {
    SCOPED_TRACE(text(c, "promise"));
    current = &c;
    const size_t before = rig.received().size();
    Agent agent = rig.connect(host, port);
    agent.send(request_of(c, host));
    const Answer answer = agent.read_answer(text(c, "method", "POST"));
    EXPECT_EQ(answer.status, c.at("status").get<int>()) << answer.body;
    EXPECT_EQ(answer.code(), text(c, "code")) << answer.body;
    if (c.contains("code")) expect_refusal(c, answer);
    if (c.contains("answer")) EXPECT_EQ(answer.body, text(c, "answer"));
    expect_arrival(c, rig.received(), before);
  }
}

INSTANTIATE_TEST_SUITE_P(Egress, Conformance, testing::ValuesIn(files()),
                         [](const auto& name) { return name.param; });

}  // namespace
}  // namespace saw::egress::rig
