#include "policy/yaml.h"

#include <gtest/gtest.h>

namespace saw::policy::yaml {
namespace {

std::string problem(std::string_view text) {
  auto tree = parse(text, "f");
  return tree ? "" : tree.error().at(0).text();
}

TEST(Yaml, remembers_places_and_quotes) {
  auto tree = parse("a: yes\nb:\n  - 'x'\n  - {c: 0x10}\n", "f");
  ASSERT_TRUE(tree);
  EXPECT_EQ(tree->find("a")->scalar, "yes");
  EXPECT_FALSE(tree->find("a")->quoted);
  const Node& item = tree->find("b")->items.at(0);
  EXPECT_TRUE(item.quoted);
  EXPECT_EQ(item.line, 3);
  EXPECT_EQ(item.column, 5);
  EXPECT_EQ(tree->find("b")->items.at(1).find("c")->scalar, "0x10");
  EXPECT_EQ(tree->find("z"), nullptr);
}

TEST(Yaml, refuses_what_readers_disagree_about) {
  EXPECT_EQ(problem("a: 1\nb: 2\na: 3\n"), "f:3:1: error: duplicate key 'a' [policy.duplicate_key]");
  EXPECT_EQ(problem("a: {b: 1, \"b\": 2}"), "f:1:11: error: duplicate key 'b' [policy.duplicate_key]");
  EXPECT_NE(problem("a: &x 1\nb: *x\n").find("anchors"), std::string::npos);
  EXPECT_NE(problem("b: *x\n").find("aliases"), std::string::npos);
  EXPECT_NE(problem("a: !!str 1\n").find("tags"), std::string::npos);
  EXPECT_NE(problem("a: !x [1]\n").find("tags"), std::string::npos);
  EXPECT_NE(problem("<<: {a: 1}\n").find("merge"), std::string::npos);
  EXPECT_NE(problem("a: 1\n---\nb: 2\n").find("more than one"), std::string::npos);
  EXPECT_NE(problem("%YAML 1.1\n---\na: 1\n").find("directives"), std::string::npos);
  EXPECT_NE(problem("? [a]\n: 1\n").find("scalar"), std::string::npos);
  EXPECT_NE(problem("").find("empty"), std::string::npos);
  EXPECT_NE(problem("a: \"\\0\"").find("NUL"), std::string::npos);
  EXPECT_NE(problem(std::string("a: 1\n\0b: 2\n", 11)), "") << "a NUL is no end";
  EXPECT_NE(problem(std::string("a: 1\n\0", 6)), "");
  EXPECT_NE(problem("a: [1"), "");
  EXPECT_NE(problem("a: \xff\xfe"), "");
  EXPECT_NE(problem("a:\n\t- b\n"), "");
}

TEST(Yaml, is_bounded) {
  EXPECT_NE(problem(std::string(kMaxDepth + 2, '[') + std::string(kMaxDepth + 2, ']')).find("nested"),
            std::string::npos);
  EXPECT_EQ(problem(std::string(kMaxDepth, '[') + std::string(kMaxDepth, ']')), "");
  EXPECT_NE(problem(std::string(kMaxBytes + 1, ' ')).find("larger"), std::string::npos);
}

}  // namespace
}  // namespace saw::policy::yaml
