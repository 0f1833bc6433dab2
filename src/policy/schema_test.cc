#include "policy/schema.h"

#include <cstdlib>
#include <fstream>
#include <iterator>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "policy/vocabulary.h"

namespace saw::policy {
namespace {

constexpr std::string_view kBegin = "<!-- fields: begin (generated) -->\n", kEnd = "<!-- fields: end -->\n";

TEST(Schema, is_json_and_closed) {
  const auto schema = nlohmann::json::parse(json_schema());
  EXPECT_EQ(schema["additionalProperties"], false);
  EXPECT_EQ(schema["required"], (nlohmann::json{"apiVersion", "kind", "metadata", "profile"}));
  EXPECT_EQ(schema["properties"]["network"]["items"]["additionalProperties"], false);
  EXPECT_EQ(schema["properties"]["network"]["items"]["allOf"].size(), std::size(kProtocols));
}

TEST(Vocabulary, rules_of_every_protocol_are_in_its_order) {
  for (const Word<Protocol>& word : kProtocols)
    EXPECT_EQ(rule_object(word.value).what, "a rule of protocol " + std::string(word.text));
}

TEST(Reference, the_tables_of_the_document_are_those_of_the_reader) {
  const char* path = SAW_SOURCE_DIR "/docs/policy.md";
  std::ifstream in(path);
  std::string text((std::istreambuf_iterator<char>(in)), {});
  const size_t begin = text.find(kBegin), end = text.find(kEnd);
  ASSERT_NE(begin, std::string::npos);
  ASSERT_NE(end, std::string::npos);
  const size_t from = begin + kBegin.size();
  if (std::getenv("SAW_ACCEPT_GOLDEN") != nullptr) {
    text.replace(from, end - from, "\n" + reference_markdown());
    std::ofstream(path) << text;
    return;
  }
  EXPECT_EQ(text.substr(from, end - from), "\n" + reference_markdown()) << "accept with SAW_ACCEPT_GOLDEN=1";
}

}  // namespace
}  // namespace saw::policy
